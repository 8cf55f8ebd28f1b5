"""The values that pass between rooms: frozen dataclasses, arrays inside.

Conventions: audio is mono float32 in [-1, 1] unless a shape says otherwise; times are seconds (`_s`), levels
decibels (`_db`), frequencies hertz (`_hz`); a *vector* is unit float32 ``(dim,)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from soundalike.errors import SoundError, SoundErrorCode

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

LevelRule = Literal["none", "peak", "rms", "loudness", "raised"]


@dataclass(frozen=True, slots=True)
class SoundInfo:
    """What is inside a sound file."""

    path: Path
    container: str  # FFmpeg's short name: "wav", "mp3", "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str  # "pcm_s16le", "mp3", "aac"
    sample_rate: int  # Hz, of the file
    channels: int
    duration_s: float  # declared by the file; `Embedding.duration_s` is measured
    bits_per_sample: int | None = None  # of PCM and lossless codecs
    bit_rate: int | None = None  # bit/s, where the file says


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a sound, as the encoder sees it."""

    start_s: float  # in the file, silence that was skipped included
    end_s: float
    samples: F32  # (n_samples,) at the model's sample rate


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A sound's vector, its segments' vectors, and where they came from."""

    path: Path
    vector: F32 = field(repr=False)  # (dim,), unit norm
    segments: F32 = field(repr=False)  # (n, dim), unit norm each
    times_s: F64 = field(repr=False)  # (n, 2): start and end of each segment in the file
    duration_s: float  # measured by decoding, to the sample
    sample_rate: int  # Hz, of the file
    channels: int
    sha256: str  # of the file's bytes; of the samples' bytes for audio that has no file
    model: str
    pipeline: str
    warnings: tuple[str, ...] = field(default=())  # damage that was survived
    aspects: F32 | None = field(default=None, repr=False)  # a row of `soundalike.aspects`, if asked for


@dataclass(frozen=True, slots=True)
class Failure:
    """A sound that has no embedding, and why."""

    path: Path
    code: SoundErrorCode
    reason: str

    @classmethod
    def of(cls, path: Path, error: Exception) -> Self:
        """Name what went wrong; an error that nobody foresaw is damage to this sound, and its neighbors go on."""
        if isinstance(error, SoundError):
            return cls(path, error.code, error.reason)
        return cls(path, "damaged", f"{type(error).__name__}: {error}")
