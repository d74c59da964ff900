import { useSyncExternalStore } from "react";

/** One timer for every age on the page. */
const ticking = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;
let second = Date.now();

function subscribeSecond(listener: () => void) {
  ticking.add(listener);
  timer ??= setInterval(() => {
    second = Date.now();
    for (const tick of ticking) tick();
  }, 1000);
  return () => {
    ticking.delete(listener);
    if (ticking.size === 0 && timer) {
      clearInterval(timer);
      timer = null;
    }
  };
}

/** Our clock, renewed each second. */
export const useNow = () => useSyncExternalStore(subscribeSecond, () => second);

export interface Route {
  path: string;
  query: URLSearchParams;
}

/** `#/welcome?code=X` as a path and a query. */
export function parseHash(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  return { path: path || "/", query: new URLSearchParams(query) };
}

function subscribeHash(listener: () => void) {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}

export const useHash = () => useSyncExternalStore(subscribeHash, () => window.location.hash);

export function go(hash: string) {
  window.location.hash = hash;
}

/** Like `go`, but the way back does not lead here: one-time codes must not stay in the history. */
export function replaceHash(hash: string) {
  window.history.replaceState(null, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
