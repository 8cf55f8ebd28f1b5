"""From a vector to the nearest sounds: exact, or through the index and ranked again.

Scores that decide are computed row by row in double precision, so a sound has the same score whichever way it
was found, and sounds that tie come in the order of their ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from soundalike.library.matrix import Ids
from soundalike.library.rows import View
from soundalike.types import F32, F64

EXACT_ROWS = 50_000  # up to here a scan takes less than 10 ms
NARROW_ROWS = 20_000  # filters that leave no more than this are scanned
EFFORT = 128  # of the index: finds 99 of 100 of the truly nearest of 5,000 real sounds, and of 1,000,000 made up
_SLACK = 1e-5  # more than float32 sums can be wrong by
_MOST = 4096  # rows asked of the index, at most
_SPARE = 10  # rows asked of the index beyond those wanted: it ranks them less exactly


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Sounds, best first, with the row that scored."""

    ids: Ids
    rows: Ids
    scores: F64  # cosine
    exact: bool


def rank(
    view: View,
    vector: F32,
    n: int,
    *,
    allowed: Ids | None = None,
    exact: bool | None = None,
    effort: int | None = None,
) -> Ranked:
    """Find the ``n`` sounds nearest to a vector, each by its best row.

    Parameters
    ----------
    vector : (dim,), unit norm
    allowed : ids of the sounds that may be found, ascending; None for all
    exact : True, False, or None to choose by size
    effort : of the index; None for the usual
    """
    approximate = exact is False or (exact is None and len(view.ids) > EXACT_ROWS)
    narrow = allowed is not None and len(allowed) <= NARROW_ROWS and exact is None
    if view.index is not None and approximate and not narrow:
        found = _by_index(view, vector, n, allowed, effort)
        if found is not None:
            return found
    return _by_scan(view, vector, n, allowed)


def _by_scan(view: View, vector: F32, n: int, allowed: Ids | None) -> Ranked:
    rows = None if allowed is None else view.rows_of(allowed)
    if rows is not None and len(rows) > len(view.ids) // 4:  # reading all in order is faster
        scores, mask = view.scores(vector), np.zeros(len(view.ids), np.bool_)
        mask[rows] = True
        scores[~mask] = -np.inf
        rows = None
    else:
        scores = view.scores(vector, rows)
    ids = view.ids if rows is None else view.ids[rows]
    best = above(scores, ids, n)
    return _ranked(view, vector, best if rows is None else rows[best], n, exact=True)


def above(scores: F32, ids: Ids, n: int) -> Ids:
    """Positions that can be among the best ``n`` sounds, however the last digits of their scores fall."""
    sound_scores = scores
    if len(ids) > 1 and (ids[1:] == ids[:-1]).any():  # segments: the best of each sound
        starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        sound_scores = np.maximum.reduceat(scores, starts)
    if len(sound_scores) > n:
        least = np.partition(sound_scores, len(sound_scores) - n)[len(sound_scores) - n]
    else:
        least = np.float32(-np.inf)
    return np.flatnonzero((scores >= least - _SLACK) & np.isfinite(scores))


def _by_index(view: View, vector: F32, n: int, allowed: Ids | None, effort: int | None) -> Ranked | None:
    """Through the index; None if that cannot bring enough."""
    assert view.index is not None
    share = 1.0 if allowed is None else max(len(allowed) / max(len(view.ids), 1), 1e-6)
    per_sound = len(view.ids) / max(view.n_sounds, 1)
    n_asked = max(int((n + _SPARE) * per_sound / share), EFFORT if effort is None else effort)
    if n_asked > _MOST:
        return None
    found = view.index.search(vector, n_asked)
    newer = np.arange(view.state.n_indexed, len(view.ids))
    if len(newer):  # rows that the index has not seen
        scores = view.scores(vector, newer)
        found = np.concatenate([found, newer[above(scores, view.ids[newer], n)]])
    if view.alive is not None:
        found = found[view.alive[found]]
    if allowed is not None:
        found = found[np.isin(view.ids[found], allowed)]
    ranked = _ranked(view, vector, found, n, exact=False)
    enough = min(n, view.n_sounds if allowed is None else len(allowed))
    return ranked if len(ranked.ids) >= enough else None


def _ranked(view: View, vector: F32, rows: Ids, n: int, *, exact: bool) -> Ranked:
    """Score rows in double precision; keep each sound's best row, and the best ``n`` sounds."""
    scores = np.einsum("ij,j->i", view.take(rows).astype(np.float64), vector.astype(np.float64))
    ids = view.ids[rows]
    order = np.lexsort((rows, -scores, ids))
    first = np.concatenate([[True], ids[order][1:] != ids[order][:-1]]) if len(order) else np.zeros(0, np.bool_)
    best = order[first]
    best = best[np.lexsort((ids[best], -scores[best]))][:n]
    return Ranked(ids[best], rows[best], scores[best], exact)
