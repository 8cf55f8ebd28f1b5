"""Which sounds belong together: k-means, DBSCAN, HDBSCAN, each with a stated rule for its one setting.

k-means       if k is not given, 2, 3, 4, 6, 8, 11, 16, … are tried, up to the root of the number of sounds, 64 at
              most; of those whose silhouette is within 95 % of the best, the smallest is taken
DBSCAN        clusters begin at 5 sounds; eps runs over the distances to the 5th neighbor (their 5 %, 10 %, … 95 %
              quantiles); the one taken puts most sounds into clusters other than the biggest
HDBSCAN       clusters begin at a quarter of the square root of the number of sounds, at least 5

Principal components stand for the vectors, 50 for k-means, 20 where densities count. Above 20,000 sounds the density
methods, and every choice by silhouette, look at a seeded draw of 20,000 (silhouette: 2,000); the other sounds go
where their nearest neighbor in the draw is. The same vectors give the same clusters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from soundalike.types import F32, F64

Method = Literal["kmeans", "dbscan", "hdbscan"]
METHODS: tuple[Method, ...] = ("kmeans", "dbscan", "hdbscan")
Ints = npt.NDArray[np.int64]
MOST_DENSE, MOST_SILHOUETTE = 20_000, 2_000
_FEWEST = 5  # sounds that make a dense place
_ENOUGH = 0.95  # of the best silhouette
_BLOCK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Sounds that belong together."""

    rows: Ints  # (n,): the nearest to the center first: the first few are its exemplars
    center: F32 = field(repr=False)  # (dim,), unit norm: the mean of its vectors
    silhouette: float  # mean over its sounds: 1 far from all other clusters, 0 between two; NaN with one cluster


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """All clusters, the biggest first."""

    labels: Ints  # (n_sounds,): number of the cluster, -1 for none
    clusters: tuple[Cluster, ...]
    outliers: Ints  # rows: in no cluster; with k-means: those unusually far from their center
    method: Method
    rule: str  # the setting that was used, and where it comes from
    silhouette: float


def cluster(vectors: F32, method: Method = "kmeans", *, k: int | None = None, seed: int = 0) -> Clustering:
    """Group sounds.

    Parameters
    ----------
    vectors : (n_sounds, dim), unit norm
    method : "kmeans" puts every sound into a cluster; "dbscan" and "hdbscan" find dense places and leave the rest out
    k : number of clusters, for k-means only
    seed : of the start of k-means, and of draws

    Raises
    ------
    ValueError
        if there is no such method, or k does not fit
    """
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; methods: {', '.join(METHODS)}")
    if k is not None and (method != "kmeans" or not 1 <= k <= max(len(vectors), 1)):
        raise ValueError(f"k is for kmeans, and from 1 to the number of sounds ({len(vectors)})")
    if len(vectors) < 3:
        return _made(vectors, np.zeros(len(vectors), np.int64), method, "fewer than three sounds: one cluster", seed)
    if method == "kmeans":
        points = _components(vectors, 50, seed)
        k, rule = (k, f"k {k} as asked") if k else _choose_k(points, seed)
        return _made(vectors, _kmeans(points, k, seed), method, rule, seed)
    points = _components(vectors, 20, seed)
    labels, rule = _by_density(points, _dbscan if method == "dbscan" else _hdbscan, seed)
    return _made(vectors, labels, method, rule, seed)


def _components(vectors: F32, n: int, seed: int) -> F32:
    from sklearn.decomposition import PCA

    some = vectors[_draw(len(vectors), MOST_DENSE, seed)]
    solver = PCA(min(n, *some.shape), svd_solver="covariance_eigh" if len(some) > some.shape[1] else "full")
    return np.asarray(solver.fit(some).transform(vectors), np.float32)


def _draw(n: int, most: int, seed: int) -> Ints:
    return np.sort(np.random.default_rng(seed).permutation(n)[:most])


