import { useEffect, useRef } from "react";
import { PAGES } from "./pages";
import { go, hrefOf } from "./router";

export interface Acts {
  palette(): void;
  help(): void;
  stop(): void;
  travel(): void;
}

/** How long after `g` the letter of a page may come. */
const CHORD_MS = 1_500;

const typing = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
  !(target instanceof HTMLInputElement && /^(radio|checkbox|range|button)$/.test(target.type));

/** The keys that work on every page. */
export function useKeys(acts: Acts) {
  const now = useRef(acts);
  now.current = acts;
  useEffect(() => {
    let chord = 0;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
        event.preventDefault();
        now.current.palette();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      if (document.querySelector('[role="dialog"], [role="menu"]')) return;
      if (Date.now() - chord < CHORD_MS) {
        chord = 0;
        const page = PAGES.find((one) => one.letter === event.key);
        if (page) {
          event.preventDefault();
          go(hrefOf(page.path));
        }
        return;
      }
      const act: (() => void) | undefined = {
        g: () => {
          chord = Date.now();
        },
        "/": () => {
          const filter = document.querySelector<HTMLElement>("main [data-filter]");
          if (filter) filter.focus();
          else now.current.palette();
        },
        "?": () => now.current.help(),
        "!": () => now.current.stop(),
        t: () => now.current.travel(),
        j: () => step(1),
        k: () => step(-1),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}

/** Outside of a table, `j` and `k` go through what the page lists. */
function step(by: 1 | -1) {
  const all = [...document.querySelectorAll<HTMLElement>("main [data-step], main tr[data-index]")];
  if (all.length === 0) return;
  const at = all.findIndex(
    (one) => one === document.activeElement || one.contains(document.activeElement),
  );
  const next =
    all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
