import type {
  Account,
  Desk,
  DeskEvent,
  DeskSettings,
  EndpointRow,
  EndpointSpeed,
  Group,
  Member,
  Minute,
  Stats,
} from "../api/shapes";

/** One message of `/ws`, as `docs/live.md` describes it. */
export interface Frame {
  position: number;
  type: string;
  data: Record<string, unknown>;
}

/** What this page knows of the desk at one position. Never changed, only replaced. */
export interface Board {
  readonly position: number;
  readonly desk: Desk | null;
  readonly settings: DeskSettings | null;
  readonly accounts: ReadonlyMap<string, Account>;
  readonly groups: ReadonlyMap<string, Group>;
  readonly members: ReadonlyMap<string, Member>;
  readonly endpoints: ReadonlyMap<string, EndpointRow>;
  readonly speeds: ReadonlyMap<string, EndpointSpeed>;
  readonly stats: Stats | null;
  /** Minutes that were told, oldest first. */
  readonly minutes: readonly Minute[];
  /** Business events that were told, newest first. */
  readonly happenings: readonly DeskEvent[];
  /** Time between the last heartbeats of an account in milliseconds, oldest first. */
  readonly beats: ReadonlyMap<string, readonly number[]>;
  /** Grows with every word about alerts: they are asked for again. */
  readonly alertEdition: number;
  /** Positions that were not told, to be looked up. */
  readonly gaps: readonly { from: number; to: number }[];
  /** A snapshot that has not come whole: it takes the board's place once it has. */
  readonly coming: Board | null;
}

export const EMPTY: Board = {
  position: 0,
  desk: null,
  settings: null,
  accounts: new Map(),
  groups: new Map(),
  members: new Map(),
  endpoints: new Map(),
  speeds: new Map(),
  stats: null,
  minutes: [],
  happenings: [],
  beats: new Map(),
  alertEdition: 0,
  gaps: [],
  coming: null,
};

export const HAPPENINGS_MAX = 300;
export const BEATS_MAX = 60;
const MINUTES_MAX = 60;

export const accountKey = (of: { role: string; account: string }) => `${of.role}/${of.account}`;
export const memberKey = (of: { trade_group_id: string; slave_account: string }) =>
  `${of.trade_group_id}/${of.slave_account}`;

/** Where a client whose line breaks now goes on; none while a snapshot has not come whole. */
export const resumeFrom = (board: Board): number | null =>
  board.coming || board.position === 0 ? null : board.position;

type Draft = { -readonly [K in keyof Board]: Board[K] };

/** The board after these frames. Things are told whole, so that hearing one twice changes nothing. */
export function reduce(board: Board, frames: readonly Frame[]): Board {
  if (frames.length === 0) return board;
  let draft: Draft = { ...board };
  /** Maps that are this call's own, and may be written. */
  let own = new Set<unknown>();
  const write = <K extends MapKey>(of: Draft, name: K): Map<string, ValueOf<K>> => {
    if (!own.has(of[name])) {
      (of as Record<MapKey, unknown>)[name] = new Map(of[name] as ReadonlyMap<string, never>);
      own.add(of[name]);
    }
    return of[name] as Map<string, ValueOf<K>>;
  };

  for (const frame of frames) {
    if (frame.type === "snapshot") {
      if (frame.data.part === 1) {
        draft.coming = {
          ...EMPTY,
          happenings: draft.happenings,
          beats: draft.beats,
          alertEdition: draft.alertEdition + 1,
        };
      }
      if (!draft.coming) continue;
      const coming: Draft = { ...draft.coming };
      takePart(coming, frame.data, write);
      coming.position = Math.max(coming.position, frame.position);
      const whole = frame.data.part === frame.data.parts;
      if (whole) {
        draft = coming;
        own = new Set();
      } else draft.coming = coming;
      continue;
    }
    const target: Draft = draft.coming ? { ...draft.coming } : draft;
    take(target, frame, write);
    target.position = Math.max(target.position, frame.position);
    if (draft.coming) draft.coming = target;
  }
  return draft;
}

type MapKey = "accounts" | "groups" | "members" | "endpoints" | "speeds" | "beats";
type ValueOf<K extends MapKey> = Board[K] extends ReadonlyMap<string, infer V> ? V : never;
type Write = <K extends MapKey>(of: Draft, name: K) => Map<string, ValueOf<K>>;

