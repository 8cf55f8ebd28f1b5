"""What a library gives, as JSON: the same fields on the command line and from the server.

Fields that are not known are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from soundalike.library.duplicates import Duplicate
from soundalike.library.values import Match, Sound, Status
from soundalike.readable import shown
from soundalike.types import F32

Record = dict[str, Any]


def match_record(rank: int, match: Match) -> Record:
    """One match, and what is known of its sound."""
    sound = match.sound
    fields = {
        "rank": rank, "score": match.score, "probability": match.probability, "path": shown(sound.path),
        "duration_seconds": sound.duration_s, "start_s": match.start_s, "end_s": match.end_s, **_facts(sound),
        "aspects": dict(match.aspects) if match.aspects else None,
    }  # fmt: skip
    return _known(fields)


def sound_record(sound: Sound) -> Record:
    """A sound, and what is known of it."""
    return _known({"path": shown(sound.path), "duration_seconds": sound.duration_s, **_facts(sound)})


def embedding_record(sound: Sound, vector: F32, now: Status) -> Record:
    """The embedding of a sound, as `soundalike embed` writes it, and its tags."""
    return {
        "filename": shown(sound.path.name), "duration_seconds": sound.duration_s, "embedding": vector,
        "path": shown(sound.path), "model": now.model, "pipeline": now.pipeline, "sample_rate": sound.sample_rate,
        "channels": sound.channels, "sha256": sound.sha256, "tags": dict(sound.tags),
    }  # fmt: skip


def status_record(now: Status) -> Record:
    """What is in a library."""
    return {
        "path": shown(now.path), "model": now.model, "pipeline": now.pipeline, "dim": now.dim,
        "n_sounds": now.n_sounds, "n_segments": now.n_segments, "sound_seconds": now.sound_s,
        "n_failed": now.n_failed, "folders": [shown(folder) for folder in now.folders],
        "n_indexed": now.n_indexed, "n_bytes": now.n_bytes, "rebuilding": now.rebuilding,
        "n_rebuilt": now.n_rebuilt,
    }  # fmt: skip


def duplicate_record(pair: Duplicate, named: Callable[[Sound], str]) -> Record:
    """Two sounds that are one recording; ``start_s`` is on the clock of the first.

    Parameters
    ----------
    named : what stands for a sound
    """
    relation = pair.relation
    return {
        "first": named(pair.first), "second": named(pair.second), "kinds": list(relation.kinds),
        "sure": round(float(relation.sure), 4), "start_s": round(float(relation.start_s), 4),
        "parameters": {name: round(float(value), 4) for name, value in relation.parameters.items()},
        "words": pair.words,
    }  # fmt: skip


def _facts(sound: Sound) -> Record:
    return {
        "id": sound.id, "sample_rate": sound.sample_rate, "channels": sound.channels, "container": sound.container,
        "codec": sound.codec, "tags": dict(sound.tags) or None,
    }  # fmt: skip


def _known(fields: Record) -> Record:
    return {name: value for name, value in fields.items() if value is not None}
