"""What every store does, in one convention.

Scores: cosine and dot product are similarities, higher is closer; euclidean is the distance, lower is closer.
A collection holds the vectors of one pipeline, either of whole sounds or of segments, never both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from soundalike.types import F32

Metric = Literal["cosine", "euclidean", "dot"]
Fields = dict[str, Any]
TEXTS = ("filename", "path", "model", "pipeline", "kind", "sha256", "digest")  # fields of text, in each row
NUMBERS = ("duration_seconds", "start_s", "end_s")  # the last two with segments only
WHOLE = ("sample_rate", "channels")


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One vector with what is known of its sound."""

    id: str  # a UUID that follows from the sound's content
    vector: F32  # (dim,)
    fields: Fields  # TEXTS, NUMBERS, WHOLE where known; "tags" is a list of "name=value"


@dataclass(frozen=True, slots=True, eq=False)
class Hit:
    """One answer."""

    id: str
    score: float  # by the collection's metric
    fields: Fields


@dataclass(frozen=True, slots=True)
class Shape:
    """What a collection takes."""

    dim: int
    metric: Metric


@dataclass(frozen=True, slots=True)
class Where:
    """Which rows may be found; all of it must hold."""

    min_s: float | None = None  # shortest duration, seconds
    max_s: float | None = None
    tags: tuple[str, ...] = ()  # each "name=value"
    texts: Mapping[str, str] | None = None  # a field of TEXTS: its value

    def __bool__(self) -> bool:
        return self != Where()


class Store(ABC):
    """One collection of one database. Every method may raise what its client raises: see `retry.explained`."""

    name: str  # for people
    metrics: ClassVar[tuple[Metric, ...]] = ("cosine", "euclidean", "dot")
    passing: tuple[type[Exception], ...] = ()  # errors of the client that may pass
    batch_rows: ClassVar[int] = 500

    @abstractmethod
    def shape(self) -> Shape | None:
        """Dimension and metric of the collection; None if it is not there."""

    @abstractmethod
    def create(self, shape: Shape) -> None:
        """Make the collection, with an HNSW index and indexed fields where the store has them."""

    @abstractmethod
    def upsert(self, rows: Sequence[Row]) -> None:
        """Write rows; those whose id is there are replaced."""

    @abstractmethod
    def query(self, vector: F32, n: int, where: Where) -> list[Hit]:
        """Find the ``n`` nearest rows that pass, best first."""

    @abstractmethod
    def digests(self, ids: Sequence[str]) -> dict[str, str]:
        """Look up the field "digest" of those of these rows that are there."""

    @abstractmethod
    def read(self) -> Generator[Row, None, None]:
        """Every row, with its vector."""

    @abstractmethod
    def delete(self, ids: Sequence[str]) -> None:
        """Delete rows; an id that is not there is no error."""

    @abstractmethod
    def count(self, where: Where) -> int:
        """How many rows pass."""

    def finish(self) -> None:  # noqa: B027  a store that has nothing to do at the end leaves it
        """Bring indexes in step after many rows were written."""

    def close(self) -> None:  # noqa: B027
        """Let go of the connection."""