function takePart(draft: Draft, data: Frame["data"], write: Write) {
  if (data.desk) draft.desk = data.desk as Desk;
  if (data.settings) draft.settings = data.settings as DeskSettings;
  if (data.totals) takeCounters(draft, data.totals as Record<string, unknown>, write);
  for (const one of list<Account>(data.accounts))
    write(draft, "accounts").set(accountKey(one), one);
  for (const one of list<Group>(data.groups)) write(draft, "groups").set(one.master_account, one);
  for (const one of list<Member>(data.members)) write(draft, "members").set(memberKey(one), one);
  for (const one of list<EndpointRow>(data.endpoints)) write(draft, "endpoints").set(one.id, one);
  for (const one of list<EndpointSpeed>(data.endpoint_tps)) {
    write(draft, "speeds").set(one.endpoint, one);
  }
}

function take(draft: Draft, { type, data }: Frame, write: Write) {
  switch (type) {
    case "resumed":
    case "subscribed":
      return;
    case "connection_changed": {
      const one = data as unknown as Account;
      beat(draft, one, write);
      write(draft, "accounts").set(accountKey(one), one);
      return;
    }
    case "trade_group_updated": {
      const one = data as unknown as Group;
      write(draft, "groups").set(one.master_account, one);
      return;
    }
    case "trade_group_deleted":
      write(draft, "groups").delete(String(data.master_account));
      return;
    case "member_added":
    case "member_updated": {
      const one = data as unknown as Member;
      write(draft, "members").set(memberKey(one), one);
      return;
    }
    case "member_deleted":
      write(draft, "members").delete(`${data.trade_group_id}/${data.slave_account}`);
      return;
    case "settings_updated":
      draft.settings = data as unknown as DeskSettings;
      return;
    case "desk_updated":
      draft.desk = data as unknown as Desk;
      return;
    case "endpoint_registered":
    case "endpoint_status_changed": {
      const one = data as unknown as EndpointRow;
      // What is in flight is not told here.
      const in_flight = draft.endpoints.get(one.id)?.in_flight ?? one.in_flight;
      write(draft, "endpoints").set(one.id, { ...one, in_flight });
      return;
    }
    case "endpoint_removed":
      write(draft, "endpoints").delete(String(data.id));
      write(draft, "speeds").delete(String(data.id));
      return;
    case "counters_updated":
      takeCounters(draft, data, write);
      return;
    case "tps_updated": {
      const one = data as unknown as EndpointSpeed;
      write(draft, "speeds").set(one.endpoint, one);
      const row = draft.endpoints.get(one.endpoint);
      if (row) write(draft, "endpoints").set(row.id, { ...row, tps: one.tps });
      return;
    }
    case "gap":
      draft.gaps = [...draft.gaps.slice(-9), { from: Number(data.from), to: Number(data.to) }];
      return;
    case "error":
      return;
    default:
      happening(draft, type, data);
  }
}

/** A business event; anything else that this page does not know is passed over. */
function happening(draft: Draft, type: string, data: Frame["data"]) {
  if (type.startsWith("alert_")) draft.alertEdition += 1;
  if (typeof data.kind !== "string" || typeof data.position !== "number") return;
  const event = data as unknown as DeskEvent;
  const newest = draft.happenings[0]?.position ?? 0;
  if (event.position <= newest) return;
  draft.happenings = [event, ...draft.happenings.slice(0, HAPPENINGS_MAX - 1)];
}

function takeCounters(draft: Draft, data: Record<string, unknown>, write: Write) {
  if (typeof data.endpoint === "string") {
    const row = draft.endpoints.get(data.endpoint);
    if (!row) return;
    const { endpoint: _, ...fields } = data;
    write(draft, "endpoints").set(row.id, { ...row, ...fields } as EndpointRow);
    return;
  }
  if (data.stats) draft.stats = data.stats as Stats;
  const told = list<Minute>(data.minutes);
  const first = told[0]?.at;
  if (first === undefined) return;
  draft.minutes = [...draft.minutes.filter((minute) => minute.at < first), ...told].slice(
    -MINUTES_MAX,
  );
}

function beat(draft: Draft, one: Account, write: Write) {
  const before = draft.accounts.get(accountKey(one))?.last_heartbeat_at;
  const now = one.last_heartbeat_at;
  if (before == null || now == null || now <= before) return;
  const key = accountKey(one);
  const beats = draft.beats.get(key) ?? [];
  const gap = Math.round((now - before) / 1000);
  write(draft, "beats").set(key, [...beats.slice(-(BEATS_MAX - 1)), gap]);
}

const list = <T>(value: unknown): readonly T[] => (Array.isArray(value) ? (value as T[]) : []);
