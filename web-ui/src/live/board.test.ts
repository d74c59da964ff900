import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Account, Member } from "../api/shapes";
import {
  accountKey,
  BEATS_MAX,
  type Board,
  EMPTY,
  type Frame,
  HAPPENINGS_MAX,
  memberKey,
  reduce,
  resumeFrom,
} from "./board";

interface Golden {
  broken_at: number;
  frames: Frame[];
  truth: {
    position: number;
    accounts: Account[];
    trade_groups: { master_account: string; enabled: boolean; members: Member[] }[];
    status: { name: string; locked: boolean; stopped: boolean; stop_degree: string | null };
  };
}

/** What a real desk told while things were done to it, over a line that broke once: see tools/record.mjs. */
const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../test/frames/desk.json"), "utf8"),
) as Golden;

/** Figures are told at most once a second, so the newest may be missing; everything else is exact. */
const settled = ({
  balance,
  equity,
  free_margin,
  open_positions,
  last_heartbeat_at,
  ...rest
}: Account) => rest;
const linked = ({ open_copies, orders_open, ...rest }: Member) => rest;

const fold = (frames: readonly Frame[], size: number, from: Board = EMPTY) => {
  let board = from;
  for (let at = 0; at < frames.length; at += size)
    board = reduce(board, frames.slice(at, at + size));
  return board;
};

describe("the recorded desk", () => {
  const board = reduce(EMPTY, golden.frames);
  const { truth } = golden;

  it("comes out as its reads say", () => {
    expect(board.position).toBe(truth.position);
    expect(board.desk).toMatchObject({
      name: truth.status.name,
      locked: truth.status.locked,
      stopped: truth.status.stop_degree,
    });
    const accounts = Object.fromEntries(
      [...board.accounts].map(([key, one]) => [key, settled(one)]),
    );
    expect(accounts).toEqual(
      Object.fromEntries(truth.accounts.map((one) => [accountKey(one), settled(one)])),
    );
    const members = truth.trade_groups.flatMap((group) => group.members);
    expect(members.length).toBeGreaterThan(3);
    expect(Object.fromEntries([...board.members].map(([key, one]) => [key, linked(one)]))).toEqual(
      Object.fromEntries(members.map((one) => [memberKey(one), linked(one)])),
    );
    const enabled = (list: Iterable<{ master_account: string; enabled: boolean }>) =>
      [...list].map((group) => [group.master_account, group.enabled]).sort();
    expect(enabled(board.groups.values())).toEqual(enabled(truth.trade_groups));
  });

  it("is the same however the frames come together", () => {
    for (const size of [1, 2, 7, 50]) expect(fold(golden.frames, size)).toEqual(board);
  });

  it("hears everything again without a change", () => {
    const things = golden.frames.filter((frame) => frame.position > golden.broken_at);
    const { alertEdition, beats, ...again } = reduce(board, things);
    const { alertEdition: _a, beats: _b, ...once } = board;
    // Things are told whole; those of before are overwritten by what came after them.
    expect(again).toEqual(once);
  });

  it("tells each happening once, in the order of the log", () => {
    const positions = board.happenings.map((event) => event.position);
    expect(positions.length).toBeGreaterThan(20);
    expect([...new Set(positions)].sort((a, b) => b - a)).toEqual(positions);
    const told = golden.frames.filter(
      (frame) => typeof frame.data.kind === "string" && "event_id" in frame.data,
    );
    expect(positions.length).toBe(new Set(told.map((frame) => frame.data.position)).size);
  });

  it("goes on where it was when the line broke", () => {
    const until = golden.frames.findIndex((frame) => frame.type === "resumed");
    expect(until).toBeGreaterThan(0);
    expect(resumeFrom(reduce(EMPTY, golden.frames.slice(0, until)))).toBe(golden.broken_at);
  });

  it("does not change what it was given", () => {
    const before = structuredClone(golden.frames);
    const half = reduce(EMPTY, golden.frames.slice(0, 100));
    const kept = structuredClone(half);
    reduce(half, golden.frames.slice(100));
    expect(half).toEqual(kept);
    expect(golden.frames).toEqual(before);
  });
});

