"""What is drawn of a map: places, groups with names and colors, files. Page and picture are made from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soundalike.types import F32, F64

Ints = npt.NDArray[np.int64]
MOST_FOLDERS = 40
OTHER = "other folders"
IN_NONE = "in no cluster"  # a group that is none: drawn in grey, without a name


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A map, ready to be drawn."""

    x: F32 = field(repr=False)  # (n,)
    y: F32 = field(repr=False)  # (n,), upwards
    paths: tuple[Path, ...] = field(repr=False)  # n of them
    durations_s: F64 = field(repr=False)  # (n,)
    cluster: Ints = field(repr=False)  # (n,): number in ``clusters``
    clusters: tuple[str, ...]
    folder: Ints = field(repr=False)  # (n,): number in ``folders``
    folders: tuple[str, ...]


def scene(
    x: F32, y: F32, paths: Sequence[Path], durations_s: Sequence[float], cluster: Ints, clusters: Sequence[str]
) -> Scene:
    """Bring a map and its files together; folders are told apart as far down as 40 colors go."""
    folder, folders = group_by_folder(paths)
    return Scene(x, y, tuple(paths), np.array(durations_s, np.float64), cluster, tuple(clusters), folder, folders)


def group_by_folder(paths: Sequence[Path], most: int = MOST_FOLDERS) -> tuple[Ints, tuple[str, ...]]:
    """Number ``(n,)`` of each file's group, and the groups' names, the biggest first.

    Groups are the folders below what all files have in common, as deep as there are at most so many; if even the
    first level has more, the smallest go together.
    """
    if not paths:
        return np.zeros(0, np.int64), ()
    parents = [path.parent.parts for path in paths]
    columns = enumerate(zip(*parents, strict=False))
    common = next((i for i, column in columns if len(set(column)) > 1), min(map(len, parents)))
    deepest = max(map(len, parents))
    keys = [parts[common : common + 1] for parts in parents]
    for depth in range(2, deepest - common + 1):
        deeper = [parts[common : common + depth] for parts in parents]
        if len(set(deeper)) > most:
            break
        keys = deeper
    names = ["/".join(key) or (parents[0][common - 1] if common else ".") for key in keys]
    kept = [name for name, _ in Counter(names).most_common()]
    kept = kept if len(kept) <= most else [*kept[: most - 1], OTHER]
    number = {name: i for i, name in enumerate(kept)}
    return np.array([number.get(name, len(kept) - 1) for name in names], np.int64), tuple(kept)
