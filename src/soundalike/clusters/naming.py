"""Names for clusters: what fits this one, and fits it better than the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from soundalike.clusters.grouping import Clustering
from soundalike.types import F32, F64

CONTRAST = 0.5  # weight of "better than the others" beside "fits"
_NEXT_BEST = 0.9  # share of the best word's worth
_CHOICES = 8


@dataclass(frozen=True, slots=True)
class Name:
    """What a cluster is called."""

    name: str
    words: tuple[str, ...]  # that fit it best


@cache
def vocabulary() -> tuple[str, ...]:
    """Read the everyday names of sounds that clusters are named from."""
    lines = Path(__file__).with_name("names.txt").read_text("utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def name_clusters(
    found: Clustering, embed_text: Callable[[Sequence[str]], F32], words: Sequence[str] = (), n: int = 3
) -> list[Name]:
    """Name each cluster; no two names are equal.

    A word's fit is the cosine of its vector with the cluster's center. What counts is the fit, and half of what it is
    above the mean fit of this word over all clusters. The best word goes to the cluster it is worth most to; another
    cluster that wants it takes its next word if that is worth nine tenths as much, and else the same word, numbered.

    Parameters
    ----------
    found : clusters of vectors of the model
    embed_text : the model's text tower: lines to vectors
    words : to choose from; `vocabulary` by default
    n : how many words for each
    """
    words = words or vocabulary()
    if not found.clusters:
        return []
    centers = np.stack([cluster.center for cluster in found.clusters]).astype(np.float64)
    worth = _worth(centers @ embed_text(list(words)).T.astype(np.float64))
    ranked = np.argsort(-worth, axis=1, kind="stable")[:, : max(n, _CHOICES)]
    names: dict[int, str] = {}
    used: Counter[int] = Counter()
    for i in np.argsort(-worth.max(axis=1), kind="stable").tolist():
        close = [j for j in ranked[i].tolist() if worth[i, j] >= _NEXT_BEST * worth[i, ranked[i, 0]]]
        word = next((j for j in close if not used[j]), int(ranked[i, 0]))
        used[word] += 1
        names[i] = words[word] if used[word] == 1 else f"{words[word]} {used[word]}"
    return [Name(names[i], tuple(words[j] for j in ranked[i, :n])) for i in range(len(worth))]


def _worth(fits: F64) -> F64:
    others: F64 = fits.mean(axis=0) if len(fits) > 1 else np.zeros(fits.shape[1])
    worth: F64 = fits + CONTRAST * (fits - others)
    return worth
