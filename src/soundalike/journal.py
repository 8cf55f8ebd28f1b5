"""What a run of ``soundalike embed`` has done so far, kept in its output folder.

One SQLite file. It lets a second run skip what is unchanged, a broken run go on, and the table formats be written
from any number of runs. A row is written when a sound is done, committed every `COMMIT_S` seconds and at the end.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType

import numpy as np
import orjson

from soundalike.errors import ExportError, PipelineMismatch
from soundalike.export import Record, segment_records
from soundalike.folders import SoundFile
from soundalike.types import Embedding, Failure, LevelRule

COMMIT_S = 1.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS done (
    name BLOB PRIMARY KEY, source BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    duration_s REAL NOT NULL, sample_rate INTEGER NOT NULL, channels INTEGER NOT NULL, sha256 TEXT NOT NULL,
    vector BLOB NOT NULL, segments BLOB NOT NULL, times_s BLOB NOT NULL, warnings TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failed (
    name BLOB PRIMARY KEY, source BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;
"""
VERSION = 1
JOURNAL = ".soundalike.db"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells a changed file from an unchanged one."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Settings:
    """How a folder of results was made."""

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
        if it is busy, or from a newer version
    """

    def __init__(self, out: Path, pipeline: str, model: str) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.path = out / JOURNAL
        self.model, self.pipeline = model, pipeline
        self._db = sqlite3.connect(self.path, timeout=0.5, isolation_level=None)
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._open()
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            self._db.close()
            raise ExportError(f"{out}: another soundalike is writing here ({error}). Wait for it to end.") from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ExportError(f"{self.path}: damaged ({error}). Delete it; the next run starts anew.") from error
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
            raise PipelineMismatch(str(self.path.parent), self.pipeline, found)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.execute("COMMIT")
        self._db.close()

    def remember(self, settings: Settings) -> None:
        """Keep the settings of the last run, for `read_failures`."""
        text = orjson.dumps(settings).decode()
        self._db.execute("INSERT OR REPLACE INTO about VALUES ('settings', ?)", [text])

    def state(self, name: str) -> tuple[Stamp, bool] | None:
        """Stamp of a sound when it was last tried, and whether that worked; None if it never was."""
        for table, worked in (("done", True), ("failed", False)):
            row = self._db.execute(f"SELECT size, mtime_ns FROM {table} WHERE name = ?", [_key(name)]).fetchone()
            if row:
                return Stamp(*row), worked
        return None

    def add(self, name: str, stamp: Stamp, result: Embedding | Failure) -> None:
        """Remember what became of a sound."""
        self.forget([name])
        head = [_key(name), _key(str(result.path)), stamp.size, stamp.mtime_ns]
        if isinstance(result, Failure):
            self._db.execute("INSERT INTO failed VALUES (?,?,?,?,?,?)", [*head, result.code, result.reason])
        else:
            values = [result.duration_s, result.sample_rate, result.channels, result.sha256]
            arrays = [a.tobytes() for a in (result.vector, result.segments, result.times_s)]
            row = [*head, *values, *arrays, "\n".join(result.warnings)]
            self._db.execute(f"INSERT INTO done VALUES ({','.join('?' * len(row))})", row)
        if time.monotonic() - self._committed > COMMIT_S:
            self._db.execute("COMMIT")
            self._db.execute("BEGIN IMMEDIATE")
            self._committed = time.monotonic()

    def forget(self, names: Iterable[str]) -> None:
        """Drop sounds that are no longer there."""
        keys = [[_key(name)] for name in names]
        for table in ("done", "failed"):
            self._db.executemany(f"DELETE FROM {table} WHERE name = ?", keys)

    def names(self) -> Iterator[str]:
        """Every sound that was tried."""
        rows = self._db.execute("SELECT name FROM done UNION SELECT name FROM failed")
        yield from (os.fsdecode(name) for (name,) in rows)

    def failures(self) -> list[tuple[str, Failure]]:
        """Sounds that have no embedding, by name."""
        rows = self._db.execute("SELECT name, source, code, reason FROM failed ORDER BY name")
        return [(os.fsdecode(name), Failure(Path(os.fsdecode(source)), *why)) for name, source, *why in rows]

    def count(self) -> int:
        """How many sounds have an embedding."""
        (n,) = self._db.execute("SELECT count(*) FROM done").fetchone()
        return int(n)

    def records(self, segments: bool = False) -> Iterator[Record]:
        """Records of all embedded sounds, by name."""
        rows = self._db.execute(
            "SELECT name, duration_s, sample_rate, channels, sha256, vector, segments, times_s FROM done ORDER BY name"
        )
        for name, duration_s, sample_rate, channels, sha256, vector, parts, times_s in rows:
            vector = np.frombuffer(vector, np.float32)
            record = self.record(os.fsdecode(name), duration_s, vector, sample_rate, channels, sha256)
            if segments:
                times = np.frombuffer(times_s, np.float64).reshape(-1, 2)
                record["segments"] = segment_records(times, np.frombuffer(parts, np.float32).reshape(len(times), -1))
            yield record

    def record(
        self, name: str, duration_s: float, vector: np.ndarray, sample_rate: int, channels: int, sha256: str
    ) -> Record:
        """The fields of one sound, in the order that others rely on."""
        shown = name.encode(errors="surrogateescape").decode(errors="replace")  # names may be no valid text
        return {
            "filename": shown.rpartition("/")[2],
            "duration_seconds": round(duration_s, 6),
            "embedding": vector,
            "path": shown,
            "model": self.model,
            "pipeline": self.pipeline,
            "sample_rate": sample_rate,
            "channels": channels,
            "sha256": sha256,
        }


def _key(name: str) -> bytes:
    """A name as the file system has it, which need not be valid text."""
    return os.fsencode(name)


def read_failures(out: Path) -> tuple[Settings, list[SoundFile]]:
    """Settings of the last run into ``out``, and the sounds that failed.

    Raises
    ------
    ExportError
        if no run has written there
    """
    path = out / JOURNAL
    if not path.exists():
        raise ExportError(f"{out}: soundalike embed has not written here")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        (text,) = db.execute("SELECT value FROM about WHERE key = 'settings'").fetchone()
        rows = db.execute("SELECT source, name FROM failed ORDER BY name").fetchall()
    values = orjson.loads(text)
    settings = Settings(values["model"], values["level"], tuple(values["formats"]), values["segments"])
    return settings, [SoundFile(Path(os.fsdecode(a)), PurePosixPath(os.fsdecode(b))) for a, b in rows]
