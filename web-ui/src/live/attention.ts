import type { Account, Alert, EndpointRow } from "../api/shapes";
import { minus } from "../util/format";
import type { Board } from "./board";

export interface Matter {
  key: string;
  severity: "critical" | "warning" | "info";
  kind: "account" | "alert" | "endpoint" | "locked";
  subject: string;
  codes: readonly string[];
  /** Microseconds; null where the desk does not say. */
  since: number | null;
  account: Account | null;
  alert: Alert | null;
  endpoint: EndpointRow | null;
  /** Slaves that wait because of it. */
  waiting: number;
  /** Margin in use, as far as the terminal told it. */
  atRisk: string;
}

/** Codes that a person brought about on purpose: no matter for anybody. */
const WANTED = new Set(["slave_web_ui_disabled", "master_web_ui_disabled"]);
/** Told by the master's own entry, once and not for each of its slaves. */
const OF_MASTER = new Set([
  "master_offline",
  "master_auto_trading_disabled",
  "master_cluster_degraded",
]);
const CRITICAL = new Set([
  "limit_hit",
  "unknown_position",
  "duplicate_ea",
  "order_unproven",
  "log_behind_terminal",
  "volume_drift",
]);
const MINOR = new Set(["lot_below_min", "symbol_unmapped", "stale_account"]);

const gravity = (code: string) => (CRITICAL.has(code) ? 0 : MINOR.has(code) ? 2 : 1);

/** The worst first. */
export const bySeverity = (codes: readonly string[]) =>
  [...codes].sort((a, b) => gravity(a) - gravity(b));

/** What is not as it should be, the worst first, then by the money that is in it. */
export function mattersOf(board: Board, alerts: readonly Alert[]): Matter[] {
  const matters: Matter[] = [];
  if (board.desk?.locked) {
    matters.push({
      ...NOTHING,
      key: "locked",
      severity: "warning",
      kind: "locked",
      subject: "desk",
    });
  }
  const waiting = new Map<string, number>();
  for (const account of board.accounts.values()) {
    if (account.role !== "slave") continue;
    for (const master of account.masters) {
      if (master.runtime_status === 2) continue;
      waiting.set(master.account, (waiting.get(master.account) ?? 0) + 1);
    }
  }
  for (const account of board.accounts.values()) {
    const matter = matterOf(account, waiting.get(account.account) ?? 0);
    if (matter) matters.push(matter);
  }
  for (const row of board.endpoints.values()) {
    if (row.status !== "offline" && row.status !== "error") continue;
    matters.push({
      ...NOTHING,
      key: `endpoint/${row.id}`,
      severity: row.status === "offline" ? "warning" : "info",
      kind: "endpoint",
      subject: row.name,
      codes: [`endpoint_${row.status}`],
      since: row.status_since,
      endpoint: row,
    });
  }
  for (const alert of alerts) {
    if (alert.state !== "raised" || alert.muted || alert.acknowledged_at) continue;
    const severity =
      alert.severity === "critical" || alert.severity === "page" ? "critical" : "warning";
    matters.push({
      ...NOTHING,
      key: `alert/${alert.id}`,
      severity: alert.severity === "info" ? "info" : severity,
      kind: "alert",
      subject: alert.subject,
      codes: [alert.condition],
      since: alert.since,
      alert,
    });
  }
  const rank = { critical: 0, warning: 1, info: 2 };
  return matters.sort(
    (a, b) =>
      rank[a.severity] - rank[b.severity] ||
      Number(b.atRisk) - Number(a.atRisk) ||
      (a.key < b.key ? -1 : 1),
  );
}

function matterOf(account: Account, waiting: number): Matter | null {
  if (!account.enabled_flag) return null;
  const own = account.warning_codes.filter(
    (code) => !WANTED.has(code) && !(account.role === "slave" && OF_MASTER.has(code)),
  );
  // A link that a person switched off leaves the slave without a word of its own.
  if (own.length === 0) return null;
  const severity = own.some((code) => CRITICAL.has(code))
    ? "critical"
    : own.every((code) => MINOR.has(code))
      ? "info"
      : "warning";
  return {
    ...NOTHING,
    key: `${account.role}/${account.account}`,
    severity,
    kind: "account",
    subject: account.account,
    codes: own,
    since: own.some((code) => code.endsWith("_offline"))
      ? (account.last_heartbeat_at ?? null)
      : null,
    account,
    waiting: account.role === "master" ? waiting : 0,
    atRisk: minus(account.equity, account.free_margin) ?? "0",
  };
}

const NOTHING: Matter = {
  key: "",
  severity: "info",
  kind: "account",
  subject: "",
  codes: [],
  since: null,
  account: null,
  alert: null,
  endpoint: null,
  waiting: 0,
  atRisk: "0",
};

export interface Fleet {
  masters: number;
  mastersReady: number;
  slaves: number;
  receiving: number;
  standby: number;
  blocked: number;
  off: number;
  near: number;
  hit: number;
}

export function fleetOf(accounts: ReadonlyMap<string, Account>): Fleet {
  const fleet: Fleet = {
    masters: 0,
    mastersReady: 0,
    slaves: 0,
    receiving: 0,
    standby: 0,
    blocked: 0,
    off: 0,
    near: 0,
    hit: 0,
  };
  for (const account of accounts.values()) {
    if (account.warning_codes.includes("limit_hit")) fleet.hit += 1;
    else if (account.warning_codes.includes("limit_near")) fleet.near += 1;
    if (account.role === "master") {
      fleet.masters += 1;
      if (account.runtime_status === 2) fleet.mastersReady += 1;
      continue;
    }
    fleet.slaves += 1;
    if (!account.enabled_flag) fleet.off += 1;
    else if (account.runtime_status === 2) fleet.receiving += 1;
    else if (account.runtime_status === 1) fleet.standby += 1;
    else fleet.blocked += 1;
  }
  return fleet;
}
