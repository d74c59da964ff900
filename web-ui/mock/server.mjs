// A desk that is none: answers that were recorded from a real one, with heartbeats, switches, lock and STOP that
// work. For developing and showing the page without a server:
//
//   npm run build && npm run mock          (the built page at http://127.0.0.1:8788)
//   TIDEHELM_DESK=http://127.0.0.1:8788 npm run dev
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const dist = join(here, "../dist");
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
const CSP =
  "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const ME = { name: "anna", role: "admin" };

/** A desk in memory, as it was recorded, moved to now. */
function deskOf({ answers, events }) {
  const shift = Date.now() * 1000 - answers["/api/status"].now;
  const moved = JSON.parse(JSON.stringify({ answers, events }), (key, value) =>
    typeof value === "number" && value > 1e15 && key !== "body" ? value + shift : value,
  );
  return {
    answers: moved.answers,
    events: moved.events,
    position: moved.answers["/api/status"].position,
    accounts: moved.answers["/api/accounts"].accounts,
    groups: moved.answers["/api/trade-groups"].trade_groups,
    desk: { locked: false, lock_reason: null, stopped: null, stop_reason: null },
  };
}

export function startMock(port = 0) {
  const state = deskOf(JSON.parse(readFileSync(join(here, "desk.json"), "utf8")));
  const { answers } = state;
  const status = answers["/api/status"];
  const sockets = new Set();
  const now = () => Date.now() * 1000;

  const tell = (type, data) => {
    for (const socket of sockets)
      socket.write(textFrame(JSON.stringify({ position: state.position, type, data })));
  };
  const record = (stream, kind, payload, by = { user: ME.name }) => {
    state.position += 1;
    const at = now();
    const event = {
      position: state.position,
      stream,
      version: 1,
      event_id: randomUUID(),
      kind,
      schema: 1,
      class: "business",
      occurred_at: at,
      received_at: at,
      recorded_at: at,
      command_id: null,
      causation: null,
      correlation: state.position,
      by,
      payload,
    };
    state.events.push(event);
    tell("event", event);
    return event;
  };
  const desk = () => ({
    desk_id: status.desk_id,
    name: status.name,
    version: status.version,
    ...state.desk,
  });

  /** The status of a link, as the engine would have it. */
  const judge = (group, member) => {
    const ready = member.enabled_flag;
    member.status = !ready ? 0 : group.enabled_flag ? 2 : 1;
    member.runtime_status = member.status;
    member.allow_new_orders = member.status === 2;
    member.warning_codes = [
      ...(ready ? [] : ["slave_web_ui_disabled"]),
      ...(group.enabled_flag ? [] : ["master_web_ui_disabled"]),
    ];
    member.version += 1;
    tell("member_updated", member);
  };

  const acts = {
    "POST /api/login": () => ME,
    "POST /api/logout": () => null,
    "POST /api/welcome": () => ME,
    "POST /api/lock": ({ locked, reason }) => {
      Object.assign(state.desk, { locked, lock_reason: locked ? reason : null });
      record("desk", locked ? "desk_locked" : "desk_unlocked", { reason });
      tell("desk_updated", desk());
      return { ...state.desk, position: state.position };
    },
    "POST /api/stop": ({ degree, reason }) => {
      Object.assign(state.desk, { stopped: degree, stop_reason: reason });
      record("desk", "desk_stopped", { degree, reason });
      tell("desk_updated", desk());
      return { degree, acted: degree, recorded: "log", orders: 0, position: state.position };
    },
    "POST /api/resume": ({ reason }) => {
      Object.assign(state.desk, { stopped: null, stop_reason: null });
      record("desk", "desk_resumed", { reason });
      tell("desk_updated", desk());
      return {
        stopped: false,
        degree: null,
        reason: null,
        since: null,
        recorded: null,
        orders_open: 0,
        position: state.position,
      };
    },
  };

  const toggle = (path, { enabled }) => {
    const [, master, slave] =
      /^\/api\/trade-groups\/([^/]+)(?:\/members\/([^/]+))?\/toggle$/.exec(path) ?? [];
    const group = state.groups.find((one) => one.master_account === master);
    const member = group?.members.find((one) => one.slave_account === slave);
    if (!group || (slave && !member)) return undefined;
    if (enabled && state.desk.locked)
      return { problem: [409, "desk_locked", "the desk is locked"] };
    if (member) {
      member.enabled_flag = enabled;
      record(`slave/${slave}`, "link_switched", { master, enabled });
      judge(group, member);
      return member;
    }
    group.enabled_flag = enabled;
    group.enabled = enabled;
    group.master_runtime_status = enabled ? 2 : 0;
    record(`master/${master}`, "intent_set", { enabled });
    const { members, ...told } = group;
    tell("trade_group_updated", told);
    for (const one of members) judge(group, one);
    return group;
  };

  const read = (path, query) => {
    if (path === "/api/status") {
      const { stopped, stop_reason, ...locks } = state.desk;
      return {
        ...status,
        ...locks,
        stopped: stopped !== null,
        stop_degree: stopped,
        stop_reason,
        position: state.position,
        now: now(),
        user: ME,
      };
    }
    if (path === "/api/events") return eventsOf(state, query);
    const [, position] = /^\/api\/events\/(\d+)$/.exec(path) ?? [];
    if (position) return state.events.find((event) => event.position === Number(position));
    const found = answers[path];
    return found && "position" in found ? { ...found, position: state.position } : found;
  };

  const server = createServer(async (asked, answer) => {
    const url = new URL(asked.url, "http://mock");
    const give = (code, body) => {
      answer.writeHead(code, {
        "content-type": code < 400 ? "application/json" : "application/problem+json",
      });
      answer.end(body === null ? undefined : JSON.stringify(body));
    };
    const refuse = (code, name, detail) =>
      give(code, {
        type: `urn:tidehelm:problem:${name}`,
        title: name,
        status: code,
        code: name,
        detail,
      });
    if (!url.pathname.startsWith("/api/") && !url.pathname.startsWith("/v1/"))
      return file(url.pathname, answer);
    if (asked.method === "GET") {
      const found = read(url.pathname, url.searchParams);
      return found === undefined
        ? refuse(404, "not_found", "the mock does not know this")
        : give(200, found);
    }
    let text = "";
    for await (const piece of asked) text += piece;
    const body = text ? JSON.parse(text) : {};
    const act = acts[`${asked.method} ${url.pathname}`];
    const done = act
      ? act(body)
      : url.pathname.endsWith("/toggle")
        ? toggle(url.pathname, body)
        : undefined;
    if (done === undefined)
      return refuse(501, "mock_only", "the mock cannot do this; try it with `tidehelm demo`");
    if (done?.problem) return refuse(...done.problem);
    return give(done === null ? 204 : 200, done);
  });

  server.on("upgrade", (asked, socket) => {
    const accept = createHash("sha1")
      .update(`${asked.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    sockets.add(socket);
    const gone = () => {
      sockets.delete(socket);
      socket.destroy();
    };
    socket.on("close", gone).on("error", gone);
    // The page says nothing that the mock would need, but that it goes.
    socket.on("data", (data) => (data[0] & 0x0f) === 8 && gone());
    const overview = answers["/api/dashboard/overview"];
    const lists = [
      { accounts: state.accounts },
      { groups: state.groups.map(({ members, ...group }) => group) },
      { members: state.groups.flatMap((group) => group.members) },
      { endpoints: overview.endpoints },
      { endpoint_tps: overview.endpoint_tps },
    ];
    const { revision, settings } = answers["/api/settings"];
    const first = {
      why: "connected",
      at: state.position,
      desk: desk(),
      settings: { revision, settings },
      totals: { endpoint: null, stats: overview.stats, minutes: overview.history.slice(-2) },
    };
    const parts = [first, ...lists];
    for (const [index, part] of parts.entries()) {
      const whole = index === parts.length - 1;
      const data = { part: index + 1, parts: parts.length, ...part };
      socket.write(
        textFrame(JSON.stringify({ position: whole ? state.position : 0, type: "snapshot", data })),
      );
    }
  });

  const beats = setInterval(() => {
    for (const account of state.accounts) {
      account.last_heartbeat_at = now();
      tell("connection_changed", account);
    }
  }, 1_000);

  return new Promise((open) =>
    server.listen(port, "127.0.0.1", () =>
      open({
        origin: `http://127.0.0.1:${server.address().port}`,
        stop() {
          clearInterval(beats);
          for (const socket of sockets) socket.destroy();
          server.closeAllConnections();
          return new Promise((done) => server.close(done));
        },
      }),
    ),
  );
}

