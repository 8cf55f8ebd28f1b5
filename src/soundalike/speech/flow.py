"""The whole flow of speech on one screen: a file in, a transcript out; many files, many windows, a thread per core."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, takewhile
from pathlib import Path
from threading import Event, Lock

from soundalike import audio
from soundalike.embed import Model, load_model
from soundalike.errors import ModelError, SoundError
from soundalike.level import is_silent
from soundalike.models.speech import CtcSpec
from soundalike.parallel import in_order, n_cores
from soundalike.speech.ctc import Frame, Word, frames_of, spell
from soundalike.speech.windows import Window, windows
from soundalike.types import Failure

RECOGNIZER = "wav2vec2-base-960h"


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a sound."""

    path: Path
    words: tuple[Word, ...]
    duration_s: float  # measured by decoding, to the sample
    model: str
    warnings: tuple[str, ...] = ()  # damage that was survived

    @property
    def text(self) -> str:
        """All words, spaces between them."""
        return " ".join(word.text for word in self.words)


def transcribe(path: str | Path, model: str | Model = RECOGNIZER) -> Transcript:
    """Write down what is said in a sound file of any length.

    Parameters
    ----------
    path : a file in any format
    model : a speech recognizer, by name, or loaded by `soundalike.load_model`

    Returns
    -------
    Transcript; without words if nothing is said, or nothing sounds

    Raises
    ------
    SoundError
        if the file cannot be read or is no sound
    ModelError
        if the model is no speech recognizer, or is not there
    """
    (result,) = transcribe_files([path], model)
    if isinstance(result, Failure):
        raise SoundError(result.path, result.code, result.reason)
    return result


def transcribe_files(
    paths: Iterable[str | Path], model: str | Model = RECOGNIZER, workers: int | None = None, *,
    on_progress: Callable[[float], None] | None = None,
) -> Iterator[Transcript | Failure]:  # fmt: skip
    """Write down what is said in many files; windows of one or of several files are heard side by side.

    Parameters
    ----------
    paths : taken as they are needed
    workers : windows at once; one per core by default
    on_progress : told how many seconds of sound have been heard so far; called from several threads, one at a time

    Yields
    ------
    `Transcript` or `Failure`, in the order of ``paths``
    """
    model = load_model(model) if isinstance(model, str) else model
    if model.card.ctc is None:
        raise ModelError(f"{model.card.name} recognizes no speech. One that does: {RECOGNIZER}")
    workers = workers or n_cores()
    hearing = ThreadPoolExecutor(workers, thread_name_prefix="hear")
    reading = ThreadPoolExecutor(workers, thread_name_prefix="read")
    scribe = _Scribe(model, model.card.ctc, hearing, workers + 1, on_progress)
    try:
        yield from in_order(reading, scribe.try_file, map(Path, paths), 2 * workers)
    finally:
        scribe.stop.set()
        hearing.shutdown(wait=True, cancel_futures=True)
        reading.shutdown(wait=True, cancel_futures=True)


class _Scribe:
    """What the threads of one run share."""

    def __init__(
        self, model: Model, spec: CtcSpec, hearing: ThreadPoolExecutor, n_ahead: int,
        on_progress: Callable[[float], None] | None,
    ) -> None:  # fmt: skip
        self._model, self._spec, self._rate = model, spec, model.card.sample_rate
        self._hearing, self._n_ahead, self._on_progress = hearing, n_ahead, on_progress
        self._heard_s, self._lock = 0.0, Lock()
        self.stop = Event()

    def try_file(self, path: Path) -> Transcript | Failure:
        """One bad file costs one file, whatever is wrong with it."""
        try:
            return self._file(path)
        except Exception as error:
            return Failure.of(path, error)

    def _file(self, path: Path) -> Transcript:
        with audio.read(path, self._rate) as sound:
            blocks = takewhile(lambda _: not self.stop.is_set(), sound)
            cut = windows(blocks, self._spec, self._rate)
            frames = chain.from_iterable(in_order(self._hearing, self._hear, cut, self._n_ahead))
            words = tuple(spell(frames, self._spec, self._rate))
            return Transcript(path, words, sound.duration_s, self._model.card.name, sound.warnings)

    def _hear(self, window: Window) -> list[Frame]:
        """The kept frames of a window."""
        frames = self._frames(window)[window.kept]
        with self._lock:
            self._heard_s += len(frames) * self._spec.hop_length / self._rate
            if self._on_progress:
                self._on_progress(self._heard_s)
        return frames

    def _frames(self, window: Window) -> list[Frame]:
        n_frames = max((window.samples.size - self._spec.shortest) // self._spec.hop_length + 1, 0)
        if n_frames == 0 or is_silent(window.samples):  # nothing is said, and no network need say so
            return [(self._spec.characters.index(self._spec.blank), 1.0)] * n_frames
        return frames_of(self._model.encoder.logits(window.samples))