describe("a snapshot", () => {
  const parts = golden.frames.filter((frame) => frame.type === "snapshot");
  const old = reduce(EMPTY, [
    ...parts,
    { position: 99, type: "connection_changed", data: { role: "slave", account: "Old_1" } },
  ]);

  it("takes the place of everything, once it has come whole", () => {
    const half = reduce(old, parts.slice(0, 3));
    expect(half.accounts.has("slave/Old_1")).toBe(true);
    expect(resumeFrom(half)).toBeNull();
    const whole = reduce(half, parts.slice(3));
    expect(whole.coming).toBeNull();
    expect(whole.accounts.has("slave/Old_1")).toBe(false);
    expect(resumeFrom(whole)).toBe(parts.at(-1)?.position);
  });

  it("begins anew when the first part comes again", () => {
    const twice = reduce(EMPTY, [...parts.slice(0, 4), ...parts]);
    expect({ ...twice, alertEdition: 0 }).toEqual({ ...reduce(EMPTY, parts), alertEdition: 0 });
  });

  it("goes back to an earlier position, where an older backup was restored", () => {
    const later = { ...old, position: 10_000_000 };
    expect(reduce(later, parts).position).toBe(parts.at(-1)?.position);
  });
});

describe("one frame", () => {
  const told = (type: string, data: Frame["data"], position = 5): Frame => ({
    position,
    type,
    data,
  });

  it("of an unknown kind only moves the position", () => {
    expect(reduce(EMPTY, [told("quite_new", { a: 1 })])).toEqual({ ...EMPTY, position: 5 });
  });

  it("keeps what is in flight, which is not told", () => {
    const row = { id: "e", in_flight: 3, status: "online" };
    const board = { ...EMPTY, endpoints: new Map([["e", row]]) } as unknown as Board;
    const next = reduce(board, [
      told("endpoint_status_changed", { ...row, in_flight: 0, status: "error" }),
    ]);
    expect(next.endpoints.get("e")).toMatchObject({ in_flight: 3, status: "error" });
  });

  it("names a gap", () => {
    expect(reduce(EMPTY, [told("gap", { from: 3, to: 9 })]).gaps).toEqual([{ from: 3, to: 9 }]);
  });

  it("counts minutes once", () => {
    const minutes = (from: number) =>
      Array.from({ length: 2 }, (_, index) => ({ at: from + index, success: from, failed: 0 }));
    const board = reduce(
      EMPTY,
      Array.from({ length: 100 }, (_, at) =>
        told("counters_updated", { endpoint: null, minutes: minutes(at) }),
      ),
    );
    expect(board.minutes).toHaveLength(60);
    expect(board.minutes.map((minute) => minute.at)).toEqual(
      Array.from({ length: 60 }, (_, at) => 41 + at),
    );
  });

  it("never holds more than so many happenings and heartbeats", () => {
    const frames = Array.from({ length: 1_000 }, (_, at) => [
      told("event", { kind: "intent_set", position: at + 1, stream: "desk" }, at + 1),
      told(
        "connection_changed",
        { role: "slave", account: "A_1", last_heartbeat_at: at * 1_000_000 },
        at + 1,
      ),
    ]).flat();
    const board = reduce(EMPTY, frames);
    expect(board.happenings).toHaveLength(HAPPENINGS_MAX);
    expect(board.beats.get("slave/A_1")).toHaveLength(BEATS_MAX);
    expect(board.beats.get("slave/A_1")?.at(-1)).toBe(1000);
  });
});

it("takes 500 frames a second with 500 accounts without effort", () => {
  const account = (index: number) => ({
    role: "slave",
    account: `A_${index % 500}`,
    last_heartbeat_at: index,
  });
  const frames = Array.from({ length: 5_000 }, (_, index) => ({
    position: index,
    type: "connection_changed",
    data: account(index),
  }));
  const began = performance.now();
  fold(frames, 63);
  expect(performance.now() - began).toBeLessThan(1_000);
});
