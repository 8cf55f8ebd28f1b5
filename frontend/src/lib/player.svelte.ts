// One player for the whole page: whatever is heard is heard here.

export interface Playable {
  source: string; // address under /api, without /audio
  name: string;
  folder: string;
  duration_seconds: number;
  id?: number;
}

export const playable = (sound: { id: number; name: string; folder: string; duration_seconds: number }): Playable => ({
  source: `/sounds/${sound.id}`,
  name: sound.name,
  folder: sound.folder,
  duration_seconds: sound.duration_seconds,
  id: sound.id,
});

const HOVER_MS = 140;

class Player {
  now = $state.raw<Playable | null>(null);
  playing = $state(false);
  time = $state(0);
  duration = $state(0);
  error = $state("");
  loop = $state(localStorage.getItem("loop") === "1");
  hover = $state(localStorage.getItem("hover") !== "0");
  volume = $state(Number(localStorage.getItem("volume") ?? 1));

  #audio = new Audio();
  #touched = false; // browsers play nothing before the first gesture
  #later: ReturnType<typeof setTimeout> | undefined;
  #stopAt = Infinity;

  constructor() {
    const audio = this.#audio;
    audio.preload = "none";
    audio.loop = this.loop;
    audio.volume = this.volume;
    audio.onplay = audio.onpause = audio.onended = () => {
      this.playing = !audio.paused && !audio.ended;
      if (this.playing) this.#follow();
    };
    audio.ondurationchange = () => (this.duration = Number.isFinite(audio.duration) ? audio.duration : (this.now?.duration_seconds ?? 0));
    audio.onseeked = () => (this.time = audio.currentTime);
    audio.onerror = () => (this.error = "This sound cannot be played. Is its file still there?");
    for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => (this.#touched = true), { once: true, capture: true });
  }

  is(source: string): boolean {
    return this.now?.source === source;
  }

  get part(): number {
    return this.duration ? Math.min(1, this.time / this.duration) : 0;
  }

  async play(sound: Playable, from = 0, to = Infinity): Promise<void> {
    clearTimeout(this.#later);
    const audio = this.#audio;
    if (!this.is(sound.source)) {
      this.now = sound;
      this.duration = sound.duration_seconds;
      audio.src = `/api${sound.source}/audio`;
    }
    this.error = "";
    this.#stopAt = to;
    audio.currentTime = this.time = from;
    await audio.play().catch((error: DOMException) => {
      if (error.name === "NotSupportedError") this.error = "This browser cannot play this sound.";
    });
  }

  toggle(sound: Playable | null = this.now, from = 0): void {
    clearTimeout(this.#later);
    if (!sound) return;
    if (!this.is(sound.source)) void this.play(sound, from);
    else if (this.playing) this.#audio.pause();
    else void this.#audio.play().catch(() => undefined);
  }

  /** Change the sound and stay at the same place: for hearing two sounds against each other. */
  swap(sound: Playable, time: number): void {
    void this.play(sound, Math.max(0, time));
  }

  over(sound: Playable, from = 0): void {
    clearTimeout(this.#later);
    if (this.hover && this.#touched && !this.is(sound.source)) this.#later = setTimeout(() => void this.play(sound, from), HOVER_MS);
  }

  away(): void {
    clearTimeout(this.#later);
  }

  pause(): void {
    this.#audio.pause();
  }

  seek(part: number): void {
    if (this.duration) this.#audio.currentTime = this.time = Math.min(Math.max(part, 0), 1) * this.duration;
    this.#stopAt = Infinity;
  }

  skip(seconds: number): void {
    if (this.duration) this.seek((this.#audio.currentTime + seconds) / this.duration);
  }

  setLoop(loop: boolean): void {
    this.loop = this.#audio.loop = loop;
    localStorage.setItem("loop", loop ? "1" : "0");
  }

  setHover(hover: boolean): void {
    this.hover = hover;
    localStorage.setItem("hover", hover ? "1" : "0");
  }

  setVolume(volume: number): void {
    this.volume = this.#audio.volume = volume;
    localStorage.setItem("volume", String(volume));
  }

  #follow(): void {
    const step = () => {
      this.time = this.#audio.currentTime;
      if (this.time >= this.#stopAt) this.#audio.pause();
      if (this.playing) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
}

export const player = new Player();
