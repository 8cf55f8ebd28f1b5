import { expect, test } from "vitest";
import { clock, size, span, tail } from "./words.ts";

test("a clock has parts of seconds where they matter", () => {
  expect([0.25, 3.14, 9.99, 59.7, 61, 3661].map(clock)).toEqual(["0.25 s", "3.1 s", "10.0 s", "1:00", "1:01", "1:01:01"]);
});

test("a span is rounded", () => {
  expect([0.2, 42, 150, 7200, 90_000].map(span)).toEqual(["1 s", "42 s", "3 min", "2.0 h", "25 h"]);
});

test("sizes are decimal", () => {
  expect([12, 1500, 29_200_000, 3e12].map(size)).toEqual(["12 bytes", "1.5 kB", "29 MB", "3.0 TB"]);
});

test("the tail of a path is its last folders, on every system", () => {
  expect(tail("/home/me/sounds/doors")).toBe("…/sounds/doors");
  expect(tail("C:\\a\\b\\c")).toBe("…/b/c");
  expect(tail("/doors")).toBe("/doors");
});
