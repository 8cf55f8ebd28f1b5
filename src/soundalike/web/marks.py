"""Marks that people put on sounds: favorites, and examples of labels. Two JSON files beside the library's database.

A mark holds the id, the content and the path of its sound, and is found again by content or by path: after the file
was moved, after it was edited, and in a library that was made anew.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import orjson

from soundalike.errors import LibraryError
from soundalike.export import atomic
from soundalike.library import Library, Sound
from soundalike.readable import why

FAVORITES, LABELS = "favorites.json", "labels.json"
MOST_LABELS = 1000
LONGEST_LABEL = 100  # characters


@dataclass(frozen=True, slots=True)
class Mark:
    """A sound that was marked."""

    id: int
    sha256: str
    path: str  # percent-encoded: names can have any bytes


class Marks:
    """Favorites and labels of one library."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.RLock()
        self._favorites = {mark.id: mark for mark in self._found(_read(library.path / FAVORITES, []))}
        labels = _read(library.path / LABELS, {})
        self._labels = {name: {mark.id: mark for mark in self._found(marks)} for name, marks in labels.items()}
        self.version = 0  # of the labels: grows with each change

    def _found(self, records: Iterable[dict[str, Any]]) -> list[Mark]:
        """Marks whose sounds are there, with the ids that they have now."""
        marks = []
        for record in records:
            mark = Mark(**record)
            sound = self._library.sound(mark.id)
            if sound is None or sound.sha256 != mark.sha256:
                sound_id = self._library.id_of(_path(mark.path))
                sound = None if sound_id is None else self._library.sound(sound_id)
            marks.append(mark if sound is None else _mark(sound))  # kept in any case: its drive may come back
        return marks

    # Favorites

    def favorites(self) -> frozenset[int]:
        """Ids of the favorites."""
        with self._lock:
            return frozenset(self._favorites)

    def set_favorite(self, sound: Sound, wanted: bool) -> None:
        """Make a sound a favorite, or none."""
        with self._lock:
            _put(self._favorites, sound, wanted)
            _write(self._library.path / FAVORITES, [asdict(mark) for mark in self._favorites.values()])

    # Labels

    def labels(self) -> dict[str, list[int]]:
        """Ids of the examples of each label."""
        with self._lock:
            return {name: list(marks) for name, marks in self._labels.items()}

    def set_example(self, label: str, sound: Sound, wanted: bool) -> None:
        """Make a sound an example of a label, of that one only, or of none.

        Raises
        ------
        ValueError
            if the label's name is empty or too long, or there are too many labels
        """
        label = checked_label(label)
        with self._lock:
            if label not in self._labels and len(self._labels) >= MOST_LABELS:
                raise ValueError(f"there are {MOST_LABELS} labels, which is as many as there can be")
            for name, marks in self._labels.items():
                if wanted or name == label:
                    marks.pop(sound.id, None)
            _put(self._labels.setdefault(label, {}), sound, wanted)
            self._save_labels()

    def drop_label(self, label: str) -> bool:
        """Forget a label with its examples; False if there is none of that name."""
        with self._lock:
            known = self._labels.pop(label, None) is not None
            self._save_labels()
            return known

    def _save_labels(self) -> None:
        self.version += 1
        records = {name: [asdict(mark) for mark in marks.values()] for name, marks in self._labels.items()}
        _write(self._library.path / LABELS, records)


def checked_label(label: str) -> str:
    """Trim the name of a label; ValueError if it cannot be one."""
    label = " ".join(label.split())
    if not label or len(label) > LONGEST_LABEL or not label.isprintable():
        raise ValueError(f"the name of a label is 1 to {LONGEST_LABEL} letters")
    return label


def _put(marks: dict[int, Mark], sound: Sound, wanted: bool) -> None:
    if wanted:
        marks[sound.id] = _mark(sound)
    else:
        marks.pop(sound.id, None)


def _mark(sound: Sound) -> Mark:
    return Mark(sound.id, sound.sha256, quote(sound.path_bytes))


def _path(text: str) -> Path:
    return Path(os.fsdecode(unquote_to_bytes(text)))


def _read(path: Path, nothing: Any) -> Any:
    """Read a file of marks; a damaged one is an error, not an empty one that would replace it."""
    if not path.exists():
        return nothing
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = f"these marks cannot be read ({why(error)}): repair the file, or move it away"
        raise LibraryError(path, reason) from error


def _write(path: Path, content: Any) -> None:
    with atomic(path) as file:
        file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2))
