import { ask, asProblem } from "../api/client";
import type { Me, Status } from "../api/shapes";
import { type Board, EMPTY, type Frame, reduce, resumeFrom } from "./board";
import { type Line, Socket } from "./socket";

/** Frames reach the screen at most eight times a second, however many come; once where nobody looks. */
const FLUSH_MS = 125;
const FLUSH_HIDDEN_MS = 1_000;

export interface Live {
  readonly board: Board;
  readonly line: Line;
  readonly status: Status | null;
  readonly me: Me | null;
  /** The desk's clock minus ours, in milliseconds. */
  readonly offset: number;
  /** When anything was last heard, by our clock. */
  readonly heard: number;
}

/** What this page knows of the desk, kept current; React reads it, nothing else writes it. */
export class Store {
  private live: Live = {
    board: EMPTY,
    line: { state: "connecting" },
    status: null,
    me: null,
    offset: 0,
    heard: Date.now(),
  };
  private readonly listeners = new Set<() => void>();
  private queue: Frame[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private readonly socket: Socket;

  constructor(private readonly onSignedOut: () => void) {
    this.socket = new Socket({
      onFrame: (frame) => this.hear(frame),
      onLine: (line) => this.onLine(line),
      probe: () => this.probe(),
      onSignedOut: () => this.onSignedOut(),
      resumeFrom: () => {
        this.flush();
        return resumeFrom(this.live.board);
      },
    });
  }

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  readonly get = () => this.live;

  start() {
    this.socket.start();
    void this.probe();
  }

  stop() {
    this.socket.stop();
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  retryNow() {
    this.socket.retryNow();
  }

  /** Asks how the desk is; what it says of its clock and of us is kept. */
  readonly probe = async (): Promise<"there" | "gone" | "signed_out"> => {
    const asked = Date.now();
    try {
      const status = await ask("GET /api/status");
      const now = Date.now();
      const offset = status.now / 1000 - (asked + now) / 2;
      this.set({ status, me: status.user ?? null, offset, heard: now });
      return status.user === null ? "signed_out" : "there";
    } catch (error) {
      return asProblem(error).status === 401 ? "signed_out" : "gone";
    }
  };

  private hear(frame: Frame) {
    this.queue.push(frame);
    this.timer ??= setTimeout(() => this.flush(), document.hidden ? FLUSH_HIDDEN_MS : FLUSH_MS);
  }

  private flush() {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (this.queue.length === 0) return;
    const frames = this.queue;
    this.queue = [];
    this.set({ board: reduce(this.live.board, frames), heard: Date.now() });
  }

  private onLine(line: Line) {
    const old = this.live.line;
    if (line.state === old.state && line.state !== "stale") return;
    this.set({ line });
    // Coming back may mean another version, another name, another role.
    if (line.state === "live" && old.state === "stale") void this.probe();
  }

  private set(change: Partial<Live>) {
    this.live = { ...this.live, ...change };
    for (const listener of this.listeners) listener();
  }
}
