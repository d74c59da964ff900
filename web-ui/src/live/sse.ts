/** One thing heard on an event stream: a message, or a comment that only proves life. */
export type Heard = { type: "message"; data: string; id: string | null } | { type: "ping" };

/**
 * A reader of `text/event-stream`. Feed it text as it arrives; it returns what became complete.
 * (`EventSource` hides comments and status codes, and both are needed: pings tell a quiet desk
 * from a dead line, and a 401 must lead to the login form.)
 */
export function sseReader(): (chunk: string) => Heard[] {
  let rest = "";
  let data: string[] = [];
  let id: string | null = null;

  function line(text: string): Heard | null {
    if (text === "") {
      if (data.length === 0) return null;
      const message: Heard = { type: "message", data: data.join("\n"), id };
      data = [];
      return message;
    }
    if (text.startsWith(":")) return { type: "ping" };
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    if (field === "id") id = value;
    return null;
  }

  return (chunk) => {
    rest += chunk;
    const heard: Heard[] = [];
    // A carriage return at the very end may be half of a CRLF: it waits for the next chunk.
    for (;;) {
      const end = rest.search(/\r\n|\n|\r(?=[^\n])/);
      if (end < 0) return heard;
      const found = line(rest.slice(0, end));
      rest = rest.slice(end + (rest.startsWith("\r\n", end) ? 2 : 1));
      if (found) heard.push(found);
    }
  };
}

/** Milliseconds before the nth attempt in a row (from 0), with up to 30 % of jitter. */
export function backoff(attempt: number, random: number): number {
  const base = Math.min(15_000, 500 * 2 ** Math.min(attempt, 10));
  return Math.round(base * (1 + 0.3 * random));
}
