import { useCallback, useEffect, useRef, useState } from "react";
import { ask, newKey } from "../api/client";
import { useToast } from "../ui/toast";

/** How long a wish may wait for the desk to tell what became of it. */
const PATIENCE_MS = 10_000;

type What =
  | { of: "account"; role: string; account: string }
  | { of: "group"; master: string }
  | { of: "member"; master: string; slave: string };

/**
 * A switch that is pending until the desk's push shows the new state: what the page shows is what the
 * desk told, never what somebody wished.
 */
export function useToggle(what: What, shown: boolean) {
  const toast = useToast();
  const [wish, setWish] = useState<boolean | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);

  useEffect(() => {
    if (wish === shown) setWish(null);
  }, [wish, shown]);
  useEffect(
    () => () => {
      if (timer.current) clearTimeout(timer.current);
    },
    [],
  );

  const toggle = useCallback(
    async (enabled: boolean) => {
      setWish(enabled);
      if (timer.current) clearTimeout(timer.current);
      timer.current = setTimeout(() => setWish(null), PATIENCE_MS);
      const key = newKey();
      const body = { enabled };
      try {
        switch (what.of) {
          case "account":
            await ask("POST /api/accounts/{role}/{account}/toggle", {
              path: { role: what.role, account: what.account },
              body,
              key,
            });
            break;
          case "group":
            await ask("POST /api/trade-groups/{master}/toggle", {
              path: { master: what.master },
              body,
              key,
            });
            break;
          case "member":
            await ask("POST /api/trade-groups/{master}/members/{slave}/toggle", {
              path: { master: what.master, slave: what.slave },
              body,
              key,
            });
        }
      } catch (error) {
        setWish(null);
        toast.bad(error);
      }
    },
    [what, toast],
  );
  return { pending: wish !== null && wish !== shown, toggle };
}
