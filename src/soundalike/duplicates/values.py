"""What finding duplicates takes and gives: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Kind = Literal[
    "identical", "same samples", "re-encoded", "gain", "resampled", "channels", "trimmed", "padded", "contained",
    "pitch", "tempo", "speed", "filtered", "noise", "reverb", "edited",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What can have been done to a recording.

identical     the same bytes
same samples  other bytes, the same sound to the bit: another container or lossless codec, other tags
re-encoded    through a lossy codec
gain          louder or softer
resampled     another sample rate
channels      mono and stereo
trimmed       most of it
padded        silence before or after it
contained     less than half of a longer file
pitch         higher or lower at the same tempo
tempo         faster or slower at the same pitch
speed         faster or slower, and higher or lower with it
filtered      some frequencies louder or softer than others
noise         steady noise added
reverb        room added
edited        a small change of another sort
"""

_LOSSLESS = ("pcm", "flac", "alac", "ape", "wavpack", "tta", "tak", "shorten", "mlp", "truehd")


@dataclass(frozen=True, slots=True)
class Recording:
    """A sound file, and what its headers say."""

    path: Path
    duration_s: float
    sample_rate: int  # Hz
    channels: int
    codec: str
    bits_per_sample: int | None
    size: int  # bytes
    sha256: str

    @property
    def is_lossless(self) -> bool:
        """Whether its codec keeps every sample."""
        return self.codec.startswith(_LOSSLESS)

    @property
    def bit_rate(self) -> float:
        """Bits per second of the whole file."""
        return 8 * self.size / max(self.duration_s, 1e-3)


@dataclass(frozen=True, slots=True)
class Relation:
    """What the second of two files is to the first."""

    kinds: tuple[Kind, ...]  # what tells the most first
    sure: float  # [0, 1]
    start_s: float  # where the second begins on the clock of the first
    parameters: Mapping[str, float]  # gain_db, semitones, speed, low_pass_hz, high_pass_hz, noise_db, tail_db


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows that are one recording; the first is the one to keep."""

    first: int
    second: int
    relation: Relation


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are one recording."""

    rows: tuple[int, ...]  # the one to keep first
    why: str  # that one is kept
    pairs: tuple[Pair, ...]
