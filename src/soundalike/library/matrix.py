"""Vectors as flat files beside the database: a cache that can be deleted at any time.

For each space and kind ("sounds" and "aspects": float32, a row per sound; "segments": float16, a row per segment)
there are

    sounds-1-2.rows     the matrix, row after row, in the order of the sounds' ids; generation 2 of space 1
    sounds-1-2.ids      int64: the sound that each row belongs to
    sounds-1-2-90.index the approximate index over the first 90 rows, see `soundalike.library.index`
    sounds-1.json       the state: how much of these files counts, written last and atomically

Files only grow, and what lies beyond the state's number of rows does not count; so a reader may have them
mapped while the writer appends, and a writer that was killed leaves nothing wrong. Rows of sounds that are
gone stay until the next generation; the database says which they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from soundalike.export import atomic
from soundalike.library import schema
from soundalike.library.store import Store
from soundalike.library.values import Space

Kind = Literal["sounds", "segments", "aspects"]
KINDS: tuple[Kind, ...] = ("sounds", "segments")  # of a model
FOLDER = "cache"
Ids = npt.NDArray[np.int64]
Matrix = npt.NDArray[Any]  # (n_rows, dim), float32 or float16
_TABLES = {"sounds": ("vectors", "vector"), "segments": ("segments", "vectors"), "aspects": ("aspects", "row")}
_BATCH = 4096  # sounds read from the database at once
_VERSION = 2  # of these files; those of another version are made anew


@dataclass(frozen=True, slots=True)
class State:
    """How far the files of one kind and space have come."""

    library: str  # id of the library, so that files of another one are not taken
    generation: int = 0
    n_rows: int = 0
    last_id: int = 0  # the newest sound in the rows
    gone_seq: int = 0  # deletions up to this one have no rows
    n_indexed: int = 0  # rows in the index file
    version: int = _VERSION

    def name(self, kind: Kind, space: Space) -> str:
        """First part of the names of this generation's files."""
        return f"{kind}-{space.id}-{self.generation}"


def dtype_of(kind: Kind) -> np.dtype[Any]:
    """Tell the number type of the rows."""
    return np.dtype("<f2" if kind == "segments" else "<f4")


class MatrixFiles:
    """The flat files of one kind and space."""

    def __init__(self, store: Store, space: Space, kind: Kind) -> None:
        self.folder = store.folder / FOLDER
        self.space, self.kind = space, kind
        self.dtype = dtype_of(kind)
        self._library = store.about("id") or ""

    @property
    def _state_path(self) -> Path:
        return self.folder / f"{self.kind}-{self.space.id}.json"

    def state(self) -> State:
        """State on disk; that of an empty cache if there is none or it is not ours."""
        try:
            state = State(**{"version": 1, **orjson.loads(self._state_path.read_bytes())})
            sizes = [(self._path(state, end).stat().st_size, n) for end, n in self._strides()]
        except (OSError, ValueError, TypeError):
            return self._empty()
        whole = all(size >= state.n_rows * stride for size, stride in sizes)
        ours = state.library == self._library and state.version == _VERSION
        return state if whole and ours else self._empty()

    def _empty(self) -> State:
        """Begin a generation that no file is of: others may have the older ones mapped."""
        names = (path.name.split("-") for path in self.folder.glob(f"{self.kind}-{self.space.id}-*"))
        used = (int(number) for parts in names if (number := parts[2].split(".")[0]).isdecimal())
        return State(self._library, generation=max(used, default=-1) + 1)

    def open(self, state: State) -> tuple[Matrix, Ids]:
        """Map the rows and their ids."""
        if state.n_rows == 0:
            return np.empty((0, self.space.dim), self.dtype), np.empty(0, np.int64)
        shape = (state.n_rows, self.space.dim)
        rows = np.asarray(np.memmap(self._path(state, "rows"), self.dtype, "r", shape=shape))
        ids = np.fromfile(self._path(state, "ids"), "<i8", count=state.n_rows)
        return rows, ids

    def index_path(self, state: State) -> Path:
        """Where the index of a state is."""
        return self.folder / f"{state.name(self.kind, self.space)}-{state.n_indexed}.index"

    def append(self, state: State, parts: Iterable[tuple[Matrix, Ids]]) -> State:
        """Append rows with their ids, on disk when this returns."""
        self.folder.mkdir(exist_ok=True)
        n_rows, last_id = state.n_rows, state.last_id
        with self._end(state, "rows") as rows, self._end(state, "ids") as ids:
            for vectors, owners in parts:
                rows.write(np.ascontiguousarray(vectors, self.dtype).tobytes())
                ids.write(np.ascontiguousarray(owners, "<i8").tobytes())
                n_rows, last_id = n_rows + len(owners), int(owners[-1]) if len(owners) else last_id
            for file in (rows, ids):
                file.flush()
                os.fsync(file.fileno())
        state = replace(state, n_rows=n_rows, last_id=last_id)
        self.write_state(state)
        return state

    def write_state(self, state: State) -> None:
        """Make a state count, and delete what it does not need."""
        with atomic(self._state_path) as file:
            file.write(orjson.dumps(asdict(state)))
        self._tidy({self._path(state, "rows"), self._path(state, "ids"), self.index_path(state)})

    def _tidy(self, keep: set[Path]) -> None:
        for path in self.folder.glob(f"{self.kind}-{self.space.id}-*"):
            if path not in keep:
                with suppress(OSError):  # Windows keeps what a reader has mapped; next time
                    path.unlink()

    def delete(self) -> None:
        """Delete all files of this kind and space."""
        with suppress(OSError):
            self._state_path.unlink(missing_ok=True)
        self._tidy(set())

    def _strides(self) -> list[tuple[str, int]]:
        return [("rows", self.space.dim * self.dtype.itemsize), ("ids", 8)]

    def _path(self, state: State, end: str) -> Path:
        return self.folder / f"{state.name(self.kind, self.space)}.{end}"

    def _end(self, state: State, end: str) -> Any:
        """Open a file for writing at its last row that counts."""
        path = self._path(state, end)
        file = path.open("r+b" if path.exists() else "w+b")
        file.seek(state.n_rows * dict(self._strides())[end])
        file.truncate()
        return file


def rows_of_sound(store: Store, space: Space, kind: Kind, sound_id: int) -> Matrix:
    """Rows of one sound, as the database has them; none if it is gone."""
    table, column = _TABLES[kind]
    rows = store.query(f"SELECT {column} FROM {table} WHERE key = ?", [schema.key_of(space.id, sound_id)])
    return np.frombuffer(b"".join(blob for (blob,) in rows), dtype_of(kind)).reshape(-1, space.dim)


def read_rows(store: Store, space: Space, kind: Kind, after: int) -> Iterator[tuple[Matrix, Ids]]:
    """Rows of the sounds with ids above ``after``, in order, some thousand sounds at a time."""
    table, column = _TABLES[kind]
    sql = f"SELECT key, {column} FROM {table} WHERE key > ? AND key <= ? ORDER BY key LIMIT {_BATCH}"
    last = schema.keys_of(space.id)[1]
    key = schema.key_of(space.id, after)
    while rows := store.query(sql, [key, last]):
        key = rows[-1][0]
        data = np.frombuffer(b"".join(blob for _, blob in rows), dtype_of(kind)).reshape(-1, space.dim)
        counts = [len(blob) // (space.dim * dtype_of(kind).itemsize) for _, blob in rows]
        ids = np.repeat(np.array([schema.sound_of(k) for k, _ in rows], np.int64), counts)
        yield data, ids
