import { describe, expect, it } from "vitest";
import { dictionaries, fill, preferred } from ".";
import { en } from "./en";

const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

/** Every warning of the desk's status engine; the list there may only grow. */
const WARNINGS = [
  "slave_web_ui_disabled",
  "slave_offline",
  "slave_auto_trading_disabled",
  "master_web_ui_disabled",
  "master_offline",
  "master_auto_trading_disabled",
  "no_master_assigned",
  "master_cluster_degraded",
];

describe.each(Object.entries(dictionaries))("%s", (_, dictionary) => {
  it("has every key and no other", () => {
    expect(Object.keys(dictionary).sort()).toEqual(Object.keys(en).sort());
  });

  it("has a text behind every key, with the same holes as English", () => {
    for (const [key, text] of Object.entries(dictionary)) {
      expect(text.trim(), key).not.toBe("");
      expect(holes(text), key).toEqual(holes(en[key as keyof typeof en]));
    }
  });

  it("names every warning", () => {
    for (const warning of WARNINGS) expect(dictionary).toHaveProperty([`warning.${warning}`]);
  });
});

it("Japanese is not English", () => {
  const same = Object.keys(en).filter((key) => {
    const k = key as keyof typeof en;
    return dictionaries.ja[k] === en[k];
  });
  expect(same).toEqual([]);
});

it("fills holes and leaves unknown ones visible", () => {
  expect(fill("{a} of {b}", { a: 1 })).toBe("1 of {b}");
});

it.each([
  [null, ["ja-JP", "en"], "ja"],
  [null, ["fr", "en-GB"], "en"],
  [null, ["fr"], "en"],
  ["en", ["ja"], "en"],
  ["nonsense", ["ja"], "ja"],
])("stored %s and wanted %j give %s", (stored, wanted, language) => {
  expect(preferred(stored, wanted)).toBe(language);
});
