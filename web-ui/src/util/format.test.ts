import { expect, it } from "vitest";
import { age, brief, humanise, money } from "./format";

it.each([
  ["0", "0.00"],
  ["1234.5", "1,234.50"],
  ["-1234567.891", "−1,234,567.891"],
  ["0.10000000", "0.10"],
  ["000123", "123.00"],
  ["90071992547409931234.01", "90,071,992,547,409,931,234.01"],
  ["n/a", "n/a"],
])("money(%s) is %s", (decimal, shown) => {
  expect(money(decimal)).toBe(shown);
});

it.each([
  [-5_000, 0, "s"],
  [99_999, 99, "s"],
  [100_000, 1, "min"],
  [6_000_000, 1, "h"],
  [48 * 3_600_000, 2, "d"],
])("an age of %d ms is %d %s", (ms, value, unit) => {
  expect(age(ms)).toEqual({ value, unit });
});

it("reads unknown codes and authors aloud", () => {
  expect(humanise("lot_below_min")).toBe("Lot below min");
  expect([brief("desk"), brief({ user: "anna" }), brief(null)]).toEqual(["desk", "user:anna", ""]);
});
