"""Choosing a folder: what the user may read, by ids that mean nothing outside this start of the server."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from soundalike.audio import is_sound_file

MOST_IDS = 20_000
MOST_FOLDERS = 2000  # in one folder
_COUNTING_S = 0.2  # spent on counting the sounds of the folders that are shown
_USUAL = ("Music", "Sounds", "Samples", "Documents", "Desktop", "Downloads", "Movies", "Videos")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to choose."""

    id: str
    path: Path
    n_sounds: int | None = None  # directly in it; None: there was no time to count


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder, and those inside it."""

    at: Folder
    parent: str | None
    folders: tuple[Folder, ...]
    places: tuple[Folder, ...]


class Picker:
    """Gives ids to folders, and looks into them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: dict[str, Path] = {}
        self._ids: dict[Path, str] = {}

    def path_of(self, folder_id: str) -> Path | None:
        """Folder of an id; None if it was never given, or is gone."""
        with self._lock:
            path = self._paths.get(folder_id)
        return path if path is not None and path.is_dir() else None

    def typed(self, text: str) -> Path | None:
        """Folder that somebody has typed; None if there is none, or it may not be read.

        On Windows, names of other machines are refused: asking for one would tell it who asks.
        """
        if "\0" in text or text.startswith(("\\\\", "//")):
            return None
        try:
            path = Path(text.strip()).expanduser()
            readable = path.is_absolute() and path.is_dir() and os.access(path, os.R_OK | os.X_OK)
        except (OSError, RuntimeError, ValueError):
            return None
        return Path(os.path.abspath(path)) if readable else None  # noqa: PTH100 - links are kept

    def look(self, path: Path, known: Iterable[Path] = ()) -> Listing:
        """List the folders in a folder; those that may not be read, and hidden ones, are left out.

        Parameters
        ----------
        known : further places to offer, such as the folders of the library

        Raises
        ------
        OSError
            if the folder cannot be listed
        """
        inside = sorted(_folders_in(path), key=lambda one: one.name.casefold())[:MOST_FOLDERS]
        until = time.monotonic() + _COUNTING_S
        counted = tuple(self._folder(one, _n_sounds(one) if time.monotonic() < until else None) for one in inside)
        parent = None if path.parent == path or not os.access(path.parent, os.R_OK | os.X_OK) else path.parent
        places = dict.fromkeys([*_places(), *known])
        return Listing(
            self._folder(path, _n_sounds(path)), None if parent is None else self._id(parent), counted,
            tuple(self._folder(place) for place in places if place.is_dir()),
        )  # fmt: skip

    def _folder(self, path: Path, n_sounds: int | None = None) -> Folder:
        return Folder(self._id(path), path, n_sounds)

    def _id(self, path: Path) -> str:
        with self._lock:
            folder_id = self._ids.pop(path, None) or "f" + secrets.token_urlsafe(9)
            self._ids[path] = folder_id  # now the newest
            self._paths[folder_id] = path
            while len(self._ids) > MOST_IDS:
                oldest = next(iter(self._ids))
                del self._paths[self._ids.pop(oldest)]
            return folder_id


def _folders_in(path: Path) -> list[Path]:
    found = []
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                if not entry.name.startswith(".") and entry.is_dir() and os.access(entry.path, os.R_OK | os.X_OK):
                    found.append(Path(entry.path))
            except OSError:
                continue
    return found


def _n_sounds(path: Path) -> int | None:
    try:
        with os.scandir(path) as entries:
            return sum(is_sound_file(entry.name) for entry in entries)
    except OSError:
        return None


def _places() -> list[Path]:
    """Home, the usual folders in it, and drives."""
    home = Path.home()
    places = [home, *(home / name for name in _USUAL)]
    if sys.platform == "win32":
        return places + [Path(f"{letter}:\\") for letter in "CDEFGHIJKLMNOPQRSTUVWXYZ"]
    mounts = [Path("/Volumes"), Path("/media") / home.name, Path("/run/media") / home.name, Path("/mnt")]
    for mount in mounts:
        if mount.is_dir() and os.access(mount, os.R_OK | os.X_OK):
            places += sorted(one for one in mount.iterdir() if one.is_dir())
    return [*places, Path("/")]
