"""Groups of duplicates that the last job has found: a JSON file in the library's cache.

A sound is found again by its path, and only if its content is what was compared: a group never stands for other sounds
than those that were looked at, and comes back when its files come back from the trash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from soundalike.export import atomic
from soundalike.library import Library, Sound
from soundalike.library.duplicates import Duplicate, DuplicateGroup


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
    return [left for group in groups if len((left := _still_there(library, group))["sounds"]) > 1]


def _still_there(library: Library, group: dict[str, Any]) -> dict[str, Any]:
    found = ((path, _same(library, path, sha256)) for path, sha256 in group["sounds"])
    sounds = {path: sound for path, sound in found if sound is not None}
    pairs = [pair for pair in group["pairs"] if pair["first"] in sounds and pair["second"] in sounds]
    return {**group, "sounds": sounds, "pairs": pairs}


def _same(library: Library, path: str, sha256: str) -> Sound | None:
    sound_id = library.id_of(path)
    sound = library.sound(sound_id) if sound_id is not None else None
    return sound if sound is not None and sound.sha256 == sha256 else None


def _group(group: DuplicateGroup) -> dict[str, Any]:
    sounds = [(str(sound.path), sound.sha256) for sound in group.sounds]
    number = hashlib.sha256(json.dumps(sorted(sounds)).encode()).hexdigest()[:16]
    return {"group": number, "sounds": sounds, "why": group.why, "pairs": [_pair(pair) for pair in group.pairs]}


def _pair(pair: Duplicate) -> dict[str, Any]:
    relation = pair.relation
    return {
        "first": str(pair.first.path), "second": str(pair.second.path), "kinds": relation.kinds,
        "sure": float(relation.sure), "start_s": float(relation.start_s), "words": pair.words,
        "parameters": {name: float(value) for name, value in relation.parameters.items()},
    }  # fmt: skip


def _file(library: Library) -> Path:
    return library.path / "cache" / "duplicates.json"
