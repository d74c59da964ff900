/** A decimal with its digits grouped; exact, because the text never becomes a float. */
export function money(decimal: string, places = 2): string {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(decimal.trim());
  if (!match) return decimal;
  const [, sign = "", whole = "", fraction = ""] = match;
  const grouped = whole.replace(/^0+(?=\d)/, "").replace(/\B(?=(\d{3})+$)/g, ",");
  const shown = fraction.replace(/0+$/, "").padEnd(places, "0");
  return `${sign === "-" ? "−" : ""}${grouped}${shown ? `.${shown}` : ""}`;
}

export const whole = (number: number) => money(String(Math.round(number)), 0);

/** One of several of something: 12,345 as `12.3k`, for where there is little room. */
export function short(number: number): string {
  if (Math.abs(number) < 10_000) return whole(number);
  if (Math.abs(number) < 1_000_000) return `${(number / 1_000).toFixed(1)}k`;
  if (Math.abs(number) < 1_000_000_000) return `${(number / 1_000_000).toFixed(1)}M`;
  return `${(number / 1_000_000_000).toFixed(1)}G`;
}

/** What one decimal is more than another, exactly. Null where one of them is no decimal. */
export function minus(a: string | null | undefined, b: string | null | undefined): string | null {
  const one = scaled(a);
  const two = scaled(b);
  if (!one || !two) return null;
  const places = Math.max(one.places, two.places);
  const left = one.digits * 10n ** BigInt(places - one.places);
  const right = two.digits * 10n ** BigInt(places - two.places);
  return unscaled(left - right, places);
}

/** The sum of decimals, exactly; what is no decimal is left out. */
export function sum(decimals: Iterable<string | null | undefined>): string {
  let total = 0n;
  let places = 0;
  for (const decimal of decimals) {
    const one = scaled(decimal);
    if (!one) continue;
    if (one.places > places) {
      total *= 10n ** BigInt(one.places - places);
      places = one.places;
    }
    total += one.digits * 10n ** BigInt(places - one.places);
  }
  return unscaled(total, places);
}

export const negated = (decimal: string) =>
  decimal.startsWith("-") ? decimal.slice(1) : `-${decimal}`;

function scaled(decimal: string | null | undefined) {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(decimal ?? "");
  if (!match) return null;
  const [, sign = "", whole = "", fraction = ""] = match;
  const digits = BigInt(whole + fraction);
  return { digits: sign ? -digits : digits, places: fraction.length };
}

function unscaled(digits: bigint, places: number): string {
  const text = (digits < 0n ? -digits : digits).toString().padStart(places + 1, "0");
  const sign = digits < 0n ? "-" : "";
  if (places === 0) return sign + text;
  return `${sign}${text.slice(0, -places)}.${text.slice(-places)}`;
}

/** An age in the largest unit that fits: `3 s`, `5 min`, `2 h`, `4 d`. Never negative. */
export function age(ms: number): { value: number; unit: "s" | "min" | "h" | "d" } {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 100) return { value: seconds, unit: "s" };
  const minutes = Math.floor(seconds / 60);
  if (minutes < 100) return { value: minutes, unit: "min" };
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return { value: hours, unit: "h" };
  return { value: Math.floor(hours / 24), unit: "d" };
}

const two = (number: number) => String(number).padStart(2, "0");

/** `2026-03-09 04:05:06` in the reader's zone, of microseconds. */
export function dateTime(micros: number): string {
  const at = new Date(micros / 1000);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(micros)}`;
}

export function clock(micros: number): string {
  const at = new Date(micros / 1000);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** What a `datetime-local` input holds for a moment, to the second. */
export const localInput = (micros: number) => dateTime(micros).replace(" ", "T");

/** A span of microseconds: `180 µs`, `3.4 ms`, `1.2 s`. */
export function span(micros: number): string {
  const size = Math.abs(micros);
  if (size < 1_000) return `${micros} µs`;
  if (size < 1_000_000) return `${(micros / 1_000).toFixed(size < 10_000 ? 1 : 0)} ms`;
  return `${(micros / 1_000_000).toFixed(size < 10_000_000 ? 1 : 0)} s`;
}

export const percent = (part: number, of: number, places = 1) =>
  of === 0 ? null : `${((100 * part) / of).toFixed(places)} %`;

/** `lot_below_min` read aloud: for codes that the dictionary does not know yet. */
export function humanise(code: string): string {
  const words = code.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A value of unknown shape in a few characters: `by`, most of all. */
export function brief(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  if (Array.isArray(value)) return value.map(brief).join(", ");
  if (typeof value === "object") {
    return Object.entries(value)
      .filter(([, inner]) => inner !== null && inner !== "")
      .map(([key, inner]) => `${key}: ${brief(inner)}`)
      .join(", ");
  }
  return JSON.stringify(value);
}
