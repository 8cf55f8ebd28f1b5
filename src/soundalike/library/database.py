"""Connections to a library's database, transactions, and the lock that lets one process write at a time."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import orjson

from soundalike.errors import LibraryBusy, LibraryError
from soundalike.library import schema
from soundalike.readable import why

DATABASE = "library.db"
LOCK = "writer.lock"
HOLDER = "writer.json"  # who holds the lock; only for the message
_BUSY_S = 10.0  # SQLite's own short locks


def connect(folder: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the database of a library.

    Raises
    ------
    LibraryError
        if there is none, it is damaged, or a newer version wrote it
    """
    path = folder / DATABASE
    if not create and not path.exists():
        raise LibraryError(folder, "there is no library here. `soundalike add` makes one.")
    try:
        db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise LibraryError(folder, f"the library cannot be opened ({error})") from error
    try:
        _prepare(db, folder, create)
    except sqlite3.Error as error:
        db.close()
        raise LibraryError(path, f"this is no library, or it is damaged ({error})") from error
    except BaseException:
        db.close()
        raise
    return db


def is_made(folder: Path) -> bool:
    """Whether there is a library whose making was completed."""
    path = folder / DATABASE
    if not path.exists():
        return False
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=_BUSY_S)) as db:
        return bool(db.execute("SELECT count(*) FROM spaces WHERE current").fetchone()[0])
    return False


def _prepare(db: sqlite3.Connection, folder: Path, create: bool) -> None:
    db.execute(f"PRAGMA page_size={schema.PAGE_SIZE}")  # before the first table; later it has no effect
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA fullfsync=ON")  # macOS: through the drive's own cache
    version = schema.version_of(db)
    if version > schema.VERSION:
        raise LibraryError(folder, "a newer soundalike has written this library; update this one")
    if version == 0 and not create:
        raise LibraryError(folder, "there is no library here, or its making was broken off: run `soundalike add`.")
    if version == 0:
        db.execute("PRAGMA journal_mode=WAL")
    if version < schema.VERSION:
        schema.migrate(db)


@contextmanager
def write_errors(folder: Path) -> Iterator[None]:
    """SQLite's errors in plain words.

    Raises
    ------
    LibraryError
        if the disk is full or fails; the library is then as it was after the last commit
    """
    try:
        yield
    except sqlite3.Error as error:
        advice = "Make room and run it again." if "full" in str(error) else "Run it again."
        reason = f"it could not be written ({error}); nothing saved before is lost. {advice}"
        raise LibraryError(folder, reason) from error


@contextmanager
def writer_lock(folder: Path, doing: str) -> Iterator[None]:
    """Be the only writer of a library, among all processes and threads; the system ends it with the process.

    Raises
    ------
    LibraryBusy
        if another process is writing: it says which
    LibraryError
        if the folder cannot be written
    """
    lock = sqlite3.connect(folder / LOCK, timeout=0.2, isolation_level=None, check_same_thread=False)
    try:
        try:
            lock.execute("BEGIN EXCLUSIVE")  # SQLite's file lock: the same on every system
        except sqlite3.OperationalError as error:
            if "lock" not in str(error):
                raise LibraryError(folder, f"it cannot be written ({why(error)})") from error
            raise LibraryBusy(folder, _who(folder)) from error
        about = {"pid": os.getpid(), "doing": doing, "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        with suppress(OSError):
            (folder / HOLDER).write_bytes(orjson.dumps(about))
        yield
    finally:
        with suppress(OSError):
            if lock.in_transaction:
                (folder / HOLDER).unlink()
        lock.close()


def _who(folder: Path) -> str:
    try:
        about = orjson.loads((folder / HOLDER).read_bytes())
        holder = f"process {about['pid']} (soundalike {about['doing']}, since {about['since']})"
    except (OSError, ValueError, KeyError):
        holder = "another process"
    return f"{holder} is writing to this library. Wait for it to end; searching works meanwhile."
