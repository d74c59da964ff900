import { useSyncExternalStore } from "react";

/** What a person chose for this browser: look, language, columns. Nothing of it reaches the desk. */
export interface Prefs {
  theme: "dark" | "light" | "system";
  pnl: "western" | "japanese" | "neutral";
  language: "en" | "ja" | null;
}

const DEFAULTS: Prefs = { theme: "dark", pnl: "western", language: null };
const STORED = "tidehelm.prefs";

export function load<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(name);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

export function save(name: string, value: unknown) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // Private windows may refuse; the choice then lasts as long as the page.
  }
}

let prefs: Prefs = { ...DEFAULTS, ...load<Partial<Prefs>>(STORED, {}) };
const listeners = new Set<() => void>();

export const getPrefs = () => prefs;

export function setPrefs(change: Partial<Prefs>) {
  prefs = { ...prefs, ...change };
  save(STORED, prefs);
  applyPrefs();
  for (const listener of listeners) listener();
}

/** The look as attributes of the document, which the style sheet asks for. */
export function applyPrefs() {
  document.documentElement.dataset.theme = prefs.theme;
  document.documentElement.dataset.pnl = prefs.pnl;
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const usePrefs = () => useSyncExternalStore(subscribe, getPrefs);
