// A real desk with simulated terminals, and the built page in front of it as the desk itself would give it:
// the same Content-Security-Policy, the same way with addresses that are pages.
import { spawn } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const dist = join(here, "../dist");
const binary = process.env.TIDEHELM_BIN ?? join(here, "../../target/debug/tidehelm");

export const PASSWORD = "a long enough secret";
const CSP =
  "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".json": "application/json",
};

export const hasDesk = existsSync(binary) && existsSync(join(dist, "index.html"));

/** Starts `tidehelm demo` and waits until it trades. */
export async function startDemo(args = []) {
  const child = spawn(binary, ["demo", "--bind", "127.0.0.1:0", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  let trading;
  const ready = new Promise((resolve, reject) => {
    trading = resolve;
    child.on("exit", (code) => reject(new Error(`the demo ended with ${code}: ${said}`)));
  });
  for (const out of [child.stdout, child.stderr]) {
    out.on("data", (text) => {
      said += text;
      if (/^trading$/m.test(said)) trading();
    });
  }
  const late = setTimeout(() => child.kill("SIGKILL"), 60_000);
  await ready;
  clearTimeout(late);
  child.removeAllListeners("exit");
  const origin = /http:\/\/[\d.]+:\d+/.exec(said)[0];
  const code = /code=(\S+)/.exec(said)[1];
  return { child, origin, code, stop: () => end(child) };
}

const end = (child) =>
  new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done();
    child.once("exit", done);
    child.kill("SIGTERM");
  });

/** Gives the built page, and passes everything else on to the desk. */
export async function startPage(origin) {
  const desk = new URL(origin);
  let down = false;
  const sockets = new Set();
  const passes = (path) => /^\/(api|v1|ws)(\/|\?|$)/.test(path);
  const headersTo = (headers) => {
    const to = { ...headers, host: desk.host };
    if (to.origin) to.origin = origin;
    return to;
  };
  const server = createServer((asked, answer) => {
    if (passes(asked.url)) {
      if (down) return answer.destroy();
      const onward = request(
        {
          host: desk.hostname,
          port: desk.port,
          method: asked.method,
          path: asked.url,
          headers: headersTo(asked.headers),
        },
        (response) => {
          answer.writeHead(response.statusCode, response.headers);
          response.pipe(answer);
        },
      );
      onward.on("error", () => answer.destroy());
      asked.pipe(onward);
      return;
    }
    const path = decodeURIComponent(new URL(asked.url, origin).pathname);
    const file = join(dist, extname(path) ? path : "index.html");
    if (!file.startsWith(dist) || !existsSync(file)) {
      answer.writeHead(404).end();
      return;
    }
    answer.writeHead(200, {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-security-policy": CSP,
    });
    createReadStream(file).pipe(answer);
  });
  server.on("upgrade", (asked, socket, head) => {
    if (down) return socket.destroy();
    const onward = connect(Number(desk.port), desk.hostname, () => {
      const lines = Object.entries(headersTo(asked.headers)).map(
        ([name, value]) => `${name}: ${value}`,
      );
      onward.write(`GET ${asked.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    for (const one of [onward, socket]) {
      sockets.add(one);
      one.on("error", () => one.destroy());
      one.on("close", () => sockets.delete(one));
    }
  });
  await new Promise((open) => server.listen(0, "127.0.0.1", open));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    /** As if the desk were not there; lines that are open break. */
    setDown(is) {
      down = is;
      if (is) for (const one of sockets) one.destroy();
    },
    stop() {
      for (const one of sockets) one.destroy();
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}
