import type { Account, Accounts, DeskEvent, MasterLink, Role, RuntimeStatus } from "../api/types";

/**
 * The accounts as this page believes them to be at `position`.
 * `doubt` means that an event may have changed something that its payload does not tell,
 * so that the accounts should be read again; the board stays usable meanwhile.
 */
export interface Board {
  readonly position: number;
  readonly accounts: readonly Account[];
  readonly locked: boolean;
  readonly lockReason: string | null;
  readonly doubt: boolean;
}

/** A fresh board. Needs to know the lock from elsewhere: the accounts do not carry it. */
export function boardOf(snapshot: Accounts, locked: boolean, lockReason: string | null): Board {
  return {
    position: snapshot.position,
    accounts: snapshot.accounts,
    locked,
    lockReason,
    doubt: false,
  };
}

/**
 * The board that follows from a newer snapshot. Events that arrived while it was on its way
 * and lie behind it are applied again, so that nothing jumps back.
 */
export function adopt(board: Board, snapshot: Accounts, recent: readonly DeskEvent[]): Board {
  const fresh = boardOf(snapshot, board.locked, board.lockReason);
  return recent
    .filter((event) => event.position > snapshot.position && event.position <= board.position)
    .reduce(reduce, fresh);
}

/** The board with one account replaced by what a command's answer said about it. */
export function replaceAccount(board: Board, account: Account): Board {
  return { ...board, accounts: board.accounts.map((old) => (same(old, account) ? account : old)) };
}

/** The board after one event. Events at or before the board's position change nothing. */
export function reduce(board: Board, event: DeskEvent): Board {
  if (event.position <= board.position) return board;
  const gap = event.position > board.position + 1;
  const next = apply({ ...board, position: event.position }, event);
  return gap ? doubting(next) : next;
}

function apply(board: Board, event: DeskEvent): Board {
  const { kind } = event;
  const payload = event.payload ?? {};
  switch (kind) {
    case "heartbeat_seen":
      return patch(board, event, {
        ...known("balance", decimal(payload.balance)),
        ...known("equity", decimal(payload.equity)),
        ...known("free_margin", decimal(payload.free_margin)),
        ...known("open_positions", count(payload.open_positions)),
        ...known("trade_allowed", flag(payload.trade_allowed)),
        last_heartbeat_at: event.received_at ?? event.recorded_at,
      });

    case "account_registered":
      return amend(board, event, (old) => ({
        ...known("name", text(payload.name)),
        ...known("broker", text(payload.broker)),
        ...known("trade_allowed", flag(payload.trade_allowed)),
        connection: old.connection === "online" ? "online" : "registered",
      }));
    case "account_online":
      return patch(board, event, { connection: "online" });
    case "account_offline":
      return patch(board, event, { connection: "lost" });
    case "account_unregistered":
      return patch(board, event, { connection: "unregistered" });

    case "intent_set": {
      const enabled = flag(payload.enabled);
      if (enabled === undefined) return doubting(board);
      return patch(board, event, { enabled_flag: enabled, revision: event.version });
    }

    case "status_changed": {
      const runtime = status(payload.new);
      const warnings = texts(payload.warnings);
      if (runtime === undefined || warnings === undefined) return doubting(board);
      return patch(board, event, { runtime_status: runtime, warning_codes: warnings });
    }

    case "link_added": {
      const master = text(payload.master);
      if (master === undefined) return doubting(board);
      return amend(board, event, (old) => ({
        masters: linked(old.masters, { account: master, runtime_status: 0 }),
        revision: event.version,
      }));
    }
    case "link_removed": {
      const master = text(payload.master);
      if (master === undefined) return doubting(board);
      return amend(board, event, (old) => ({
        masters: old.masters.filter((link) => link.account !== master),
        revision: event.version,
      }));
    }
    case "master_noted": {
      const master = text(payload.master);
      const runtime = status(payload.status);
      if (master === undefined || runtime === undefined) return doubting(board);
      return amend(board, event, (old) => ({
        masters: linked(old.masters, { account: master, runtime_status: runtime }),
      }));
    }

    case "desk_locked":
      return { ...board, locked: true, lockReason: text(payload.reason) ?? null };
    case "desk_unlocked":
      return { ...board, locked: false, lockReason: null };

    default:
      return CONCERNS_NO_ACCOUNT.test(kind) ? board : doubting(board);
  }
}

/** Kinds that say nothing about an account or the lock. Any other unknown kind is a doubt. */
const CONCERNS_NO_ACCOUNT =
  /^(user_|session_|token_)|^(command_answered|access_denied|stranger_refused|settings_changed|desk_opened|server_started|clock_stepped|telemetry_cut)$/;

const patch = (board: Board, event: DeskEvent, change: Partial<Account>): Board =>
  amend(board, event, () => change);

function amend(board: Board, event: DeskEvent, change: (old: Account) => Partial<Account>): Board {
  const subject = subjectOf(event);
  if (!subject) return doubting(board);
  const index = board.accounts.findIndex((account) => same(account, subject));
  const old = board.accounts[index];
  if (!old) return doubting(board);
  const accounts = board.accounts.slice();
  accounts[index] = { ...old, ...change(old) };
  return { ...board, accounts };
}

/** Links with one of them set, in the server's order: by account. */
function linked(links: readonly MasterLink[], link: MasterLink): MasterLink[] {
  const others = links.filter((other) => other.account !== link.account);
  return [...others, link].sort((a, b) => (a.account < b.account ? -1 : 1));
}

const doubting = (board: Board): Board => (board.doubt ? board : { ...board, doubt: true });

/** The account that an event is about: its stream is `master/ACCOUNT` or `slave/ACCOUNT`. */
export function subjectOf(event: DeskEvent): { role: Role; account: string } | null {
  const slash = event.stream.indexOf("/");
  const role = event.stream.slice(0, slash);
  if (role !== "master" && role !== "slave") return null;
  return { role, account: event.stream.slice(slash + 1) };
}

export const keyOf = (account: { role: Role; account: string }) =>
  `${account.role}/${account.account}`;

const same = (a: { role: Role; account: string }, b: { role: Role; account: string }) =>
  a.account === b.account && a.role === b.role;

// What a payload may hold. A value of another type is taken as absent, never as a change.

function known<K extends keyof Account>(key: K, value: Account[K] | undefined) {
  return value === undefined ? {} : { [key]: value };
}
const decimal = (value: unknown) =>
  typeof value === "string" ? value : typeof value === "number" ? String(value) : undefined;
const count = (value: unknown) => (Number.isSafeInteger(value) ? (value as number) : undefined);
const flag = (value: unknown) => (typeof value === "boolean" ? value : undefined);
const text = (value: unknown) => (typeof value === "string" ? value : undefined);
const texts = (value: unknown) =>
  Array.isArray(value) && value.every((item) => typeof item === "string")
    ? (value as string[])
    : undefined;
export const status = (value: unknown): RuntimeStatus | undefined =>
  value === 0 || value === 1 || value === 2 ? value : undefined;
