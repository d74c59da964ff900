// Records what a desk answers, for the mock:
//
//   tidehelm demo --bind 127.0.0.1:8787 --masters 3 --slaves 8 &
//   node tools/record_reads.mjs http://127.0.0.1:8787 CODE mock/desk.json
import { writeFileSync } from "node:fs";

const [, , base, code, file] = process.argv;
const json = { "content-type": "application/json" };
const welcome = await fetch(`${base}/api/welcome`, {
  method: "POST",
  headers: json,
  body: JSON.stringify({ code, name: "anna", password: "a long enough secret" }),
});
if (!welcome.ok) throw new Error(`welcome: ${welcome.status} ${await welcome.text()}`);
const cookie = welcome.headers.get("set-cookie").split(";")[0];
const get = async (path) => {
  const response = await fetch(base + path, { headers: { cookie } });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
};

const answers = {};
const keep = async (path) => {
  answers[path] = await get(path);
  return answers[path];
};

const { accounts } = await keep("/api/accounts");
const { trade_groups } = await keep("/api/trade-groups");
for (const path of [
  "/api/status",
  "/api/settings",
  "/api/stop",
  "/api/latency",
  "/api/rules",
  "/api/copy-settings",
  "/api/activity",
  "/api/config",
  "/api/log/head",
  "/api/state",
  "/api/users",
  "/api/sessions",
  "/api/tokens",
  "/api/ea/keys",
  "/api/proxy/keys",
  "/api/alerts",
  "/api/alerts/rules",
  "/api/alerts/channels",
  "/api/alerts/mutes",
  "/api/alerts/deliveries/dead",
  "/api/endpoints",
  "/api/dashboard/overview",
  "/api/dashboard/requests",
  "/api/dashboard/clients",
  "/api/dashboard/clients/heatmap",
  "/api/dashboard/model-stats",
  "/api/dashboard/stats/tokens",
  "/api/dashboard/stats/tokens/daily",
]) {
  await keep(path);
}
for (const account of new Set(accounts.map((one) => one.account))) {
  await keep(`/api/connections/${account}`);
}
for (const { role, account } of accounts) await keep(`/api/accounts/${role}/${account}/changes`);
for (const group of trade_groups) {
  for (const member of group.members) {
    await keep(`/api/trade-groups/${group.master_account}/members/${member.slave_account}`);
  }
}
for (const { id } of answers["/api/endpoints"].endpoints) {
  for (const part of ["", "/daily-stats", "/health-checks", "/models"])
    await keep(`/api/endpoints/${id}${part}`);
}
const events = (await get("/api/events?tail=400&class=business")).events;
const signals = events.filter((event) => event.kind === "signal_taken").slice(-3);
for (const { position } of signals) await keep(`/api/why/${position}`);
const text = JSON.stringify({ answers, events });
// Where the demo kept its data is nobody's business.
writeFileSync(file, `${text.replace(/\/tmp\/tidehelm-demo-[0-9a-f]+/g, "/var/lib/tidehelm")}\n`);
console.log(`${Object.keys(answers).length} answers, ${events.length} events`);
