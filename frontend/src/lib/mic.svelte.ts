// A sound from the microphone, to search with.

const LONGEST_MS = 15_000;

class Mic {
  recording = $state(false);
  #recorder: MediaRecorder | null = null;

  get can(): boolean {
    return typeof MediaRecorder !== "undefined" && Boolean(navigator.mediaDevices);
  }

  /** Record until `stop`, or for 15 seconds; what was recorded. */
  async record(): Promise<Blob> {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    const recorder = (this.#recorder = new MediaRecorder(stream));
    const pieces: Blob[] = [];
    recorder.ondataavailable = (event) => pieces.push(event.data);
    const ended = new Promise<void>((end) => (recorder.onstop = () => end()));
    recorder.start();
    this.recording = true;
    const limit = setTimeout(() => this.stop(), LONGEST_MS);
    await ended;
    clearTimeout(limit);
    this.recording = false;
    for (const track of stream.getTracks()) track.stop();
    return new Blob(pieces, { type: recorder.mimeType });
  }

  stop(): void {
    if (this.#recorder?.state === "recording") this.#recorder.stop();
  }
}

export const mic = new Mic();
