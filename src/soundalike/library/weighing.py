"""Search by aspects: every sound is scored in each aspect that weighs, and the weighed mean decides.

*Meaning*, the cosine of the vectors, is one aspect among the others; it weighs 1 unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soundalike.aspects import ASPECTS, checked_weights, similarities
from soundalike.library.matrix import Ids
from soundalike.library.ranking import Ranked, above
from soundalike.library.rows import View
from soundalike.types import F32, F64

MEANING = "meaning"
NAMES = (*ASPECTS, MEANING)
_AT_ONCE = 1 << 16  # rows scored at once

Likes = Sequence[tuple[F32, float]]  # aspects of the sounds that are asked for, and how much each counts


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """Sounds, best first, and how alike each is in every aspect."""

    ranked: Ranked  # its scores are cosines
    scores: F64  # (n,), the weighed means
    alike: list[dict[str, float]]  # by `NAMES`


def parts_of_one(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights with that of the meaning, as parts of 1.

    Raises
    ------
    ValueError
        if a weight is negative or of no known aspect, or all are 0
    """
    return checked_weights({MEANING: 1.0, **weights}, NAMES)


def rank_weighed(
    view: View, aspects: View, vector: F32, likes: Likes, weights: Mapping[str, float], n: int, allowed: Ids | None
) -> Weighed:
    """Find the ``n`` sounds with the highest weighed mean, among all.

    Parameters
    ----------
    view, aspects : the sounds' vectors and their aspects
    vector : (dim,), unit norm
    weights : from `parts_of_one`
    allowed : ids of the sounds that may be found, ascending; None for all
    """
    rows, beside = _common(view, aspects, allowed)
    total = np.zeros(len(rows), np.float32)
    if MEANING in weights:
        every_row = len(rows) == len(view.ids)
        cosines = view.scores(vector, None if every_row else rows)
        total += np.float32(weights[MEANING]) * np.clip(cosines, 0.0, 1.0)
    names = [name for name in ASPECTS if name in weights]
    for start in range(0, len(rows) if names else 0, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        total[part] += _alike(aspects.take(beside[part]), likes, names) @ _column(weights, names)
    best = above(total, view.ids[rows], n)
    return _scored(view, aspects, vector, likes, weights, rows[best], beside[best], n)


def alike_in(row: F32, likes: Likes) -> dict[str, float]:
    """How alike one sound is in every aspect but the meaning."""
    return dict(zip(ASPECTS, _alike(row[None], likes, ASPECTS)[0].tolist(), strict=True))


def _common(view: View, aspects: View, allowed: Ids | None) -> tuple[Ids, Ids]:
    """Rows of the sounds that both have, and that are alive and allowed."""
    if allowed is None and np.array_equal(view.ids, aspects.ids):
        rows = beside = np.arange(len(view.ids))
    else:
        ids = view.ids if allowed is None else allowed
        ids = np.intersect1d(ids, np.intersect1d(view.ids, aspects.ids, assume_unique=True), assume_unique=True)
        rows, beside = np.searchsorted(view.ids, ids), np.searchsorted(aspects.ids, ids)
    if view.alive is not None:
        kept = view.alive[rows]
        rows, beside = rows[kept], beside[kept]
    return rows, beside


def _scored(
    view: View, aspects: View, vector: F32, likes: Likes, weights: Mapping[str, float],
    rows: Ids, beside: Ids, n: int,
) -> Weighed:  # fmt: skip
    """Score some rows in double precision and in every aspect; the best ``n``, those that tie by their ids."""
    cosines = np.einsum("ij,j->i", view.take(rows).astype(np.float64), vector.astype(np.float64))
    every = _alike(aspects.take(beside), likes, ASPECTS).astype(np.float64)
    table = np.concatenate([every, np.clip(cosines, 0.0, 1.0)[:, None]], axis=1)
    scores = (table * _column(weights, NAMES)).sum(axis=1)
    ids = view.ids[rows]
    order = np.lexsort((ids, -scores))[:n]
    alike = [dict(zip(NAMES, row, strict=True)) for row in table[order].tolist()]
    return Weighed(Ranked(ids[order], rows[order], cosines[order], exact=True), scores[order], alike)


def _alike(rows: F32, likes: Likes, names: Sequence[str]) -> F32:
    """Mean similarity with the sounds that are asked for, (n, n_names); 0 where nothing was measured."""
    out = np.zeros((len(rows), len(names)), np.float32)
    whole = sum(weight for _, weight in likes)
    for row, weight in likes:
        out += np.float32(weight / whole) * np.nan_to_num(similarities(row, rows, names))
    return out


def _column(weights: Mapping[str, float], names: Sequence[str]) -> F32:
    return np.array([weights.get(name, 0.0) for name in names], np.float32)
