"""Writing the database of a library. Only the holder of the writer lock has a `Writer`."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from soundalike.folders import Stamp
from soundalike.library import measured, schema
from soundalike.library.database import connect, write_errors
from soundalike.library.store import below, path_bytes
from soundalike.library.values import Embedder, Space
from soundalike.types import F32, Embedding, Failure

_COPIED = "sha256, duration_s, sample_rate, channels, container, codec, bits_per_sample, bit_rate, n_segments, warnings"
_COLUMNS = f"path, size, mtime_ns, {_COPIED}, added_at"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a sound beside its embedding."""

    container: str = ""
    codec: str = ""
    bits_per_sample: int | None = None
    bit_rate: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """A path that the library has seen."""

    stamp: Stamp
    sound_id: int | None = None  # None: it failed
    sha256: str = ""


class Writer:
    """The writing connection."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._db = connect(folder, create=True)

    def close(self) -> None:
        """Close the connection; what is not committed is undone."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, on disk, or nothing.

        Raises
        ------
        LibraryError
            if the disk is full or fails
        """
        with write_errors(self.folder):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def batches(self) -> Iterator[None]:
        """Write with a `commit` now and then; what ends it, even an interruption, keeps all whole changes.

        Raises
        ------
        LibraryError
            if the disk is full or fails; what was committed is kept
        """
        with write_errors(self.folder):
            try:
                yield
            except sqlite3.Error:
                self._roll_back()
                raise
            except BaseException:
                self.commit()
                raise
            self.commit()

    def commit(self) -> None:
        """Put what was changed on disk."""
        if self._db.in_transaction:
            try:
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch its rows."""
        return self._db.execute(sql, values).fetchall()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Several statements that an interruption must not tear; begins a transaction if there is none."""
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("SAVEPOINT whole")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # a full disk may have ended it
                self._db.execute("ROLLBACK TO whole")
            raise
        finally:
            if self._db.in_transaction:
                self._db.execute("RELEASE whole")

    def state(self, path: bytes) -> Known | None:
        """Look up what is known of a path."""
        rows = self.query("SELECT size, mtime_ns, id, sha256 FROM sounds WHERE path = ?", [path])
        rows = rows or self.query("SELECT size, mtime_ns FROM failures WHERE path = ?", [path])
        return Known(Stamp(*rows[0][:2]), *rows[0][2:]) if rows else None

    def of_size(self, size: int) -> list[tuple[int, bytes, str]]:
        """Sounds whose file has this size: id, path, hash."""
        rows = self.query("SELECT id, path, sha256 FROM sounds WHERE size = ? ORDER BY id", [size])
        return [(id_, path, sha256) for id_, path, sha256 in rows]

    def put(self, path: bytes, stamp: Stamp, result: Embedding, facts: Facts, space: Space) -> int:
        """Keep a sound, in place of what was at its path."""
        with self._whole():
            self.drop_path(path)
            head = [path, stamp.size, stamp.mtime_ns, result.sha256, result.duration_s, result.sample_rate]
            head += [result.channels, facts.container, facts.codec, facts.bits_per_sample, facts.bit_rate]
            head += [len(result.segments), "\n".join(result.warnings), time.time()]
            marks = ",".join("?" * len(head))
            sound_id = self._db.execute(f"INSERT INTO sounds ({_COLUMNS}) VALUES ({marks})", head).lastrowid
            assert sound_id is not None
            tags = [(sound_id, name, value) for name, value in facts.tags.items()]
            self._db.executemany("INSERT INTO tags VALUES (?,?,?)", tags)
            self.put_vectors(space, sound_id, result)
            self.put_aspects(sound_id, result.aspects)
        return sound_id

    def put_aspects(self, sound_id: int, row: F32 | None) -> None:
        """Keep the aspects of a sound; None: they could not be measured."""
        row = measured.UNKNOWN if row is None or not np.isfinite(row).all() else row
        key = schema.key_of(measured.SPACE.id, sound_id)
        self.query("INSERT OR REPLACE INTO aspects VALUES (?,?)", [key, np.asarray(row, np.float32).tobytes()])

    def put_vectors(self, space: Space, sound_id: int, result: Embedding) -> None:
        """Keep the vectors of a sound in a space."""
        key = schema.key_of(space.id, sound_id)
        vector = np.ascontiguousarray(result.vector, np.float32)
        if vector.shape != (space.dim,) or not np.isfinite(vector).all():
            raise ValueError(f"{result.path}: a vector of this library is {space.dim} finite numbers")
        halves = np.ascontiguousarray(result.segments, np.float16)
        times_s = np.ascontiguousarray(result.times_s, np.float64)
        with self._whole():
            self.query("INSERT OR REPLACE INTO vectors VALUES (?,?)", [key, vector.tobytes()])
            self.query("INSERT OR REPLACE INTO segments VALUES (?,?,?)", [key, halves.tobytes(), times_s.tobytes()])

    def copy(self, sound_id: int, path: bytes, stamp: Stamp) -> int:
        """Keep a file whose content is known from another one."""
        with self._whole():
            self.drop_path(path)
            sql = (
                f"INSERT INTO sounds (path, size, mtime_ns, added_at, {_COPIED}) "
                f"SELECT ?, ?, ?, ?, {_COPIED} FROM sounds WHERE id = ?"
            )
            values = [path, stamp.size, stamp.mtime_ns, time.time(), sound_id]
            copied = self._db.execute(sql, values).lastrowid
            assert copied is not None
            self.query("INSERT INTO tags SELECT ?, name, value FROM tags WHERE sound_id = ?", [copied, sound_id])
            keys = [schema.key_of(measured.SPACE.id, id_) for id_ in (copied, sound_id)]
            self.query("INSERT INTO aspects SELECT ?, row FROM aspects WHERE key = ?", keys)
            for (space,) in self.query("SELECT id FROM spaces"):
                keys = [schema.key_of(space, copied), schema.key_of(space, sound_id)]
                self.query("INSERT INTO vectors SELECT ?, vector FROM vectors WHERE key = ?", keys)
                self.query("INSERT INTO segments SELECT ?, vectors, times_s FROM segments WHERE key = ?", keys)
        return copied

    def move(self, sound_id: int, path: bytes, stamp: Stamp) -> None:
        """Note that a sound's file has another path, or another time."""
        with self._whole():
            self.drop_path(path, keep=sound_id)
            values = [path, stamp.size, stamp.mtime_ns, sound_id]
            self.query("UPDATE sounds SET path = ?, size = ?, mtime_ns = ? WHERE id = ?", values)

    def put_failure(self, path: bytes, stamp: Stamp, failure: Failure) -> None:
        """Remember why a sound has no embedding."""
        with self._whole():
            self.drop_path(path)
            reason = failure.reason.encode(errors="replace").decode()  # a path in it may be no valid text
            values = [path, stamp.size, stamp.mtime_ns, failure.code, reason, time.time()]
            self.query("INSERT INTO failures VALUES (?,?,?,?,?,?)", values)

    def drop_path(self, path: bytes, keep: int | None = None) -> None:
        """Forget what is at a path."""
        for (sound_id,) in self.query("SELECT id FROM sounds WHERE path = ? AND id IS NOT ?", [path, keep]):
            self.drop(sound_id)
        self.query("DELETE FROM failures WHERE path = ?", [path])

    def drop(self, sound_id: int) -> None:
        """Forget a sound."""
        with self._whole():
            for (space,) in self.query("SELECT id FROM spaces"):
                key = schema.key_of(space, sound_id)
                self.query("DELETE FROM vectors WHERE key = ?", [key])
                self.query("DELETE FROM segments WHERE key = ?", [key])
            self.query("DELETE FROM aspects WHERE key = ?", [schema.key_of(measured.SPACE.id, sound_id)])
            self.query("DELETE FROM tags WHERE sound_id = ?", [sound_id])
            self.query("DELETE FROM sounds WHERE id = ?", [sound_id])
            self.query("INSERT INTO gone (sound_id) VALUES (?)", [sound_id])

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; how many rows it changed."""
        return self._db.execute(sql, values).rowcount

    def paths_below(self, folder: bytes) -> list[bytes]:
        """Paths of sounds and failures that are this one or inside it."""
        where, values = _where_below(folder)
        sql = f"SELECT path FROM sounds WHERE {where} UNION SELECT path FROM failures WHERE {where}"
        return [path for (path,) in self.query(sql, [*values, *values])]

    def delete_below(self, table: str, folder: bytes) -> None:
        """Delete the rows whose path is this one or inside it."""
        where, values = _where_below(folder)
        self.query(f"DELETE FROM {table} WHERE {where}", values)

    def leave_out(self, folder: bytes) -> None:
        """Do not walk a folder, or take a file, in a ``sync``."""
        self.delete_below("roots", folder)
        self.delete_below("left_out", folder)
        if any(folder.startswith(below(root)[0]) for (root,) in self.query("SELECT path FROM roots")):
            self.query("INSERT INTO left_out VALUES (?)", [folder])

    def add_root(self, path: Path) -> None:
        """Remember a folder for ``sync``; one inside another is not needed."""
        folder = path_bytes(path)
        outer = [row for (row,) in self.query("SELECT path FROM roots") if folder.startswith(below(row)[0])]
        if not outer:
            self.delete_below("roots", folder)
            self.query("INSERT OR IGNORE INTO roots VALUES (?)", [folder])

    def set_about(self, name: str, value: str) -> None:
        """Keep a fact about the library."""
        self.query("INSERT OR REPLACE INTO about VALUES (?,?)", [name, value])

    def begin_space(self, model: Embedder, *, current: bool) -> None:
        """Make a space for a model; the first one makes the library."""
        if not self.query("SELECT 1 FROM spaces"):  # a new library
            self.set_about("id", uuid.uuid4().hex)
            self.set_about("aspects", str(measured.SPACE.id))
        card = model.card
        values = [card.name, card.level, model.pipeline, card.dim, current]
        self.query("INSERT INTO spaces (model, level, pipeline, dim, current) VALUES (?,?,?,?,?)", values)

    def optimize(self) -> None:
        """Let SQLite look at its tables now and then, for good query plans."""
        try:
            self._db.execute("PRAGMA optimize")
        except sqlite3.Error:  # a favor, not a need: a full disk must not fail what is saved
            return


def _where_below(folder: bytes) -> tuple[str, list[bytes]]:
    return "(path = ? OR (path >= ? AND path < ?))", [folder, *below(folder)]
