"""Pairs to groups, and which file of a group to keep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from soundalike.duplicates.values import Group, Pair, Recording

_CRITERIA = ("the longest", "lossless", "the highest sample rate", "the most bits", "the highest bit rate")


def worth(one: Recording) -> tuple[float, ...]:
    """Give what speaks for keeping a file, the most telling first; the order of `_CRITERIA`."""
    return (
        round(one.duration_s, 1),
        float(one.is_lossless),
        float(one.sample_rate),
        float(one.bits_per_sample or 0),
        0.0 if one.is_lossless else round(one.bit_rate / 8000),
    )


def rank(one: Recording) -> tuple[object, ...]:
    """Give a key to sort by, what to keep first; between equals the shorter path."""
    return tuple(-value for value in worth(one)), len(str(one.path)), str(one.path)


def groups_of(pairs: Iterable[Pair], recordings: Sequence[Recording]) -> list[Group]:
    """Join pairs that share a file.

    A piece and the longer file that it lies in are a group of their own: what lies in one mix is not one recording.
    """
    pairs = list(pairs)
    alone = [pair for pair in pairs if "contained" in pair.relation.kinds]
    joined = [pair for pair in pairs if "contained" not in pair.relation.kinds]
    parents: dict[int, int] = {}

    def root(row: int) -> int:
        while parents.setdefault(row, row) != row:
            parents[row] = row = parents[parents[row]]
        return row

    for pair in joined:
        parents[root(pair.second)] = root(pair.first)
    members: defaultdict[int, list[Pair]] = defaultdict(list)
    for pair in joined:
        members[root(pair.first)].append(pair)
    found = [_group(some, recordings) for some in members.values()] + [_group([pair], recordings) for pair in alone]
    return sorted(found, key=lambda group: str(recordings[group.rows[0]].path))


def _group(pairs: list[Pair], recordings: Sequence[Recording]) -> Group:
    rows = sorted({row for pair in pairs for row in (pair.first, pair.second)}, key=lambda row: rank(recordings[row]))
    return Group(tuple(rows), why_kept([recordings[row] for row in rows]), tuple(pairs))


def why_kept(ranked: Sequence[Recording]) -> str:
    """Say why the first is kept: what it has that another lacks."""
    best, others = worth(ranked[0]), [worth(one) for one in ranked[1:]]
    reasons = [name for i, name in enumerate(_CRITERIA) if any(best[i] > other[i] for other in others)]
    return ", ".join(reasons) or "all are as good; it has the shortest path"
