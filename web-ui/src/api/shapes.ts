/**
 * The words of the desk as this page uses them. Decimals are strings; times are microseconds since 1970 and
 * are turned where they are shown. What `docs/openapi.json` leaves open is said here, as `docs/` describes it.
 */
import type * as schema from "./schema";

export type Role = "master" | "slave";
export type Account = Omit<schema.AccountView, "role"> & { role: Role };
export type Group = Omit<schema.TradeGroup, "members">;
export type Member = schema.Member;
export type MemberDetail = schema.OneMember & { effective: Record<string, Effective> };
export type Connection = schema.ConnectionView;
export type Alert = schema.AlertView;
export type Status = schema.DeskStatus;
export type Me = schema.Me;
export type Why = schema.Why;
export type StopDegree = "pause" | "cancel" | "flatten";

export interface Effective {
  from: "default" | "global" | "master" | "group" | "link" | "slave";
  value: unknown;
}

export interface Copy {
  master: string;
  ticket: number;
  symbol: string;
  side: string;
  price: string | null;
  sl: string | null;
  tp: string | null;
  master_lots: string;
  master_left: string;
  legs: {
    order: string;
    ticket: number | null;
    state: string;
    asked: string;
    filled: string;
    closed: string;
    price: string | null;
  }[];
}

export interface Trade {
  ticket: number;
  symbol: string;
  side: string;
  lots: string;
  price: string | null;
  sl: string | null;
  tp: string | null;
  entry?: string;
}

/** One limit that is watched, with what of it is used. */
export interface Limit {
  limit: string;
  used: string | null;
  allowed: string | null;
  percent: string | null;
  /** `near`, or what was hit and what is done because of it. */
  standing: null | string | Record<string, { action?: string; since?: number } | null>;
}

export type ConnectionDetail = Omit<schema.ConnectionDetail, "copies" | "trades" | "protection"> & {
  copies: Copy[];
  trades: Trade[];
  protection: Limit[];
};

export interface Speed {
  value: string;
  today: boolean;
}

export interface EndpointRow {
  id: string;
  name: string;
  base_url: string;
  kind: string | null;
  tags: string[];
  status: "pending" | "online" | "error" | "offline" | "half_open";
  status_since: number;
  latency_ms: number | null;
  inference_latency_ms: number | null;
  last_seen: number | null;
  last_error: { at: number; by: string; failure: unknown; detail: string } | null;
  consecutive_failures: number;
  models: number;
  total: number;
  success: number;
  failed: number;
  input_tokens: number;
  output_tokens: number;
  tps: Speed | null;
  in_flight: number;
}

export interface EndpointSpeed {
  endpoint: string;
  tps: Speed | null;
  models: { model: string | null; api: string; tps: string; samples: number }[];
}

export interface Minute {
  at: number;
  success: number;
  failed: number;
}

export interface Stats {
  total: number;
  success: number;
  failed: number;
  outcomes: Record<string, number>;
  input_tokens: number;
  output_tokens: number;
  endpoints: Record<EndpointRow["status"], number>;
  average_response_ms: number | null;
  average_response_of: string | null;
  without_endpoint: number;
}

export interface DeskEvent {
  position: number;
  stream: string;
  version: number;
  event_id: string;
  kind: string;
  schema: number;
  class?: string;
  occurred_at: number | null;
  received_at: number | null;
  recorded_at: number;
  command_id: string | null;
  causation: number | string | null;
  correlation: number | string | null;
  by: unknown;
  payload: Record<string, unknown> | null;
}

export interface Desk {
  desk_id: string | null;
  name: string;
  version: string;
  locked: boolean;
  lock_reason: string | null;
  stopped: StopDegree | null;
  stop_reason: string | null;
}

export interface DeskSettings {
  revision: number;
  settings: schema.SettingsBody;
}
