import { expect, test } from "vitest";
import { boundsOf, fieldOf, Grid, isInside, namePlaces } from "./field.ts";

function answer(points: [number, number][], groups: number[] = points.map(() => 0)): ArrayBuffer {
  const n = points.length;
  const body = new ArrayBuffer(16 * n);
  new Int32Array(body, 0, n).set(points.map((_, i) => i + 100));
  new Float32Array(body, 4 * n, n).set(points.map(([x]) => x));
  new Float32Array(body, 8 * n, n).set(points.map(([, y]) => y));
  new Uint16Array(body, 12 * n, n).set(groups);
  return body;
}

const random = (seed: number) => () => (seed = (seed * 16807) % 2147483647) / 2147483647;

test("the nearest point is the one that looking at all of them finds", () => {
  const next = random(7);
  const points = Array.from({ length: 500 }, () => [next() * 40 - 20, next() * 3] as [number, number]);
  const field = fieldOf(answer(points));
  const grid = new Grid(field);
  for (let i = 0; i < 200; i++) {
    const [x, y] = [next() * 44 - 22, next() * 4 - 0.5];
    const away = points.map((_, k) => Math.hypot((field.x[k] as number) - x, (field.y[k] as number) - y));
    const least = Math.min(...away);
    expect(grid.nearest(x, y, 0.7)).toBe(least < 0.7 ? away.indexOf(least) : -1);
  }
});

test("a lasso takes what is inside, hollows left out", () => {
  const hook: [number, number][] = [[0, 0], [4, 0], [4, 4], [3, 4], [3, 1], [0, 1]];
  expect(isInside(hook, 0.5, 0.5)).toBe(true);
  expect(isInside(hook, 3.5, 3.5)).toBe(true);
  expect(isInside(hook, 1.5, 2.5)).toBe(false);
  const grid = new Grid(fieldOf(answer([[0.5, 0.5], [1.5, 2.5], [3.5, 3.5], [9, 9]])));
  expect(grid.inside(hook).sort()).toEqual([0, 2]);
});

test("a name stands where its group is thickest", () => {
  const field = fieldOf(answer([[0, 0], [10, 10], [10.1, 10.1], [5, 5]], [1, 1, 1, 0]));
  const [first, second] = namePlaces(field, field.cluster, 2, boundsOf(field));
  expect(first?.n).toBe(1);
  expect(second?.n).toBe(3);
  expect(second?.x).toBeCloseTo(10.05, 3);
});

test("no points, one point and many in one place are all well", () => {
  expect(new Grid(fieldOf(answer([]))).nearest(0, 0, 1)).toBe(-1);
  expect(new Grid(fieldOf(answer([[3, 3]]))).nearest(3, 3, 1)).toBe(0);
  const same = new Grid(fieldOf(answer([[3, 3], [3, 3], [3, 3]])));
  expect([...same.within(same.bounds)].length).toBe(3);
});
