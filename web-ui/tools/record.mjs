// Records what a desk tells over /ws while things are done to it, with what its reads say at the end, as golden
// frames for the reducer:
//
//   tidehelm demo --bind 127.0.0.1:8787 --masters 2 --slaves 3 &
//   node --experimental-websocket tools/record.mjs http://127.0.0.1:8787 CODE test/frames/desk.json
//
// CODE is the one of the link that the demo prints.
import { writeFileSync } from "node:fs";

const [, , base, code, file] = process.argv;
const json = { "content-type": "application/json" };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

let bearer = {};
async function ask(method, path, body, headers = {}) {
  const response = await fetch(base + path, {
    method,
    headers: { ...json, ...bearer, ...headers },
    body: method === "GET" || method === "DELETE" ? undefined : JSON.stringify(body ?? {}),
  });
  if (!response.ok)
    throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  if (method === "POST" && path === "/api/welcome") {
    bearer = { cookie: response.headers.get("set-cookie").split(";")[0] };
  }
  return response.status === 204 ? null : response.json();
}

await ask("POST", "/api/welcome", { code, name: "anna", password: "a long enough secret" });
const { token } = await ask("POST", "/api/tokens", { name: "recorder", role: "admin" });
bearer = { authorization: `Bearer ${token}` };

const frames = [];
let socket;
const position = () => frames.reduce((last, frame) => Math.max(last, frame.position), 0);
async function listen(since) {
  const url = `${base.replace("http", "ws")}/ws${since ? `?since=${since}` : ""}`;
  socket = new WebSocket(url, ["tidehelm.1", `token.${token}`]);
  socket.onmessage = ({ data }) => frames.push(JSON.parse(data));
  await new Promise((open, fail) => Object.assign(socket, { onopen: open, onerror: fail }));
}

await listen(0);
await sleep(2_000);
const groups = (await ask("GET", "/api/trade-groups")).trade_groups;
const [first, second] = groups;
const { slave_account: slave } = first.members[0];
const members = `/api/trade-groups/${first.master_account}/members`;
const toggle = (path, enabled) => ask("POST", `${path}/toggle`, { enabled });

await toggle(`${members}/${slave}`, false);
await ask("POST", "/api/lock", { locked: true, reason: "looking at something" });
await sleep(700);
await ask("POST", "/api/lock", { locked: false, reason: "looked" });
await toggle(`${members}/${slave}`, true);
const { settings } = await ask("GET", "/api/settings");
await ask("PUT", "/api/settings", { ...settings, name: "Harbour" }, { "if-match": '"0"' });
await sleep(700);
const broken = position();
socket.close();
await toggle(`/api/trade-groups/${second.master_account}`, false);
const { version } = await ask("GET", `${members}/${slave}`);
await ask("DELETE", `${members}/${slave}?wind_down=keep`, null, { "if-match": `"${version}"` });
await sleep(700);
await listen(broken);
await sleep(1_000);
await ask("POST", "/api/stop", { degree: "pause", reason: "the recording" });
await sleep(700);
await ask("POST", "/api/resume", { reason: "the recording goes on" });
await sleep(1_500);
socket.close();

const at = position();
const as = `?as_of=${at}`;
const truth = {
  position: at,
  accounts: (await ask("GET", `/api/accounts${as}`)).accounts,
  trade_groups: (await ask("GET", `/api/trade-groups${as}`)).trade_groups,
  status: await ask("GET", `/api/status${as}`),
};
writeFileSync(file, `${JSON.stringify({ broken_at: broken, frames, truth })}\n`);
console.log(`${frames.length} frames up to position ${at}`);
process.exit(0);
