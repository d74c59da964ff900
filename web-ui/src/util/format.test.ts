import { expect, it } from "vitest";
import { compare } from "../ui/table";
import { csv } from "./files";
import { age, brief, humanise, minus, money, short, span, sum } from "./format";

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
  ["1.1", "1.10", "0.00"],
  ["90071992547409931234.01", "0.02", "90071992547409931233.99"],
  ["1", "2.5", "-1.5"],
  ["-0.1", "0.2", "-0.3"],
  ["1", null, null],
  ["x", "1", null],
])("%s minus %s is %s", (a, b, difference) => {
  expect(minus(a, b)).toBe(difference);
});

it("adds exactly, and passes over what is no number", () => {
  expect(sum(["0.1", "0.2", null, "x", "-1"])).toBe("-0.7");
  expect(sum([])).toBe("0");
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

it.each([
  [180, "180 µs"],
  [3_400, "3.4 ms"],
  [45_055, "45 ms"],
  [1_200_000, "1.2 s"],
])("span(%d) is %s", (micros, shown) => {
  expect(span(micros)).toBe(shown);
});

it("shortens what is large", () => {
  expect([9_999, 12_345, 1_234_567].map(short)).toEqual(["9,999", "12.3k", "1.2M"]);
});

it("reads unknown codes and authors aloud", () => {
  expect(humanise("lot_below_min")).toBe("Lot below min");
  expect([brief("desk"), brief({ user: "anna" }), brief(null)]).toEqual(["desk", "user: anna", ""]);
});

it("writes CSV that a spreadsheet takes for text", () => {
  expect(
    csv(
      ["a", "b"],
      [
        ['x,"y"', "=1+1"],
        [null, "-1.5"],
        ["-cmd", { c: 1 }],
      ],
    ),
  ).toBe('a,b\r\n"x,""y""",\'=1+1\r\n,-1.5\r\n\'-cmd,"{""c"":1}"\r\n');
});

it("sorts numbers by size, and nothing last", () => {
  expect(["10", "9", null, "2.5"].sort(compare)).toEqual(["2.5", "9", "10", null]);
  expect(["b", "a", ""].sort(compare)).toEqual(["", "a", "b"]);
});
