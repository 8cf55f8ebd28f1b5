"""Files into a trash folder, and back: nothing is ever deleted.

Each time, a folder of its own is made in the trash, with the files and a list of where they were. The list is on disk
before the first file moves, so whatever breaks off can be undone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from soundalike.errors import SoundalikeError
from soundalike.export import atomic

LIST = "moved.json"


def move_to_trash(paths: Sequence[Path], trash: Path) -> Path:
    """Move files into a new folder of the trash.

    Returns
    -------
    that folder; `put_back` takes it

    Raises
    ------
    SoundalikeError
        if a file cannot be moved; those before it are in the trash, and can be put back
    """
    folder = _new_folder(trash)
    places = [folder / f"{number:05} {path.name}" for number, path in enumerate(paths, 1)]
    pairs = list(zip(paths, places, strict=True))
    moves = [{"from": os.fsdecode(path.absolute()), "to": place.name} for path, place in pairs]
    with atomic(folder / LIST) as file:
        file.write(json.dumps(moves, indent=1).encode("utf-8", "surrogateescape"))
    for path, place in pairs:
        _move(path, place)
    return folder


def put_back(folder: Path) -> list[Path]:
    """Move what `move_to_trash` has moved to where it was; the folder goes when it is empty.

    Returns
    -------
    the files that are back

    Raises
    ------
    SoundalikeError
        if this is no folder of the trash; if another file has taken a place, and then nothing has moved; or if a file
        cannot be moved, and those that are left stay in the trash
    """
    try:
        moves = json.loads((folder / LIST).read_bytes().decode("utf-8", "surrogateescape"))
    except (OSError, ValueError) as error:
        raise SoundalikeError(f"{folder}: this is no folder of moved duplicates (no readable {LIST})") from error
    pairs = [(folder / move["to"], Path(move["from"])) for move in moves]
    left = [(place, path) for place, path in pairs if place.exists()]  # others were never moved, or are back
    for place, path in left:
        if path.exists():
            raise SoundalikeError(f"{path}: another file is there now; {place} and all others are left in the trash")
    for place, path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        _move(place, path)
    (folder / LIST).unlink()
    folder.rmdir()
    return [path for _, path in left]


def last_moved(trash: Path) -> Path | None:
    """Give the folder of the trash that was made last."""
    return max((path.parent for path in trash.glob(f"*/{LIST}")), default=None)


def _new_folder(trash: Path) -> Path:
    name = datetime.now(UTC).strftime("%Y-%m-%d %H.%M.%S.%f")
    folder = trash / name
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise SoundalikeError(f"{folder}: the trash folder cannot be made ({error.strerror})") from error
    return folder


def _move(path: Path, place: Path) -> None:
    try:
        shutil.move(path, place)
    except OSError as error:
        raise SoundalikeError(f"{path}: cannot be moved to {place} ({error.strerror or error})") from error
