// What can be done with a sound, wherever it is shown.

import { download, post, put, remove, upload } from "./api.ts";
import { place } from "./place.svelte.ts";
import { emptyQuery, like } from "./query.ts";
import { attempt, say } from "./said.svelte.ts";
import { search } from "./search.svelte.ts";
import type { Sound, Upload } from "./types.ts";

export const findSimilar = (sound: { id: number; name: string }) => place.ask(like(sound.id, sound.name));

export function addToQuestion(sound: { id: number; name: string }, weight: number): void {
  search.query.parts.push({ kind: "id", value: String(sound.id), weight, name: sound.name });
  place.view = "sounds";
  place.changed();
}

export async function setFavorite(sound: Sound, favorite: boolean): Promise<boolean> {
  const address = `/favorites/${sound.id}`;
  const done = await attempt(() => (favorite ? put(address) : remove(address)));
  if (done) search.mark(sound.id, favorite);
  return Boolean(done);
}

export async function reveal(sound: Sound): Promise<void> {
  await attempt(() => post(`/sounds/${sound.id}/reveal`));
}

export async function copyPath(sound: Sound): Promise<void> {
  await navigator.clipboard.writeText(sound.path).then(
    () => say("The path is on the clipboard."),
    () => say(sound.path),
  );
}

export async function takeAway(ids: number[], format: string): Promise<void> {
  await attempt(() => download("/export", { ids, format }, `sounds.${format}`));
}

/** Search with a sound that is not in the library. */
export async function searchWith(sound: Blob, name: string): Promise<void> {
  const taken = await attempt(() => upload<Upload>(sound, name));
  if (taken) place.ask({ ...emptyQuery(), parts: [{ kind: "upload", value: taken.id, weight: 1, name: taken.name }] });
}

/** What makes dragging a row out of the page leave its file where it is dropped, in browsers that can. */
export function dragOut(event: DragEvent, sound: Sound): void {
  const address = new URL(`/api/sounds/${sound.id}/audio`, location.href).href;
  event.dataTransfer?.setData("DownloadURL", `audio/${sound.container}:${sound.name}:${address}`);
  event.dataTransfer?.setData("text/plain", sound.path);
  event.dataTransfer?.setData("application/x-soundalike", String(sound.id));
}
