"""Sounds that are dropped on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from soundalike.web import answers
from soundalike.web.desk import Desk, TheDesk
from soundalike.web.media import Source
from soundalike.web.routes.sounds import CACHED, N

router = APIRouter(tags=["uploads"])
MOST_AT_ONCE = 4


@router.post(
    "/uploads",
    responses=answers.of(answers.Upload),
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {
        "type": "string", "format": "binary"}}}}},
)  # fmt: skip
async def upload(request: Request, desk: TheDesk, x_name: Annotated[str, Header()] = "") -> dict[str, str | float]:
    """Take in a sound to search with; its name is percent-encoded."""
    if desk.n_coming >= MOST_AT_ONCE:
        raise HTTPException(503, f"{MOST_AT_ONCE} sounds are coming in already: try again in a moment")
    path = desk.uploads.new_file()
    desk.n_coming += 1
    try:
        await _receive(request, path)
        taken = await run_in_threadpool(desk.uploads.take, path, _last_part(unquote(x_name)))
    finally:
        desk.n_coming -= 1
        path.unlink(missing_ok=True)
    await run_in_threadpool(desk.uploads.sandbox.prepare)
    return {"id": taken.id, "name": taken.name, "duration_seconds": taken.source.duration_s}


async def _receive(request: Request, path: Path) -> None:
    n_bytes = 0
    with path.open("wb") as file:
        try:
            async for piece in request.stream():
                n_bytes += len(piece)
                await run_in_threadpool(file.write, piece)
        except ClientDisconnect as error:
            raise HTTPException(400, "the sound did not arrive whole") from error
    if not n_bytes:
        raise HTTPException(422, "the sound has no bytes")


def _last_part(name: str) -> str:
    """Name without folders, with nothing that cannot be shown."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in name if letter.isprintable())


@router.get("/uploads/{upload_id}/audio", responses=answers.content("audio/*"), response_class=FileResponse)
def upload_audio(upload_id: str, desk: TheDesk) -> FileResponse:
    """Play it."""
    path, media_type = desk.media.playable(_source(desk, upload_id))
    return FileResponse(path, media_type=media_type, headers=CACHED)


@router.get("/uploads/{upload_id}/peaks", responses=answers.content("application/octet-stream"))
def upload_peaks(upload_id: str, desk: TheDesk, n: N = 400) -> Response:
    """Lowest and highest sample of n stretches: pairs of int8, full scale to 127."""
    peaks = desk.media.peaks(_source(desk, upload_id), n)
    return Response(peaks, media_type="application/octet-stream", headers=CACHED)


def _source(desk: Desk, upload_id: str) -> Source:
    upload = desk.uploads.get(upload_id)
    if upload is None:
        raise HTTPException(404, "the sound that was dropped is not here any more: drop it again")
    return upload.source
