// Sounds by their ids, asked for once: for the map and the labels, which have ids alone.

import { post } from "./api.ts";
import type { Matches, Sound } from "./types.ts";

const MOST_AT_ONCE = 1000;
const known = new Map<number, Sound>();

/** Sounds in the order of the ids; those that are gone are left out. */
export async function soundsOf(ids: readonly number[]): Promise<Sound[]> {
  const strange = ids.filter((id) => !known.has(id));
  for (let first = 0; first < strange.length; first += MOST_AT_ONCE) {
    const some = strange.slice(first, first + MOST_AT_ONCE);
    for (const sound of (await post<Matches>("/search", { filters: { ids: some }, n: some.length })).matches) known.set(sound.id, sound);
  }
  return ids.flatMap((id) => known.get(id) ?? []);
}
