"""Embeddings in files: JSON per sound, JSON Lines, Parquet, NumPy with CSV; and back.

One record per sound, the same fields in each format. Floats are written as the shortest decimals that read
back to the same float32. Files appear whole or not at all: they are written beside their place and renamed.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
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
    """Write one record as JSON."""
    return orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY)


def segment_records(times_s: F64, vectors: F32) -> list[Record]:
    """Make the ``segments`` field: when, and which vector."""
    rows = zip(times_s.tolist(), vectors, strict=True)
    return [{"start_s": start, "end_s": end, "embedding": vector} for (start, end), vector in rows]


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that appears at ``path`` only when it is complete and on disk.

    What a killed process leaves behind has a name that follows from ``path``, so the next attempt overwrites
    it. One writer at a time: the journal sees to that.

    Raises
    ------
    ExportError
        if the system does not let it be written
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _discard(temporary)
        raise ExportError(f"{path}: this cannot be written ({error.strerror or error})") from error
    except BaseException:
        _discard(temporary)
        raise


def _discard(path: Path) -> None:
    with suppress(OSError):  # it may never have come into being
        path.unlink()


def json_name(name: str) -> str:
    """Place the JSON of the sound called ``name`` below the output folder; no two names share a place."""
    folder, _, last = name.rpartition("/")
    folder = re.sub(r"(\.json~*)(?=/|$)", r"\1~", folder)  # a folder must not take the place of a file
    if len(os.fsencode(last)) > 240:  # file systems allow 255 bytes
        import hashlib

        digest = hashlib.sha256(os.fsencode(last)).hexdigest()[:16]
        last = os.fsencode(last)[:200].decode(errors="ignore") + "~" + digest
    return f"{folder}/{last}.json" if folder else f"{last}.json"


def readable(name: str) -> str:
    """Make a name text that any format takes; a byte that is none becomes its code: names stay apart."""
    return os.fsencode(name).decode(errors="backslashreplace")


def write_json(record: Record, name: str, out: Path) -> Path:
    """Write one JSON file for one sound, at its place in the mirrored tree."""
    path = out / json_name(name)
    with atomic(path) as file:
        file.write(dumps(record))
    return path


def write_jsonl(records: Iterable[Record], out: Path) -> Path:
    """Write all records, one per line."""
    with atomic(path := out / "embeddings.jsonl") as file:
        for record in records:
            file.write(dumps(record) + b"\n")
    return path


def write_parquet(records: Iterable[Record], out: Path) -> Path:
    """Write all records as a table; ``embedding`` is a fixed-size list of float32."""
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
    """Write ``embeddings.npy`` (n, dim) float32 and ``embeddings.csv``, the other fields row by row."""
    path, n_rows, dim = out / "embeddings.npy", 0, 0
    with atomic(path) as file, atomic(out / "embeddings.csv") as table:
        lines = csv.DictWriter(Text(table), COLUMNS, extrasaction="ignore")
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
    """Make the header of an .npy file (format 1.0), always 128 bytes: it is written again at the end."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({n_rows}, {dim}), }}"
    return b"\x93NUMPY\x01\x00\x76\x00" + text.ljust(117).encode() + b"\n"


class Text:
    """The little of a text file that `csv` needs, over a binary one."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def write(self, text: str) -> int:
        """Write text as UTF-8."""
        return self.file.write(text.encode(errors="backslashreplace"))


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
    records: list[Record] = []
    vectors: list[F32] = []
    for record in _read_folder(path) if path.is_dir() else _read_file(path):
        vectors.append(record.pop("embedding"))
        records.append(record)
        if record["pipeline"] != records[0]["pipeline"]:
            raise PipelineMismatch(f"{path}, {record['path']}", records[0]["pipeline"], record["pipeline"])
        if vectors[-1].shape != vectors[0].shape:
            sizes = f"{vectors[-1].size} numbers, not {vectors[0].size}"
            raise ExportError(f"{path}, {record['path']}: damaged: {sizes}")
    if not records:
        raise ExportError(f"{path}: no embeddings here. Expected .json files, .jsonl, .parquet or .npy")
    return Embeddings(np.stack(vectors), records, records[0]["pipeline"], records[0]["model"])


def _read_folder(path: Path) -> Iterator[Record]:
    """Read the JSON files below a folder, foreign ones left out; without any, a table in it."""
    n = 0
    for file in sorted(path.rglob("*.json")):
        for record in _read_file(file, lenient=True):
            n += 1
            yield record
    tables = [path / f"embeddings{suffix}" for suffix in (".parquet", ".jsonl", ".npy")]
    for table in [table for table in tables if n == 0 and table.exists()][:1]:
        yield from _read_file(table)


def _read_file(path: Path, lenient: bool = False) -> Iterator[Record]:
    """Read and check one file; ``lenient`` passes over JSON that holds something else altogether."""
    if not path.exists():
        raise ExportError(f"{path}: there is no such file or folder")
    if path.suffix not in _READERS:
        raise ExportError(f"{path}: not a format of embeddings. Known: {', '.join(_READERS)}")
    try:
        for record in _READERS[path.suffix](path):
            if lenient and not (isinstance(record, dict) and "embedding" in record):
                continue
            yield _checked(record)
    except Exception as error:  # the readers' errors have no common tree
        raise ExportError(f"{path}: these are not embeddings that can be read: {error}") from error


def _checked(record: Record) -> Record:
    """Check the fields that matter, and make the vector float32."""
    vector = np.asarray(record["embedding"], np.float32)
    if vector.ndim != 1 or vector.size == 0 or not np.isfinite(vector).all():
        raise ValueError(f"an embedding is a list of finite numbers; this has shape {vector.shape}")
    for name in ("path", "model", "pipeline"):
        if not isinstance(record[name], str):
            raise ValueError(f"{name} is not text")
    record["embedding"] = vector
    return record


def _read_json(path: Path) -> Iterator[Record]:
    yield orjson.loads(path.read_bytes())


def _read_jsonl(path: Path) -> Iterator[Record]:
    with path.open("rb") as lines:
        yield from (orjson.loads(line) for line in lines if line.strip())


def _read_parquet(path: Path) -> Iterator[Record]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(_PARQUET_ROWS):
            rows = batch.drop_columns(["embedding"]).to_pylist()
            vectors = batch["embedding"].flatten().to_numpy().reshape(len(rows), -1)
            for row, vector in zip(rows, vectors, strict=True):
                yield {**row, "embedding": vector}


def _read_numpy(path: Path) -> Iterator[Record]:
    vectors = np.load(path, allow_pickle=False)
    with path.with_suffix(".csv").open(newline="", encoding="utf-8") as table:
        for vector, row in zip(vectors, csv.DictReader(table), strict=True):
            numbers = {"duration_seconds": float(row["duration_seconds"])}
            numbers |= {name: int(row[name]) for name in ("sample_rate", "channels")}
            yield {**row, **numbers, "embedding": vector}


_READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
    ".npy": _read_numpy,
}
