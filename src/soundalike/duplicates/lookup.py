"""Which sounds share landmarks at one offset: a piece of one may lie in the other, however small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soundalike.duplicates.prints import Print, Store

Rows = npt.NDArray[np.int64]

LEAST_SHARED = 5  # landmarks at one offset
MANY = 200  # rare landmarks: a piece of such a sound shares some, however it was filtered, coded or buried in noise
_RARE = 24  # a landmark in more places than this tells nothing
_OFFSET = 3  # pairs of frames in a bin of offsets


@dataclass(frozen=True, slots=True)
class Shared:
    """What landmarks say of some sounds."""

    pairs: Rows  # (n, 2): sounds that share some at one offset, the smaller row first
    n_rare: Rows  # (n_sounds,): landmarks of each that few others have, of one reading


def sharing(store: Store, prints: Sequence[Print]) -> Shared:
    """Find pairs of sounds that share rare landmarks at one offset."""
    owners = np.repeat(np.arange(len(prints)), [one.n_marks for one in prints])
    at = [np.arange(one.marks_at, one.marks_at + one.n_marks) for one in prints]
    marks = store.marks[np.concatenate([*at, np.zeros(0, np.int64)]).astype(np.int64)]
    order = np.argsort(marks[:, 0], kind="stable")
    hashes, times, owners = marks[order, 0], marks[order, 1].astype(np.int64), owners[order]
    starts = np.flatnonzero(np.diff(hashes, prepend=hashes[:1] + 1))
    sizes = np.diff(np.append(starts, len(hashes)))
    is_rare = np.repeat(sizes <= _RARE, sizes)
    hashes, times, owners = hashes[is_rare], times[is_rare], owners[is_rare]
    keys = [np.zeros(0, np.uint64)]
    for step in range(1, _RARE):
        same = np.flatnonzero((hashes[:-step] == hashes[step:]) & (owners[:-step] != owners[step:]))
        keys.append(_keys(owners[same], owners[same + step], times[same + step] - times[same], len(prints)))
    found, votes = np.unique(np.concatenate(keys), return_counts=True)
    pairs = found[votes >= LEAST_SHARED] >> np.uint64(20)
    rows = np.unique(np.stack([pairs // len(prints), pairs % len(prints)], axis=1).astype(np.int64), axis=0)
    readings = np.array([one.n_readings for one in prints], np.int64)
    return Shared(rows, np.bincount(owners, minlength=len(prints)) // np.maximum(readings, 1))


def _keys(one: Rows, other: Rows, ahead: Rows, n: int) -> npt.NDArray[np.uint64]:
    """One number for a pair of sounds and the offset of the later row in the earlier."""
    first, second = np.minimum(one, other), np.maximum(one, other)
    offset = np.where(one < other, ahead, -ahead) // _OFFSET + (1 << 19)
    return ((first * n + second).astype(np.uint64) << np.uint64(20)) | offset.astype(np.uint64)
