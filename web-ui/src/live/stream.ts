import { event, Problem, readProblem } from "../api/client";
import type { DeskEvent } from "../api/types";
import { sseReader } from "./sse";

/** The server pings every 10 s; two and a half of them missing is a dead line. */
export const SILENCE_MS = 25_000;

export interface StreamHandlers {
  onOpen(): void;
  /** Anything at all came in, be it only a ping. */
  onLife(): void;
  onEvent(event: DeskEvent): void;
}

/** Follows the log from `position` until the line breaks, which it always reports by throwing. */
export async function follow(
  position: number,
  handlers: StreamHandlers,
  outer: AbortSignal,
): Promise<never> {
  const silence = new AbortController();
  const stop = () => silence.abort();
  let watchdog = setTimeout(stop, SILENCE_MS);
  outer.addEventListener("abort", stop, { once: true });
  try {
    const response = await fetch(`/api/events?from=${position}`, {
      credentials: "same-origin",
      cache: "no-store",
      headers: { Accept: "text/event-stream", "Last-Event-ID": String(position) },
      signal: silence.signal,
    });
    if (!response.ok) throw await readProblem(response);
    if (!response.headers.get("content-type")?.includes("text/event-stream") || !response.body) {
      throw new Problem(response.status, "no_event_stream", "");
    }
    handlers.onOpen();
    const read = sseReader();
    const decoder = new TextDecoder();
    const body = response.body.getReader();
    for (;;) {
      const { done, value } = await body.read();
      if (done) throw new Problem(0, "stream_ended", "");
      clearTimeout(watchdog);
      watchdog = setTimeout(stop, SILENCE_MS);
      handlers.onLife();
      for (const heard of read(decoder.decode(value, { stream: true }))) {
        if (heard.type === "message") handlers.onEvent(event(JSON.parse(heard.data) as DeskEvent));
      }
    }
  } finally {
    clearTimeout(watchdog);
    outer.removeEventListener("abort", stop);
    silence.abort();
  }
}
