"""Reading the database of a library: sounds, vectors, failures. Writing is in `soundalike.library.writer`."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from soundalike.errors import LibraryError
from soundalike.library import schema
from soundalike.library.database import connect
from soundalike.library.values import Sound, Space
from soundalike.types import F32, F64, Failure

Rows = list[tuple[Any, ...]]
_MAPPED = 1 << 31  # bytes of the database that are read in place, not copied page by page
_SOUND = (
    "id, path, duration_s, sample_rate, channels, container, codec, bits_per_sample, bit_rate, size, sha256, "
    "n_segments, added_at"
)
_SPACE = "SELECT id, model, level, pipeline, dim FROM spaces WHERE current = ? ORDER BY id DESC LIMIT 1"


def path_bytes(path: Path | str) -> bytes:
    """Turn a path into the bytes that the file system has, absolute; links are not followed."""
    return os.fsencode(os.path.abspath(path))  # noqa: PTH100


def path_of(data: bytes) -> Path:
    """Turn bytes back into a path."""
    return Path(os.fsdecode(data))


def below(folder: bytes) -> tuple[bytes, bytes]:
    """Range of the paths inside a folder: ``first <= path < last``."""
    prefix = folder.rstrip(os.fsencode(os.sep)) + os.fsencode(os.sep)
    return prefix, prefix[:-1] + bytes([prefix[-1] + 1])


class Store:
    """A reading connection; safe to use from many threads, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._db = connect(folder)
        self._db.execute(f"PRAGMA mmap_size={_MAPPED}")
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._db.close()

    def query(self, sql: str, values: Sequence[Any] = ()) -> Rows:
        """All rows of a query."""
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise LibraryError(self.folder, f"the library cannot be read ({error})") from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let several queries see the same state."""
        with self._lock:
            self.query("BEGIN")
            try:
                yield
            finally:
                self._db.rollback()

    def data_version(self) -> int:
        """Read a number that changes when another connection has written."""
        return int(self.query("PRAGMA data_version")[0][0])

    def about(self, name: str) -> str | None:
        """Look up a fact about the library."""
        rows = self.query("SELECT value FROM about WHERE name = ?", [name])
        return rows[0][0] if rows else None

    def space(self, *, current: bool = True) -> Space | None:
        """Look up the space that answers, or the one in the making."""
        rows = self.query(_SPACE, [current])
        return Space(*rows[0]) if rows else None

    def sounds(self, ids: Sequence[int]) -> dict[int, Sound]:
        """Sounds by id; those that are gone are left out."""
        found: dict[int, Sound] = {}
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            marks = ",".join("?" * len(part))
            tags: dict[int, dict[str, str]] = {}
            for sound_id, name, value in self.query(f"SELECT * FROM tags WHERE sound_id IN ({marks})", part):
                tags.setdefault(sound_id, {})[name] = value
            for row in self.query(f"SELECT {_SOUND} FROM sounds WHERE id IN ({marks})", part):
                found[row[0]] = Sound(*(*row, tags.get(row[0], {})))
        return found

    def paths(self, ids: Sequence[int] | None = None) -> dict[int, Path]:
        """Paths by id, of all sounds or of some."""
        rows = self.query("SELECT id, path FROM sounds")
        wanted = None if ids is None else set(ids)
        return {sound_id: path_of(path) for sound_id, path in rows if wanted is None or sound_id in wanted}

    def id_of(self, path: Path) -> int | None:
        """Id of the sound at a path."""
        rows = self.query("SELECT id FROM sounds WHERE path = ?", [path_bytes(path)])
        return rows[0][0] if rows else None

    def ids_of(self, paths: Sequence[Path]) -> dict[Path, int]:
        """Ids of the sounds at these paths; those that are not there are left out."""
        found: dict[Path, int] = {}
        for start in range(0, len(paths), 500):
            part = [path_bytes(path) for path in paths[start : start + 500]]
            marks = ",".join("?" * len(part))
            rows = self.query(f"SELECT path, id FROM sounds WHERE path IN ({marks})", part)
            found.update((path_of(path), sound_id) for path, sound_id in rows)
        return found

    def stamp(self, sound_id: int) -> tuple[int, int]:
        """Size and time of a sound's file when it was embedded."""
        size, mtime_ns = self.query("SELECT size, mtime_ns FROM sounds WHERE id = ?", [sound_id])[0]
        return size, mtime_ns

    def vector(self, space: Space, sound_id: int) -> F32 | None:
        """Read a sound's vector."""
        rows = self.query("SELECT vector FROM vectors WHERE key = ?", [schema.key_of(space.id, sound_id)])
        return np.frombuffer(rows[0][0], np.float32) if rows else None

    def segments(self, space: Space, sound_id: int) -> tuple[F32, F64] | None:
        """Vectors ``(n, dim)`` and times ``(n, 2)`` of a sound's segments; stored in half precision."""
        key = schema.key_of(space.id, sound_id)
        rows = self.query("SELECT vectors, times_s FROM segments WHERE key = ?", [key])
        if not rows:
            return None
        vectors = np.frombuffer(rows[0][0], np.float16).reshape(-1, space.dim).astype(np.float32)
        return vectors, np.frombuffer(rows[0][1], np.float64).reshape(-1, 2)

    def failures(self) -> list[Failure]:
        """Sounds that have no embedding, by path."""
        rows = self.query("SELECT path, code, reason FROM failures ORDER BY path")
        return [Failure(path_of(path), code, reason) for path, code, reason in rows]

    def roots(self) -> list[Path]:
        """Folders that were added."""
        return [path_of(path) for (path,) in self.query("SELECT path FROM roots ORDER BY path")]

    def n_sounds(self) -> int:
        """How many sounds."""
        return int(self.query("SELECT count(*) FROM sounds")[0][0])

    def n_failures(self) -> int:
        """How many sounds have no embedding."""
        return int(self.query("SELECT count(*) FROM failures")[0][0])

    def totals(self) -> tuple[int, int, float]:
        """How many sounds, how many segments, how many seconds."""
        sql = "SELECT count(*), ifnull(sum(n_segments), 0), ifnull(sum(duration_s), 0.0) FROM sounds"
        n_sounds, n_segments, sound_s = self.query(sql)[0]
        return n_sounds, n_segments, sound_s
