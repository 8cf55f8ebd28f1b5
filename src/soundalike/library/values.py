"""What a library takes and gives: frozen values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, overload

from soundalike.models.cards import ModelCard
from soundalike.types import F32, Embedding, Failure, LevelRule

Metric = Literal["cosine", "euclidean", "dot"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "dot")


class Embedder(Protocol):
    """What a library needs of a model; `soundalike.Model` has it."""

    card: ModelCard

    @property
    def pipeline(self) -> str:
        """Short hash of everything that decides a vector."""

    def embed_file(self, path: str | Path) -> Embedding:
        """Embed one sound."""

    def embed_files(
        self, paths: Iterable[str | Path], workers: int | None = None, *, aspects: bool = False
    ) -> Iterator[Embedding | Failure]:
        """Embed many sounds, as they are ready; if asked, measure their aspects on the way."""

    def embed_text(self, lines: Sequence[str]) -> F32:
        """Vectors of descriptions."""


@dataclass(frozen=True, slots=True)
class Space:
    """One model with its pipeline: the vectors in it can be compared."""

    id: int
    model: str
    level: LevelRule
    pipeline: str
    dim: int

    def __str__(self) -> str:
        return f"{self.pipeline} (model {self.model})"


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound in a library, and what is known of it."""

    id: int  # never used twice; a file whose content changes becomes another sound
    path_bytes: bytes  # as the file system has it, absolute
    duration_s: float
    sample_rate: int  # Hz, of the file
    channels: int
    container: str  # FFmpeg's short name: "wav", "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str
    bits_per_sample: int | None
    bit_rate: int | None
    size: int  # bytes
    sha256: str
    n_segments: int
    added_at: float  # seconds since 1970
    tags: Mapping[str, str]

    @property
    def path(self) -> Path:
        """Where the sound is."""
        return Path(os.fsdecode(self.path_bytes))


@dataclass(frozen=True, slots=True)
class Match:
    """One result of a search."""

    sound: Sound
    score: float  # in the metric that was asked for: cosine and dot higher, euclidean lower is closer; or weighed
    probability: float | None = None  # that it is what was asked for; None: the card cannot tell, or nothing is
    start_s: float | None = None  # the stretch that matches best, when segments were searched
    end_s: float | None = None
    aspects: Mapping[str, float] | None = None  # how alike in each, [0, 1], when they are weighed

    @property
    def path(self) -> Path:
        """Where the sound is."""
        return self.sound.path

    @property
    def duration_s(self) -> float:
        """Length of the sound."""
        return self.sound.duration_s


@dataclass(frozen=True, slots=True)
class Answer(Sequence[Match]):
    """The matches, best first, and how they were found."""

    matches: tuple[Match, ...]
    metric: Metric
    exact: bool  # every sound that passes the filters was compared
    n_passed: int  # sounds that pass the filters
    nothing_alike: bool | None = None  # True: even the best does not match; None: the card cannot tell

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Match, ...]: ...
    def __getitem__(self, index: int | slice) -> Match | tuple[Match, ...]:
        return self.matches[index]

    def __len__(self) -> int:
        return len(self.matches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which sounds may be found; all that is given must hold.

    Examples
    --------
    >>> Filters(max_s=1.0, formats=("wav",), tags={"genre": "foley*"}).max_s
    1.0
    """

    min_s: float | None = None  # shortest duration
    max_s: float | None = None  # longest duration
    folders: tuple[Path, ...] = ()  # in one of these, at any depth
    formats: tuple[str, ...] = ()  # one of these containers or codecs: "wav", "mp3", "pcm_s24le"
    channels: tuple[int, ...] = ()  # one of these
    tags: Mapping[str, str] = field(default_factory=dict)  # each has this value, in any letter case; * for anything
    added_since: datetime | None = None
    ids: frozenset[int] | None = None  # one of these sounds

    def __bool__(self) -> bool:
        return self != Filters()


@dataclass(frozen=True, slots=True)
class Facets:
    """What `Filters` can be set to, and how many sounds each has."""

    folders: tuple[tuple[Path, int], ...]  # every folder that has sounds, at any depth below those that were added
    formats: tuple[tuple[str, int], ...]  # containers, most sounds first
    tags: Mapping[str, tuple[tuple[str, int], ...]]  # values of the usual tags, most sounds first
    shortest_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a question: a sound, words or a vector, and its weight (negative: unlike)."""

    source: Path | str | int | F32  # a sound file; words; the id of a sound of the library; or a vector
    weight: float = 1.0
    aspects: F32 | None = None  # beside a vector: the row of `soundalike.aspects` of its sound


@dataclass(frozen=True, slots=True)
class Query:
    """A question: the weighted sum of its parts."""

    parts: tuple[Part, ...]

    @classmethod
    def of(
        cls,
        like: Iterable[Path | str] = (),
        text: Iterable[str] = (),
        unlike: Iterable[Path | str] = (),
        weights: Sequence[float] | None = None,
    ) -> Query:
        """Build a question from sounds and words.

        Parameters
        ----------
        like, unlike : sound files
        text : descriptions
        weights : one positive number for each part, in the order like, text, unlike; 1 by default
        """
        sources: list[tuple[Path | str, float]] = [(Path(path), 1.0) for path in like]
        sources += [(words, 1.0) for words in text]
        sources += [(Path(path), -1.0) for path in unlike]
        weights = [1.0] * len(sources) if weights is None else weights
        if len(weights) != len(sources):
            raise ValueError(f"the question has {len(sources)} parts and needs as many weights, not {len(weights)}")
        if any(weight <= 0 for weight in weights):
            raise ValueError("weights are positive; what is to be unlike goes into unlike")
        pairs = zip(sources, weights, strict=True)
        return cls(tuple(Part(source, sign * weight) for (source, sign), weight in pairs))


@dataclass(slots=True)
class Progress:
    """Where adding is; handed to ``on_progress`` after each sound, once it is on disk."""

    n_total: int = 0
    n_unchanged: int = 0
    n_failed_before: int = 0  # unchanged since, so not tried again
    n_added: int = 0  # embedded in this run
    n_moved: int = 0  # known by content: moved, renamed, copied or touched
    n_failed: int = 0
    n_removed: int = 0  # gone from disk (sync)
    sound_s: float = 0.0  # seconds of sound embedded in this run
    unreachable: list[Path] = field(default_factory=list)  # folders that are not there: their sounds are kept
    n_measured: int = 0  # aspects of sounds that an earlier version has added (sync)
    last: Embedding | Failure | None = None

    @property
    def n_seen(self) -> int:
        """Sounds that are dealt with."""
        known = self.n_unchanged + self.n_failed_before
        return known + self.n_added + self.n_moved + self.n_failed + self.n_measured


@dataclass(frozen=True, slots=True)
class Status:
    """What is in a library."""

    path: Path
    model: str
    pipeline: str
    dim: int
    n_sounds: int
    n_segments: int
    sound_s: float  # seconds of sound
    n_failed: int
    folders: tuple[Path, ...]  # that ``sync`` walks
    n_indexed: int  # sounds in the approximate index; 0: every search is exact
    n_bytes: int  # on disk, caches included
    rebuilding: str | None  # the model that an unfinished rebuild moves to
    n_rebuilt: int = 0  # sounds that it has done
