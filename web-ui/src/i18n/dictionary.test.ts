import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Dictionary, fill, preferred, speechOf } from ".";
import { en, type Key } from "./en";
import { ja } from "./ja";

const dictionaries: Record<string, Dictionary> = { en, ja };
const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
const root = join(import.meta.dirname, "../../..");

/** The codes of the desk's own list in its documentation. */
const documented = (file: string, pattern: RegExp) =>
  new Set(
    [...readFileSync(join(root, "docs", file), "utf8").matchAll(pattern)].flatMap((found) =>
      [...(found[0] ?? "").matchAll(/`([a-z_]+)`/g)].map(([, code]) => String(code)),
    ),
  );

describe.each(Object.entries(dictionaries))("%s", (_, dictionary) => {
  it("has every key and no other", () => {
    expect(Object.keys(dictionary).sort()).toEqual(Object.keys(en).sort());
  });

  it("has a text behind every key, with the same holes as English", () => {
    for (const [key, text] of Object.entries(dictionary)) {
      expect(text.trim(), key).not.toBe("");
      expect(holes(text), key).toEqual(holes(en[key as Key]));
    }
  });

  it("has a warning and a remedy for every code that the documents name", () => {
    const codes = documented("runtime-status-alignment.md", /^\| (`[a-z_]+`(, )?)+ \| \d.*$/gm);
    expect(codes.size).toBeGreaterThan(15);
    for (const code of codes) {
      expect(dictionary, code).toHaveProperty([`warning.${code}`]);
      expect(dictionary, code).toHaveProperty([`remedy.${code}`]);
    }
  });

  it("has a name for every kind of event of the log", () => {
    const kinds = readdirSync(join(root, "events/golden"))
      .map((file) => /^\d+_([a-z_]+)\./.exec(file)?.[1])
      .filter((kind) => kind !== undefined);
    expect(kinds.length).toBeGreaterThan(70);
    for (const kind of kinds) expect(dictionary, kind).toHaveProperty([`event.${kind}`]);
  });

  it("has both forms of what is counted", () => {
    for (const key of Object.keys(dictionary)) {
      if (key.endsWith(".one")) expect(dictionary).toHaveProperty([key.replace(/one$/, "other")]);
    }
  });
});

it("Japanese is Japanese, where it is no name", () => {
  const names = /^(STOP|p99|curl|CSV|JSON|URL|TPS|OK|ID|API|JSON|[\d\s{}\w%·:/–.—-]*)$/;
  const same = Object.keys(en).filter((key) => {
    const text = ja[key as Key];
    return text === en[key as Key] && !names.test(text);
  });
  expect(same).toEqual([]);
});

it("every text is used somewhere", () => {
  const source = sources(join(import.meta.dirname, "..")).join("\n");
  /** Families whose second part comes from the desk, or is put together where it is used. */
  const computed = new Set(
    [...source.matchAll(/`([a-z_.]+)\.\$\{/g)].map(([, stem]) => String(stem)),
  );
  const families = new Set(
    [...source.matchAll(/(?:code|known)\(\s*"([a-z_]+)"/g)].map(([, family]) => String(family)),
  );
  const unused = Object.keys(en).filter((key) => {
    const stem = key.replace(/\.[^.]+$/, "");
    if (computed.has(stem) || families.has(key.replace(/\..*$/, ""))) return false;
    if (/\.(one|other)$/.test(key)) return !source.includes(`"${stem}"`);
    return !source.includes(`"${key}"`);
  });
  expect(unused).toEqual([]);
});

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.tsx?$/.test(path) && !/(en|ja|\.test)\.tsx?$/.test(path)
      ? [readFileSync(path, "utf8")]
      : [];
  });
}

it("fills holes and leaves unknown ones visible", () => {
  expect(fill("{a} of {b}", { a: 1 })).toBe("1 of {b}");
});

it("counts as the language does", () => {
  const said = speechOf("en", en, () => {});
  expect([0, 1, 2].map((count) => said.n("count.slave", count))).toEqual([
    "0 slaves",
    "1 slave",
    "2 slaves",
  ]);
  expect(speechOf("ja", ja, () => {}).n("count.slave", 1)).toBe("スレーブ 1");
});

it("reads codes aloud that it does not know", () => {
  const said = speechOf("en", en, () => {});
  expect(said.code("warning", "quite_new")).toBe("Quite new");
  expect(said.known("remedy", "quite_new")).toBeNull();
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
