// A desk made of lies, for work on the page without a server: `npm run mock`.
//
//   MOCK_PORT=8787        where to listen, on 127.0.0.1 only
//   MOCK_EMPTY=1          no account has ever connected
//   MOCK_SIGNED_IN=1      everybody is signed in (otherwise: any name, password "harbour-light")
//   MOCK_LOCKED=1         starts locked
//
// Serves dist/ too, with the Content-Security-Policy of the real server.
// First start-up: http://127.0.0.1:8787/#/welcome?code=first-tide

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const PORT = Number(process.env.MOCK_PORT ?? 8787);
const DIST = new URL("../dist/", import.meta.url).pathname;
const CSP = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const PASSWORD = "harbour-light";
const CODE = "first-tide";

const log = [];
const streams = new Map();
const listeners = new Set();
const sessions = new Map();
const answered = new Map();
/** The fold so far, and a copy of it after each position for `as_of`. */
let state = { locked: false, lock_reason: null, accounts: new Map() };
const history = [structuredClone(state)];

const TIMES = new Set([
  "at",
  "now",
  "occurred_at",
  "received_at",
  "recorded_at",
  "last_heartbeat_at",
]);
/** The desk writes times in microseconds. */
const micros = (key, value) => (TIMES.has(key) && typeof value === "number" ? value * 1000 : value);

function record(stream, kind, payload, by = "desk", at = Date.now(), command = null) {
  const version = (streams.get(stream) ?? 0) + 1;
  streams.set(stream, version);
  const event = {
    position: log.length + 1,
    stream,
    version,
    event_id: randomUUID(),
    kind,
    schema: 1,
    occurred_at: at - 40,
    received_at: kind === "heartbeat_seen" ? at - 2 : null,
    recorded_at: at,
    command_id: command,
    causation: null,
    correlation: randomUUID(),
    by,
    payload,
  };
  log.push(event);
  evolve(event);
  history.push(structuredClone(state));
  for (const listener of listeners) listener(event);
  return event;
}

function evolve({ stream, kind, payload, version, recorded_at }) {
  if (kind === "desk_locked") state = { ...state, locked: true, lock_reason: payload.reason };
  if (kind === "desk_unlocked") state = { ...state, locked: false, lock_reason: null };
  if (!stream.includes("/")) return;
  const [role, account] = stream.split("/");
  const known = state.accounts.get(stream) ?? {
    role,
    account,
    name: null,
    broker: null,
    enabled_flag: false,
    connection: "never",
    runtime_status: 0,
    warning_codes: [],
    balance: null,
    equity: null,
    free_margin: null,
    open_positions: null,
    trade_allowed: null,
    last_heartbeat_at: null,
    masters: [],
    revision: 0,
  };
  const change = {
    account_registered: () => ({
      connection: "registered",
      name: payload.name,
      broker: payload.broker,
    }),
    account_online: () => ({ connection: "online" }),
    account_offline: () => ({ connection: "lost" }),
    account_unregistered: () => ({ connection: "unregistered" }),
    intent_set: () => ({ enabled_flag: payload.enabled, revision: version }),
    heartbeat_seen: () => ({ ...payload, last_heartbeat_at: recorded_at }),
    status_changed: () => ({ runtime_status: payload.new, warning_codes: payload.warnings }),
    link_added: () => ({
      masters: [...known.masters, { account: payload.master, runtime_status: 0 }],
      revision: version,
    }),
    master_noted: () => ({
      masters: known.masters.map((link) =>
        link.account === payload.master ? { ...link, runtime_status: payload.status } : link,
      ),
    }),
  }[kind];
  if (change) state.accounts.set(stream, { ...known, ...change() });
}

