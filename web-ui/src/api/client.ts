import type {
  Account,
  Accounts,
  DeskEvent,
  Events,
  LockAnswer,
  Status,
  ToggleAnswer,
  User,
} from "./types";

/** RFC 9457 problem details. `status` 0 means that no answer came at all. */
export class Problem extends Error {
  override readonly name = "Problem";
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly field: string | null = null,
  ) {
    super(detail || code);
  }
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, "unreachable", "");
}

/** The problem that a refused answer describes, whatever its body turns out to be. */
export async function readProblem(response: Response): Promise<Problem> {
  let body: Record<string, unknown> = {};
  try {
    const parsed: unknown = await response.json();
    if (parsed && typeof parsed === "object") body = parsed as Record<string, unknown>;
  } catch {
    // A proxy's HTML page, or nothing: the status has to do.
  }
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return new Problem(
    response.status,
    text(body.code) || `http_${response.status}`,
    text(body.detail) || text(body.title),
    text(body.field) || null,
  );
}

const TIMEOUT_MS = 15_000;

async function call<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(path, {
    credentials: "same-origin",
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...init,
    headers: { Accept: "application/json", ...init.headers },
  });
  if (!response.ok) throw await readProblem(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

const post = <T>(path: string, body?: unknown, headers: Record<string, string> = {}) =>
  call<T>(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body ?? {}),
  });

/** A random v4 UUID. `crypto.randomUUID` is missing on plain http beyond localhost. */
export function newKey(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** The server counts microseconds, the browser milliseconds: times turn here and nowhere else. */
const ms = (micros: number) => micros / 1000;

const account = (wire: Account): Account => ({
  ...wire,
  last_heartbeat_at: wire.last_heartbeat_at === null ? null : ms(wire.last_heartbeat_at),
});

export const event = (wire: DeskEvent): DeskEvent => ({
  ...wire,
  occurred_at: wire.occurred_at === null ? null : ms(wire.occurred_at),
  received_at: wire.received_at === null ? null : ms(wire.received_at),
  recorded_at: ms(wire.recorded_at),
});

const events = (wire: Events): Events => ({ ...wire, events: wire.events.map(event) });

export const api = {
  status: async () => {
    const status = await call<Status>("/api/status");
    return { ...status, now: ms(status.now) };
  },

  accounts: async (asOf?: string) => {
    const path = asOf ? `/api/accounts?as_of=${encodeURIComponent(asOf)}` : "/api/accounts";
    const answer = await call<Accounts>(path);
    return { ...answer, at: ms(answer.at), accounts: answer.accounts.map(account) };
  },

  tail: async (count: number, kind?: string) =>
    events(
      await call<Events>(
        `/api/events?tail=${count}${kind ? `&kind=${encodeURIComponent(kind)}` : ""}`,
      ),
    ),

  eventsFrom: async (position: number, limit: number) =>
    events(await call<Events>(`/api/events?from=${position}&limit=${limit}`)),

  login: (name: string, password: string) => post<User>("/api/login", { name, password }),

  welcome: (code: string, name: string, password: string) =>
    post<User>("/api/welcome", { code, name, password }),

  logout: () => post<void>("/api/logout"),

  createToken: (name: string, role: string, hours: number) =>
    post<{ id: string; token: string }>("/api/tokens", { name, role, hours }),

  toggle: async (of: Account, enabled: boolean, key: string) => {
    const answer = await post<ToggleAnswer>(
      `/api/accounts/${of.role}/${encodeURIComponent(of.account)}/toggle`,
      { enabled },
      { "If-Match": `"${of.revision}"`, "Idempotency-Key": key },
    );
    return { ...answer, account: account(answer.account) };
  },

  lock: (locked: boolean, reason: string, key: string) =>
    post<LockAnswer>("/api/lock", { locked, reason }, { "Idempotency-Key": key }),
};
