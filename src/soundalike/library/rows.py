"""All rows of one kind as a search sees them: flat files, what is newer in the database, what is gone.

Before each search `Rows.refresh` asks the database whether anything was written; then it reads what is new,
so that a sound is found by the next search of any process.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from soundalike.errors import LibraryError
from soundalike.library.index import Index
from soundalike.library.matrix import Ids, Kind, Matrix, MatrixFiles, State, read_rows
from soundalike.library.store import Store
from soundalike.library.values import Space
from soundalike.types import F32

REOPEN_ROWS = 1024  # with so many rows in memory, see whether the files have grown
Mask = npt.NDArray[np.bool_]
_BLOCK = 8192  # rows scored at once
_GATHERED = 256  # rows collected at once: they stay in the processor's cache until they are scored


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One state of the rows; it does not change.

    Attributes
    ----------
    parts : matrices one after another; the first is the mapped file
    ids : (n_rows,) the sound of each row, ascending
    alive : (n_rows,) or None if all are
    """

    state: State
    parts: tuple[Matrix, ...]
    ids: Ids
    alive: Mask | None
    gone_seq: int
    index: Index | None
    n_sounds: int = 0  # that are alive

    @property
    def last_id(self) -> int:
        """The newest sound."""
        return int(self.ids[-1]) if len(self.ids) else 0

    def rows_of(self, sound_ids: Ids) -> Ids:
        """Numbers of the rows of some sounds, ascending if the ids are; unknown sounds have none."""
        first = np.searchsorted(self.ids, sound_ids, "left")
        if self.n_sounds == len(self.ids):  # a row for each sound
            return first[self.ids[np.minimum(first, len(self.ids) - 1)] == sound_ids] if len(self.ids) else first[:0]
        counts = np.searchsorted(self.ids, sound_ids, "right") - first
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(np.repeat(first, counts) + offsets, np.int64)

    def take(self, rows: Ids) -> Matrix:
        """Vectors of some rows ``(n, dim)``, in the precision they are stored in."""
        return self._take(rows, np.empty((len(rows), self.parts[0].shape[1]), self.parts[0].dtype))

    def _take(self, rows: Ids, taken: Matrix) -> Matrix:
        """Put some rows into an array."""
        n_files = len(self.parts[0])
        if not len(rows) or rows.max() < n_files:
            return self.parts[0].take(rows, axis=0, out=taken, mode="clip")
        in_files = rows < n_files
        taken[in_files] = self.parts[0][rows[in_files]]
        taken[~in_files] = self.parts[1][rows[~in_files] - n_files]
        return taken

    def scores(self, vector: F32, rows: Ids | None = None) -> F32:
        """Cosine with all rows, or with some; rows that are gone score -inf."""
        n = len(self.ids) if rows is None else len(rows)
        scores = np.empty(n, np.float32)
        if rows is not None:
            gathered = np.empty((min(n, _GATHERED), len(vector)), self.parts[0].dtype)
            for start in range(0, n, _GATHERED):
                some = rows[start : start + _GATHERED]
                block = self._take(some, gathered[: len(some)])
                np.matmul(_f32(block), vector, out=scores[start : start + len(block)])
        else:
            at = 0
            for part in self.parts:
                for start in range(0, len(part), _BLOCK):
                    block = part[start : start + _BLOCK]
                    np.matmul(_f32(block), vector, out=scores[at : at + len(block)])
                    at += len(block)
        if self.alive is not None:
            scores[~(self.alive if rows is None else self.alive[rows])] = -np.inf
        return scores


def _f32(block: Matrix) -> F32:
    return np.asarray(block, np.float32)


def _counted(view: View) -> View:
    ids = view.ids if view.alive is None else view.ids[view.alive]
    return replace(view, n_sounds=int((ids[1:] != ids[:-1]).sum()) + (len(ids) > 0))


class Rows:
    """The rows of one kind, kept in step with the database."""

    def __init__(self, store: Store, space: Space, kind: Kind) -> None:
        self.files = MatrixFiles(store, space, kind)
        self._store, self._space, self._kind = store, space, kind
        self._lock = threading.Lock()
        self._version = -1
        self._view = self._opened()

    def refresh(self) -> View:
        """Give the rows as they are now."""
        with self._lock:
            version = self._store.data_version()
            if version != self._version:
                with self._store.snapshot():
                    version = self._store.data_version()
                    if len(self._view.parts[1]) >= REOPEN_ROWS and self.files.state() != self._view.state:
                        self._view = self._opened()
                    self._view = _counted(self._with_new(self._without_gone(self._view)))
                self._version = version
            return self._view

    def reopen(self) -> None:
        """Look at the files again with the next search: they were written."""
        with self._lock:
            self._view, self._version = self._opened(), -1

    def _opened(self) -> View:
        """Open what the files hold."""
        for _ in range(5):  # the writer may replace them between two looks
            state = self.files.state()
            try:
                rows, ids = self.files.open(state)
                index = Index.open(self.files.index_path(state)) if state.n_indexed else None
            except FileNotFoundError:
                continue
            except LibraryError:
                if self.files.index_path(state).exists():
                    index, state = None, replace(state, n_indexed=0)  # a damaged cache: do without
                else:
                    continue
            tail = np.empty((0, self._space.dim), rows.dtype)
            return View(state, (rows, tail), ids, None, state.gone_seq, index)
        raise LibraryError(self.files.folder, "the cache changes all the time; delete this folder")

    def _without_gone(self, view: View) -> View:
        """Mark the rows of sounds that were deleted since."""
        gone = self._store.query("SELECT seq, sound_id FROM gone WHERE seq > ? ORDER BY seq", [view.gone_seq])
        if not gone:
            return view
        rows = view.rows_of(np.array(sorted({sound_id for _, sound_id in gone}), np.int64))
        alive = np.ones(len(view.ids), np.bool_) if view.alive is None else view.alive.copy()
        alive[rows] = False
        return replace(view, alive=alive if not alive.all() else None, gone_seq=gone[-1][0])

    def _with_new(self, view: View) -> View:
        """Read the rows of sounds that were added since."""
        new = list(read_rows(self._store, self._space, self._kind, view.last_id))
        if not new:
            return view
        n_new = sum(len(ids) for _, ids in new)
        tail = np.concatenate([view.parts[1], *(rows for rows, _ in new)])
        ids = np.concatenate([view.ids, *(ids for _, ids in new)])
        alive = None if view.alive is None else np.concatenate([view.alive, np.ones(n_new, np.bool_)])
        return replace(view, parts=(view.parts[0], tail), ids=ids, alive=alive)
