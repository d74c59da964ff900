import { api, asProblem, newKey, type Problem } from "../api/client";
import type { Account, DeskEvent, Events, Status } from "../api/types";
import { adopt, type Board, boardOf, keyOf, reduce, replaceAccount } from "./reduce";
import { backoff } from "./sse";
import { follow } from "./stream";

export const LIST_LENGTH = 100;
/** Changes reach the screen at most ten times a second, however many events arrive. */
const FLUSH_MS = 100;
const REFETCH_MS = 1_000;
const STATUS_MS = 15_000;
const REPLAY_LENGTH = 2_000;

/** Kinds that change what the header says: the desk's name, its version, who we are. */
const STATUS_KINDS = new Set(["settings_changed", "server_started", "user_role_changed"]);

export type Link =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "stale"; since: number; retryAt: number };

export interface Desk {
  readonly phase: "loading" | "failed" | "ready";
  readonly problem: Problem | null;
  readonly status: Status | null;
  readonly board: Board | null;
  readonly link: Link;
  /** The server's clock minus ours. */
  readonly clockOffset: number;
  /** Last events without heartbeats, and with them; newest first. */
  readonly quiet: readonly DeskEvent[];
  readonly all: readonly DeskEvent[];
  /** Whether the events before this page was opened are among them. */
  readonly listed: boolean;
}

const EMPTY: Desk = {
  phase: "loading",
  problem: null,
  status: null,
  board: null,
  link: { state: "connecting" },
  clockOffset: 0,
  quiet: [],
  all: [],
  listed: false,
};

export const isHeartbeat = (event: DeskEvent) => event.kind === "heartbeat_seen";

/** `news` put before `list`: newest first, every position once, at most `length`. */
export function merge(
  list: readonly DeskEvent[],
  news: readonly DeskEvent[],
  length = LIST_LENGTH,
): readonly DeskEvent[] {
  if (news.length === 0) return list;
  const byPosition = new Map<number, DeskEvent>();
  for (const event of [...news, ...list]) byPosition.set(event.position, event);
  return [...byPosition.values()].sort((a, b) => b.position - a.position).slice(0, length);
}

/** What this page knows of the desk, kept current; React reads it, nothing else writes it. */
export class DeskStore {
  private desk: Desk = EMPTY;
  private readonly listeners = new Set<() => void>();
  private queue: DeskEvent[] = [];
  /** Raw events since the last snapshot was asked for: see `adopt`. */
  private recent: DeskEvent[] = [];
  private lastHeard = Date.now();
  private life: AbortController | null = null;
  private wake: (() => void) | null = null;
  private timers = new Set<ReturnType<typeof setTimeout>>();
  private statusTimer: ReturnType<typeof setTimeout> | null = null;
  private flushing = false;
  private refetching: "no" | "running" | "again" = "no";

  constructor(private readonly onSignedOut: () => void) {}

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  readonly get = () => this.desk;

  start() {
    if (this.life) return;
    this.life = new AbortController();
    void this.run(this.life.signal);
  }

  stop() {
    this.life?.abort();
    this.life = null;
    this.wake?.();
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.statusTimer = null;
    this.flushing = false;
    this.refetching = "no";
  }

  /** Ends the wait before the next attempt. */
  retryNow() {
    this.wake?.();
  }

  async toggle(account: Account, enabled: boolean): Promise<void> {
    const key = newKey();
    let answer: { account: Account };
    try {
      answer = await api.toggle(account, enabled, key);
    } catch (error) {
      const problem = this.heard(error);
      if (problem.status !== 412) throw problem;
      // The account has moved on. If its intent is still what the person saw, so is the wish.
      await this.readAccounts();
      const now = this.desk.board?.accounts.find((other) => keyOf(other) === keyOf(account));
      if (!now || now.enabled_flag !== account.enabled_flag) throw problem;
      answer = await api.toggle(now, enabled, newKey()).catch((again) => {
        throw this.heard(again);
      });
    }
    if (this.desk.board) this.set({ board: replaceAccount(this.desk.board, answer.account) });
  }

  async lock(locked: boolean, reason: string): Promise<void> {
    const answer = await api.lock(locked, reason, newKey()).catch((error) => {
      throw this.heard(error);
    });
    const { board } = this.desk;
    if (board) {
      this.set({ board: { ...board, locked: answer.locked, lockReason: answer.lock_reason } });
    }
  }

  private async run(life: AbortSignal) {
    let attempt = 0;
    while (!life.aborted) {
      try {
        await this.load();
        if (life.aborted) return;
        await follow(
          this.desk.board?.position ?? 0,
          {
            onOpen: () => {
              attempt = 0;
              this.set({ link: { state: "live" } });
            },
            onLife: () => {
              this.lastHeard = Date.now();
            },
            onEvent: (event) => this.take(event),
          },
          life,
        );
      } catch (error) {
        if (life.aborted) return;
        const problem = this.heard(error);
        if (problem.status === 401) return;
        const wait = backoff(attempt, Math.random());
        this.lost(problem, attempt, Date.now() + wait);
        attempt += 1;
        await this.pause(wait);
      }
    }
  }

