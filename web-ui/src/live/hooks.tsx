import { useQuery } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useContext,
  useMemo,
  useRef,
  useSyncExternalStore,
} from "react";
import { ask, type Problem } from "../api/client";
import type {
  Account,
  Desk,
  EndpointRow,
  EndpointSpeed,
  Group,
  Minute,
  Stats,
} from "../api/shapes";
import { useRoute } from "../shell/router";
import { accountKey, type Board, EMPTY, memberKey } from "./board";
import type { Live, Store } from "./store";

const StoreContext = createContext<Store | null>(null);
const PastContext = createContext<Past | null>(null);

/** A moment that the page shows instead of now. */
export interface Past {
  at: string;
  board: Board | null;
  /** When that moment was, in microseconds. */
  time: number | null;
  problem: Problem | null;
}

export function Living({ store, children }: { store: Store; children: ReactNode }) {
  const { at } = useRoute();
  return (
    <StoreContext value={store}>
      {at === null ? children : <Travelling at={at}>{children}</Travelling>}
    </StoreContext>
  );
}

function Travelling({ at, children }: { at: string; children: ReactNode }) {
  const past = useQuery({
    queryKey: ["past", at],
    queryFn: () => boardAt(at),
    // A position never changes; a time such as `10m ago` does.
    staleTime: /^\d+$/.test(at) ? Number.POSITIVE_INFINITY : 0,
    placeholderData: (before) => before,
  });
  const value = useMemo<Past>(
    () => ({
      at,
      board: past.data?.board ?? null,
      time: past.data?.time ?? null,
      problem: (past.error as Problem | null) ?? null,
    }),
    [at, past.data, past.error],
  );
  return <PastContext value={value}>{children}</PastContext>;
}

/** The board as it was: the same shape, put together from the reads that take `as_of`. */
export async function boardAt(at: string): Promise<{ board: Board; time: number }> {
  const accounts = await ask("GET /api/accounts", { query: { as_of: at } });
  const query = { as_of: String(accounts.position) };
  const [groups, status, overview, events] = await Promise.all([
    ask("GET /api/trade-groups", { query }),
    ask("GET /api/status", { query }),
    ask("GET /api/dashboard/overview", { query }).catch(() => null),
    ask("GET /api/events", {
      query: { from: Math.max(0, accounts.position - 400), limit: 400, class: "business" },
    }).catch(() => null),
  ]);
  const desk: Desk = {
    desk_id: status.desk_id ?? null,
    name: status.name,
    version: status.version,
    locked: status.locked,
    lock_reason: status.lock_reason ?? null,
    stopped: status.stopped ? ((status.stop_degree ?? "pause") as Desk["stopped"]) : null,
    stop_reason: status.stop_reason ?? null,
  };
  const happenings = ((events?.events ?? []) as unknown as Board["happenings"])
    .filter((event) => event.position <= accounts.position)
    .reverse();
  const rows = (overview?.endpoints ?? []) as EndpointRow[];
  const speeds = (overview?.endpoint_tps ?? []) as EndpointSpeed[];
  const board: Board = {
    ...EMPTY,
    position: accounts.position,
    desk,
    accounts: new Map(accounts.accounts.map((one) => [accountKey(one), one as Account])),
    groups: new Map(groups.trade_groups.map((one) => [one.master_account, one as Group])),
    members: new Map(
      groups.trade_groups.flatMap((group) => group.members).map((one) => [memberKey(one), one]),
    ),
    endpoints: new Map(rows.map((one) => [one.id, one])),
    speeds: new Map(speeds.map((one) => [one.endpoint, one])),
    stats: (overview?.stats as Stats | undefined) ?? null,
    minutes: (overview?.history as Minute[] | undefined) ?? [],
    happenings,
  };
  return { board, time: accounts.at };
}

export function useStore(): Store {
  const store = useContext(StoreContext);
  if (!store) throw new Error("useStore needs <Living> above it");
  return store;
}

export function useLive<T>(select: (live: Live) => T): T {
  const store = useStore();
  const last = useRef<{ live: Live; select: (live: Live) => T; value: T } | null>(null);
  return useSyncExternalStore(store.subscribe, () => {
    const live = store.get();
    if (last.current?.live === live && last.current.select === select) return last.current.value;
    const value = select(live);
    // Equal answers stay the same object, so that nothing is drawn again for them.
    const kept = last.current && Object.is(last.current.value, value) ? last.current.value : value;
    last.current = { live, select, value: kept };
    return kept;
  });
}

export const usePast = () => useContext(PastContext);

/** Part of the board: as it is, or as it was at the moment that the page shows. */
export function useBoard<T>(select: (board: Board) => T): T {
  const past = usePast();
  const live = useLive((one) => (past ? null : select(one.board)));
  const board = past?.board ?? EMPTY;
  return past ? select(board) : (live as T);
}

export const useReady = () => useBoard((board) => board.position > 0 || board.desk !== null);

/** Why nothing can be changed here, as a key of the dictionary; null if it can. */
export function useReadOnly(
  needs: "operator" | "admin" = "operator",
): "past" | "stale" | "viewer" | "not_admin" | null {
  const past = usePast();
  const state = useLive((live) => live.line.state);
  const role = useLive((live) => live.me?.role ?? null);
  if (past) return "past";
  if (role === "viewer") return "viewer";
  if (needs === "admin" && role !== null && role !== "admin") return "not_admin";
  if (state === "stale") return "stale";
  return null;
}

/** `as_of` for reads that take it. */
export const useAsOf = (): { as_of?: string } => {
  const past = usePast();
  if (!past) return {};
  return { as_of: past.board ? String(past.board.position) : past.at };
};
