import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Frame } from "./board";
import { backoff, type Line, SILENCE_MS, Socket } from "./socket";

class FakeSocket {
  static all: FakeSocket[] = [];
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((end: { reason: string }) => void) | null = null;
  closed = false;
  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }
  close() {
    this.closed = true;
  }
  say(frame: Partial<Frame>) {
    this.onmessage?.({ data: JSON.stringify({ data: {}, ...frame }) });
  }
}

const last = () => FakeSocket.all.at(-1) as FakeSocket;

describe("the line", () => {
  let lines: Line[];
  let frames: Frame[];
  let position: number | null;
  let answer: "there" | "gone" | "signed_out";
  let out: number;
  let socket: Socket;

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("WebSocket", FakeSocket);
    vi.spyOn(Math, "random").mockReturnValue(0);
    FakeSocket.all = [];
    lines = [];
    frames = [];
    position = null;
    answer = "gone";
    out = 0;
    socket = new Socket({
      onFrame: (frame) => frames.push(frame),
      onLine: (line) => lines.push(line),
      probe: async () => answer,
      onSignedOut: () => {
        out += 1;
      },
      resumeFrom: () => position,
    });
    socket.start();
  });
  afterEach(() => {
    socket.stop();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("comes back at the position that was reached, later each time", async () => {
    expect(last().url).toBe("ws://desk.test/ws");
    last().say({ type: "snapshot", position: 7 });
    expect(lines.at(-1)).toEqual({ state: "live" });
    position = 7;
    last().onclose?.({ reason: "stopping" });
    expect(lines.at(-1)).toMatchObject({ state: "stale" });
    await vi.advanceTimersByTimeAsync(500);
    expect(last().url).toBe("ws://desk.test/ws?since=7");
    last().onclose?.({ reason: "" });
    await vi.advanceTimersByTimeAsync(999);
    expect(FakeSocket.all).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.all).toHaveLength(3);
    last().say({ type: "resumed", position: 7 });
    expect(lines.at(-1)).toEqual({ state: "live" });
  });

  it("does not wait when somebody asks it not to", () => {
    last().onclose?.({ reason: "" });
    socket.retryNow();
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("passes over what is no JSON", () => {
    last().onmessage?.({ data: "<html>" });
    last().say({ type: "event", position: 1 });
    expect(frames).toHaveLength(1);
  });

  it.each([
    ["there", 1, false],
    ["gone", 1, true],
    ["signed_out", 1, false],
  ] as const)("asks after a silence; %s", async (is, opened, stale) => {
    last().say({ type: "snapshot", position: 1 });
    answer = is;
    await vi.advanceTimersByTimeAsync(SILENCE_MS);
    expect(FakeSocket.all).toHaveLength(opened);
    expect(lines.at(-1)?.state === "stale").toBe(stale);
    expect(out > 0).toBe(is === "signed_out");
  });

  it("says when the desk does not know us any more", () => {
    last().onclose?.({ reason: "login_needed" });
    expect(out).toBe(1);
  });

  it("asks why a handshake failed", async () => {
    answer = "signed_out";
    last().onclose?.({ reason: "" });
    await vi.advanceTimersByTimeAsync(0);
    expect(out).toBe(1);
  });

  it("is quiet once it was stopped", async () => {
    last().onclose?.({ reason: "" });
    socket.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });
});

it("waits longer each time, up to a bound", () => {
  expect([0, 1, 2, 3].map((attempt) => backoff(attempt, 0))).toEqual([500, 1000, 2000, 4000]);
  expect(backoff(50, 1)).toBe(19_500);
});
