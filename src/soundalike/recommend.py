"""What to play next: like the seeds, unlike each other, never twice; a path from one sound to another.

Pure functions on unit vectors; rows in, rows out. `soundalike.Library.recommend` has the same for a library.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import numpy as np
import numpy.typing as npt

from soundalike.errors import SoundalikeError
from soundalike.types import F32, F64

Rows = npt.NDArray[np.intp]
SAME = 0.9999  # cosine from which two sounds count as one, whatever their names
_POOL = 20  # times as many candidates as asked for
_WIDE = 40  # candidates for each place on a path


@dataclass(frozen=True, slots=True, eq=False)
class Recommendations:
    """Rows in the order to play them."""

    rows: Rows  # (n,)
    scores: F64  # (n,): relevance to the seeds; on a path, cosine with the sound before


def recommend(
    vectors: F32, seeds: F32, n: int = 20, *, diversity: float = 0.3, left_out: Rows | None = None
) -> Recommendations:
    """Pick sounds by maximal marginal relevance.

    The relevance of a sound is the mean of two cosines: with its nearest seed and with the mean of all seeds. Each
    next pick has the highest (1 - diversity) * relevance - diversity * cosine with the nearest pick so far.

    Parameters
    ----------
    vectors : (n_sounds, dim), unit norm
    seeds : (n_seeds, dim), unit norm
    n : how many; fewer come back if there are fewer
    diversity : 0 for the most relevant, up to 1 for the most varied
    left_out : rows that may not be picked, such as the seeds; copies of seeds and of picks are left out anyway

    References
    ----------
    Carbonell and Goldstein (1998), The use of MMR, diversity-based reranking for reordering documents, SIGIR.
    """
    if not 0 <= diversity <= 1:
        raise ValueError("diversity is a number from 0 to 1")
    if seeds.ndim != 2 or not len(seeds):
        raise ValueError("a recommendation needs a seed")
    relevance, is_seed = _relevance(vectors, seeds)
    allowed = ~is_seed
    if left_out is not None:
        allowed[left_out] = False
    order = np.argsort(np.where(allowed, -relevance, np.inf), kind="stable")
    pool = order[: min(max(_POOL * n, 200), int(allowed.sum()))]
    nearest = np.full(len(pool), -1.0)
    picked: list[int] = []
    for _ in range(n):
        left = nearest < SAME
        left[picked] = False
        if not left.any():
            break
        repeats = nearest if picked else 0.0
        best = int(np.argmax(np.where(left, (1 - diversity) * relevance[pool] - diversity * repeats, -np.inf)))
        picked.append(best)
        nearest = np.maximum(nearest, vectors[pool] @ vectors[pool[best]])
    return Recommendations(pool[picked], relevance[pool[picked]])


def _relevance(vectors: F32, seeds: F32) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Relevance to the seeds, and which rows are the same sound as a seed."""
    nearest = np.full(len(vectors), -1.0)
    for seed in seeds:
        nearest = np.maximum(nearest, vectors @ seed)
    mean = seeds.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    whole = vectors @ (mean / length) if length > 1e-6 else nearest
    return (nearest + whole) / 2, nearest >= SAME


def path_between(vectors: F32, start: F32, end: F32, n: int = 8, *, left_out: Rows | None = None) -> Recommendations:
    """Find sounds that lead from one sound to another in small steps.

    Places are spread evenly on the arc from start to end; a sound belongs to the place it is nearest to, the 40 nearest
    are its candidates, and of all ways through one candidate each, the one with the least sum of squared steps (one
    minus cosine) is taken. A place that no sound is nearest to is passed over.

    Parameters
    ----------
    vectors : (n_sounds, dim), unit norm
    start, end : (dim,), unit norm
    n : sounds between them
    left_out : rows that may not be on the path, such as the ends
    """
    places = _arc(start, end, n)
    closeness = vectors @ places.T
    belongs = closeness.argmax(axis=1)
    allowed = np.maximum(vectors @ start, vectors @ end) < SAME
    if left_out is not None:
        allowed[left_out] = False
    layers = []
    for place in range(n):
        rows = np.flatnonzero(allowed & (belongs == place))
        layers.append(rows[np.argsort(-closeness[rows, place], kind="stable")[:_WIDE]])
    rows = _smoothest([layer for layer in layers if len(layer)], vectors, start, end)
    if not len(rows):
        return Recommendations(rows, np.zeros(0))
    before = np.concatenate([start[None], vectors[rows[:-1]]])
    return Recommendations(rows, (vectors[rows] * before).sum(axis=1).astype(np.float64))


