"""The nearest neighbors of many points at once: exact for small sets, a graph (HNSW) for large ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from soundalike.types import F32

Rows = npt.NDArray[np.int64]
MOST_EXACT = 400_000_000  # distances: 20,000 points among each other
_BLOCK = 1024
_CONNECTIVITY, _EFFORT = 16, 96


def neighbors(points: F32, queries: F32, k: int) -> Rows:
    """Find the rows of ``points`` that are nearest to each query, by Euclidean distance.

    Parameters
    ----------
    points : (n, dim)
    queries : (m, dim)
    k : how many, at most n

    Returns
    -------
    Rows ``(m, k)``, the nearest first; the same for the same numbers. Of large sets, nearly all of them are right.
    """
    k = min(k, len(points))
    if not k or not len(queries):
        return np.zeros((len(queries), k), np.int64)
    if len(points) * len(queries) <= MOST_EXACT:
        return _exact(points, queries, k)
    return _by_graph(points, queries, k)


def _exact(points: F32, queries: F32, k: int) -> Rows:
    found = np.empty((len(queries), k), np.int64)
    half = (points * points).sum(axis=1) / 2
    for start in range(0, len(queries), _BLOCK):
        away = half - queries[start : start + _BLOCK] @ points.T
        near = np.argpartition(away, k - 1, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(away, near, axis=1), axis=1, kind="stable")
        found[start : start + _BLOCK] = np.take_along_axis(near, order, axis=1)
    return found


def _by_graph(points: F32, queries: F32, k: int) -> Rows:
    from usearch.index import Index

    graph = Index(
        ndim=points.shape[1], metric="l2sq", dtype="f32", connectivity=_CONNECTIVITY,
        expansion_add=_EFFORT, expansion_search=max(_EFFORT, k), enable_key_lookups=False,
    )  # fmt: skip
    graph.add(np.arange(len(points), dtype=np.uint64), points, threads=1)  # with more, the graph depends on chance
    return np.asarray(graph.search(queries, k, threads=0).keys).astype(np.int64)
