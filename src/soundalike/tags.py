"""Tags that sound files carry: artist, album, title, genre, BPM, key and whatever else is written in them."""

from __future__ import annotations

from pathlib import Path

from soundalike._container import check_file, open_container

MAX_LENGTH = 1000  # characters of one value: lyrics and cover notes are cut
MAX_TAGS = 100

_NAMES = {  # what formats call it: what it is called here
    "album artist": "album_artist", "albumartist": "album_artist", "tpe2": "album_artist", "tpe1": "artist",
    "iart": "artist", "inam": "title", "tit2": "title", "iprd": "album", "talb": "album", "ignr": "genre",
    "tcon": "genre", "icmt": "comment", "description": "comment", "icrd": "date", "year": "date",
    "tyer": "date", "tdrc": "date", "tbpm": "bpm", "tbp": "bpm", "tmpo": "bpm", "tempo": "bpm",
    "tkey": "key", "tke": "key",
    "initialkey": "key", "initial_key": "key", "initial key": "key", "tracknumber": "track", "itrk": "track",
}  # fmt: skip
_NOT_TAGS = {
    "encoder", "encoded_by", "major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id",
    "creation_time", "language", "duration", "iswf", "tsse", "coding_history", "umid",
}  # fmt: skip


def read_tags(path: Path | str) -> dict[str, str]:
    """Tags of a sound file: lower-case names, values as they are written.

    The usual ones have one name in every format: ``artist``, ``album``, ``album_artist``, ``title``,
    ``genre``, ``date``, ``track``, ``bpm``, ``key``, ``comment``; what else is there keeps its own.

    Raises
    ------
    SoundError
        if the file cannot be opened as sound
    """
    path = Path(path)
    check_file(path)
    container = open_container(path)
    try:
        streams = [stream.metadata for stream in container.streams.audio[:1]]  # Ogg keeps them there
        found: dict[str, str] = {}
        for metadata in (container.metadata, *streams):
            for name, value in metadata.items():
                _keep(found, name, value)
        return found
    finally:
        container.close()


def _keep(found: dict[str, str], name: str, value: str) -> None:
    name = " ".join(name.lower().split())
    name = _NAMES.get(name, name)
    value = " ".join(str(value).replace("\0", "; ").split())[:MAX_LENGTH]  # no control characters are left
    if value and name and name not in _NOT_TAGS and len(found) < MAX_TAGS:
        found.setdefault(name, value)