  /** Status and accounts now, the last events as soon as they come. */
  private async load() {
    const before = Date.now();
    const [status, accounts] = await Promise.all([api.status(), api.accounts()]);
    const old = this.desk.status;
    const another =
      old && (old.desk_id !== status.desk_id || status.position < (this.desk.board?.position ?? 0));
    this.recent = [];
    this.queue = [];
    this.lastHeard = Date.now();
    this.set({
      phase: "ready",
      problem: null,
      status,
      clockOffset: status.now - (before + Date.now()) / 2,
      board: boardOf(accounts, status.locked, status.lock_reason),
      ...(another ? { quiet: [], all: [], listed: false } : {}),
    });
    void this.loadList();
    this.watchStatus();
  }

  private async loadList() {
    try {
      const { all, quiet } = await lastEvents();
      this.set({
        listed: true,
        all: merge(this.desk.all, all),
        quiet: merge(this.desk.quiet, quiet),
      });
    } catch (error) {
      this.heard(error);
    }
  }

  private take(event: DeskEvent) {
    this.queue.push(event);
    if (this.flushing) return;
    this.flushing = true;
    this.after(FLUSH_MS, () => this.flush());
  }

  private flush() {
    this.flushing = false;
    const news = this.queue;
    this.queue = [];
    const { board } = this.desk;
    if (!board || news.length === 0) return;
    this.recent = [...this.recent, ...news].slice(-REPLAY_LENGTH);
    const next = news.reduce(reduce, board);
    this.set({ board: next });
    this.list(news);
    if (next.doubt) void this.refetch();
    if (news.some((event) => STATUS_KINDS.has(event.kind))) void this.refreshStatus();
  }

  private list(news: readonly DeskEvent[]) {
    this.set({
      all: merge(this.desk.all, news),
      quiet: merge(
        this.desk.quiet,
        news.filter((event) => !isHeartbeat(event)),
      ),
    });
  }

  /** Reads the accounts again: one request at a time, at most one a second. */
  private async refetch(): Promise<void> {
    if (this.refetching !== "no") {
      this.refetching = "again";
      return;
    }
    this.refetching = "running";
    try {
      await this.readAccounts();
      if (this.desk.board?.doubt) this.refetching = "again";
    } catch (error) {
      // The board stays in doubt, so the next event asks again; a dead line is `run`'s matter.
      this.heard(error);
    }
    this.after(REFETCH_MS, () => {
      const again = this.refetching === "again";
      this.refetching = "no";
      if (again) void this.refetch();
    });
  }

  private async readAccounts() {
    const snapshot = await api.accounts();
    const { board } = this.desk;
    if (board) this.set({ board: adopt(board, snapshot, this.recent) });
    this.recent = this.recent.filter((event) => event.position > snapshot.position);
  }

  private async refreshStatus() {
    try {
      const before = Date.now();
      const status = await api.status();
      const { board } = this.desk;
      const current = board && status.position >= board.position;
      this.set({
        status,
        clockOffset: status.now - (before + Date.now()) / 2,
        ...(current
          ? { board: { ...board, locked: status.locked, lockReason: status.lock_reason } }
          : {}),
      });
    } catch (error) {
      this.heard(error);
    }
  }

  private lost(problem: Problem, attempt: number, retryAt: number) {
    if (this.desk.phase !== "ready") {
      this.set({ phase: "failed", problem, link: { state: "stale", since: Date.now(), retryAt } });
      return;
    }
    // One quick attempt before alarming anybody: a restart takes less than a second.
    if (attempt === 0) {
      this.set({ link: { state: "connecting" } });
      return;
    }
    this.set({ problem, link: { state: "stale", since: this.lastHeard, retryAt } });
  }

  private heard(error: unknown): Problem {
    const problem = asProblem(error);
    if (problem.status === 401 && this.life) {
      this.stop();
      this.onSignedOut();
    }
    return problem;
  }

  private pause(ms: number) {
    return new Promise<void>((resolve) => {
      const timer = this.after(ms, resolve);
      this.wake = () => {
        clearTimeout(timer);
        this.timers.delete(timer);
        resolve();
      };
    });
  }

  private after(ms: number, action: () => void) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      action();
    }, ms);
    this.timers.add(timer);
    return timer;
  }

  private watchStatus() {
    if (this.statusTimer) return;
    this.statusTimer = this.after(STATUS_MS, () => {
      this.statusTimer = null;
      if (this.desk.link.state === "live") void this.refreshStatus();
      this.watchStatus();
    });
  }

  private set(change: Partial<Desk>) {
    this.desk = { ...this.desk, ...change };
    for (const listener of this.listeners) listener();
  }
}

/**
 * The last events, with and without heartbeats: these outnumber everything else, so the last hundred of all kinds may hold
 * none that a person wants to read.
 */
async function lastEvents(): Promise<{ all: readonly DeskEvent[]; quiet: readonly DeskEvent[] }> {
  const all = merge([], (await api.tail(LIST_LENGTH)).events);
  const quiet = all.filter((event) => !isHeartbeat(event));
  if (quiet.length === all.length) return { all, quiet };
  const older = await api
    .tail(LIST_LENGTH, "!heartbeat_seen")
    .catch((): Events => ({ position: 0, events: [], next: null }));
  const found = older.events.filter((event) => !isHeartbeat(event));
  return { all, quiet: merge(quiet, found) };
}
