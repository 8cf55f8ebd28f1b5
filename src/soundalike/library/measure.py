"""How good and how fast a library's index is, on its own sounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from soundalike.library.library import Library
from soundalike.library.values import Answer
from soundalike.types import F32

EFFORTS = (16, 32, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One line of the table."""

    effort: int | None  # None: exact
    recall: float  # share of the truly nearest that were found
    p50_ms: float
    p95_ms: float

    def __str__(self) -> str:
        how = "exact     " if self.effort is None else f"effort {self.effort:3}"
        return f"{how}  recall {self.recall:.4f}  p50 {self.p50_ms:7.2f} ms  p95 {self.p95_ms:7.2f} ms"

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"effort": self.effort, "recall": self.recall, "p50_ms": self.p50_ms, "p95_ms": self.p95_ms}


def measure_index(library: Library, *, n_queries: int = 200, n: int = 20, build: bool = False) -> list[IndexRow]:
    """Compare the index with the exact answer.

    Questions are mixes of two sounds of the library, drawn by a fixed seed, so that none is its own nearest.

    Parameters
    ----------
    build : make the index first, whatever the size of the library

    Returns
    -------
    The exact search, then one row for each effort; only the first if there is no index
    """
    if build:
        library.build_index()
    queries = _queries(library, n_queries)
    if not len(queries):
        return []
    library.search(queries[0], n=n, exact=True)  # opens what is opened once
    truth, exact = _ask(queries, partial(library.search, n=n, exact=True))
    rows = [IndexRow(None, 1.0, *exact)]
    if library.status().n_indexed:
        for effort in EFFORTS:
            found, times = _ask(queries, partial(library.search, n=n, exact=False, effort=effort))
            recall = float(np.mean([_recall(a, b) for a, b in zip(found, truth, strict=True)]))
            rows.append(IndexRow(effort, recall, *times))
    return rows


def _queries(library: Library, n_queries: int) -> F32:
    """Mixes of two sounds each ``(n_queries, dim)``."""
    ids = library.ids()
    if not len(ids):
        return np.empty((0, 0), np.float32)
    pairs = ids[np.random.default_rng(0).integers(len(ids), size=(n_queries, 2))]
    known, vectors = library.vectors(np.unique(pairs))
    first, second = (vectors[np.searchsorted(known, pairs[:, column])] for column in (0, 1))
    return np.asarray(first + np.float32(0.5) * second, np.float32)


def _recall(found: Answer, truth: Answer) -> float:
    """Share of the places that went to a sound as near as the truly nearest; sounds that tie are as good."""
    least = truth[-1].score - 1e-9
    return sum(match.score >= least for match in found) / len(truth)


def _ask(queries: F32, search: Callable[[F32], Answer]) -> tuple[list[Answer], tuple[float, float]]:
    found, times = [], []
    for query in queries:
        start = time.perf_counter()
        found.append(search(query))
        times.append((time.perf_counter() - start) * 1e3)
    return found, (float(np.percentile(times, 50)), float(np.percentile(times, 95)))
