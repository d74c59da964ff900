import { useSyncExternalStore } from "react";

/** One timer for every age on the page. */
const ticking = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;
let second = Date.now();

function subscribe(listener: () => void) {
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

/** Our clock in milliseconds, renewed each second. */
export const useNow = () => useSyncExternalStore(subscribe, () => second);
