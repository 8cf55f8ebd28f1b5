"""The approximate index: HNSW graphs by `usearch`, over the rows of the flat files.

A key is a row's number, so an index belongs to one generation of the files and only ever grows. It is a
cache: made from the rows, written to a temporary name, synced and renamed. It holds the rows in 8 bits, which
is a quarter of the memory to walk through; the candidates are ranked again with the rows themselves.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soundalike.errors import LibraryError
from soundalike.library.matrix import Matrix
from soundalike.types import F32

CONNECTIVITY = 16
EFFORT_BUILD = 128
_LARGEST = 12.0  # standard deviations of a unit vector's numbers that 127 stands for: real ones reach that far
_BATCH = 2048  # rows handed over at once: an interruption waits for these


class Index:
    """An index that is open for reading or for growing."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._lock = threading.Lock()

    @classmethod
    def empty(cls, dim: int) -> Index:
        """Begin an index without rows."""
        from usearch.index import Index as Graph

        return cls(
            Graph(
                ndim=dim,
                metric="ip",
                dtype="i8",
                connectivity=CONNECTIVITY,
                expansion_add=EFFORT_BUILD,
                enable_key_lookups=False,
            )
        )

    @classmethod
    def open(cls, path: Path, *, grow: bool = False) -> Index:
        """Open an index file: mapped for reading, or in memory for growing.

        Raises
        ------
        LibraryError
            if it is damaged
        """
        from usearch.index import Index as Graph

        try:
            graph = Graph.restore(str(path), view=not grow, enable_key_lookups=False)
        except (ValueError, RuntimeError, OSError) as error:
            raise LibraryError(
                path, f"the index cannot be read ({error}); delete it and run `soundalike sync`"
            ) from error
        if graph is None:
            raise LibraryError(path, "the index cannot be read; delete it and run `soundalike sync`")
        graph.expansion_add = EFFORT_BUILD
        return cls(graph)

    def __len__(self) -> int:
        return len(self._graph)

    def grow(self, rows: Matrix, n_rows: int) -> None:
        """Take in the rows from ``len(self)`` to ``n_rows``."""
        for start in range(len(self), n_rows, _BATCH):
            stop = min(start + _BATCH, n_rows)
            self._graph.add(np.arange(start, stop, dtype=np.uint64), eight_bits(rows[start:stop]))

    def save(self, path: Path) -> None:
        """Write the index; it appears whole or not at all."""
        temporary = path.with_name(path.name + ".writing")
        self._graph.save(str(temporary))
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)

    def search(self, vector: F32, n: int) -> npt.NDArray[np.int64]:
        """Numbers of about the ``n`` nearest rows: all candidates that the walk keeps (``ef``)."""
        with self._lock:  # a graph has room for one search at a time
            self._graph.expansion_search = n
            found = self._graph.search(eight_bits(vector), n, threads=1)
        return np.asarray(found.keys).astype(np.int64)


def eight_bits(rows: Matrix) -> npt.NDArray[np.int8]:
    """Unit vectors in 8 bits.

    One scale for all, so that inner products keep their order. usearch's own conversion would let 127 stand for
    1.0, which leaves a number of a long unit vector only some 10 steps.
    """
    scale = np.float32(127 / _LARGEST * rows.shape[-1] ** 0.5)
    out: npt.NDArray[np.int8] = np.clip(np.rint(np.asarray(rows, np.float32) * scale), -127, 127).astype(np.int8)
    return out
