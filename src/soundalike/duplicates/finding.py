"""Find the files that are one recording: vectors and landmarks propose, signals confirm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from soundalike.duplicates.apart import Answer, Question, answering
from soundalike.duplicates.groups import rank
from soundalike.duplicates.lookup import MANY, sharing
from soundalike.duplicates.prints import Print, Store
from soundalike.duplicates.relation import Side
from soundalike.duplicates.values import Pair, Recording, Relation
from soundalike.errors import SoundError
from soundalike.parallel import in_order, n_cores
from soundalike.types import F32, Failure

Rows = npt.NDArray[np.int64]
Step = Literal["read", "compare"]
STEPS: dict[Step, str] = {"read": "reading", "compare": "comparing"}  # as people read them
OnProgress = Callable[[Step, int, int], None]  # what is done, how much of it, of how many

N_NEAREST = 12  # by vector, that are compared
N_WARPED = 10  # of them, that are compared at other pitch and speed too
LEAST_SURE = 0.8  # of the pairs that are reported by default: 0.99 of them were right in development
_LEAST_COSINE = 0.3
_BATCH = 64  # pairs
_MANY = 2_000  # pairs: some ten seconds of work, for which processes are begun


@dataclass(frozen=True, slots=True)
class Proposal:
    """Two rows, and what is worth the time."""

    first: int
    second: int
    may_fit: bool  # as they are
    may_be_warped: bool  # at other pitch and speed


def no_progress(step: Step, n_done: int, n_total: int) -> None:
    """Say nothing."""


def find(
    recordings: Sequence[Recording],
    vectors: F32,
    *,
    allowed: Callable[[int, int], bool] = lambda first, second: True,
    least_sure: float = LEAST_SURE,
    workers: int | None = None,
    on_progress: OnProgress = no_progress,
) -> tuple[list[Pair], list[Failure]]:
    """Compare files that may be one recording.

    Parameters
    ----------
    recordings : the files
    vectors : (n, dim), unit norm, one for each
    allowed : whether a pair of rows is of interest
    least_sure : pairs that are less sure are left out
    workers : files and pairs at once; one per core by default

    Returns
    -------
    pairs, those of the same bytes first; and files that could not be read
    """
    same, kept = _same_bytes(recordings)
    pairs = [pair for pair in same if allowed(pair.first, pair.second)]
    workers = workers or n_cores()
    with Store() as store, ThreadPoolExecutor(workers) as pool:
        prints, failures = _read(store, recordings, kept, pool, 8 * workers, on_progress)
        proposed = [one for one in _proposed(store, prints, vectors) if allowed(one.first, one.second)]
        n_processes = workers if workers > 1 and len(proposed) >= _MANY else 0
        batches = [proposed[at : at + _BATCH] for at in range(0, len(proposed), _BATCH)]
        with answering(store, n_processes) as ask:
            compare = partial(_compare, ask, recordings, prints)
            for n_done, found in enumerate(in_order(pool, compare, batches, 4 * workers), 1):
                on_progress("compare", min(n_done * _BATCH, len(proposed)), len(proposed))
                pairs += [pair for pair in found if pair.relation.sure >= least_sure]
    return pairs, failures


def _same_bytes(recordings: Sequence[Recording]) -> tuple[list[Pair], list[int]]:
    """Pairs of files with the same bytes, and one row of each content."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, one in enumerate(recordings):
        rows[one.sha256].append(row)
    pairs, kept = [], []
    for some in rows.values():
        best, *others = sorted(some, key=lambda row: rank(recordings[row]))
        kept.append(best)
        pairs += [Pair(best, other, Relation(("identical",), 1.0, 0.0, {})) for other in others]
    return pairs, kept


def _read(
    store: Store, recordings: Sequence[Recording], rows: Sequence[int], pool: ThreadPoolExecutor, n_ahead: int,
    on_progress: OnProgress,
) -> tuple[dict[int, Print], list[Failure]]:  # fmt: skip
    """Prints of what can be read, by row."""

    def read(row: int) -> Print | Failure:
        try:
            return store.add(recordings[row].path)
        except SoundError as error:
            return Failure.of(error.path, error)

    prints, failures = {}, []
    results = in_order(pool, read, rows, n_ahead)
    for n_done, (row, result) in enumerate(zip(rows, results, strict=True), 1):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            prints[row] = result
        on_progress("read", n_done, len(rows))
    store.finish()
    return prints, failures


def _proposed(store: Store, prints: dict[int, Print], vectors: F32) -> list[Proposal]:
    """Pairs of rows that are worth comparing, each once; those of one place next to each other."""
    rows = np.array(sorted(row for row, one in prints.items() if one.blocks), np.int64)
    shared = sharing(store, [prints[row] for row in rows.tolist()])
    n_rare = dict(zip(rows.tolist(), shared.n_rare.tolist(), strict=True))
    found: dict[tuple[int, int], Proposal] = {}
    for place, neighbors in zip(rows.tolist(), _neighbors(vectors[rows]), strict=True):
        for rank_of, other in enumerate(rows[neighbors].tolist()):
            key = (min(place, other), max(place, other))
            known = found.get(key) or Proposal(*key, min(n_rare[place], n_rare[other]) < MANY, False)
            found[key] = replace(known, may_be_warped=known.may_be_warped or rank_of < N_WARPED)
    for first, second in rows[shared.pairs].tolist():
        known = found.get((first, second)) or Proposal(first, second, True, False)
        found[first, second] = replace(known, may_fit=True)
    return [found[key] for key in sorted(found) if found[key].may_fit or found[key].may_be_warped]


def _neighbors(vectors: F32) -> Iterator[Rows]:
    """Rows of the nearest others of each row, nearest first."""
    n = min(N_NEAREST, len(vectors) - 1)
    for start in range(0, len(vectors), 512):
        scores = vectors[start : start + 512] @ vectors.T
        scores[np.arange(len(scores)), np.arange(start, start + len(scores))] = -2
        top = np.argpartition(-scores, n - 1, axis=1)[:, :n] if n > 0 else np.zeros((len(scores), 0), np.int64)
        for row, some in zip(scores, top, strict=True):
            yield some[np.argsort(-row[some], kind="stable")][: int((row[some] >= _LEAST_COSINE).sum())]


def _compare(
    ask: Answer, recordings: Sequence[Recording], prints: dict[int, Print], proposals: Sequence[Proposal]
) -> list[Pair]:
    """What is found of some proposals, of each the one to keep first."""
    rows, questions = [], []
    for one in proposals:
        first, second = sorted((one.first, one.second), key=lambda row: rank(recordings[row]))
        sides = Side(recordings[first], prints[first]), Side(recordings[second], prints[second])
        rows.append((first, second))
        questions.append(Question(*sides, one.may_fit, one.may_be_warped))
    return [Pair(*two, found) for two, found in zip(rows, ask(questions), strict=True) if found is not None]
