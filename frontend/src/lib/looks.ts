// Colors of points: one for each group, or along a scale.

const SCALES = {
  light: ["#3b4cc0", "#3e8fbf", "#3aa17e", "#b08d1e", "#b3261e"],
  dark: ["#7d8bf5", "#5fb6e0", "#62cfa6", "#e2c04f", "#ff8f80"],
};
const UNKNOWN: Color = [128, 128, 128];
const PLAIN = 225; // opacity
const FAINT = 26;

export type Color = readonly [number, number, number];

export const rgb = (hex: string): Color => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Color;

/** Where each value stands among all: 0 is the lowest, 1 the highest, NaN where there is none. */
export function ranksOf(values: Float32Array): Float32Array {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  const last = Math.max(1, sorted.length - 1);
  return values.map((value) => {
    if (Number.isNaN(value)) return NaN;
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] as number) < value) low = middle + 1;
      else high = middle;
    }
    return low / last;
  });
}

export function alongScale(rank: number, dark: boolean): Color {
  if (Number.isNaN(rank)) return UNKNOWN;
  const scale = SCALES[dark ? "dark" : "light"].map(rgb);
  const place = Math.min(0.999, Math.max(0, rank)) * (scale.length - 1);
  const [from, to] = [scale[Math.floor(place)] as Color, scale[Math.floor(place) + 1] as Color];
  return from.map((value, i) => Math.round(value + (place % 1) * ((to[i] as number) - value))) as unknown as Color;
}

export const scaleColors = (dark: boolean): string[] => SCALES[dark ? "dark" : "light"];

/** Red, green, blue, opacity of each point; those that are not shown are faint. */
export function looksOf(n: number, colorOf: (row: number) => Color | undefined, isShown: (row: number) => boolean): Uint8Array {
  const looks = new Uint8Array(4 * n);
  for (let i = 0; i < n; i++) {
    const [red, green, blue] = colorOf(i) ?? UNKNOWN;
    looks[4 * i] = red;
    looks[4 * i + 1] = green;
    looks[4 * i + 2] = blue;
    looks[4 * i + 3] = isShown(i) ? PLAIN : FAINT;
  }
  return looks;
}
