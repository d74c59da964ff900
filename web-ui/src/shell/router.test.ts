import { afterEach, expect, it } from "vitest";
import { go, hrefOf, match, setQuery } from "./router";

afterEach(() => go("/"));

it.each([
  ["/accounts/{role}/{account}", "/accounts/slave/A_1", { role: "slave", account: "A_1" }],
  ["/accounts/{role}/{account}", "/accounts/slave", null],
  ["/endpoints/{id}", "/endpoints/a%2Fb", { id: "a/b" }],
  ["/endpoints/{id}", "/endpoints/%E0%A4%A", null],
  ["/", "/", {}],
])("match(%s, %s)", (pattern, path, expected) => {
  expect(match(pattern, path)).toEqual(expected);
});

it("takes the moment along that is shown", () => {
  go("/copying?at=42");
  expect(hrefOf("/log")).toBe("/log?at=42");
  expect(hrefOf("/log", { at: null, from: "7" })).toBe("/log?from=7");
});

it("sets and takes away parts of the query", () => {
  go("/log?kind=a");
  setQuery({ kind: null, stream: "desk" });
  expect(window.location.search).toBe("?stream=desk");
});
