// What the page says at its edge: done, or why not. Screen readers hear it too.

import { Failed } from "./api.ts";

const LASTS_MS = 6000;

export interface Said {
  id: number;
  words: string;
  bad: boolean;
}

class Saying {
  all = $state<Said[]>([]);
  #n = 0;

  say(words: string, bad = false): void {
    const id = (this.#n += 1);
    this.all.push({ id, words, bad });
    setTimeout(() => this.drop(id), bad ? LASTS_MS * 2 : LASTS_MS);
  }

  drop(id: number): void {
    this.all = this.all.filter((one) => one.id !== id);
  }
}

export const saying = new Saying();
export const say = (words: string) => saying.say(words);

export const reason = (error: unknown): string => (error instanceof Failed ? error.message : `Something went wrong on this page: ${String(error)}`);

/** Ask for something that may not have been made yet: null where it is not. */
export async function unlessMissing<T>(work: () => Promise<T>): Promise<T | null | undefined> {
  return attempt(() => work().catch((error: unknown) => (error instanceof Failed && error.status === 404 ? null : Promise.reject(error))));
}

/** Do something, and say why if it fails. */
export async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) saying.say(reason(error), true);
    return undefined;
  }
}
