"""Taking sounds away."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import StreamingResponse

from soundalike.web import answers
from soundalike.web.asked import ExportAsked
from soundalike.web.desk import TheDesk
from soundalike.web.exporting import MEDIA_TYPES, exported

router = APIRouter(tags=["export"])


@router.post("/export", responses=answers.content("application/octet-stream"), response_class=StreamingResponse)
def export(asked: ExportAsked, desk: TheDesk) -> StreamingResponse:
    """Give sounds as a playlist, a table, JSON, or an archive of the files; in the order of the ids."""
    known = desk.library.some(asked.ids)
    sounds = [known[sound_id] for sound_id in dict.fromkeys(asked.ids) if sound_id in known]
    if not sounds:
        raise HTTPException(404, "none of these sounds is there any more")
    headers = {"content-disposition": f'attachment; filename="sounds.{asked.format}"'}
    pieces = exported(desk.library, sounds, asked.format)
    return StreamingResponse(pieces, media_type=MEDIA_TYPES[asked.format], headers=headers)
