// What the server tells by itself: jobs as they go on, the library as it grows.

import { get, post, remove } from "./api.ts";
import { attempt, saying } from "./said.svelte.ts";
import type { Facets, Job, Status } from "./types.ts";
import { JOBS, many } from "./words.ts";

class Live {
  status = $state.raw<Status | null>(null);
  facets = $state.raw<Facets | null>(null);
  jobs = $state<Job[]>([]);
  nSounds = $state(0);
  nFailures = $state(0);
  connected = $state(true);
  changes = $state(0); // grows whenever the library has changed
  #later: ReturnType<typeof setTimeout> | undefined;

  async start(): Promise<void> {
    await this.refresh();
    const events = new EventSource("/api/events");
    events.onopen = () => (this.connected = true);
    events.onerror = () => (this.connected = false);
    events.addEventListener("job", (event: MessageEvent<string>) => this.#job(JSON.parse(event.data) as Job));
    events.addEventListener("library", (event: MessageEvent<string>) => this.#library(JSON.parse(event.data) as { n_sounds: number; n_failures: number }));
  }

  async refresh(): Promise<void> {
    [this.status, this.facets] = await Promise.all([get<Status>("/status"), get<Facets>("/facets")]);
    this.nSounds = this.status.n_sounds;
    this.nFailures = this.status.n_failures;
  }

  get running(): Job | undefined {
    return this.jobs.find((job) => job.state === "running") ?? this.jobs.find((job) => job.state === "queued");
  }

  last(kind: string): Job | undefined {
    return this.jobs.findLast((job) => job.kind === kind);
  }

  isBusy(kind: string): boolean {
    return this.jobs.some((job) => job.kind === kind && (job.state === "running" || job.state === "queued"));
  }

  async begin(kind: string, more: Record<string, string> = {}): Promise<boolean> {
    return (await attempt(() => post("/jobs", { kind, ...more }))) !== undefined;
  }

  async cancel(job: Job): Promise<void> {
    await attempt(() => remove(`/jobs/${job.id}`));
  }

  #job(job: Job): void {
    const at = this.jobs.findIndex((one) => one.id === job.id);
    const ended = at >= 0 && this.jobs[at]?.state !== job.state && job.state !== "running";
    if (at >= 0) this.jobs[at] = job;
    else this.jobs.push(job);
    if (!ended) return;
    this.#changed(0);
    const words = JOBS[job.kind] ?? job.kind;
    if (job.state === "failed") saying.say(`${words}: ${job.error ?? "failed"}`, true);
    else if (job.state === "done") saying.say(`${words}: ${[job.message || "done", job.n_failed ? `${many(job.n_failed, "sound")} failed` : ""].filter(Boolean).join(", ")}`);
  }

  #library(counts: { n_sounds: number; n_failures: number }): void {
    const same = counts.n_sounds === this.nSounds && counts.n_failures === this.nFailures;
    this.nSounds = counts.n_sounds;
    this.nFailures = counts.n_failures;
    if (!same) this.#changed(1500);
  }

  #changed(in_ms: number): void {
    this.changes += 1;
    clearTimeout(this.#later);
    this.#later = setTimeout(() => void attempt(() => this.refresh()), in_ms);
  }
}

export const live = new Live();
