/** What the server's JSON means. Decimals are strings; times are milliseconds since 1970 once `client` has turned them. */

export type Role = "master" | "slave";
export type Connection = "never" | "registered" | "online" | "lost" | "unregistered";
export type RuntimeStatus = 0 | 1 | 2;

export interface User {
  name: string;
  role: string;
}

export interface Status {
  desk_id: string;
  name: string;
  version: string;
  position: number;
  ready: boolean;
  locked: boolean;
  lock_reason: string | null;
  accounts: number;
  now: number;
  user: User | null;
}

export interface MasterLink {
  account: string;
  runtime_status: RuntimeStatus;
}

export interface Account {
  role: Role;
  account: string;
  name: string | null;
  broker: string | null;
  enabled_flag: boolean;
  connection: Connection;
  runtime_status: RuntimeStatus;
  warning_codes: string[];
  balance: string | null;
  equity: string | null;
  free_margin: string | null;
  open_positions: number | null;
  trade_allowed: boolean | null;
  last_heartbeat_at: number | null;
  masters: MasterLink[];
  revision: number;
}

export interface Accounts {
  position: number;
  at: number;
  accounts: Account[];
}

export interface DeskEvent {
  position: number;
  stream: string;
  version: number;
  event_id: string;
  kind: string;
  schema: number;
  occurred_at: number | null;
  received_at: number | null;
  recorded_at: number;
  command_id: string | null;
  causation: unknown;
  correlation: unknown;
  by: unknown;
  payload: Record<string, unknown> | null;
}

export interface Events {
  position: number;
  events: DeskEvent[];
  next: number | null;
}

export interface ToggleAnswer {
  account: Account;
  position: number;
}

export interface LockAnswer {
  locked: boolean;
  lock_reason: string | null;
  position: number;
}