def _arc(start: F32, end: F32, n: int) -> F32:
    """Points (n, dim) between two on the sphere; the middle of opposite ones is not defined, any will do."""
    angle = float(np.arccos(np.clip(start @ end, -1, 1)))
    share = (np.arange(1, n + 1) / (n + 1))[:, None]
    if angle < 1e-4:
        return np.repeat(start[None], n, axis=0)
    points = (np.sin((1 - share) * angle) * start + np.sin(share * angle) * end) / max(np.sin(angle), 1e-6)
    return np.asarray(points, np.float32)


def _smoothest(layers: list[Rows], vectors: F32, start: F32, end: F32) -> Rows:
    """One row of each layer so that the squared steps have the least sum (dynamic programming)."""
    if not layers:
        return np.zeros(0, np.intp)
    cost = (1 - vectors[layers[0]] @ start) ** 2
    came_from: list[Rows] = []
    for before, layer in pairwise(layers):
        total = cost[:, None] + (1 - vectors[before] @ vectors[layer].T) ** 2
        came_from.append(total.argmin(axis=0))
        cost = total.min(axis=0)
    at = int((cost + (1 - vectors[layers[-1]] @ end) ** 2).argmin())
    rows = [layers[-1][at]]
    for layer, back in zip(layers[-2::-1], came_from[::-1], strict=True):
        at = int(back[at])
        rows.append(layer[at])
    return np.array(rows[::-1], np.intp)


@dataclass(frozen=True, slots=True)
class GroupMatch:
    """An artist, or another group of sounds, that is like the one asked for."""

    name: str
    score: float  # cosine of the means of both groups' vectors, the mean of all sounds taken off before
    rows: tuple[int, ...]  # its sounds, the most like the one asked for first


def similar_groups(vectors: F32, groups: Sequence[str | None], name: str, n: int = 10) -> list[GroupMatch]:
    """Find artists like one: groups of sounds whose mean vector is near.

    Parameters
    ----------
    vectors : (n_sounds, dim), unit norm
    groups : whose each sound is; None: nobody's
    name : the group asked for

    Raises
    ------
    ValueError
        if no sound is of that group
    """
    keys = [None if group is None else group.casefold() for group in groups]
    wanted = name.casefold()
    if wanted not in keys:
        raise ValueError(f"no sound here is by {name!r}")
    known = [row for row, key in enumerate(keys) if key is not None]
    center = vectors[known].mean(axis=0, dtype=np.float64)
    members: dict[str, list[int]] = {}
    for row in known:
        members.setdefault(str(keys[row]), []).append(row)
    mean = _unit(vectors[members.pop(wanted)].mean(axis=0) - center)
    found = []
    for rows in members.values():
        scores = vectors[rows] @ mean
        order = np.argsort(-scores, kind="stable")
        score = float(_unit(vectors[rows].mean(axis=0) - center) @ mean)
        found.append(GroupMatch(str(groups[rows[0]]), score, tuple(rows[i] for i in order)))
    return sorted(found, key=lambda match: -match.score)[:n]


def _unit(vector: F64) -> F64:
    unit: F64 = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit


def read_list(path: str | Path) -> list[Path]:
    """Read a listening list: M3U, CSV (a column ``path`` or the first one) or text with a path in each line.

    Paths are relative to the list; ``file://`` addresses are understood, others passed over.

    Raises
    ------
    SoundalikeError
        if it cannot be read, or names nothing
    """
    path = Path(path).expanduser()
    try:
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise SoundalikeError(f"{path}: this list cannot be read ({error.strerror})") from error
    lines = [os.fsdecode(line).strip() for line in data.replace(b"\0", b"").splitlines()]
    if path.suffix.lower() == ".csv":
        try:
            lines = _first_column(lines)
        except csv.Error as error:
            raise SoundalikeError(f"{path}: this list cannot be read ({error})") from error
    found = [_place(line, path.parent) for line in lines if line and not line.startswith("#")]
    kept = [place for place in found if place is not None]
    if not kept:
        raise SoundalikeError(f"{path}: this list names no sound")
    return kept


def _first_column(lines: list[str]) -> list[str]:
    rows = [row for row in csv.reader(lines) if row]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = header.index("path") if "path" in header else 0
    return [row[column].strip() for row in rows[1 if "path" in header else 0 :] if len(row) > column]


def _place(line: str, folder: Path) -> Path | None:
    if line.lower().startswith("file:"):
        return Path(url2pathname(unquote(urlsplit(line).path)))
    return None if "://" in line else (folder / Path(line).expanduser()).absolute()
