"""Which sounds to label next: those that the classifier is least sure of, and that are unlike each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soundalike.classify.classifier import train
from soundalike.types import F32, F64

N_CANDIDATES = 10  # times as many as asked for: the least sure, of which diverse ones are picked


@dataclass(frozen=True, slots=True, eq=False)
class Suggestions:
    """Rows that are worth a label, the most useful first."""

    rows: npt.NDArray[np.intp]  # (n,)
    doubt: F64  # (n,): 0 sure, 1 as unsure as can be
    guesses: list[str | None]  # what the classifier would say; None while it knows fewer than two labels


def suggest(vectors: F32, labels: Sequence[str | None], n: int = 20) -> Suggestions:
    """Pick the sounds whose labels would teach the most.

    Doubt is one minus the margin between the two most probable labels. Of the most doubtful, each next one is
    that with the highest doubt times distance (one minus cosine) from those picked before it. Until two
    labels are known, sounds are picked that are far from all labelled ones and from each other.

    Parameters
    ----------
    vectors : (n_sounds, dim), unit norm
    labels : a label or None for each
    n : how many; fewer come back if fewer have no label
    """
    known = np.array([label is not None for label in labels], bool)
    if len(known) != len(vectors):
        raise ValueError(f"{len(known)} labels for {len(vectors)} vectors")
    open_rows = np.flatnonzero(~known)
    names = [label for label in labels if label is not None]
    if len(set(names)) < 2:
        picked = _spread(vectors, open_rows, np.ones(len(open_rows)), n, vectors[known])
        return Suggestions(open_rows[picked], np.ones(len(picked)), [None] * len(picked))
    answers = train(vectors[known], names, pipeline="").answer(vectors[open_rows], "")
    two = np.partition(answers.probabilities, -2, axis=1)[:, -2:] if len(open_rows) else np.zeros((0, 2))
    doubt = 1 - (two[:, 1] - two[:, 0])
    likely = np.argsort(-doubt, kind="stable")[: n * N_CANDIDATES]
    picked = likely[_spread(vectors, open_rows[likely], doubt[likely], n, vectors[:0])]
    guesses = answers.names
    return Suggestions(open_rows[picked], doubt[picked], [guesses[i] for i in picked])


def _spread(vectors: F32, rows: npt.NDArray[np.intp], worth: F64, n: int, taken: F32) -> npt.NDArray[np.intp]:
    """Pick places in ``rows`` one by one: the highest worth times distance from all that are taken."""
    away = np.ones(len(rows))
    for vector in taken:
        away = np.minimum(away, 1 - vectors[rows] @ vector)
    if not len(taken) and len(rows):
        away = np.minimum(away, 1 + vectors[rows] @ vectors[rows].mean(axis=0))  # the first: the most typical
    picked: list[int] = []
    left = np.ones(len(rows), bool)
    for _ in range(min(n, len(rows))):
        best = int(np.argmax(np.where(left, worth * np.maximum(away, 1e-9), -1.0)))
        picked.append(best)
        left[best] = False
        new = 1 - vectors[rows] @ vectors[rows[best]]
        away = new if len(picked) == 1 and not len(taken) else np.minimum(away, new)
    return np.array(picked, np.intp)
