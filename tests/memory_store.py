"""The contract of a store in its plainest form: a dict, and exact answers."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from soundalike.push import Hit, Row, Shape, Store, Where
from soundalike.types import F32


@dataclass
class Kept:
    """What outlives a connection."""

    shape: Shape | None = None
    rows: dict[str, Row] = field(default_factory=dict)


class MemoryStore(Store):
    passing = (InterruptedError,)
    batch_rows = 40

    def __init__(self, kept: Kept) -> None:
        self.name, self._kept = "memory", kept

    def shape(self) -> Shape | None:
        return self._kept.shape

    def create(self, shape: Shape) -> None:
        self._kept.shape = shape

    def upsert(self, rows: Sequence[Row]) -> None:
        self._kept.rows |= {row.id: row for row in rows}

    def query(self, vector: F32, n: int, where: Where) -> list[Hit]:
        assert self._kept.shape is not None
        metric = self._kept.shape.metric
        hits = [Hit(row.id, exact_score(row.vector, vector, metric), row.fields) for row in self._passing(where)]
        return sorted(hits, key=lambda hit: hit.score, reverse=metric != "euclidean")[:n]

    def _passing(self, where: Where) -> list[Row]:
        return [row for row in self._kept.rows.values() if passes(row, where)]

    def digests(self, ids: Sequence[str]) -> dict[str, str]:
        return {key: self._kept.rows[key].fields["digest"] for key in ids if key in self._kept.rows}

    def read(self) -> Generator[Row, None, None]:
        yield from list(self._kept.rows.values())

    def delete(self, ids: Sequence[str]) -> None:
        for key in ids:
            self._kept.rows.pop(key, None)

    def count(self, where: Where) -> int:
        return len(self._passing(where))


def exact_score(a: F32, b: F32, metric: str) -> float:
    x, y = a.astype(np.float64), b.astype(np.float64)
    if metric == "euclidean":
        return float(np.linalg.norm(x - y))
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y) if metric == "cosine" else 1.0))


def passes(row: Row, where: Where) -> bool:
    duration = row.fields["duration_seconds"]
    return (
        (where.min_s is None or duration >= where.min_s)
        and (where.max_s is None or duration <= where.max_s)
        and all(tag in row.fields["tags"] for tag in where.tags)
        and all(row.fields.get(name) == value for name, value in (where.texts or {}).items())
    )
