"""Sounds to take away: a playlist, a table, JSON, embeddings, or an archive of the files; never whole in memory."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np
import orjson

from soundalike.errors import SoundalikeError
from soundalike.library import Library, Sound
from soundalike.library.records import embedding_record, sound_record
from soundalike.library.results import m3u_lines
from soundalike.readable import shown
from soundalike.web.media import source_of

MEDIA_TYPES = {
    "m3u": "audio/x-mpegurl", "csv": "text/csv; charset=utf-8", "json": "application/json",
    "jsonl": "application/x-ndjson", "zip": "application/zip",
}  # fmt: skip
_COLUMNS = ("path", "duration_seconds", "sample_rate", "channels", "container", "codec", "id")
_PIECE = 1 << 18  # bytes
_SOUNDS_AT_ONCE = 256


def exported(library: Library, sounds: Sequence[Sound], kind: str) -> Iterator[bytes]:
    """Content of the file, piece by piece."""
    match kind:
        case "m3u":
            return m3u_lines(sounds)
        case "csv":
            return _table(sounds)
        case "json":
            return _objects(sounds)
        case "jsonl":
            return _embeddings(library, sounds)
        case _:
            return _archive(library, sounds)


def _table(sounds: Iterable[Sound]) -> Iterator[bytes]:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    for sound in sounds:
        record = sound_record(sound)
        table.writerow([_harmless(record[name]) for name in _COLUMNS])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _harmless(cell: object) -> object:
    """A name that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _objects(sounds: Iterable[Sound]) -> Iterator[bytes]:
    for number, sound in enumerate(sounds):
        yield (b",\n" if number else b"[\n") + orjson.dumps(sound_record(sound))
    yield b"\n]\n"


def _embeddings(library: Library, sounds: Sequence[Sound]) -> Iterator[bytes]:
    """A line for each sound, as `soundalike embed --format jsonl` writes it."""
    now = library.status()
    for first in range(0, len(sounds), _SOUNDS_AT_ONCE):
        some = sounds[first : first + _SOUNDS_AT_ONCE]
        ids, vectors = library.vectors(np.array([sound.id for sound in some]))
        vector_of = dict(zip(ids.tolist(), vectors, strict=True))
        for sound in some:
            if sound.id in vector_of:
                record = embedding_record(sound, vector_of[sound.id], now)
                yield orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"


def _archive(library: Library, sounds: Sequence[Sound]) -> Iterator[bytes]:
    """The files, numbered; what cannot be read is named in ``missing.txt``."""
    out, missing = _Pipe(), list[str]()
    digits = len(str(len(sounds)))
    with zipfile.ZipFile(cast("IO[bytes]", out), "w", zipfile.ZIP_STORED) as archive:
        for number, sound in enumerate(sounds, 1):
            try:
                path = source_of(library, sound).path
                yield from _member(archive, path, f"{number:0{digits}} {shown(sound.path.name)}", out)
            except (SoundalikeError, OSError, ValueError) as error:
                missing.append(str(error))
        if missing:
            archive.writestr("missing.txt", "\n".join(map(shown, missing)))
    yield out.taken()


def _member(archive: zipfile.ZipFile, path: Path, name: str, out: _Pipe) -> Iterator[bytes]:
    with path.open("rb") as file:
        info = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
        with archive.open(info, "w", force_zip64=info.file_size >= 1 << 31) as member:
            while piece := file.read(_PIECE):
                member.write(piece)
                yield out.taken()


class _Pipe:
    """What a `ZipFile` writes to, and a generator takes from."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def taken(self) -> bytes:
        """What was written since."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
