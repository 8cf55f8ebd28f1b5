// Where the page is: which view, and which question. The address has it all, so that back, forward and bookmarks work.

import { fromAddress, toAddress, type Query } from "./query.ts";
import { search } from "./search.svelte.ts";

export const VIEWS = ["sounds", "map", "duplicates", "labels", "library"] as const;
const TYPING_MS = 30; // a letter that another follows at once is not asked for
export type View = (typeof VIEWS)[number];

class Place {
  view = $state<View>("sounds");
  #later: ReturnType<typeof setTimeout> | undefined;
  #typing = false; // the last step of the way back is still being typed

  start(): void {
    addEventListener("popstate", () => this.#read());
    this.#read();
  }

  go(view: View): void {
    if (view === this.view) return;
    this.view = view;
    history.pushState(names(), "", this.#address());
  }

  /** Ask a question, as a new step of the way back. */
  ask(query: Query, view: View = "sounds"): void {
    search.query = query;
    this.view = view;
    this.#typing = false;
    history.pushState(names(), "", this.#address());
    void search.ask();
  }

  /** The question has been changed: a new step of the way back, and a new answer. */
  changed(): void {
    this.#typing = false;
    this.#change(0);
  }

  /** A letter has come: one step of the way back for all of what is typed, until it is done. */
  typed(): void {
    this.#change(TYPING_MS);
  }

  #change(wait_ms: number): void {
    clearTimeout(this.#later);
    this.#later = setTimeout(() => {
      const address = this.#address();
      if (address !== location.pathname + location.search) {
        if (this.#typing) history.replaceState(names(), "", address);
        else history.pushState(names(), "", address);
      }
      this.#typing = wait_ms > 0;
      void search.ask();
    }, wait_ms);
  }

  #address(): string {
    return (this.view === "sounds" ? "/" : `/${this.view}`) + toAddress($state.snapshot(search.query));
  }

  #read(): void {
    const view = location.pathname.slice(1) as View;
    this.view = VIEWS.includes(view) ? view : "sounds";
    const query = fromAddress(location.search);
    const known = (history.state ?? {}) as Record<string, string>;
    for (const part of query.parts) part.name = known[`${part.kind} ${part.value}`];
    search.query = query;
    void search.ask();
  }
}

/** What the sounds of the question are called: not in the address, but beside it. */
function names(): Record<string, string> {
  return Object.fromEntries(search.query.parts.map((part) => [`${part.kind} ${part.value}`, part.name ?? ""]));
}

export const place = new Place();