function eventsOf({ events, position }, query) {
  const kinds = query.get("kind");
  const not = kinds?.startsWith("!");
  const names = kinds?.replace(/^!/, "").split(",");
  const stream = query.get("stream");
  const matching = events.filter(
    (event) =>
      (!names || names.includes(event.kind) !== not) &&
      (!stream || event.stream === stream || event.stream.startsWith(`${stream}/`)) &&
      (!query.get("correlation") || String(event.correlation) === query.get("correlation")),
  );
  const tail = Number(query.get("tail") ?? 0);
  const from = Number(query.get("from") ?? 0);
  const limit = Number(query.get("limit") ?? 100);
  const after = matching.filter((event) => event.position > from);
  const some = tail ? matching.slice(-tail) : after.slice(0, limit);
  const more = !tail && after.length > some.length;
  return { events: some, next: more ? some.at(-1).position : null, position, cut_through: 0 };
}

function file(path, answer) {
  const wanted = join(dist, extname(path) ? path : "index.html");
  if (!wanted.startsWith(dist) || !existsSync(wanted)) return answer.writeHead(404).end();
  answer.writeHead(200, {
    "content-type": TYPES[extname(wanted)] ?? "application/octet-stream",
    "content-security-policy": CSP,
  });
  createReadStream(wanted).pipe(answer);
}

/** A text message of RFC 6455, unmasked, as servers send it. */
function textFrame(text) {
  const body = Buffer.from(text);
  const head =
    body.length < 126
      ? Buffer.from([0x81, body.length])
      : body.length < 65_536
        ? Buffer.from([0x81, 126, body.length >> 8, body.length & 0xff])
        : Buffer.from([
            0x81,
            127,
            0,
            0,
            0,
            0,
            ...[24, 16, 8, 0].map((bits) => (body.length >>> bits) & 0xff),
          ]);
  return Buffer.concat([head, body]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { origin } = await startMock(Number(process.env.PORT ?? 8788));
  console.log(`the mock is at ${origin}`);
}
