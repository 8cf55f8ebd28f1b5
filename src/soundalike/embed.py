"""The whole flow on one screen: a file in, an embedding out; many files, one thread per core.

file ─ audio.read ─► blocks ─ split ─► segments ─ Encoder.encode_segment ─► vectors ─ pool ─► Embedding
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice, takewhile
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from soundalike import audio
from soundalike.encoder import Encoder, unit
from soundalike.errors import SoundError
from soundalike.models.cards import ModelCard, card_of
from soundalike.parallel import n_cores
from soundalike.segments import split
from soundalike.types import F32, Embedding, Failure, LevelRule, Segment

if TYPE_CHECKING:
    from soundalike.aspects import Listener


class Model:
    """A loaded model: sounds and words in, vectors out.

    Parameters
    ----------
    card : the model's facts
    device : where the networks run

    Examples
    --------
    >>> import soundalike
    >>> model = soundalike.load_model()
    >>> rain = model.embed_text(["rain on a tin roof"])
    >>> rain.shape
    (1, 512)
    """

    def __init__(self, card: ModelCard, device: str = "auto") -> None:
        self.encoder = Encoder(card, device)
        self.card = self.encoder.card

    @property
    def pipeline(self) -> str:
        """Short hash of everything that decides a vector."""
        return self.card.pipeline

    def embed_file(self, path: str | Path, *, aspects: bool = False) -> Embedding:
        """Decode, split and encode one sound file.

        Parameters
        ----------
        aspects : also measure `Embedding.aspects`

        Raises
        ------
        SoundError
            if the file cannot be read, is no sound, or is silent
        """
        return self._embed_file(Path(path), Event(), aspects)

    def _embed_file(self, path: Path, stop: Event, aspects: bool) -> Embedding:
        """Embed one file; what comes back after ``stop`` was set is of no use."""
        with audio.read(path, self.card.sample_rate) as sound:
            listener = _listener(sound.sample_rate) if aspects else None
            blocks = _heard(takewhile(lambda _: not stop.is_set(), sound), listener)
            pooled = self._encode(path, split(blocks, self.card.segments, self.card.sample_rate))
            info, duration_s, warnings = sound.info, sound.duration_s, sound.warnings
        whole = self._embedding(
            path, pooled, duration_s, info.sample_rate, info.channels, sha256_of(path), tuple(warnings)
        )
        return replace(whole, aspects=_aspects(path, listener, duration_s)) if aspects else whole

    def embed_files(
        self, paths: Iterable[str | Path], workers: int | None = None, *, aspects: bool = False
    ) -> Iterator[Embedding | Failure]:
        """Embed many files, each on its own thread; results come as they are ready.

        Parameters
        ----------
        paths : taken as they are needed, so an endless iterator is fine
        workers : threads; one per core by default
        aspects : also measure `Embedding.aspects`

        Yields
        ------
        `Embedding`, or `Failure` for a sound that has none; ``.path`` says which sound it is. Left early, it
        breaks off the sounds that are under way.
        """
        workers = workers or n_cores()
        waiting, stop = iter(paths), Event()
        running: set[Future[Embedding | Failure]] = set()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="embed")
        try:
            while True:
                free = 2 * workers - len(running)
                running |= {pool.submit(self._try, Path(path), stop, aspects) for path in islice(waiting, free)}
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def embed_audio(self, samples: F32, sample_rate: int) -> Embedding:
        """Embed sound that is already in memory.

        Parameters
        ----------
        samples : (n,) or (n, channels), in [-1, 1]
        sample_rate : Hz
        """
        samples = np.ascontiguousarray(samples, np.float32)
        if samples.ndim not in (1, 2) or samples.size == 0 or not np.isfinite(samples).all():
            found = f"got shape {samples.shape}"
            raise ValueError(f"samples must be finite, (n,) or (n, channels), and not empty; {found}")
        if sample_rate < 1:
            raise ValueError(f"a sample rate is a positive number of Hz, not {sample_rate}")
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        starts = range(0, len(samples), max(sample_rate // 2, 1))  # the grid of `audio.read`
        frames = samples.reshape(-1, channels)
        mono = np.concatenate([audio.downmix(frames[start : start + starts.step]) for start in starts])
        block = audio.resample(mono, sample_rate, self.card.sample_rate)
        name = Path("<memory>")
        pooled = self._encode(name, split([block], self.card.segments, self.card.sample_rate))
        sha256 = hashlib.sha256(samples.tobytes()).hexdigest()
        return self._embedding(name, pooled, len(samples) / sample_rate, sample_rate, channels, sha256, ())

    def embed_text(self, lines: Sequence[str]) -> F32:
        """Vectors ``(n, dim)`` of descriptions, in the space of the sounds."""
        return self.encoder.encode_text(lines)

    def _try(self, path: Path, stop: Event, aspects: bool) -> Embedding | Failure:
        """One bad file costs one file, whatever is wrong with it."""
        try:
            return self._embed_file(path, stop, aspects)
        except Exception as error:
            return Failure.of(path, error)

    def _encode(self, path: Path, segments: Iterator[Segment]) -> tuple[F32, F32, np.ndarray]:
        """Segment vectors and times, and the sound's one vector."""
        vectors: list[F32] = []
        times: list[tuple[float, float]] = []
        for segment in segments:
            vectors.append(self.encoder.encode_segment(segment.samples))
            times.append((segment.start_s, segment.end_s))
        if not vectors:
            raise SoundError(path, "silent", "only silence: there is nothing to compare")
        stack = np.stack(vectors)
        return pool_vectors(stack), stack, np.array(times, np.float64)

    def _embedding(
        self,
        path: Path,
        pooled: tuple[F32, F32, np.ndarray],
        duration_s: float,
        sample_rate: int,
        channels: int,
        sha256: str,
        warnings: tuple[str, ...],
    ) -> Embedding:
        vector, vectors, times_s = pooled
        return Embedding(
            path, vector, vectors, times_s, duration_s, sample_rate, channels, sha256,
            self.card.name, self.pipeline, warnings,
        )  # fmt: skip


