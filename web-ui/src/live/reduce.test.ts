import { describe, expect, it } from "vitest";
import type { Account, DeskEvent } from "../api/types";
import { adopt, type Board, boardOf, reduce, replaceAccount } from "./reduce";

const account = (role: "master" | "slave", id: string, change: Partial<Account> = {}): Account => ({
  role,
  account: id,
  name: null,
  broker: null,
  enabled_flag: true,
  connection: "online",
  runtime_status: 2,
  warning_codes: [],
  balance: "100.00",
  equity: "100.00",
  free_margin: "90.00",
  open_positions: 1,
  trade_allowed: true,
  last_heartbeat_at: 1_000,
  masters: [],
  revision: 7,
  ...change,
});

const event = (
  position: number,
  kind: string,
  stream: string,
  payload: DeskEvent["payload"] = {},
): DeskEvent => ({
  position,
  stream,
  version: 9,
  event_id: `e${position}`,
  kind,
  schema: 1,
  occurred_at: null,
  received_at: 5_000,
  recorded_at: 5_003,
  command_id: null,
  causation: null,
  correlation: null,
  by: "desk",
  payload,
});

const BOARD: Board = boardOf(
  {
    position: 10,
    at: 0,
    accounts: [account("master", "ACC_1"), account("slave", "ACC_1"), account("slave", "ACC_12")],
  },
  false,
  null,
);
const at = (board: Board, index: number) => board.accounts[index] as Account;

describe("heartbeat", () => {
  it("changes only the figures of its own account", () => {
    const payload = { balance: "101.5", equity: "99.25", open_positions: 3, trade_allowed: false };
    const next = reduce(BOARD, event(11, "heartbeat_seen", "slave/ACC_1", payload));
    expect(at(next, 1)).toEqual({ ...at(BOARD, 1), ...payload, last_heartbeat_at: 5_000 });
    expect(next.doubt).toBe(false);
    // The others are the same objects, so that their rows need not be drawn again.
    expect(at(next, 0)).toBe(at(BOARD, 0));
    expect(at(next, 2)).toBe(at(BOARD, 2));
  });

  it("takes values of a wrong type as absent", () => {
    const payload = { balance: {}, open_positions: "many", trade_allowed: "yes" };
    const next = reduce(BOARD, event(11, "heartbeat_seen", "master/ACC_1", payload));
    expect(at(next, 0)).toEqual({ ...at(BOARD, 0), last_heartbeat_at: 5_000 });
  });

  it("of an unknown account is a doubt", () => {
    expect(reduce(BOARD, event(11, "heartbeat_seen", "slave/NEW_1")).doubt).toBe(true);
  });
});

describe("what each kind does", () => {
  const link = (runtime_status: 0 | 2) => ({ masters: [{ account: "M_1", runtime_status }] });
  it.each<[string, string, DeskEvent["payload"], Partial<Account>, boolean]>([
    [
      "account_registered",
      "slave/ACC_1",
      { name: "A" },
      { name: "A", connection: "online" },
      false,
    ],
    ["account_online", "slave/ACC_1", {}, { connection: "online" }, false],
    ["account_offline", "slave/ACC_1", {}, { connection: "lost" }, false],
    ["account_unregistered", "slave/ACC_1", {}, { connection: "unregistered" }, false],
    ["account_registered", "slave/NEW_1", {}, {}, true],
    ["intent_set", "slave/ACC_1", { enabled: false }, { enabled_flag: false, revision: 9 }, false],
    ["intent_set", "slave/ACC_1", {}, {}, true],
    [
      "status_changed",
      "slave/ACC_1",
      { old: 2, new: 0, warnings: ["slave_offline"] },
      { runtime_status: 0, warning_codes: ["slave_offline"] },
      false,
    ],
    ["status_changed", "slave/ACC_1", { old: 2, new: 9, warnings: [] }, {}, true],
    ["link_added", "slave/ACC_1", { master: "M_1" }, { ...link(0), revision: 9 }, false],
    ["master_noted", "slave/ACC_1", { master: "M_1", status: 2, warnings: [] }, link(2), false],
    ["link_removed", "slave/ACC_1", { master: "M_1" }, { masters: [], revision: 9 }, false],
    ["settings_changed", "desk", {}, {}, false],
    ["server_started", "desk", {}, {}, false],
    ["never_heard_of", "desk", {}, {}, true],
    ["user_added", "desk", {}, {}, false],
    ["session_started", "desk", {}, {}, false],
    ["token_revoked", "desk", {}, {}, false],
    ["command_answered", "slave/ACC_1", {}, {}, false],
  ])("%s on %s with %j", (kind, stream, payload, change, doubt) => {
    const next = reduce(BOARD, event(11, kind, stream, payload));
    expect(at(next, 1)).toEqual({ ...at(BOARD, 1), ...change });
    expect(next.doubt).toBe(doubt);
    expect(next.position).toBe(11);
  });

  it("lock and unlock", () => {
    const locked = reduce(BOARD, event(11, "desk_locked", "desk", { reason: "news" }));
    expect([locked.locked, locked.lockReason, locked.doubt]).toEqual([true, "news", false]);
    const open = reduce(locked, event(12, "desk_unlocked", "desk", { reason: "over" }));
    expect([open.locked, open.lockReason]).toEqual([false, null]);
  });
});

it("a terminal that registers while it was away is registered, not online", () => {
  const lost = reduce(BOARD, event(11, "account_offline", "slave/ACC_1"));
  const back = reduce(lost, event(12, "account_registered", "slave/ACC_1"));
  expect(at(back, 1).connection).toBe("registered");
});

describe("order", () => {
  it("an event seen before changes nothing", () => {
    expect(reduce(BOARD, event(10, "account_offline", "slave/ACC_1"))).toBe(BOARD);
  });

  it("a gap is a doubt, and the event still counts", () => {
    const next = reduce(BOARD, event(13, "account_offline", "slave/ACC_1"));
    expect([next.doubt, at(next, 1).connection]).toEqual([true, "lost"]);
  });
});

describe("a newer snapshot", () => {
  const snapshot = { position: 11, at: 0, accounts: [account("slave", "ACC_1", { revision: 8 })] };

  it("ends the doubt and keeps what came after it", () => {
    const seen = [
      event(11, "intent_set", "slave/ACC_1", { enabled: true }),
      event(12, "account_offline", "slave/ACC_1"),
    ];
    const next = adopt(seen.reduce(reduce, BOARD), snapshot, seen);
    expect(next.position).toBe(12);
    expect(next.doubt).toBe(false);
    expect(at(next, 0)).toMatchObject({ revision: 8, connection: "lost" });
  });

  it("keeps the lock, which it does not carry", () => {
    const locked = reduce(BOARD, event(11, "desk_locked", "desk", { reason: "news" }));
    expect(adopt(locked, snapshot, [])).toMatchObject({ locked: true, lockReason: "news" });
  });
});

it("a command's answer replaces the account of that role only", () => {
  const next = replaceAccount(BOARD, account("slave", "ACC_1", { enabled_flag: false }));
  expect(next.accounts.map((one) => one.enabled_flag)).toEqual([true, false, true]);
});
