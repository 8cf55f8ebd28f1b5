// Waveforms from the server: lowest and highest sample of n stretches, kept for the last sounds, few asked for at once.

import { bytes } from "./api.ts";

const KEPT = 2000;
const AT_ONCE = 4;
const kept = new Map<string, Int8Array>();
const waiting: (() => void)[] = [];
let running = 0;

export async function peaksOf(source: string, n: number, signal: AbortSignal): Promise<Int8Array> {
  const address = `${source}/peaks?n=${n}`;
  const known = kept.get(address);
  if (known) return known;
  await turn();
  try {
    signal.throwIfAborted();
    const peaks = new Int8Array(await bytes(address, signal));
    kept.set(address, peaks);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value as string);
    return peaks;
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

async function turn(): Promise<void> {
  while (running >= AT_ONCE) await new Promise<void>((go) => waiting.push(go));
  running += 1;
}
