"""The tables of a library, as numbered migrations that are only ever added to.

A library written by any released version opens for ever: `migrate` brings it up to date, all steps in one
transaction. Never change a migration that was released; write the next one.

Conventions: paths are the bytes that the file system has, absolute; times are seconds since 1970. The id of a
sound is never used twice, and **its vector never changes within a space**: a file with new content is a new
sound. So the newest id says how far a cache has come, and a deletion is the only other thing that can happen
(`gone` counts those). A *space* is one model with its pipeline; one is current, another may be in the making
(``rebuild``). Vectors lie apart from the facts, so that filters read few pages; their key holds the space and
the sound: see `key_of`.
"""

from __future__ import annotations

import sqlite3

PAGE_SIZE = 16384  # 2 KB vectors waste half of a 4 KB page
_SPACE_BITS = 40

MIGRATIONS = (
    """
    CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE spaces (
        id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, level TEXT NOT NULL,
        pipeline TEXT NOT NULL, dim INTEGER NOT NULL, current INTEGER NOT NULL);
    CREATE TABLE roots (path BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE left_out (path BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE sounds (
        id INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, duration_s REAL NOT NULL,
        sample_rate INTEGER NOT NULL, channels INTEGER NOT NULL, container TEXT NOT NULL,
        codec TEXT NOT NULL, bits_per_sample INTEGER,
        bit_rate INTEGER, n_segments INTEGER NOT NULL, warnings TEXT NOT NULL, added_at REAL NOT NULL);
    CREATE INDEX sounds_by_size ON sounds (size);
    CREATE INDEX sounds_by_duration ON sounds (duration_s);
    CREATE INDEX sounds_by_added ON sounds (added_at);
    CREATE TABLE tags (
        sound_id INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL COLLATE NOCASE,
        PRIMARY KEY (sound_id, name)) WITHOUT ROWID;
    CREATE INDEX tags_by_value ON tags (name, value);
    CREATE TABLE failures (
        path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, code TEXT NOT NULL,
        reason TEXT NOT NULL, failed_at REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE vectors (key INTEGER PRIMARY KEY, vector BLOB NOT NULL);
    CREATE TABLE segments (key INTEGER PRIMARY KEY, vectors BLOB NOT NULL, times_s BLOB NOT NULL);
    CREATE TABLE gone (seq INTEGER PRIMARY KEY AUTOINCREMENT, sound_id INTEGER NOT NULL);
    """,
    # Aspects of each sound, `soundalike.aspects`. Their space is the version of their layout, for any model; it counts
    # once `about` has "aspects" with that version: then every sound has a row, of NaN where nothing could be measured.
    """
    CREATE TABLE aspects (key INTEGER PRIMARY KEY, row BLOB NOT NULL)
    """,
)
VERSION = len(MIGRATIONS)


def version_of(db: sqlite3.Connection) -> int:
    """How many migrations a database has seen."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database up to `VERSION`, all of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    for number in range(version_of(db), VERSION):  # read again: another process may have been faster
        for statement in MIGRATIONS[number].split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {number + 1}")
    db.execute("COMMIT")


def key_of(space: int, sound_id: int) -> int:
    """Key of a sound's vectors in a space; the keys of a space are one range, in the order of the sounds."""
    return space << _SPACE_BITS | sound_id


def sound_of(key: int) -> int:
    """Id of the sound that a key belongs to."""
    return key & ((1 << _SPACE_BITS) - 1)


def keys_of(space: int) -> tuple[int, int]:
    """First and last possible key of a space."""
    return key_of(space, 0), key_of(space + 1, 0) - 1
