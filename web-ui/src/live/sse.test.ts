import { expect, it } from "vitest";
import { backoff, sseReader } from "./sse";

const TEXT = ': ping\r\n\r\nid: 7\ndata: {"a":\ndata: 1}\n\ndata:x\r\rid: 9\n\n';
const HEARD = [
  { type: "ping" },
  { type: "message", id: "7", data: '{"a":\n1}' },
  { type: "message", id: "7", data: "x" },
];

it("reads comments, ids, joined data and all three line ends", () => {
  expect(sseReader()(TEXT)).toEqual(HEARD);
});

it("does not care where the network cuts", () => {
  for (let size = 1; size < 12; size += 1) {
    const read = sseReader();
    const heard = [];
    for (let at = 0; at < TEXT.length; at += size) heard.push(...read(TEXT.slice(at, at + size)));
    expect(heard, `pieces of ${size}`).toEqual(HEARD);
  }
});

it("waits longer each time, up to a bound", () => {
  expect([0, 1, 2, 3].map((attempt) => backoff(attempt, 0))).toEqual([500, 1000, 2000, 4000]);
  expect(backoff(50, 1)).toBe(19_500);
});