/** The status engine, near enough. */
function evaluate(at) {
  const accounts = [...state.accounts.values()];
  const ready = (a) => a.enabled_flag && a.connection === "online" && a.trade_allowed === true;
  const own = (a) => [
    ...(a.enabled_flag ? [] : [`${a.role}_web_ui_disabled`]),
    ...(a.connection === "online" ? [] : [`${a.role}_offline`]),
    ...(a.connection === "online" && a.trade_allowed === false
      ? [`${a.role}_auto_trading_disabled`]
      : []),
  ];
  const masters = new Map();
  const becomes = (a, runtime_status, warning_codes) => {
    if (runtime_status === a.runtime_status && `${warning_codes}` === `${a.warning_codes}`) return;
    const payload = { old: a.runtime_status, new: runtime_status, warnings: warning_codes };
    record(`${a.role}/${a.account}`, "status_changed", payload, "desk", at);
  };
  for (const a of accounts.filter((other) => other.role === "master")) {
    masters.set(a.account, { status: ready(a) ? 2 : 0, warnings: own(a) });
    becomes(a, ready(a) ? 2 : 0, own(a));
  }
  for (const a of accounts.filter((other) => other.role === "slave")) {
    const warnings = own(a);
    let degraded = a.masters.length === 0;
    if (degraded) warnings.push("no_master_assigned");
    for (const link of a.masters) {
      const master = masters.get(link.account) ?? { status: 0, warnings: ["master_offline"] };
      if (master.status !== link.runtime_status) {
        const payload = { master: link.account, status: master.status, warnings: master.warnings };
        record(`slave/${a.account}`, "master_noted", payload, "desk", at);
      }
      if (master.status !== 2) degraded = true;
      warnings.push(...master.warnings);
    }
    if (a.masters.length > 1 && degraded) warnings.push("master_cluster_degraded");
    becomes(a, ready(a) ? (degraded ? 1 : 2) : 0, [...new Set(warnings)]);
  }
}

const FLEET = [
  ["master", "IC_Markets_51200441", "Harbour scalper", "IC Markets", 84210.55, []],
  ["master", "Pepperstone_7710023", "Night swing", "Pepperstone", 25980, []],
  ["slave", "OANDA_Japan_330118", "Client A", "OANDA Japan", 1250400, ["IC_Markets_51200441"]],
  [
    "slave",
    "FXCM_90021",
    "Client B",
    "FXCM",
    9804.12,
    ["IC_Markets_51200441", "Pepperstone_7710023"],
  ],
  ["slave", "Tickmill_4400917", null, "Tickmill", 50000, []],
];

const wobble = (base, share) => (base * (1 + (Math.random() - 0.5) * share)).toFixed(2);

function beat(at) {
  for (const [role, account, , , base] of FLEET) {
    const known = state.accounts.get(`${role}/${account}`);
    if (known?.connection !== "online") continue;
    const payload = {
      balance: base.toFixed(2),
      equity: wobble(base, 0.004),
      free_margin: wobble(base * 0.8, 0.004),
      open_positions: Math.floor(3 + 2 * Math.sin(at / 9000 + base)),
      trade_allowed: account !== "FXCM_90021" || Math.floor(at / 60_000) % 3 !== 0,
    };
    record(`${role}/${account}`, "heartbeat_seen", payload, "terminal", at);
  }
}

function story() {
  const start = Date.now() - 10 * 60_000;
  record("desk", "desk_opened", { build: "0.1.0" }, "operator", start);
  if (process.env.MOCK_LOCKED)
    record("desk", "desk_locked", { reason: "Rate decision at 14:00" }, "user:anna");
  if (process.env.MOCK_EMPTY) return;
  for (const [index, [role, account, name, broker, , masters]] of FLEET.entries()) {
    const at = start + index * 4000;
    const stream = `${role}/${account}`;
    record(stream, "account_registered", { name, broker, platform: "MT5" }, "terminal", at);
    for (const master of masters) record(stream, "link_added", { master }, "user:anna", at + 500);
    record(stream, "account_online", {}, "desk", at + 1000);
    if (account !== "Tickmill_4400917")
      record(stream, "intent_set", { enabled: true }, "user:anna", at + 1500);
  }
  for (let at = start + 30_000; at < Date.now() - 1000; at += 6000) {
    beat(at);
    evaluate(at);
    if (
      at > Date.now() - 90_000 &&
      state.accounts.get("master/Pepperstone_7710023").connection === "online"
    ) {
      record("master/Pepperstone_7710023", "account_offline", { timeout_seconds: 30 }, "desk", at);
      evaluate(at);
    }
  }
}

