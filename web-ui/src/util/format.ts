/** A decimal with its digits grouped; exact, because the text never becomes a float. */
export function money(decimal: string, places = 2): string {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(decimal.trim());
  if (!match) return decimal;
  const [, sign = "", whole = "", fraction = ""] = match;
  const grouped = whole.replace(/^0+(?=\d)/, "").replace(/\B(?=(\d{3})+$)/g, ",");
  const shown = fraction.replace(/0+$/, "").padEnd(places, "0");
  return `${sign === "-" ? "−" : ""}${grouped}${shown ? `.${shown}` : ""}`;
}

export const whole = (number: number) => money(String(number), 0);

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

/** `2026-03-09 04:05:06` in the reader's zone. */
export function dateTime(ms: number): string {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(ms)}`;
}

export function clock(ms: number): string {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** What a `datetime-local` input holds for a moment, to the second. */
export const localInput = (ms: number) => dateTime(ms).replace(" ", "T");

/** `lot_below_min` read aloud: for codes that the dictionary does not know yet. */
export function humanise(code: string): string {
  const words = code.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A value of unknown shape in a few characters: `by`, most of all. */
export function brief(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string" || typeof value === "number") return String(value);
  if (typeof value === "object" && !Array.isArray(value)) {
    return Object.entries(value)
      .map(([key, inner]) => `${key}:${brief(inner)}`)
      .join(" ");
  }
  return JSON.stringify(value);
}
