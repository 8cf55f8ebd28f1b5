"""Rows from a source: a library, a folder of JSON files, a .jsonl, .parquet or .npy file."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from soundalike.errors import ExportError
from soundalike.export import read_embeddings, readable
from soundalike.library import Library
from soundalike.library.database import is_made
from soundalike.library.records import embedding_record
from soundalike.push.contract import NUMBERS, TEXTS, WHOLE, Fields, Row
from soundalike.types import F32

_SOUNDS = uuid.UUID("1f0bdb0e-5c1c-5e4e-9a52-2d6b8c2d9a10")  # our name space; never to be changed
Segments = Iterable[tuple[F32, Any]]  # vectors, each with (start_s, end_s)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Rows of one pipeline, ready to be pushed."""

    rows: list[Row]  # one for each content
    model: str
    pipeline: str
    kind: str  # "sound" or "segment"
    n_copies: int  # sounds left out because another has the same content

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self.rows[0].vector.size)


def read_source(path: Path, *, segments: bool = False) -> Source:
    """Read the vectors of a source.

    Parameters
    ----------
    path : folder of a library, folder of JSON files, or a file of embeddings
    segments : the vectors of the segments in place of those of the sounds

    Raises
    ------
    ExportError
        if there are none
    PipelineMismatch
        if they come from more than one pipeline
    """
    library = path.is_dir() and is_made(path)
    rows: dict[str, Row] = {}
    n_rows = 0
    for row in _from_library(path, segments) if library else _from_files(path, segments):
        n_rows += 1
        rows.setdefault(row.id, row)
    if not rows:
        what = "segments; embed with --segments, as json or jsonl" if segments else "sounds"
        raise ExportError(f"{path}: there are no {what}")
    first = next(iter(rows.values())).fields
    return Source(list(rows.values()), first["model"], first["pipeline"], first["kind"], n_rows - len(rows))


def _from_library(path: Path, segments: bool) -> Iterator[Row]:
    with Library.open(path) as library:
        now = library.status()
        ids, vectors = library.vectors()
        vector_of = dict(zip(ids.tolist(), vectors, strict=True))
        for sound in library.sounds():
            if sound.id not in vector_of:
                continue  # added since
            vector = vector_of[sound.id]
            parts = zip(*library.segments(sound.id), strict=True) if segments else None
            yield from _rows(embedding_record(sound, vector, now), vector, parts)


def _from_files(path: Path, segments: bool) -> Iterator[Row]:
    found = read_embeddings(path)
    for vector, record in zip(found.vectors, found.records, strict=True):
        if not record.get("sha256"):
            raise ExportError(f"{path}, {record['path']}: it has no sha256, which its id is made of")
        parts = record.pop("segments", None) or ()
        times = (((part["start_s"], part["end_s"]), part["embedding"]) for part in parts)
        yield from _rows(record, vector, ((np.asarray(v), at) for at, v in times) if segments else None)


def _rows(fields: Fields, vector: F32, parts: Segments | None) -> Iterator[Row]:
    if parts is None:
        yield make_row(fields, vector)
        return
    for part, (start_s, end_s) in parts:
        yield make_row(fields | {"kind": "segment", "start_s": float(start_s), "end_s": float(end_s)}, part)


def make_row(fields: Mapping[str, Any], vector: F32) -> Row:
    """Make a row: fields that any store takes, an id, and a digest that says if anything has changed.

    Parameters
    ----------
    fields : names as in an export; unknown ones and those without a value are left out
    vector : (dim,)
    """
    kept: Fields = {"kind": "sound"}
    kept |= {name: readable(str(fields[name])) for name in TEXTS if fields.get(name) is not None}
    kept |= {name: float(fields[name]) for name in NUMBERS if fields.get(name) is not None}
    kept |= {name: int(fields[name]) for name in WHOLE if fields.get(name) is not None}
    kept["tags"] = sorted(readable(f"{name}={value}") for name, value in (fields.get("tags") or {}).items())
    kept.pop("digest", None)
    vector = np.ascontiguousarray(vector, "<f4")
    content = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS) + vector.tobytes()
    kept["digest"] = hashlib.blake2b(content, digest_size=12).hexdigest()
    return Row(row_id(kept["sha256"], kept.get("start_s")), vector, kept)


def row_id(sha256: str, start_s: float | None = None) -> str:
    """Id of a sound, or of its segment that begins at ``start_s``: a UUID (version 5) of the content.

    A file that is moved, renamed or exported again keeps its id; a copy shares it.
    """
    return str(uuid.uuid5(_SOUNDS, sha256 if start_s is None else f"{sha256} {start_s:.6f}"))


def record_of(row: Row) -> dict[str, Any]:
    """Turn a row back into a record of an export; pushing that gives the same row."""
    record = {name: row.fields.get(name) for name in (*TEXTS, *NUMBERS, *WHOLE)}
    record = {name: value for name, value in record.items() if value is not None and name != "digest"}
    tags = dict(tag.split("=", 1) for tag in row.fields.get("tags") or ())
    return {"sample_rate": 0, "channels": 0, **record, "tags": tags, "embedding": row.vector}