story();
if (!process.env.MOCK_EMPTY) {
  setInterval(() => {
    beat(Date.now());
    evaluate(Date.now());
    if (history.length > 50_000) process.exit(0);
  }, 1000);
}

const json = (response, status, body, headers = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body, micros));
};

function problem(response, status, code, title, detail, field) {
  const body = { type: "about:blank", title, status, detail, code, ...(field ? { field } : {}) };
  response.writeHead(status, { "content-type": "application/problem+json" });
  response.end(JSON.stringify(body, micros));
}

async function bodyOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

function userOf(request) {
  if (process.env.MOCK_SIGNED_IN) return { name: "anna", role: "admin" };
  const id = /(?:^|; )tidehelm=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
  return sessions.get(id) ?? null;
}

function signIn(response, name) {
  const id = randomUUID();
  const user = { name, role: "admin" };
  sessions.set(id, user);
  json(response, 200, user, { "set-cookie": `tidehelm=${id}; HttpOnly; SameSite=Strict; Path=/` });
}

function positionOf(asOf) {
  if (/^\d{1,11}$/.test(asOf)) return Number(asOf) < history.length ? Number(asOf) : null;
  const at = /^\d+$/.test(asOf) ? Number(asOf) : Date.parse(asOf);
  if (Number.isNaN(at)) return null;
  return log.filter((event) => event.recorded_at <= at).length;
}

function events(request, response, query) {
  if (request.headers.accept?.includes("text/event-stream")) {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    const send = (event) =>
      response.write(`id: ${event.position}\ndata: ${JSON.stringify(event, micros)}\n\n`);
    for (const event of log.slice(Number(query.get("from") ?? 0))) send(event);
    listeners.add(send);
    const ping = setInterval(() => response.write(": ping\n\n"), 10_000);
    response.write(": hello\n\n");
    request.on("close", () => {
      listeners.delete(send);
      clearInterval(ping);
    });
    return;
  }
  const kind = query.get("kind");
  const stream = query.get("stream");
  const wanted = (e) => (kind?.startsWith("!") ? `!${e.kind}` !== kind : e.kind === kind);
  const found = log.filter((e) => (!kind || wanted(e)) && (!stream || e.stream === stream));
  if (query.has("tail")) {
    const page = found.slice(-Number(query.get("tail")));
    return json(response, 200, { position: log.length, events: page, next: null });
  }
  const limit = Math.min(1000, Number(query.get("limit") ?? 100));
  const page = found
    .filter((event) => event.position > Number(query.get("from") ?? 0))
    .slice(0, limit);
  const next = page.length === limit ? page.at(-1).position : null;
  json(response, 200, { position: log.length, events: page, next });
}

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

