"""Embeddings in files: JSON per sound, JSON Lines, Parquet, NumPy with CSV; and back.

One record per sound, the same fields in each format. Floats are written as the shortest decimals that read back to
the same float32. Files appear whole or not at all: they are written beside their place and renamed.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from soundalike.errors import ExportError, PipelineMismatch
from soundalike.types import F32, F64

Record = dict[str, Any]
COLUMNS = ("filename", "duration_seconds", "path", "model", "pipeline", "sample_rate", "channels", "sha256")
_PARQUET_ROWS = 4096  # rows that are in memory at once


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Vectors that were read back, one row per sound."""

    vectors: F32  # (n, dim)
    records: list[Record]  # the other fields, in the same order
    pipeline: str
    model: str

    def __len__(self) -> int:
        return len(self.records)


def dumps(record: Record) -> bytes:
    """One record as JSON."""
    return orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY)


def segment_records(times_s: F64, vectors: F32) -> list[Record]:
    """The ``segments`` field: when, and which vector."""
    rows = zip(times_s.tolist(), vectors, strict=True)
    return [{"start_s": start, "end_s": end, "embedding": vector} for (start, end), vector in rows]


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that appears at ``path`` only when it is complete and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # noqa: PTH101 - mkstemp made it private
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def json_name(name: str) -> str:
    """Where the JSON of the sound called ``name`` goes, below the output folder."""
    folder, _, last = name.rpartition("/")
    if len(os.fsencode(last)) > 240:  # file systems allow 255 bytes
        import hashlib

        digest = hashlib.sha256(os.fsencode(last)).hexdigest()[:16]
        last = os.fsdecode(os.fsencode(last)[:200]).encode(errors="ignore").decode() + "~" + digest
    return f"{folder}/{last}.json" if folder else f"{last}.json"


def write_json(record: Record, name: str, out: Path) -> Path:
    """One JSON file for one sound, at its place in the mirrored tree."""
    path = out / json_name(name)
    with atomic(path) as file:
        file.write(dumps(record))
    return path


def write_jsonl(records: Iterable[Record], out: Path) -> Path:
    """All records, one per line."""
    with atomic(path := out / "embeddings.jsonl") as file:
        for record in records:
            file.write(dumps(record) + b"\n")
    return path


def write_parquet(records: Iterable[Record], out: Path) -> Path:
    """All records as a table; ``embedding`` is a fixed-size list of float32."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic(path := out / "embeddings.parquet") as file:
        writer = None
        waiting = iter(records)
        while rows := tuple(islice(waiting, _PARQUET_ROWS)):
            table = _table(rows)
            writer = writer or pq.ParquetWriter(pa.PythonFile(file, mode="w"), table.schema)
            writer.write_table(table)
        if writer is None:
            raise ExportError(f"{path}: there is nothing to write")
        writer.close()
    return path


def _table(rows: tuple[Record, ...]) -> Any:
    import pyarrow as pa

    vectors = np.stack([row["embedding"] for row in rows])
    flat = pa.array(vectors.ravel(), pa.float32())
    columns = {"embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])}
    for name in COLUMNS:
        columns[name] = pa.array([row[name] for row in rows])
    order = ("filename", "duration_seconds", "embedding", *COLUMNS[2:])
    return pa.table({name: columns[name] for name in order})


def write_numpy(records: Iterable[Record], out: Path) -> Path:
    """``embeddings.npy`` (n, dim) float32 and ``embeddings.csv`` with the other fields, row by row."""
    path, n_rows, dim = out / "embeddings.npy", 0, 0
    with atomic(path) as file, atomic(out / "embeddings.csv") as table:
        lines = csv.DictWriter(Text(table), COLUMNS, extrasaction="ignore", lineterminator="\n")
        lines.writeheader()
        file.write(_npy_header(0, 0))
        for record in records:
            vector = np.ascontiguousarray(record["embedding"], "<f4")
            n_rows, dim = n_rows + 1, vector.size
            file.write(vector.tobytes())
            lines.writerow(record)
        file.seek(0)
        file.write(_npy_header(n_rows, dim))
    return path


def _npy_header(n_rows: int, dim: int) -> bytes:
    """Header of an .npy file (format 1.0), always 128 bytes, so that it can be written again at the end."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({n_rows}, {dim}), }}"
    return b"\x93NUMPY\x01\x00\x76\x00" + text.ljust(117).encode() + b"\n"


class Text:
    """The little of a text file that `csv` needs, over a binary one."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def write(self, text: str) -> int:
        return self.file.write(text.encode())


Writer = Callable[[Iterable[Record], Path], Path]
WRITERS: dict[str, Writer] = {"jsonl": write_jsonl, "parquet": write_parquet, "numpy": write_numpy}


def read_embeddings(path: str | Path) -> Embeddings:
    """Read embeddings back, exactly.

    Parameters
    ----------
    path : a folder that ``soundalike embed`` wrote, one of its JSON files, or a .jsonl, .parquet or .npy file

    Raises
    ------
    ExportError
        if there are none, or a file is damaged
    PipelineMismatch
        if the files come from more than one pipeline
    """
    path = Path(path)
    try:
        records = list(_read(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path}: these are not embeddings that can be read: {error}") from error
    if not records:
        raise ExportError(f"{path}: no embeddings here. Expected .json files, .jsonl, .parquet or .npy")
    first = records[0]["pipeline"]
    for record in records:
        if record["pipeline"] != first:
            raise PipelineMismatch(f"{path}, {record['path']}", first, record["pipeline"])
    vectors = np.stack([np.asarray(record.pop("embedding"), np.float32) for record in records])
    return Embeddings(vectors, records, first, records[0]["model"])


def _read(path: Path) -> Iterator[Record]:
    """Records of a file or folder."""
    if path.is_dir():
        files = sorted(path.rglob("*.json"))
        whole = [path / name for name in ("embeddings.parquet", "embeddings.jsonl", "embeddings.npy")]
        whole = [file for file in whole if file.exists()]
        if not files and whole:
            yield from _read(whole[0])
        for file in files:
            yield orjson.loads(file.read_bytes())
    elif path.suffix == ".json":
        yield orjson.loads(path.read_bytes())
    elif path.suffix == ".jsonl":
        with path.open("rb") as lines:
            yield from (orjson.loads(line) for line in lines if line.strip())
    elif path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield from pq.read_table(path).to_pylist()
    elif path.suffix == ".npy":
        yield from _read_numpy(path)
    else:
        raise ExportError(f"{path}: not a format of embeddings. Known: .json, .jsonl, .parquet, .npy")


def _read_numpy(path: Path) -> Iterator[Record]:
    vectors = np.load(path, allow_pickle=False)
    with path.with_suffix(".csv").open(newline="", encoding="utf-8") as table:
        for vector, row in zip(vectors, csv.DictReader(table), strict=True):
            numbers = {"duration_seconds": float(row["duration_seconds"])}
            numbers |= {name: int(row[name]) for name in ("sample_rate", "channels")}
            yield {**row, **numbers, "embedding": vector}
