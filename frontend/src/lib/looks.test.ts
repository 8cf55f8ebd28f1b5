import { expect, test } from "vitest";
import { alongScale, looksOf, ranksOf, rgb, scaleColors } from "./looks.ts";

test("ranks are places among all, equal for equal values, none for what is not known", () => {
  expect([...ranksOf(Float32Array.of(5, -1, 2, 2, NaN, 9))]).toEqual([0.75, 0, 0.25, 0.25, NaN, 1]);
  expect([...ranksOf(Float32Array.of(3))]).toEqual([0]);
  expect(ranksOf(new Float32Array(0)).length).toBe(0);
});

test("a scale goes from its first color to its last", () => {
  const colors = scaleColors(true).map(rgb);
  expect(alongScale(0, true)).toEqual(colors[0]);
  alongScale(1, true).forEach((value, i) => expect(Math.abs(value - (colors.at(-1)?.[i] ?? 0))).toBeLessThanOrEqual(1));
  expect(alongScale(NaN, true)).toEqual([128, 128, 128]);
});

test("what is not shown is faint", () => {
  const looks = looksOf(2, () => [1, 2, 3], (row) => row === 1);
  expect([...looks.slice(0, 3)]).toEqual([1, 2, 3]);
  expect(looks[3]).toBeLessThan(looks[7] as number);
});
