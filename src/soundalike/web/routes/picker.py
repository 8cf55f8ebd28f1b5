"""Choosing a folder."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Response

from soundalike.readable import shown
from soundalike.web import answers
from soundalike.web.asked import FolderAsked
from soundalike.web.desk import Desk, TheDesk
from soundalike.web.found import as_json
from soundalike.web.picker import Folder

router = APIRouter(tags=["picker"])


@router.get("/picker", responses=answers.of(answers.Listing))
def look(desk: TheDesk, at: str | None = None) -> Response:
    """List the folders in a folder, by its id; at first, in the home folder."""
    path = Path.home() if at is None else desk.picker.path_of(at)
    if path is None:
        raise HTTPException(404, "this folder is not there any more")
    return _listing(desk, path)


@router.post("/picker", responses=answers.of(answers.Listing))
def look_at_typed(asked: FolderAsked, desk: TheDesk) -> Response:
    """List the folders in a folder that somebody has typed."""
    path = desk.picker.typed(asked.path)
    if path is None:
        raise HTTPException(404, f"{asked.path}: there is no such folder, or it may not be read")
    return _listing(desk, path)


def _listing(desk: Desk, path: Path) -> Response:
    try:
        found = desk.picker.look(path, desk.library.roots())
    except OSError as error:
        raise HTTPException(404, f"{shown(path)}: this folder cannot be listed ({error.strerror})") from error
    return as_json({
        "at": _record(found.at) | {"path": shown(found.at.path)}, "parent": found.parent,
        "folders": [_record(folder) for folder in found.folders], "places": [_record(place) for place in found.places],
    })  # fmt: skip


def _record(folder: Folder) -> dict[str, object]:
    name = folder.path.name or str(folder.path)
    return {"id": folder.id, "name": shown(name)} | ({} if folder.n_sounds is None else {"n_sounds": folder.n_sounds})
