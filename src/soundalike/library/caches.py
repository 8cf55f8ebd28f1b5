"""The writer's side of the caches: append to the flat files, grow the index, start a generation anew.

When: rows are appended once `APPEND_ROWS` of them are only in the database; the index is made above
`ranking.EXACT_ROWS` and grown once it lacks `GROW_ROWS`; a new generation is begun when more than
`DEAD_SHARE` of the rows belong to sounds that are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from soundalike.errors import LibraryError
from soundalike.library import measured, ranking
from soundalike.library.index import Index
from soundalike.library.matrix import KINDS, Kind, MatrixFiles, State, read_rows, rows_of_sound
from soundalike.library.store import Store
from soundalike.library.values import Space

APPEND_ROWS = 1024
GROW_ROWS = 10_000
CHECKPOINT_ROWS = 100_000  # an index in the making is saved so often
DEAD_SHARE = 0.2
OnBuild = Callable[[str, int, int], None]  # kind, rows indexed, rows in all


def no_report(kind: str, n_indexed: int, n_rows: int) -> None:
    """Say nothing of how the building goes."""


def update(store: Store, space: Space, on_build: OnBuild = no_report, *, index_from: int | None = None) -> None:
    """Bring all caches of a space in step with the database; only the writer may.

    Parameters
    ----------
    index_from : rows above which there is an index; `ranking.EXACT_ROWS` by default
    """
    index_from = ranking.EXACT_ROWS if index_from is None else index_from
    if measured.are_complete(store):
        append(store, measured.SPACE, "aspects")
    for kind in KINDS:
        files = MatrixFiles(store, space, kind)
        state = append(store, space, kind)
        least = GROW_ROWS if state.n_indexed and index_from else 1
        if state.n_rows > index_from and state.n_rows - state.n_indexed >= least:
            grow_index(files, state, on_build)


def append(store: Store, space: Space, kind: Kind, *, at_least: int | None = None) -> State:
    """Bring the flat files of one kind in step, if there is enough to do; the state they are in."""
    files = MatrixFiles(store, space, kind)
    state = files.state()
    if not spot_check(store, space, kind, files, state) or dead_share(store, files, state) > DEAD_SHARE:
        return new_generation(store, space, kind, files, state)
    if n_newer(store, state.last_id) >= (APPEND_ROWS if at_least is None else at_least):
        return files.append(state, read_rows(store, space, kind, state.last_id))
    return state


def n_newer(store: Store, last_id: int) -> int:
    """How many sounds may be newer than one."""
    (newest,) = store.query("SELECT ifnull(max(id), 0) FROM sounds")[0]
    return max(int(newest) - last_id, 0)


def dead_share(store: Store, files: MatrixFiles, state: State) -> float:
    """Share of the rows whose sounds are gone."""
    gone = store.query("SELECT sound_id FROM gone WHERE seq > ?", [state.gone_seq])
    if not gone or not state.n_rows:
        return 0.0
    ids = files.open(state)[1]
    return float(np.isin(ids, np.array([sound_id for (sound_id,) in gone], np.int64)).mean())


def spot_check(store: Store, space: Space, kind: Kind, files: MatrixFiles, state: State) -> bool:
    """Whether some rows still are what the database says: it may have been put back from a copy."""
    if state.n_rows == 0:
        return True
    (given_out,) = store.query("SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = 'sounds'")[0]
    if given_out < state.last_id:
        return False
    rows, ids = files.open(state)
    for row in {0, state.n_rows // 3, state.n_rows // 2, state.n_rows - 1}:
        truth = rows_of_sound(store, space, kind, int(ids[row]))
        first = int(np.searchsorted(ids, ids[row]))
        if len(truth) and rows[first].tobytes() != truth[0].tobytes():
            return False
    return True


def new_generation(store: Store, space: Space, kind: Kind, files: MatrixFiles, state: State) -> State:
    """Write the files anew without the rows of sounds that are gone; the index is made again when due."""
    (gone_seq,) = store.query("SELECT ifnull(max(seq), 0) FROM gone")[0]
    fresh = State(state.library, state.generation + 1, gone_seq=gone_seq)
    return files.append(fresh, read_rows(store, space, kind, 0))


def grow_index(files: MatrixFiles, state: State, on_build: OnBuild) -> State:
    """Let the index cover all rows of the files."""
    rows, _ = files.open(state)
    index = _index_to_grow(files, state)
    for stop in _checkpoints(len(index), state.n_rows):
        index.grow(rows, stop)
        on_build(files.kind, stop, state.n_rows)
        state = replace(state, n_indexed=stop)
        index.save(files.index_path(state))
        files.write_state(state)
    return state


def _index_to_grow(files: MatrixFiles, state: State) -> Index:
    if state.n_indexed:
        try:
            index = Index.open(files.index_path(state), grow=True)
            if len(index) == state.n_indexed:
                return index
        except LibraryError:
            pass  # a damaged cache: make it again
    return Index.empty(files.space.dim)


def _checkpoints(n_indexed: int, n_rows: int) -> Iterator[int]:
    yield from range(n_indexed + CHECKPOINT_ROWS, n_rows, CHECKPOINT_ROWS)
    yield n_rows
