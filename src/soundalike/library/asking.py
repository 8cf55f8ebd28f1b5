"""From a question to a vector: sounds and words, weighted and added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soundalike.aspects import measure_file
from soundalike.errors import LibraryError
from soundalike.folders import Stamp, stamp_of
from soundalike.library import measured
from soundalike.library.store import Store
from soundalike.library.values import Embedder, Metric, Part, Query, Space
from soundalike.types import F32, F64


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A question, ready to be searched for."""

    vector: F32  # (dim,), unit norm
    length: float  # before it was scaled to 1
    sound_ids: frozenset[int]  # sounds of the library that it is made of
    words_only: bool


def question_of(store: Store, space: Space, query: Query, model: Callable[[], Embedder]) -> Question:
    """Add up the weighted parts of a query.

    Parameters
    ----------
    model : called only if something has to be embedded: sounds of the library have their vectors there

    Raises
    ------
    ValueError
        if there is nothing to search for, or the parts cancel each other
    SoundError
        if a sound cannot be embedded
    """
    if not query.parts:
        raise ValueError("nothing to search for: give a sound, words, or both")
    total, ids = np.zeros(space.dim, np.float64), set()
    for part in query.parts:
        vector, sound_id = vector_of(store, space, part, model)
        total += part.weight * vector.astype(np.float64)
        ids.add(sound_id)
    length = float(np.linalg.norm(total))
    if not np.isfinite(length) or length < 1e-6:
        raise ValueError("the parts of this question cancel each other: change their weights")
    words_only = all(isinstance(part.source, str) for part in query.parts)
    unit = (total / length).astype(np.float32)
    return Question(unit, length, frozenset(id_ for id_ in ids if id_ is not None), words_only)


def vector_of(store: Store, space: Space, part: Part, model: Callable[[], Embedder]) -> tuple[F32, int | None]:
    """Vector of one part, and its id if it is a sound of the library."""
    if isinstance(part.source, np.ndarray):
        if part.source.shape != (space.dim,):
            raise ValueError(f"a vector of this library is ({space.dim},), not {part.source.shape}")
        return part.source, None
    if isinstance(part.source, int):
        known = store.vector(space, part.source)
        if known is None:
            raise LibraryError(store.folder, f"there is no sound with the id {part.source}")
        return known, part.source
    if isinstance(part.source, Path):
        unchanged = _unchanged(store, part.source)
        vector = None if unchanged is None else store.vector(space, unchanged)
        return model().embed_file(part.source).vector if vector is None else vector, store.id_of(part.source)
    if not part.source.strip():
        raise ValueError("there are no words to search by: the text is empty")
    return model().embed_text([part.source])[0], None


def aspects_of(store: Store, query: Query) -> list[tuple[F32, float]]:
    """Aspects of the sounds that a question asks for, and their weights; of those whose aspects are known.

    Raises
    ------
    SoundError
        if a sound cannot be measured
    """
    found = []
    for part in query.parts:
        row = _aspects_of(store, part) if part.weight > 0 else None
        if row is not None:
            found.append((row, part.weight))
    return found


def _aspects_of(store: Store, part: Part) -> F32 | None:
    """Aspects of one part; None if it has none."""
    if isinstance(part.source, int):
        return measured.row_of(store, part.source)
    if not isinstance(part.source, Path):
        return part.aspects
    unchanged = _unchanged(store, part.source)
    row = None if unchanged is None else measured.row_of(store, unchanged)
    return measure_file(part.source).to_array() if row is None else row


def _unchanged(store: Store, path: Path) -> int | None:
    """Id of the sound at a path, if the file is still what was embedded, or is gone."""
    sound_id = store.id_of(path)
    if sound_id is None:
        return None
    stamp = stamp_of(path)
    return sound_id if stamp == Stamp(0, 0) or stamp == Stamp(*store.stamp(sound_id)) else None


def in_metric(scores: F64, question: Question, metric: Metric) -> F64:
    """Cosines as another metric has them.

    All vectors in a library have length 1, so the order is the same in every metric: euclidean distances are
    those of unit vectors; dot products are with the question before it was scaled to length 1.
    """
    if metric == "euclidean":
        distances: F64 = np.sqrt(np.maximum(2.0 - 2.0 * scores, 0.0))
        return distances
    return scores * question.length if metric == "dot" else np.clip(scores, -1.0, 1.0)


def query_from(
    query: str | Path | F32 | Query | None, like: Iterable[str | Path], text: Iterable[str],
    unlike: Iterable[str | Path], weights: Sequence[float] | None,
) -> Query:  # fmt: skip
    """Make one question from all that was given; a path given as ``query`` is the first of ``like``."""
    first = [query] if isinstance(query, str | Path) else []
    likes, unlikes = ([Path(path).expanduser() for path in paths] for paths in ((*first, *like), unlike))
    rest = Query.of(likes, text, unlikes, weights)
    if query is None or isinstance(query, str | Path):
        return rest
    return Query((*(query.parts if isinstance(query, Query) else (Part(query),)), *rest.parts))
