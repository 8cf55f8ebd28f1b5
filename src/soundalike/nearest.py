"""Exact nearest neighbours by cosine: the yardstick for every index, and enough for small collections."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from soundalike.types import F32


def nearest(query: F32, vectors: F32, n: int) -> tuple[npt.NDArray[np.intp], F32]:
    """Find the ``n`` rows most alike to a query.

    Parameters
    ----------
    query : (dim,), unit norm
    vectors : (n_rows, dim), unit norm each
    n : how many; fewer come back if there are fewer rows

    Returns
    -------
    Row numbers and their scores (cosine similarity), best first; ties in row order
    """
    scores = vectors @ query
    n = min(n, scores.size)
    top = np.argpartition(-scores, n - 1)[:n] if 0 < n < scores.size else np.arange(n)
    if 0 < n < scores.size:  # a tie at the border must not depend on how the partition fell
        top = np.flatnonzero(scores >= scores[top].min())
    order = np.lexsort((top, -scores[top]))[:n]
    return top[order], scores[top[order]]
