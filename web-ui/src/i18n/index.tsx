import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import { adviceFor, type Problem } from "../api/client";
import { age, humanise } from "../util/format";
import { getPrefs, setPrefs } from "../util/prefs";
import { type Dictionary, en, type Key } from "./en";

export type Language = "en" | "ja";
export type { Dictionary, Key };
export type Values = Readonly<Record<string, string | number>>;

/** `account.one`, `account.other`: what is counted, without how many. */
export type Counted = { [K in Key]: K extends `${infer Stem}.other` ? Stem : never }[Key];

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

/** English is part of the page; another language comes when somebody reads it. */
export const dictionaryOf = async (language: Language): Promise<Dictionary> =>
  language === "ja" ? (await import("./ja")).ja : en;

export type Family =
  | "warning"
  | "remedy"
  | "event"
  | "rule"
  | "rule_remedy"
  | "verdict"
  | "limit"
  | "action"
  | "stage"
  | "stamp"
  | "condition"
  | "connection"
  | "outcome"
  | "average"
  | "endpoint"
  | "layer"
  | "setting_meaning"
  | "severity"
  | "result"
  | "instruction";

export interface Speech {
  language: Language;
  setLanguage(language: Language): void;
  t(key: Key, values?: Values): string;
  /** `3 accounts`: the form that the language has for this number. */
  n(stem: Counted, count: number, values?: Values): string;
  /** A code's text, or the code read aloud where the dictionary does not know it. */
  code(family: Family, code: string): string;
  /** As `code`, with what else to say where the dictionary does not know it. */
  known(family: Family, code: string): string | null;
  /** What went wrong, and what to try. */
  problem(problem: Problem): string;
  advice(problem: Problem): string;
  ago(ms: number): string;
}

const Context = createContext<Speech | null>(null);

export function Speaking({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState<Language>(() =>
    preferred(getPrefs().language, navigator.languages),
  );
  const [spoken, setSpoken] = useState<{ language: Language; words: Dictionary } | null>(
    language === "en" ? { language, words: en } : null,
  );
  useEffect(() => {
    let wanted = true;
    void dictionaryOf(language)
      .catch(() => en)
      .then((words) => wanted && setSpoken({ language, words }));
    return () => {
      wanted = false;
    };
  }, [language]);
  useEffect(() => {
    if (spoken) document.documentElement.lang = spoken.language;
  }, [spoken]);

  const speech = useMemo<Speech | null>(() => {
    if (!spoken) return null;
    return speechOf(spoken.language, spoken.words, (next) => {
      setLanguage(next);
      setPrefs({ language: next });
    });
  }, [spoken]);

  return speech && <Context value={speech}>{children}</Context>;
}

export function speechOf(
  language: Language,
  words: Dictionary,
  setLanguage: (language: Language) => void,
): Speech {
  // A newer server may say a word that this page does not know: shown as it is, never a crash.
  const t = (key: Key, values?: Values) => fill(words[key] ?? key, values);
  const plural = new Intl.PluralRules(language);
  const known = (family: Family, code: string): string | null =>
    words[`${family}.${code}` as Key] ?? null;
  return {
    language,
    setLanguage,
    t,
    n: (stem, count, values) => {
      const form = plural.select(count) === "one" ? "one" : "other";
      return t(`${stem}.${form}` as Key, { count: count.toLocaleString("en-US"), ...values });
    },
    known,
    code: (family, code) => known(family, code) ?? humanise(code),
    problem: (problem) => {
      if (problem.status === 0) return t("problem.unreachable");
      const said = words[`problem.code.${problem.code}` as Key];
      if (said) return said;
      return problem.detail || t("problem.unknown", { status: problem.status });
    },
    advice: (problem) => t(`problem.try.${adviceFor(problem)}`),
    ago: (ms) => {
      const { value, unit } = age(ms);
      return t(`age.${unit}`, { value });
    },
  };
}

export function useSpeech(): Speech {
  const speech = useContext(Context);
  if (!speech) throw new Error("useSpeech needs <Speaking> above it");
  return speech;
}
