"""Answers as JSON: the records of the command line, with what a page needs besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

from soundalike.library import Match, Sound
from soundalike.library.records import Record, match_record, sound_record
from soundalike.readable import shown

_ALIKE = 0.75  # of an aspect, from which it is said to be a reason
_MOST_REASONS = 3


def as_json(content: Any, status: int = 200) -> Response:
    """Answer with JSON; numpy arrays and exact floats included."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, media_type="application/json")


def page_match(rank: int, match: Match, favorites: frozenset[int]) -> Record:
    """A match as on the command line, with its name, its folder and why it is one."""
    return {
        **match_record(rank, match), **_named(match.sound, favorites), "why": reasons(match.aspects or {}),
    }  # fmt: skip


def page_sound(sound: Sound, favorites: frozenset[int]) -> Record:
    """A sound that was not searched for."""
    return {**sound_record(sound), **_named(sound, favorites), "why": []}


def reasons(aspects: Mapping[str, float]) -> list[str]:
    """Aspects in which two sounds are very alike, the most alike first."""
    alike = sorted((-value, name) for name, value in aspects.items() if value >= _ALIKE and name != "meaning")
    return [name for _, name in alike[:_MOST_REASONS]]


def _named(sound: Sound, favorites: frozenset[int]) -> Record:
    path = sound.path
    return {"name": shown(path.name), "folder": shown(path.parent), "favorite": sound.id in favorites}
