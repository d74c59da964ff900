import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { ask } from "../api/client";
import type { Account, Alert, ConnectionDetail, Copy, Limit } from "../api/shapes";
import { useAsOf, useBoard } from "./hooks";

/** What is raised, asked for again whenever the desk says a word about alerts. */
export function useAlerts() {
  const asOf = useAsOf();
  const edition = useBoard((board) => board.alertEdition);
  return useQuery({
    queryKey: ["alerts", "raised", asOf.as_of ?? edition],
    queryFn: async (): Promise<Alert[]> =>
      (await ask("GET /api/alerts", { query: { state: "raised", limit: 200, ...asOf } })).alerts,
    placeholderData: (before) => before,
  });
}

/** An account with all that is open, in both roles. */
export function useConnection(account: string) {
  const asOf = useAsOf();
  return useQuery({
    queryKey: ["connection", account, asOf.as_of ?? "now"],
    queryFn: async () =>
      (await ask("GET /api/connections/{account}", { path: { account }, query: asOf }))
        .connections as unknown as ConnectionDetail[],
    refetchInterval: asOf.as_of ? false : 3_000,
    placeholderData: (before) => before,
  });
}

/** Latency of each link from receipt to fill, in microseconds: `MASTER/SLAVE` to its p99. */
export function useLatencies() {
  const asOf = useAsOf();
  return useQuery({
    queryKey: ["latency", asOf.as_of ?? "now"],
    queryFn: async () => {
      const { links } = await ask("GET /api/latency", { query: asOf });
      const found = new Map<string, { p50: number | null; p99: number | null; count: number }>();
      for (const link of links) {
        const whole = link.stages.find((stage) => stage.stage === "received_to_filled");
        if (!whole) continue;
        found.set(`${link.master}/${link.slave}`, {
          p50: whole.p50 ?? null,
          p99: whole.p99 ?? null,
          count: whole.count,
        });
      }
      return found;
    },
    refetchInterval: asOf.as_of ? false : 10_000,
    placeholderData: (before) => before,
  });
}

export interface Held {
  /** How many accounts were asked, of how many that hold something or are watched. */
  read: number;
  of: number;
  copies: readonly { slave: string; copy: Copy }[];
  limits: readonly { account: string; role: string; limit: Limit }[];
}

/** More accounts than this are not asked one by one. */
const ASKED_MAX = 60;

/** What slaves hold in copies, and their limits. The desk has no read of it for all accounts at once. */
export function useHeld() {
  const asOf = useAsOf();
  const accounts = useBoard((board) => board.accounts);
  const [asked, of] = useMemo(() => slavesByWeight(accounts), [accounts]);
  return useQuery({
    queryKey: ["held", asOf.as_of ?? "now", asked.join(" ")],
    queryFn: async ({ signal }): Promise<Held> => {
      const details: ConnectionDetail[] = [];
      for (let at = 0; at < asked.length; at += 4) {
        const some = asked
          .slice(at, at + 4)
          .map((account) =>
            ask("GET /api/connections/{account}", { path: { account }, query: asOf, signal }),
          );
        for (const one of await Promise.all(some)) {
          details.push(...(one.connections as unknown as ConnectionDetail[]));
        }
      }
      const slaves = details.filter((detail) => detail.role === "slave");
      return {
        read: asked.length,
        of,
        copies: slaves.flatMap((detail) =>
          detail.copies.map((copy) => ({ slave: detail.account, copy })),
        ),
        limits: details.flatMap((detail) =>
          detail.protection.map((limit) => ({ account: detail.account, role: detail.role, limit })),
        ),
      };
    },
    enabled: asked.length > 0,
    refetchInterval: asOf.as_of ? false : 15_000,
    placeholderData: (before) => before,
  });
}

/** Those with a limit near or hit first, then those that hold most positions. */
function slavesByWeight(accounts: ReadonlyMap<string, Account>): [string[], number] {
  const slaves = [...accounts.values()].filter((one) => one.role === "slave");
  const limited = (one: Account) =>
    one.warning_codes.some((code) => code.startsWith("limit_")) ? 0 : 1;
  const chosen = [...slaves]
    .sort((a, b) => limited(a) - limited(b) || (b.open_positions ?? 0) - (a.open_positions ?? 0))
    .slice(0, ASKED_MAX)
    .map((one) => one.account)
    .sort();
  return [chosen, slaves.length];
}

/** What a copy still holds of what its legs opened. */
export function lotsOpen(copy: Copy): number {
  return copy.legs
    .filter((leg) => leg.state === "open")
    .reduce((total, leg) => total + Number(leg.filled) - Number(leg.closed), 0);
}
