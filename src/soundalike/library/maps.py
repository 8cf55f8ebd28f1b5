"""The map of a library: made once, kept beside the database, and added to, so that no sound moves when others come.

It is a file ``cache/map-PIPELINE.npz`` and may be deleted: the next map is then laid out anew.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
import numpy.typing as npt

from soundalike.clusters import Clustering, Name, cluster
from soundalike.errors import ExportError, LibraryError
from soundalike.export import atomic
from soundalike.library.findings import Map
from soundalike.library.matrix import FOLDER, Ids
from soundalike.map2d import Layout, OnProgress, layout
from soundalike.readable import why
from soundalike.types import F32

VERSION = 1
_LAYOUT = ("positions", "points", "laid", "center", "components")
Fetch = Callable[[Ids], F32]
Naming = Callable[[Clustering], list[Name]]


@dataclass(frozen=True, slots=True, eq=False)
class KeptMap:
    """A map with what it takes to add to it."""

    ids: Ids  # (n,): whose place each is, those of the layout first
    n_laid: int  # of them were there when it was laid out
    layout: Layout  # its positions (n, 2) grow with the ids
    cluster: npt.NDArray[np.int64]  # (n,)
    names: tuple[str, ...]
    centers: F32  # (n_clusters, dim), unit norm
    seed: int

    def shown(self, ids: Ids) -> Map:
        """Give the places of these sounds, in this order."""
        order = np.argsort(self.ids)
        rows = order[np.searchsorted(self.ids, ids, sorter=order)]
        places = self.layout.positions[rows]
        return Map(ids, places[:, 0], places[:, 1], self.cluster[rows], self.names)

    def with_sounds(self, ids: Ids, vectors: F32) -> KeptMap:
        """Place more sounds; each is in the cluster whose center is nearest."""
        places = self.layout.transform(vectors)
        whole = replace(self.layout, positions=np.concatenate([self.layout.positions, places]))
        numbers = (vectors @ self.centers.T).argmax(axis=1).astype(np.int64)
        return replace(
            self, ids=np.concatenate([self.ids, ids]), layout=whole, cluster=np.concatenate([self.cluster, numbers])
        )


def make_map(ids: Ids, vectors: F32, naming: Naming, seed: int, on_progress: OnProgress) -> KeptMap:
    """Lay out sounds and name their clusters."""
    laid = layout(vectors, seed=seed, on_progress=on_progress)
    found = cluster(vectors, seed=seed)
    names = tuple(name.name for name in naming(found))
    centers = np.array([one.center for one in found.clusters], np.float32).reshape(-1, vectors.shape[1])
    return KeptMap(ids, len(ids), laid, found.labels, names, centers, seed)


def current_map(
    path: Path, library: str, ids: Ids, fetch: Fetch, naming: Naming, *, fresh: bool, seed: int, on_progress: OnProgress
) -> KeptMap:
    """Give a map that has all these sounds; kept at ``path``, which is brought in step.

    The kept one is added to as long as at least half of the sounds were there when it was laid out.
    """
    kept = None if fresh else read_map(path, library)
    if kept is None or kept.seed != seed or 2 * np.isin(ids, kept.ids[: kept.n_laid]).sum() < len(ids):
        kept = make_map(ids, fetch(ids), naming, seed, on_progress)
    elif len(new := np.setdiff1d(ids, kept.ids)):
        kept = kept.with_sounds(new, fetch(new))
    else:
        return kept
    write_map(kept, path, library)
    return kept


def map_path(folder: Path, pipeline: str) -> Path:
    """Where the map of a library's pipeline is kept."""
    return folder / FOLDER / f"map-{pipeline}.npz"


def write_map(kept: KeptMap, path: Path, library: str) -> None:
    """Write a map, whole or not at all; maps of other pipelines go."""
    own = path.with_name(f"{path.stem}-{os.getpid()}-{get_ident()}.npz")  # two may write at once; the last one stays
    arrays: dict[str, Any] = {name: getattr(kept.layout, name) for name in _LAYOUT}
    arrays |= {"version": VERSION, "library": library, "n_laid": kept.n_laid, "seed": kept.seed, "ids": kept.ids}
    arrays |= {"cluster": kept.cluster, "names": np.array(kept.names, np.str_), "centers": kept.centers}
    try:
        with atomic(own) as file:
            np.savez(file, **arrays)
        own.replace(path)
    except (OSError, ExportError) as error:
        raise LibraryError(path, f"the map is made, but cannot be kept ({why(error)})") from error
    for other in path.parent.glob("map-*.npz"):
        if other.stem.count("-") == 1 and other != path:
            other.unlink(missing_ok=True)


def read_map(path: Path, library: str) -> KeptMap | None:
    """Read a map; None if there is none, or it is damaged, older or of another library."""
    try:
        with path.open("rb") as data, np.load(data, allow_pickle=False) as file:
            if int(file["version"]) != VERSION or str(file["library"]) != library:
                return None
            parts = Layout(**{name: file[name] for name in _LAYOUT})
            kept = KeptMap(
                file["ids"], int(file["n_laid"]), parts, file["cluster"], tuple(file["names"].tolist()),
                file["centers"], int(file["seed"]),
            )  # fmt: skip
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return kept if kept.layout.positions.shape == (len(kept.ids), 2) and len(kept.cluster) == len(kept.ids) else None
