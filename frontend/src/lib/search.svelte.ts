// The question that is asked, and its answer, fetched as far as it is looked at.

import { post } from "./api.ts";
import { emptyQuery, toBody, type Query } from "./query.ts";
import { reason } from "./said.svelte.ts";
import type { Match, Matches } from "./types.ts";

const PAGE = 100;

class Search {
  query = $state<Query>(emptyQuery());
  pages = $state.raw<ReadonlyMap<number, Match[]>>(new Map());
  total = $state(0);
  nLibrary = $state(0);
  nothingAlike = $state(false);
  tookMs = $state(0);
  asking = $state(false);
  answered = $state(false);
  error = $state("");
  #stop = new AbortController();
  #coming = new Set<number>();

  /** Ask anew; what was found before stays in sight until the answer is there. */
  async ask(): Promise<void> {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#coming.clear();
    this.asking = true;
    await this.#fetch(0, this.#stop.signal, (answer) => {
      this.pages = new Map([[0, answer.matches]]);
      this.nothingAlike = answer.nothing_alike;
      this.answered = true;
    });
  }

  at(index: number): Match | undefined {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** Fetch what is missing between two rows. */
  need(first: number, last: number): void {
    const end = Math.min(last, this.total - 1);
    for (let page = Math.floor(first / PAGE); page * PAGE <= end; page++) {
      if (this.pages.has(page) || this.#coming.has(page)) continue;
      this.#coming.add(page);
      void this.#fetch(page, this.#stop.signal, (answer) => (this.pages = new Map(this.pages).set(page, answer.matches)));
    }
  }

  found(): Match[] {
    return [...this.pages.entries()].sort(([a], [b]) => a - b).flatMap(([, matches]) => matches);
  }

  mark(id: number, favorite: boolean): void {
    const marked = (match: Match) => (match.id === id ? { ...match, favorite } : match);
    this.pages = new Map([...this.pages].map(([page, matches]) => [page, matches.map(marked)]));
  }

  async #fetch(page: number, signal: AbortSignal, use: (answer: Matches) => void): Promise<void> {
    try {
      const answer = await post<Matches>("/search", toBody($state.snapshot(this.query), PAGE, page * PAGE), signal);
      if (signal.aborted) return;
      use(answer);
      // places in files are more than files: as long as a page is full, there may be another
      const known = page * PAGE + answer.matches.length;
      const full = answer.matches.length === PAGE;
      this.total = this.query.segments ? Math.max(page ? this.total : 0, full ? known + 1 : known) : answer.n_passed;
      this.nLibrary = answer.n_total;
      this.tookMs = answer.took_ms;
      this.error = "";
    } catch (error) {
      if (signal.aborted) return;
      this.error = reason(error);
    } finally {
      this.#coming.delete(page);
      if (!signal.aborted) this.asking = false;
    }
  }
}

export const search = new Search();
