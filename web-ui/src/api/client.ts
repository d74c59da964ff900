import type { Operations } from "./schema";

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

/** What to try, as a key of the dictionary. */
export type Advice =
  | "sign_in"
  | "ask_admin"
  | "reload"
  | "again"
  | "look"
  | "slower"
  | "connection";

export function adviceFor(problem: Problem): Advice {
  switch (problem.status) {
    case 0:
      return "connection";
    case 401:
      return "sign_in";
    case 403:
      return "ask_admin";
    case 409:
    case 412:
    case 428:
      return "reload";
    case 429:
      return "slower";
    case 502:
    case 503:
    case 504:
      return "again";
    default:
      return "look";
  }
}

type Values = Readonly<Record<string, string | number | boolean | null | undefined>>;
export type Operation = keyof Operations;

export interface Ask<O extends Operation> {
  path?: Readonly<Record<string, string | number>>;
  query?: Operations[O]["query"];
  body?: Operations[O]["body"];
  /** The version that the person saw; refused with 412 if it is not that any more. */
  seen?: number;
  /** The same wish under the same key happens once. */
  key?: string;
  signal?: AbortSignal;
}

const TIMEOUT_MS = 15_000;

/** The address of an operation, for asking and for showing how to ask. */
export function addressOf(operation: Operation, path: Ask<Operation>["path"], query?: Values) {
  const template = operation.slice(operation.indexOf(" ") + 1);
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(path?.[name] ?? "")),
  );
  const said = Object.entries(query ?? {}).filter(([, value]) => value != null && value !== "");
  const search = new URLSearchParams(said.map(([name, value]) => [name, String(value)])).toString();
  return search ? `${filled}?${search}` : filled;
}

/** Asks the desk for one operation of `docs/openapi.json`; what it refuses is thrown as a `Problem`. */
export async function ask<O extends Operation>(
  operation: O,
  wish: Ask<O> = {},
): Promise<Operations[O]["answer"]> {
  const method = operation.slice(0, operation.indexOf(" "));
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["Idempotency-Key"] = wish.key ?? newKey();
  if (wish.seen !== undefined) headers["If-Match"] = `"${wish.seen}"`;
  const body =
    wish.body !== undefined || method === "POST" ? JSON.stringify(wish.body ?? {}) : null;
  if (body !== null) headers["Content-Type"] = "application/json";
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(addressOf(operation, wish.path, wish.query as Values), {
      method,
      headers,
      body,
      credentials: "same-origin",
      cache: "no-store",
      signal: wish.signal ? AbortSignal.any([wish.signal, timeout]) : timeout,
    });
  } catch (error) {
    if (wish.signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "");
  }
  if (!response.ok) {
    const problem = await readProblem(response);
    if (problem.status === 401 && operation !== "POST /api/login") onSignedOut();
    throw problem;
  }
  if (response.status === 204) return undefined as Operations[O]["answer"];
  return (await response.json()) as Operations[O]["answer"];
}

let onSignedOut: () => void = () => {};
/** Called whenever the desk does not know the session any more. */
export function whenSignedOut(listener: () => void) {
  onSignedOut = listener;
}

/** A random v4 UUID. `crypto.randomUUID` is missing on plain http beyond localhost. */
export function newKey(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
