import type { Frame } from "./board";

export type Line =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "stale"; since: number; retryAt: number | null };

/** Milliseconds before the nth attempt in a row (from 0), with up to 30 % of chance. */
export function backoff(attempt: number, random: number): number {
  const base = Math.min(15_000, 500 * 2 ** Math.min(attempt, 10));
  return Math.round(base * (1 + 0.3 * random));
}

/** How long a line may be silent before somebody asks whether it is still there. */
export const SILENCE_MS = 12_000;

export interface Ears {
  onFrame(frame: Frame): void;
  onLine(line: Line): void;
  /** Whether the desk answers: true, false, or that it does not know us any more. */
  probe(): Promise<"there" | "gone" | "signed_out">;
  onSignedOut(): void;
  resumeFrom(): number | null;
}

/** One WebSocket that comes back after each break, at the position that was reached. */
export class Socket {
  private socket: WebSocket | null = null;
  private attempt = 0;
  private heard = Date.now();
  private broken: number | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private watch: ReturnType<typeof setInterval> | null = null;
  private running = false;

  constructor(
    private readonly ears: Ears,
    private readonly url: (since: number | null) => string = addressOf,
  ) {}

  start() {
    if (this.running) return;
    this.running = true;
    this.watch = setInterval(() => void this.look(), SILENCE_MS / 4);
    this.open();
  }

  stop() {
    this.running = false;
    if (this.timer) clearTimeout(this.timer);
    if (this.watch) clearInterval(this.watch);
    this.drop();
  }

  /** Ends the wait before the next attempt. */
  retryNow() {
    if (!this.running || this.socket) return;
    if (this.timer) clearTimeout(this.timer);
    this.open();
  }

  private open() {
    this.drop();
    const since = this.ears.resumeFrom();
    if (this.broken === null) this.ears.onLine({ state: "connecting" });
    else this.ears.onLine({ state: "stale", since: this.broken, retryAt: null });
    const socket = new WebSocket(this.url(since));
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      this.heard = Date.now();
      let frame: Frame;
      try {
        frame = JSON.parse(String(data)) as Frame;
      } catch {
        return;
      }
      if (this.broken !== null || this.attempt > 0) {
        this.broken = null;
        this.attempt = 0;
      }
      this.ears.onLine({ state: "live" });
      this.ears.onFrame(frame);
    };
    socket.onclose = ({ reason }) => {
      if (socket !== this.socket) return;
      this.socket = null;
      if (reason === "login_needed") this.ears.onSignedOut();
      else void this.broke();
    };
  }

  /** The browser does not say why a handshake was refused: the desk is asked. */
  private async broke() {
    this.broken ??= Date.now();
    const wait = backoff(this.attempt, Math.random());
    this.attempt += 1;
    this.ears.onLine({ state: "stale", since: this.broken, retryAt: Date.now() + wait });
    this.timer = setTimeout(() => this.open(), wait);
    if ((await this.ears.probe()) === "signed_out" && this.running) this.ears.onSignedOut();
  }

  /** A quiet desk and a dead line look the same from here, so a quiet desk is asked. */
  private async look() {
    if (!this.socket || Date.now() - this.heard < SILENCE_MS) return;
    const socket = this.socket;
    const answer = await this.ears.probe();
    if (!this.running || socket !== this.socket) return;
    if (answer === "there") this.heard = Date.now();
    else if (answer === "signed_out") this.ears.onSignedOut();
    else {
      this.drop();
      void this.broke();
    }
  }

  private drop() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}

function addressOf(since: number | null) {
  const scheme = window.location.protocol === "https:" ? "wss" : "ws";
  const from = since === null ? "" : `?since=${since}`;
  return `${scheme}://${window.location.host}/ws${from}`;
}
