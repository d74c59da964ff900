import { useSyncExternalStore } from "react";

export interface Route {
  path: string;
  query: URLSearchParams;
  /** The moment that the page shows, if it is not now. */
  at: string | null;
}

function read(): Route {
  const { pathname, search } = window.location;
  const query = new URLSearchParams(search);
  return { path: pathname.replace(/\/+$/, "") || "/", query, at: query.get("at") };
}

let route = read();
const listeners = new Set<() => void>();

function changed() {
  route = read();
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  if (listeners.size === 0) window.addEventListener("popstate", changed);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) window.removeEventListener("popstate", changed);
  };
}

export const useRoute = (): Route => useSyncExternalStore(subscribe, () => route);

/** An address of the page that keeps the moment that is shown. */
export function hrefOf(path: string, query: Readonly<Record<string, string | null>> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) search.set(name, value);
  if (route.at && !("at" in query)) search.set("at", route.at);
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

export function go(href: string, how: "push" | "replace" = "push") {
  if (how === "push") window.history.pushState(null, "", href);
  else window.history.replaceState(null, "", href);
  changed();
}

/** Sets parts of the query where the page stands; null takes a part away. */
export function setQuery(
  change: Readonly<Record<string, string | null>>,
  how: "push" | "replace" = "replace",
) {
  const query = new URLSearchParams(window.location.search);
  for (const [name, value] of Object.entries(change)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(window.location.pathname + (text ? `?${text}` : ""), how);
}

/** The parts of `/accounts/{role}/{account}` in a path, or null if it is another page. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const found: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const text = given[index] ?? "";
    if (part.startsWith("{")) {
      try {
        found[part.slice(1, -1)] = decodeURIComponent(text);
      } catch {
        return null;
      }
    } else if (part !== text) return null;
  }
  return found;
}