async function file(path, response) {
  const wanted = normalize(path === "/" ? "/index.html" : path);
  try {
    const bytes = await readFile(join(DIST, wanted));
    response.writeHead(200, {
      "content-type": TYPES[extname(wanted)] ?? "application/octet-stream",
      "content-security-policy": CSP,
      "x-content-type-options": "nosniff",
    });
    response.end(bytes);
  } catch {
    problem(
      response,
      404,
      "not_found",
      "Not found",
      `no such page: ${path} (run \`npm run build\` first)`,
    );
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function route(request, response) {
  const { pathname, searchParams: query } = new URL(request.url, "http://desk");
  if (!pathname.startsWith("/api/")) return file(pathname, response);
  const call = `${request.method} ${pathname}`;

  if (call === "POST /api/login") {
    const { name, password } = await bodyOf(request);
    await pause(300);
    if (password === PASSWORD) return signIn(response, name);
    return problem(response, 401, "credentials_wrong", "Unauthorized", "name or password is wrong");
  }
  if (call === "POST /api/welcome") {
    const { code, name, password } = await bodyOf(request);
    if (code !== CODE)
      return problem(
        response,
        403,
        "code_unknown",
        "Forbidden",
        "this link has been used or has expired",
      );
    if (password.length < 12) {
      return problem(
        response,
        422,
        "password_short",
        "Unprocessable",
        "a password has at least 12 characters",
        "password",
      );
    }
    return signIn(response, name);
  }

  const user = userOf(request);
  if (!user) return problem(response, 401, "not_signed_in", "Unauthorized", "sign in first");

  if (call === "POST /api/logout") {
    sessions.clear();
    response.writeHead(204).end();
    return;
  }
  if (call === "GET /api/status") {
    return json(response, 200, {
      desk_id: "0197a2f0-0000-7000-8000-000000000001",
      name: "North Pier",
      version: "0.1.0",
      position: log.length,
      ready: true,
      locked: state.locked,
      lock_reason: state.lock_reason,
      accounts: state.accounts.size,
      now: Date.now(),
      user,
    });
  }
  if (call === "GET /api/accounts") {
    const asOf = query.get("as_of");
    const position = asOf === null ? log.length : positionOf(asOf);
    if (position === null) {
      return problem(
        response,
        422,
        "as_of_unknown",
        "Unprocessable",
        `no such moment: ${asOf}`,
        "as_of",
      );
    }
    const then = asOf === null ? state : history[position];
    const at = asOf === null ? Date.now() : (log[position - 1]?.recorded_at ?? 0);
    return json(response, 200, { position, at, accounts: [...then.accounts.values()] });
  }
  if (call === "GET /api/events") return events(request, response, query);
  if (call === "POST /api/lock") {
    const { locked, reason } = await bodyOf(request);
    if (!reason?.trim()) {
      return problem(
        response,
        422,
        "reason_missing",
        "Unprocessable",
        "a reason has 1 to 500 characters",
        "reason",
      );
    }
    record("desk", locked ? "desk_locked" : "desk_unlocked", { reason }, `user:${user.name}`);
    return json(response, 200, {
      locked: state.locked,
      lock_reason: state.lock_reason,
      position: log.length,
    });
  }
  const toggle = /^POST \/api\/accounts\/(master|slave)\/([^/]+)\/toggle$/.exec(call);
  if (toggle) {
    const stream = `${toggle[1]}/${decodeURIComponent(toggle[2])}`;
    const known = state.accounts.get(stream);
    if (!known)
      return problem(response, 404, "account_unknown", "Not found", `no account ${stream}`);
    const key = request.headers["idempotency-key"];
    if (key && answered.has(key)) return json(response, 200, answered.get(key));
    const wanted = request.headers["if-match"];
    if (wanted && wanted !== `"${known.revision}"`) {
      return problem(
        response,
        412,
        "revision_old",
        "Precondition failed",
        "the account has changed meanwhile",
      );
    }
    const { enabled } = await bodyOf(request);
    if (enabled && state.locked)
      return problem(
        response,
        409,
        "desk_locked",
        "Conflict",
        `the desk is locked: ${state.lock_reason}`,
      );
    await pause(400);
    record(stream, "intent_set", { enabled }, `user:${user.name}`, Date.now(), key ?? null);
    const answer = { account: state.accounts.get(stream), position: log.length };
    if (key) answered.set(key, answer);
    json(response, 200, answer);
    setTimeout(() => evaluate(Date.now()), 150);
    return;
  }
  problem(response, 404, "not_found", "Not found", `nothing at ${call}`);
}

createServer((request, response) => {
  route(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) problem(response, 500, "mock_broken", "Mock broken", String(error));
  });
}).listen(PORT, "127.0.0.1", () => console.log(`mock desk on http://127.0.0.1:${PORT}`));
