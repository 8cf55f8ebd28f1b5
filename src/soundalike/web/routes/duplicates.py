"""Duplicates: what the last job has found, keeping one of a group, and taking that back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Response

from soundalike.library.duplicates import DuplicateGroup
from soundalike.readable import shown
from soundalike.web import answers
from soundalike.web.asked import KeepAsked
from soundalike.web.copies import kept_groups
from soundalike.web.desk import Desk, TheDesk
from soundalike.web.found import as_json, page_sound

router = APIRouter(tags=["duplicates"])


@router.get("/duplicates", responses=answers.of(list[answers.CopyGroup]))
def duplicates(desk: TheDesk) -> Response:
    """List the groups of sounds that are one recording; a pair's ``start_s`` is on the clock of its first sound."""
    favorites = desk.marks.favorites()
    return as_json([
        {
            "group": group["group"], "keeper": next(iter(group["sounds"].values())).id, "why": group["why"],
            "sounds": [page_sound(sound, favorites) for sound in group["sounds"].values()],
            "pairs": [_pair(pair, group["sounds"]) for pair in group["pairs"]],
        }
        for group in _groups(desk)
    ])  # fmt: skip


@router.post("/duplicates/keep", responses=answers.of(answers.Moved))
def keep(asked: KeepAsked, desk: TheDesk) -> dict[str, int]:
    """Move all sounds of a group but one into the library's trash; nothing is deleted."""
    _refuse_while_busy(desk)
    group = next((group for group in _groups(desk) if group["group"] == asked.group), None)
    sounds = list(group["sounds"].values()) if group is not None else []
    kept = next((sound for sound in sounds if sound.id == asked.keep), None)
    if kept is None:
        raise HTTPException(404, "this group, or the sound to keep in it, is not there any more: look again")
    changed = [sound for sound in sounds if not desk.library.is_unchanged(sound)]
    if changed:
        raise HTTPException(409, f"{shown(changed[0].path)} has changed or is away: sync, and find duplicates again")
    others = tuple(sound for sound in sounds if sound is not kept)
    desk.library.trash_duplicates([DuplicateGroup((kept, *others), "", ())])
    desk.bell.ring()
    return {"n_moved": len(others)}


@router.post("/duplicates/undo", responses=answers.of(answers.Back))
def undo(desk: TheDesk) -> dict[str, list[str]]:
    """Put back what was moved last, and index it again."""
    _refuse_while_busy(desk)
    back = desk.library.undo_trash()
    desk.bell.ring()
    return {"paths": [shown(path) for path in back]}


def _refuse_while_busy(desk: Desk) -> None:
    if desk.jobs.running_id() is not None:  # files would be moved, and the library not told
        raise HTTPException(409, "a job is running: wait until it has ended, or end it")


def _groups(desk: Desk) -> list[dict[str, Any]]:
    groups = kept_groups(desk.library)
    if groups is None:
        raise HTTPException(404, "nobody has looked for duplicates yet: start the job `duplicates`")
    return groups


def _pair(pair: dict[str, Any], sounds: dict[str, Any]) -> dict[str, Any]:
    sides = {"first": sounds[pair["first"]].id, "second": sounds[pair["second"]].id}
    return {**pair, **sides}
