"""One sound: what is known of it, its audio, its pictures; favorites."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import FileResponse

from soundalike.web import answers
from soundalike.web.desk import TheDesk
from soundalike.web.found import as_json, page_sound
from soundalike.web.media import N_PEAKS

router = APIRouter(tags=["sounds"])
N = Annotated[int, Query(ge=1, le=N_PEAKS)]
CACHED = {"cache-control": "private, max-age=86400"}  # an id never stands for another sound
_OPENERS = {"darwin": ("open", "-R"), "win32": ("explorer", "/select,")}


@router.get("/sounds/{sound_id}", responses=answers.of(answers.SoundFacts))
def sound(sound_id: int, desk: TheDesk) -> Response:
    """Say what is known of a sound."""
    found = desk.sound(sound_id)
    path = found.path
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat() if path.exists() else None
    more = {
        "size": found.size, "modified": modified, "n_segments": found.n_segments, "sha256": found.sha256,
        "bits_per_sample": found.bits_per_sample, "bit_rate": found.bit_rate, "is_there": modified is not None,
    }  # fmt: skip
    return as_json(page_sound(found, desk.marks.favorites()) | more)


@router.get("/sounds/{sound_id}/audio", responses=answers.content("audio/*"), response_class=FileResponse)
def sound_audio(sound_id: int, desk: TheDesk) -> FileResponse:
    """Play a sound; a copy is made where browsers cannot play it as it is."""
    path, media_type = desk.media.playable(desk.source(sound_id))
    return FileResponse(path, media_type=media_type, headers=CACHED)


@router.get("/sounds/{sound_id}/peaks", responses=answers.content("application/octet-stream"))
def sound_peaks(sound_id: int, desk: TheDesk, n: N = 400) -> Response:
    """Lowest and highest sample of n stretches: pairs of int8, full scale to 127."""
    peaks = desk.media.peaks(desk.source(sound_id), n)
    return Response(peaks, media_type="application/octet-stream", headers=CACHED)


@router.get("/sounds/{sound_id}/spectrogram.png", responses=answers.content("image/png"), response_class=FileResponse)
def sound_spectrogram(sound_id: int, desk: TheDesk) -> FileResponse:
    """Mel spectrogram, low sounds below."""
    return FileResponse(desk.media.spectrogram(desk.source(sound_id)), media_type="image/png", headers=CACHED)


@router.post("/sounds/{sound_id}/reveal", responses=answers.of(answers.Done))
def reveal(sound_id: int, desk: TheDesk) -> dict[str, bool]:
    """Show a sound's file in the file manager of this desktop."""
    path = desk.sound(sound_id).path
    if not path.exists():
        raise HTTPException(404, f"{path.name}: the file is not there any more")
    _show(path)
    return {"ok": True}


def _show(path: Path) -> None:
    command = _OPENERS.get(sys.platform) or ("xdg-open",)
    is_desktop = sys.platform in _OPENERS or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    program = shutil.which(command[0])
    if not is_desktop or program is None:
        raise HTTPException(409, "there is no desktop here to show files on; copy the path instead")
    target = path if sys.platform in _OPENERS else path.parent
    subprocess.Popen(
        [program, *command[1:], os.fspath(target)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


@router.get("/favorites", responses=answers.of(answers.Sounds))
def favorites(desk: TheDesk) -> Response:
    """List the favorites, by path."""
    ids = desk.marks.favorites()
    known = (desk.library.sound(sound_id) for sound_id in ids)
    sounds = sorted((sound for sound in known if sound is not None), key=lambda sound: sound.path)
    return as_json({"matches": [page_sound(sound, ids) for sound in sounds]})


@router.put("/favorites/{sound_id}", responses=answers.of(answers.Done))
def add_favorite(sound_id: int, desk: TheDesk) -> dict[str, bool]:
    """Make a sound a favorite."""
    desk.marks.set_favorite(desk.sound(sound_id), True)
    return {"ok": True}


@router.delete("/favorites/{sound_id}", responses=answers.of(answers.Done))
def drop_favorite(sound_id: int, desk: TheDesk) -> dict[str, bool]:
    """Make a sound no favorite."""
    desk.marks.set_favorite(desk.sound(sound_id), False)
    return {"ok": True}
