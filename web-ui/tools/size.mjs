// Says how large the built page is, and fails where it is larger than size.json allows. Gzip, as it travels.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const read = (path) => readFileSync(join(root, path));
const budget = JSON.parse(read("size.json"));
const manifest = JSON.parse(read("dist/.vite/manifest.json"));
const size = (file) => gzipSync(read(join("dist", file)), { level: 9 }).length;

/** A chunk with everything that must be there before it runs. */
function closure(key, seen = new Set()) {
  const chunk = manifest[key];
  if (!chunk || seen.has(chunk.file)) return seen;
  seen.add(chunk.file);
  for (const style of chunk.css ?? []) seen.add(style);
  for (const other of chunk.imports ?? []) closure(other, seen);
  return seen;
}

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
const first = new Set(["index.html", ...closure(entry)]);
const all = new Set(first);
for (const key of Object.keys(manifest)) for (const file of closure(key)) all.add(file);
const sum = (files) => [...files].reduce((total, file) => total + size(file), 0);
const sizes = { first_paint: sum(first), all: sum(all) };

let over = false;
for (const [name, limit] of Object.entries(budget)) {
  const kib = sizes[name] / 1024;
  over ||= kib > limit;
  console.log(`${name}: ${kib.toFixed(1)} of ${limit} KiB${kib > limit ? ", too much" : ""}`);
}
process.exit(over ? 1 : 0);
