import { expect, test } from "vitest";
import { emptyQuery, fromAddress, nFilters, toAddress, toBody, type Query } from "./query.ts";

const full: Query = {
  text: "rain & wind?",
  parts: [
    { kind: "id", value: "12", weight: 1 },
    { kind: "text", value: "a ~ sign", weight: -1 },
    { kind: "upload", value: "u7", weight: 0.5 },
  ],
  filters: { min_duration: 0.5, max_duration: 60, folders: ["/a/b", "C:\\c"], formats: ["wav"], tags: { artist: "Ö & Co" }, since: "2026-01-02", label: "door", favorite: true },
  weigh: { pitch: 2 },
  segments: true,
};

test("a question comes back from its address", () => {
  expect(fromAddress(toAddress(full))).toEqual(full);
  expect(toAddress(emptyQuery())).toBe("");
  expect(fromAddress("")).toEqual(emptyQuery());
});

test("an address with nonsense is a question without it", () => {
  expect(fromAddress("?like=x&like=-3&min=soon&max=-1&since=never&other=1&like=4")).toEqual({
    ...emptyQuery(),
    filters: { ...emptyQuery().filters, min_duration: undefined, max_duration: undefined, since: undefined },
    parts: [{ kind: "id", value: "4", weight: 1 }],
  });
});

test("the body has the typed words first, ids as numbers, and the time with its zone", () => {
  const body = toBody(full, 10, 20) as { parts: unknown[]; filters: { since: string }; weigh: unknown };
  expect(body.parts).toEqual([
    { text: "rain & wind?", weight: 1 },
    { id: 12, weight: 1 },
    { text: "a ~ sign", weight: -1 },
    { upload: "u7", weight: 0.5 },
  ]);
  expect(body.filters.since).toBe("2026-01-02T00:00:00.000Z");
  expect(body.weigh).toEqual({ pitch: 2 });
});

test("without a sound nothing is weighed", () => {
  expect(toBody({ ...emptyQuery(), text: "rain", weigh: { pitch: 1 } }, 1, 0).weigh).toEqual({});
});

test("filters are counted", () => {
  expect(nFilters(full.filters)).toBe(9);
  expect(nFilters(emptyQuery().filters)).toBe(0);
});
