"""Search."""

from __future__ import annotations

import time
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response

from soundalike.library import Filters, Part, Query
from soundalike.readable import shown
from soundalike.web import answers
from soundalike.web.asked import FiltersAsked, PartAsked, SearchAsked
from soundalike.web.desk import Desk, TheDesk
from soundalike.web.found import as_json, page_match, page_sound

router = APIRouter(tags=["search"])


@router.post("/search", responses=answers.of(answers.Matches))
def search(asked: SearchAsked, desk: TheDesk) -> Response:
    """Find sounds that are like others, or fit words, or both; without parts, list all that pass the filters."""
    started = time.perf_counter()
    filters = filters_of(desk, asked.filters)
    found = _matches(desk, asked, filters) if asked.parts else _listing(desk, asked, filters)
    took_ms = round((time.perf_counter() - started) * 1000, 2)
    return as_json({**found, "n_total": desk.library.n_sounds(), "took_ms": took_ms})


def _matches(desk: Desk, asked: SearchAsked, filters: Filters) -> dict[str, object]:
    query = Query(tuple(_part(desk, part) for part in asked.parts))
    answer = desk.library.search(
        query, n=asked.n, offset=asked.offset, filters=filters, segments=asked.segments, weigh=asked.weigh or None,
        with_aspects=True,
    )  # fmt: skip
    favorites = desk.marks.favorites()
    return {
        "matches": [page_match(rank, match, favorites) for rank, match in enumerate(answer, asked.offset + 1)],
        "n_passed": answer.n_passed, "nothing_alike": bool(answer.nothing_alike),
    }  # fmt: skip


def _listing(desk: Desk, asked: SearchAsked, filters: Filters) -> dict[str, object]:
    sounds = desk.library.browse(filters, asked.n, asked.offset)
    favorites = desk.marks.favorites()
    ranked = enumerate(sounds, asked.offset + 1)
    return {
        "matches": [{"rank": rank, **page_sound(sound, favorites)} for rank, sound in ranked],
        "n_passed": len(desk.library.ids(filters)) if filters else desk.library.n_sounds(), "nothing_alike": False,
    }  # fmt: skip


def _part(desk: Desk, asked: PartAsked) -> Part:
    if asked.text is not None:
        return Part(asked.text, asked.weight)
    if asked.id is not None:
        return Part(desk.sound(asked.id).id, asked.weight)
    upload = desk.uploads.embedded(asked.upload or "")
    if upload is None:
        raise HTTPException(404, "the sound that was dropped is not here any more: drop it again")
    return Part(upload.vector, asked.weight, upload.aspects)


def filters_of(desk: Desk, asked: FiltersAsked) -> Filters:
    """Turn filters as they are asked for into those of the library."""
    ids = None if asked.ids is None else frozenset(asked.ids)
    if asked.label is not None:
        examples = frozenset(desk.marks.labels().get(asked.label, []))
        ids = examples if ids is None else ids & examples
    if asked.favorite:
        ids = desk.marks.favorites() if ids is None else ids & desk.marks.favorites()
    odd = any("\\" in folder for folder in asked.folders)  # names with bytes that are no text are shown escaped
    known = {shown(path): path for path, _ in desk.facets().folders} if odd else {}
    return Filters(
        min_s=asked.min_duration, max_s=asked.max_duration,
        folders=tuple(known.get(folder, Path(folder)) for folder in asked.folders), formats=tuple(asked.formats),
        channels=tuple(asked.channels), tags=asked.tags, added_since=asked.since, ids=ids,
    )  # fmt: skip
