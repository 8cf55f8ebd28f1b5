"""Groups of duplicates that the last job has found: a JSON file in the library's cache.

A sound is found again by its path, and only if its content is what was compared: a group never stands for other sounds
than those that were looked at, and comes back when its files come back from the trash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from soundalike.export import atomic
from soundalike.library import Library, Sound
from soundalike.library.duplicates import DuplicateGroup
from soundalike.library.records import duplicate_record


def keep_groups(library: Library, groups: Iterable[DuplicateGroup]) -> None:
    """Write the groups down."""
    content = json.dumps([_group(group) for group in groups])  # escapes file names that are no Unicode
    file = _file(library)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as stream:
        stream.write(content.encode("ascii"))


def kept_groups(library: Library) -> list[dict[str, Any]] | None:
    """Read them, without the sounds that have gone or changed; None if there was no job yet.

    Each has its id, ``sounds`` by path (the one to keep first), why that one, and the pairs.
    """
    try:
        groups = json.loads(_file(library).read_bytes())
    except FileNotFoundError:
        return None
    ids = library.ids_of([Path(path) for group in groups for path, _ in group["sounds"]])
    there = {str(sound.path): sound for sound in library.some(list(ids.values())).values()}
    return [left for group in groups if len((left := _left_of(group, there))["sounds"]) > 1]


def _left_of(group: dict[str, Any], there: Mapping[str, Sound]) -> dict[str, Any]:
    """Leave out of a group what is not there any more, or has changed."""
    kept = [path for path, sha256 in group["sounds"] if path in there and there[path].sha256 == sha256]
    sounds = {path: there[path] for path in kept}
    pairs = [pair for pair in group["pairs"] if pair["first"] in sounds and pair["second"] in sounds]
    return {**group, "sounds": sounds, "pairs": pairs}


def _group(group: DuplicateGroup) -> dict[str, Any]:
    sounds = [(str(sound.path), sound.sha256) for sound in group.sounds]
    number = hashlib.sha256(json.dumps(sorted(sounds)).encode()).hexdigest()[:16]
    pairs = [duplicate_record(pair, lambda sound: str(sound.path)) for pair in group.pairs]
    return {"group": number, "sounds": sounds, "why": group.why, "pairs": pairs}


def _file(library: Library) -> Path:
    return library.path / "cache" / "duplicates.json"
