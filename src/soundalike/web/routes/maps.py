"""The map."""

from __future__ import annotations

from typing import Literal

import numpy as np
from fastapi import APIRouter, Response

from soundalike.aspects import LAYOUT, VOICED_ENOUGH
from soundalike.canvas import Color
from soundalike.map2d.colors import palette
from soundalike.web import answers
from soundalike.web.desk import TheDesk
from soundalike.web.found import as_json

router = APIRouter(tags=["map"])
_MEASURES = {  # the number of each aspect that says how much of it there is
    "pitch": "f0", "noisiness": "flatness", "brightness": "centroid", "rhythm": "onset_rate", "loudness": "loudness",
    "length": "length",
}  # fmt: skip
Measure = Literal["pitch", "noisiness", "brightness", "rhythm", "loudness", "length"]


@router.get("/map", responses=answers.of(answers.Map))
def about_map(desk: TheDesk) -> Response:
    """Groups of the map; their numbers are those of the points."""
    shown = desk.map()
    n = max(len(shown.found.names), len(shown.folders))
    colors = {name: _hex(palette(n, dark=name == "dark")) for name in ("light", "dark")}
    return as_json({
        "n": len(shown.found.ids), "names": shown.found.names, "folders": shown.folders, "colors": colors,
        "updated": shown.updated,
    })  # fmt: skip


@router.get("/map/points", responses=answers.content("application/octet-stream"))
def map_points(desk: TheDesk) -> Response:
    """Points of the map, little-endian: int32 ids, float32 x, float32 y, uint16 cluster, uint16 folder; n of each."""
    shown = desk.map()
    columns = (
        (shown.found.ids, "<i4"), (shown.found.x, "<f4"), (shown.found.y, "<f4"), (shown.found.cluster, "<u2"),
        (shown.folder, "<u2"),
    )  # fmt: skip
    body = b"".join(np.ascontiguousarray(column, dtype).tobytes() for column, dtype in columns)
    return Response(body, media_type="application/octet-stream")


@router.get("/map/measures/{aspect}", responses=answers.content("application/octet-stream"))
def map_measures(aspect: Measure, desk: TheDesk) -> Response:
    """How high, noisy, bright, busy, loud or long each point's sound is: little-endian float32, NaN where not known."""
    rows = desk.library.measures(desk.map().found.ids)
    values = rows[:, LAYOUT[_MEASURES[aspect]]].ravel()
    if aspect == "pitch":
        values = np.where(rows[:, LAYOUT["voiced"]].ravel() >= VOICED_ENOUGH, values, np.float32("nan"))
    return Response(np.ascontiguousarray(values, "<f4").tobytes(), media_type="application/octet-stream")


def _hex(colors: list[Color]) -> list[str]:
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colors]
