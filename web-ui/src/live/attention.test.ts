import { expect, it } from "vitest";
import type { Account, Alert, EndpointRow } from "../api/shapes";
import { fleetOf, mattersOf } from "./attention";
import { accountKey, type Board, EMPTY } from "./board";

const account = (name: string, change: Partial<Account>): Account =>
  ({
    role: "slave",
    account: name,
    enabled_flag: true,
    runtime_status: 2,
    warning_codes: [],
    masters: [],
    equity: "1000",
    free_margin: "900",
    last_heartbeat_at: 5,
    ...change,
  }) as Account;

const boardOf = (accounts: readonly Account[], more: Partial<Board> = {}): Board => ({
  ...EMPTY,
  accounts: new Map(accounts.map((one) => [accountKey(one), one])),
  ...more,
});

const said = (board: Board, alerts: readonly Alert[] = []) =>
  mattersOf(board, alerts).map((matter) => `${matter.severity} ${matter.key}`);

it.each([
  ["as it should be", { warning_codes: [] }, []],
  ["switched off by hand", { enabled_flag: false, warning_codes: ["slave_web_ui_disabled"] }, []],
  ["offline", { warning_codes: ["slave_offline"] }, ["warning slave/S_1"]],
  ["only its master is away", { warning_codes: ["master_offline"] }, []],
  ["of two terminals", { warning_codes: ["duplicate_ea"] }, ["critical slave/S_1"]],
  ["with a trade too small", { warning_codes: ["lot_below_min"] }, ["info slave/S_1"]],
  ["with a word that is not known", { warning_codes: ["quite_new"] }, ["warning slave/S_1"]],
])("an account %s", (_, change, expected) => {
  expect(said(boardOf([account("S_1", change)]))).toEqual(expected);
});

it("puts the worst first, then what has most money in it", () => {
  const board = boardOf([
    account("A", { warning_codes: ["slave_offline"] }),
    account("B", { warning_codes: ["slave_offline"], free_margin: "100" }),
    account("C", { warning_codes: ["limit_hit"] }),
    account("D", { warning_codes: ["lot_below_min"], free_margin: "0" }),
  ]);
  expect(said(board)).toEqual([
    "critical slave/C",
    "warning slave/B",
    "warning slave/A",
    "info slave/D",
  ]);
});

it("tells a master once, with how many wait for it", () => {
  const masters = [{ account: "M", runtime_status: 0, warning_codes: ["master_offline"] }];
  const board = boardOf([
    account("M", { role: "master", warning_codes: ["master_offline"], runtime_status: 0 }),
    account("S_1", { masters, warning_codes: ["master_offline"], runtime_status: 1 }),
    account("S_2", { masters, warning_codes: ["master_offline"], runtime_status: 1 }),
  ]);
  expect(mattersOf(board, []).map(({ key, waiting }) => [key, waiting])).toEqual([["master/M", 2]]);
});

it("passes over alerts that somebody has seen or muted", () => {
  const alert = (id: number, change: Partial<Alert>) =>
    ({
      id,
      state: "raised",
      severity: "warning",
      muted: false,
      condition: "x",
      ...change,
    }) as Alert;
  const alerts = [alert(1, {}), alert(2, { muted: true }), alert(3, { acknowledged_at: 9 })];
  expect(said(EMPTY, alerts)).toEqual(["warning alert/1"]);
});

it("names endpoints that do not answer", () => {
  const row = (id: string, status: string) => ({ id, name: id, status }) as unknown as EndpointRow;
  const rows = [row("a", "online"), row("b", "offline"), row("c", "error")];
  const board = boardOf([], { endpoints: new Map(rows.map((one) => [one.id, one])) });
  expect(said(board)).toEqual(["warning endpoint/b", "info endpoint/c"]);
});

it("counts the fleet", () => {
  const fleet = fleetOf(
    boardOf([
      account("M", { role: "master" }),
      account("A", {}),
      account("B", { runtime_status: 1 }),
      account("C", { runtime_status: 0, warning_codes: ["limit_near"] }),
      account("D", {
        runtime_status: 0,
        enabled_flag: false,
        warning_codes: ["limit_hit", "limit_near"],
      }),
    ]).accounts,
  );
  expect(fleet).toEqual({
    masters: 1,
    mastersReady: 1,
    slaves: 4,
    receiving: 1,
    standby: 1,
    blocked: 1,
    off: 1,
    near: 1,
    hit: 1,
  });
});
