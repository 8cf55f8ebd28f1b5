"""How good a classifier is: cross-validation, and a learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from soundalike.classify.classifier import train
from soundalike.types import F32

N_FOLDS = 5
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What cross-validation found: each example was labelled by a classifier that had not seen it."""

    labels: tuple[str, ...]
    confusion: Ints = field(repr=False)  # (n_labels, n_labels): rows the true label, columns what was said
    n_folds: int
    mistakes: tuple[int, ...] = field(repr=False)  # rows that were labelled wrongly

    @property
    def accuracy(self) -> float:
        """Share that was labelled rightly."""
        return float(self.confusion.trace() / max(self.confusion.sum(), 1))

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the labels of the share of each that was found."""
        counts = self.confusion.sum(axis=1)
        return float(np.mean(self.confusion.diagonal()[counts > 0] / counts[counts > 0]))


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Accuracy with so many examples of each label."""

    n_shots: int
    accuracy: float  # mean over the draws
    spread: float  # standard deviation over the draws


def cross_validate(vectors: F32, labels: Sequence[str], *, seed: int = 0) -> Report | None:
    """Test on examples that were held out, `N_FOLDS` times or as often as the rarest label allows.

    Copies and variants of one recording on both sides make this look better than it is: label one of each.

    Parameters
    ----------
    vectors : (n, dim), unit norm
    labels : n of them; a label with a single example is trained on but cannot be tested
    seed : of the dealing into folds

    Returns
    -------
    None if fewer than two labels have two examples
    """
    names, numbers = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    counts = np.bincount(numbers)
    if (counts >= 2).sum() < 2:
        return None
    n_folds = int(min(N_FOLDS, counts[counts >= 2].min()))
    folds = deal(numbers, n_folds, seed)
    said = np.full(len(numbers), -1)
    for fold in range(n_folds):
        test = (folds == fold) & (counts[numbers] >= 2)
        kept = [str(names[i]) for i in numbers[~test]]
        answers = train(vectors[~test], kept, pipeline="").answer(vectors[test], "")
        said[test] = np.searchsorted(names, answers.names)
    tested = said >= 0
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (numbers[tested], said[tested]), 1)
    wrong = np.flatnonzero(tested & (said != numbers))
    return Report(tuple(names.tolist()), confusion, n_folds, tuple(wrong.tolist()))


def deal(numbers: npt.NDArray[np.intp], n_folds: int, seed: int) -> Ints:
    """Deal the examples into folds, each label evenly: fold ``(n,)`` of each."""
    rng, folds = np.random.default_rng(seed), np.zeros(len(numbers), np.int64)
    for number in np.unique(numbers):
        rows = rng.permutation(np.flatnonzero(numbers == number))
        folds[rows] = (np.arange(len(rows)) + rng.integers(n_folds)) % n_folds
    return folds


def learning_curve(vectors: F32, labels: Sequence[str], *, n_draws: int = 5, seed: int = 0) -> list[CurvePoint]:
    """Accuracy on a held-out fifth with 1, 2, 4, … examples of each label, while all labels have so many.

    Where a label has fewer than five examples, one of them is held out.

    Parameters and errors as for `cross_validate`.
    """
    names, numbers = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    fewest = int(np.bincount(numbers).min()) if len(names) > 1 else 0
    n_folds = max(min(N_FOLDS, fewest), 1)
    most = fewest * (n_folds - 1) // n_folds
    points = []
    for n_shots in [2**i for i in range(12) if 2**i <= most]:
        found = []
        for draw in range(n_draws):
            test = deal(numbers, n_folds, seed + draw) == 0
            rows = shots(numbers, ~test, n_shots, seed + draw)
            trained = train(vectors[rows], [str(names[i]) for i in numbers[rows]], pipeline="")
            said = np.array(trained.answer(vectors[test], "").names)
            found.append(float((said == names[numbers[test]]).mean()))
        points.append(CurvePoint(n_shots, float(np.mean(found)), float(np.std(found))))
    return points


def shots(numbers: npt.NDArray[np.intp], allowed: npt.NDArray[np.bool_], n_shots: int, seed: int) -> Ints:
    """Draw so many rows of each label from those that are allowed."""
    rng = np.random.default_rng(seed)
    picked = [rng.permutation(np.flatnonzero((numbers == i) & allowed))[:n_shots] for i in np.unique(numbers)]
    return np.sort(np.concatenate(picked))
