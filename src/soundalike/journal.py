"""What a run of ``soundalike embed`` has done so far, kept in its output folder.

One SQLite file. It lets a second run skip what is unchanged, a broken run go on, and the table formats be
written from any number of runs. A row is written when a sound is done and its JSON is on disk, and committed
every `COMMIT_S` seconds and at the end: what a kill undoes is done again, and nothing is believed done that
is not.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

import numpy as np
import orjson

from soundalike.errors import ExportError, PipelineMismatch
from soundalike.export import Record, readable, segment_records
from soundalike.folders import SoundFile, Stamp
from soundalike.types import Embedding, Failure, LevelRule

COMMIT_S = 1.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS done (
    name BLOB PRIMARY KEY, source BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    duration_s REAL NOT NULL, sample_rate INTEGER NOT NULL, channels INTEGER NOT NULL, sha256 TEXT NOT NULL,
    vector BLOB NOT NULL, segments BLOB NOT NULL, times_s BLOB NOT NULL, warnings TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failed (
    name BLOB PRIMARY KEY, source BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;
"""
_FACTS = "duration_s, sample_rate, channels, sha256, vector, segments, times_s"
VERSION = 1
JOURNAL = ".soundalike.db"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a folder of results is made."""

    model: str
    level: LevelRule
    formats: tuple[str, ...]
    segments: bool


class Journal:
    """The journal of one output folder; one process at a time writes it.

    Raises
    ------
    PipelineMismatch
        if the folder holds vectors of another pipeline
    ExportError
        if it is busy, damaged, from a newer version, or cannot be written
    """

    def __init__(self, out: Path, pipeline: str, model: str) -> None:
        self.path = out / JOURNAL
        self.model, self.pipeline = model, pipeline
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExportError(f"{out}: this folder cannot be made ({error.strerror})") from error
        self._db = _connect(self.path)
        try:
            with _explained(self.path):
                self._open()
                self._db.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._db.close()
            raise
        self._committed = time.monotonic()

    def _open(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise ExportError(f"{self.path}: written by a newer soundalike; update this one")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version={VERSION}")
        self._db.execute("INSERT OR IGNORE INTO about VALUES ('pipeline', ?)", [self.pipeline])
        (found,) = self._db.execute("SELECT value FROM about WHERE key = 'pipeline'").fetchone()
        if found != self.pipeline:
            was = _settings(self._db)
            made = f"{found} (--model {was.model} --level {was.level})" if was else found
            raise PipelineMismatch(str(self.path.parent), self.pipeline, made)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with closing(self._db), _explained(self.path):
            if isinstance(error, sqlite3.Error):
                raise error
            self._db.execute("COMMIT")

    def settings(self) -> Settings | None:
        """Give the settings of the runs so far; None in a new folder."""
        return _settings(self._db)

    def remember(self, settings: Settings) -> None:
        """Keep the settings for the runs to come."""
        text = orjson.dumps(settings).decode()
        self._db.execute("INSERT OR REPLACE INTO about VALUES ('settings', ?)", [text])

    def worked(self, name: str, source: Path, stamp: Stamp) -> bool | None:
        """Say whether a sound, as it is now, has an embedding (True) or failed (False); None: not tried."""
        key = [_key(name), _key(str(source)), stamp.size, stamp.mtime_ns]
        for table, worked in (("done", True), ("failed", False)):
            sql = f"SELECT 1 FROM {table} WHERE (name, source, size, mtime_ns) = (?,?,?,?)"
            if self._db.execute(sql, key).fetchone():
                return worked
        return None

    def add(self, name: str, stamp: Stamp, result: Embedding | Failure) -> None:
        """Remember what became of a sound."""
        for table in ("done", "failed"):
            self._db.execute(f"DELETE FROM {table} WHERE name = ?", [_key(name)])
        head = [_key(name), _key(str(result.path)), stamp.size, stamp.mtime_ns]
        if isinstance(result, Failure):
            self._db.execute("INSERT INTO failed VALUES (?,?,?,?,?,?)", [*head, result.code, result.reason])
        else:
            row = [*head, *_facts(result), "\n".join(result.warnings)]
            self._db.execute(f"INSERT INTO done VALUES ({','.join('?' * len(row))})", row)
        if time.monotonic() - self._committed > COMMIT_S:
            self._db.execute("COMMIT")
            self._db.execute("BEGIN IMMEDIATE")
            self._committed = time.monotonic()

    def names(self) -> list[str]:
        """List every sound that has an embedding."""
        return [os.fsdecode(name) for (name,) in self._db.execute("SELECT name FROM done ORDER BY name")]

    def failures(self) -> list[tuple[str, Failure]]:
        """List the sounds that have no embedding, by name."""
        rows = self._db.execute("SELECT name, source, code, reason FROM failed ORDER BY name")
        return [(os.fsdecode(name), Failure(Path(os.fsdecode(source)), *why)) for name, source, *why in rows]

    def count(self) -> int:
        """Count the sounds that have an embedding."""
        (n,) = self._db.execute("SELECT count(*) FROM done").fetchone()
        return int(n)

    def records(self, segments: bool = False) -> Iterator[Record]:
        """Yield the records of all embedded sounds, by name."""
        for name, *row in self._db.execute(f"SELECT name, {_FACTS} FROM done ORDER BY name"):
            yield self._record(os.fsdecode(name), row, segments)

    def stored(self, name: str, segments: bool = False) -> Record:
        """Give the record of one embedded sound."""
        row = self._db.execute(f"SELECT {_FACTS} FROM done WHERE name = ?", [_key(name)]).fetchone()
        return self._record(name, row, segments)

    def record(self, name: str, result: Embedding, segments: bool = False) -> Record:
        """Make the record of a sound that was embedded just now."""
        return self._record(name, _facts(result), segments)

    def _record(self, name: str, facts: Sequence[Any], segments: bool) -> Record:
        """Lay out the fields of one sound in the order that others rely on."""
        duration_s, sample_rate, channels, sha256, vector, parts, times_s = facts
        record: Record = {
            "filename": readable(name.rpartition("/")[2]),
            "duration_seconds": round(duration_s, 6),
            "embedding": np.frombuffer(vector, np.float32),
            "path": readable(name),
            "model": self.model,
            "pipeline": self.pipeline,
            "sample_rate": sample_rate,
            "channels": channels,
            "sha256": sha256,
        }
        if segments:
            times = np.frombuffer(times_s, np.float64).reshape(-1, 2)
            vectors = np.frombuffer(parts, np.float32).reshape(len(times), -1)
            record["segments"] = segment_records(times, vectors)
        return record


def _key(name: str) -> bytes:
    """Turn a name into what the file system has, which need not be valid text."""
    return os.fsencode(name)


def _facts(result: Embedding) -> list[Any]:
    """List the columns `_FACTS` of an embedding."""
    arrays = [array.tobytes() for array in (result.vector, result.segments, result.times_s)]
    return [result.duration_s, result.sample_rate, result.channels, result.sha256, *arrays]


def read_failures(out: Path) -> tuple[Settings, list[SoundFile]]:
    """Read the settings of the runs into ``out``, and the sounds that failed.

    Raises
    ------
    ExportError
        if no run has written there
    """
    path = out / JOURNAL
    if not path.is_file():
        raise ExportError(f"{out}: soundalike embed has not written here")
    with closing(_connect(path)) as db, _explained(path):
        settings = _settings(db)
        rows = db.execute("SELECT source, name FROM failed ORDER BY name").fetchall()
    if settings is None:
        raise ExportError(f"{out}: soundalike embed has not written here")
    return settings, [SoundFile(Path(os.fsdecode(a)), PurePosixPath(os.fsdecode(b))) for a, b in rows]


def _connect(path: Path) -> sqlite3.Connection:
    """Open a journal for this process alone."""
    with _explained(path):
        db = sqlite3.connect(path, timeout=0.5, isolation_level=None)
        try:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
        except BaseException:
            db.close()
            raise
        return db


def _settings(db: sqlite3.Connection) -> Settings | None:
    row = db.execute("SELECT value FROM about WHERE key = 'settings'").fetchone()
    if row is None:
        return None
    values = orjson.loads(row[0])
    return Settings(values["model"], values["level"], tuple(values["formats"]), values["segments"])


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say in words what SQLite says in codes."""
    try:
        yield
    except sqlite3.Error as error:
        if "locked" in str(error):
            reason = "another soundalike is writing here; wait for it to end"
        elif isinstance(error, sqlite3.OperationalError):
            reason = f"this cannot be written ({error})"
        else:
            reason = f"damaged ({error}); delete it, and the next run starts anew"
        raise ExportError(f"{path}: {reason}") from error
