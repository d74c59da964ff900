import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import type { Problem } from "../api/client";
import { humanise } from "../util/format";
import { type Dictionary, en, type Key } from "./en";
import { ja } from "./ja";

export type Language = "en" | "ja";
export const dictionaries: Readonly<Record<Language, Dictionary>> = { en, ja };

export type Values = Readonly<Record<string, string | number>>;

export function fill(text: string, values: Values = {}): string {
  return text.replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole));
}

/** The first language of the reader that we speak; English if none. */
export function preferred(stored: string | null, wanted: readonly string[]): Language {
  for (const tag of [stored, ...wanted]) {
    const language = tag?.toLowerCase().split("-")[0];
    if (language === "en" || language === "ja") return language;
  }
  return "en";
}

const STORED = "tidehelm.language";

function stored(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

export interface Speech {
  language: Language;
  setLanguage(language: Language): void;
  t(key: Key, values?: Values): string;
  /** A code's text, or the code read aloud where the dictionary does not know it. */
  code(family: "warning" | "event", code: string): string;
  problem(problem: Problem): string;
}

const Context = createContext<Speech | null>(null);

export function Speaking({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(() => preferred(stored(), navigator.languages));
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);

  const speech = useMemo<Speech>(() => {
    const dictionary = dictionaries[language];
    // A newer server may say a word that this page does not know: shown as it is, never a crash.
    const t = (key: Key, values?: Values) => fill(dictionary[key] ?? key, values);
    return {
      language,
      setLanguage: (next) => {
        setLanguage(next);
        try {
          localStorage.setItem(STORED, next);
        } catch {
          // Private windows may refuse; the choice then lasts as long as the page.
        }
      },
      t,
      code: (family, code) => {
        const text: string | undefined = dictionary[`${family}.${code}` as Key];
        return text ?? humanise(code);
      },
      problem: (problem) => {
        if (problem.status === 0) return t("problem.unreachable");
        return problem.detail || t("problem.unknown", { status: problem.status });
      },
    };
  }, [language]);

  return <Context value={speech}>{children}</Context>;
}

export function useSpeech(): Speech {
  const speech = useContext(Context);
  if (!speech) throw new Error("useSpeech needs <Speaking> above it");
  return speech;
}