def _kmeans(points: F32, k: int, seed: int) -> Ints:
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    if len(points) > MOST_DENSE:
        solver = MiniBatchKMeans(k, random_state=seed, n_init=3, batch_size=_BLOCK)
    else:
        solver = KMeans(k, random_state=seed, n_init=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # copies of a sound: fewer clusters than asked for
        return np.asarray(solver.fit_predict(points), np.int64)


def _choose_k(points: F32, seed: int) -> tuple[int, str]:
    some = points[_draw(len(points), MOST_SILHOUETTE, seed)]
    most = min(round(np.sqrt(len(some))), 64)
    grid = sorted({round(2 ** (i / 2)) for i in range(2, 13)} & set(range(2, max(most, 2) + 1)))
    found = {k: _silhouettes(some, _kmeans(some, k, seed)).mean() for k in grid}
    enough = _ENOUGH * max(found.values())
    k = next(k for k in grid if found[k] >= enough)
    return k, f"k {k}: the smallest of {grid[0]} to {grid[-1]} within 95 % of the best silhouette"


def _silhouettes(points: F32, labels: Ints) -> F64:
    """Silhouette of each point; NaN if there are not two clusters."""
    from sklearn.metrics import silhouette_samples

    if not 2 <= len(np.unique(labels)) < len(labels):
        return np.full(len(labels), np.nan)
    return np.asarray(silhouette_samples(points, labels), np.float64)


def _by_density(points: F32, find: Callable[[F32], tuple[Ints, str]], seed: int) -> tuple[Ints, str]:
    from sklearn.neighbors import NearestNeighbors

    drawn = _draw(len(points), MOST_DENSE, seed)
    found, rule = find(points[drawn])
    if len(drawn) == len(points):
        return found, rule
    nearest = NearestNeighbors(n_neighbors=1).fit(points[drawn])
    labels = np.full(len(points), -1, np.int64)
    for start in range(0, len(points), _BLOCK):
        block = slice(start, start + _BLOCK)
        labels[block] = found[nearest.kneighbors(points[block], return_distance=False)[:, 0]]
    return labels, f"{rule}; found on {MOST_DENSE:,} sounds that were drawn"


def _hdbscan(points: F32) -> tuple[Ints, str]:
    from sklearn.cluster import HDBSCAN

    fewest = max(_FEWEST, round(np.sqrt(len(points)) / 4))
    if len(points) <= fewest:
        return np.full(len(points), -1, np.int64), f"clusters of {fewest} sounds or more"
    solver = HDBSCAN(min_cluster_size=fewest, min_samples=1, copy=True)
    return np.asarray(solver.fit_predict(points), np.int64), f"clusters of {fewest} sounds or more"


def _dbscan(points: F32) -> tuple[Ints, str]:
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import NearestNeighbors

    best, most, rule = np.full(len(points), -1, np.int64), 0, "no eps joins five sounds"
    if len(points) < _FEWEST:
        return best, rule
    index = NearestNeighbors(n_neighbors=_FEWEST).fit(points)
    away = index.kneighbors(points)[0][:, -1]
    for eps in np.quantile(away, np.arange(0.05, 1, 0.05)).tolist():
        labels = np.asarray(DBSCAN(eps=max(eps, 1e-6), min_samples=_FEWEST).fit_predict(points), np.int64)
        sizes = np.sort(np.bincount(labels[labels >= 0]))
        gain = int(sizes[:-1].sum()) if len(sizes) > 1 else 0
        if gain > most or not (best >= 0).any():
            best, most = labels, gain
            rule = f"eps {eps:.3f}: puts most sounds into clusters other than the biggest"
    return best, rule


def _made(vectors: F32, labels: Ints, method: Method, rule: str, seed: int) -> Clustering:
    """Number the clusters by size, and describe each."""
    counts = np.bincount(labels[labels >= 0]) if (labels >= 0).any() else np.zeros(0, np.int64)
    order = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i]]
    number = np.full(len(counts) + 1, -1, np.int64)  # the last is for -1
    number[order] = np.arange(len(order))
    labels = number[labels]
    drawn = _draw(len(vectors), MOST_SILHOUETTE, seed)
    drawn = drawn[labels[drawn] >= 0]
    silhouettes = _silhouettes(_components(vectors, 50, seed)[drawn], labels[drawn]) if len(drawn) > 2 else np.zeros(0)
    clusters, far = [], [np.flatnonzero(labels < 0)]
    for i in range(len(order)):
        rows = np.flatnonzero(labels == i)
        center = vectors[rows].mean(axis=0, dtype=np.float64)
        center = (center / max(float(np.linalg.norm(center)), 1e-12)).astype(np.float32)
        closeness = vectors[rows] @ center
        if method == "kmeans":
            far.append(rows[closeness < _fence(closeness)])
        own = silhouettes[labels[drawn] == i] if len(silhouettes) else np.zeros(0)
        closest = rows[np.argsort(-closeness, kind="stable")]
        clusters.append(Cluster(closest, center, float(own.mean()) if len(own) else float("nan")))
    whole = float(silhouettes.mean()) if len(silhouettes) else float("nan")
    return Clustering(labels, tuple(clusters), np.sort(np.concatenate(far)), method, rule, whole)


def _fence(closeness: npt.NDArray[Any]) -> float:
    """Tukey's fence: below the first quartile by more than one and a half times the distance of the quartiles."""
    low, high = np.quantile(closeness, [0.25, 0.75]).tolist()
    return float(low - 1.5 * (high - low) - 1e-6)