def _listener(sample_rate: int) -> Listener | None:
    """Something that measures the aspects of a sound from blocks at this rate, if it is high enough."""
    from soundalike.aspects import SAMPLE_RATE, Listener

    return Listener(sample_rate) if sample_rate >= SAMPLE_RATE else None


def _aspects(path: Path, listener: Listener | None, duration_s: float) -> F32:
    """What the listener heard; without one, the file is decoded once more, at a higher rate."""
    from soundalike.aspects import measure_file

    return (listener.result(duration_s) if listener else measure_file(path)).to_array()


def _heard(blocks: Iterable[F32], listener: Listener | None) -> Iterator[F32]:
    """Blocks as they are, once the listener has heard them."""
    for block in blocks:
        if listener is not None:
            listener.hear(block)
        yield block


def load_model(name: str = "pocket", device: str = "auto", level: LevelRule | None = None) -> Model:
    """Load a model by name.

    Parameters
    ----------
    name : "pocket", the model inside the package, or another from ``soundalike models list``
    device : "auto" or "cpu", "cuda", "coreml", "directml", "openvino", "openvino-bf16"
    level : level rule in place of the model's own; changes the pipeline

    Raises
    ------
    ModelError
        if there is no such model, or its files are missing or damaged
    """
    card = card_of(name)
    return Model(card.with_level(level) if level else card, device)


def pool_vectors(vectors: F32) -> F32:
    """One vector for a sound: the mean of its unit segment vectors (n, dim), scaled to length 1; of one, that one."""
    return vectors[0] if len(vectors) == 1 else unit(vectors.mean(axis=0, dtype=np.float64))


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise SoundError(path, "missing", "the file vanished while it was read") from error
    except OSError as error:
        raise SoundError(path, "unreadable", str(error.strerror or error)) from error
