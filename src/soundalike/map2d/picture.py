"""A map as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from soundalike.canvas import LETTER_HEIGHT, LETTER_WIDTH, Canvas, Color
from soundalike.map2d.colors import palette
from soundalike.map2d.scene import Scene
from soundalike.types import F64

Box = tuple[int, int, int, int]
SIDE, EDGE, TOP = 1400, 60, 64  # pixels: the picture is SIDE x (SIDE + TOP)
LONGEST = 30  # letters of a name
_PAPER: dict[bool, Color] = {False: (250, 249, 246), True: (18, 19, 24)}
_INK: dict[bool, Color] = {False: (36, 36, 46), True: (236, 236, 242)}
_FAINT: dict[bool, Color] = {False: (110, 110, 124), True: (160, 162, 176)}


def draw_picture(scene: Scene, title: str, *, by: str = "cluster", dark: bool = False) -> bytes:
    """Draw the map as a PNG file of 1400 x 1464.

    Parameters
    ----------
    title : letters beyond ASCII become hollow boxes
    by : "cluster" or "folder": what colors and names stand for
    dark : on dark paper
    """
    of, names = (scene.cluster, scene.clusters) if by == "cluster" else (scene.folder, scene.folders)
    canvas = Canvas(SIDE, SIDE + TOP, _PAPER[dark])
    canvas.text(EDGE, 30, _short(title, 70), _INK[dark])
    count = f"{len(scene.paths):,} sounds, {len(names)} {by}s"
    canvas.text(SIDE - EDGE, 30, count, _FAINT[dark], align=1.0)
    if not len(of):
        return canvas.png()
    places = _fitted(scene)
    _draw_points(canvas, places, np.array(palette(len(names), dark=dark), np.float32)[of])
    taken: list[Box] = []
    for number in np.argsort(-np.bincount(of, minlength=len(names)), kind="stable").tolist():
        if (of == number).any():
            _write(canvas, _short(names[number], LONGEST), _densest(places[of == number]), taken, dark)
    return canvas.png()


def _fitted(scene: Scene) -> F64:
    """Places ``(n, 2)`` in pixels."""
    places = np.stack([scene.x, -scene.y], axis=1).astype(np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    scale = (SIDE - 2 * EDGE) / max(float((high - low).max()), 1e-9)
    fitted: F64 = (places - (low + high) / 2) * scale + np.array([SIDE / 2, SIDE / 2 + TOP])
    return fitted


def _draw_points(canvas: Canvas, places: F64, colors: npt.NDArray[np.float32]) -> None:
    """Lay a soft disc for each point; where many lie, their colors mix."""
    radius = float(np.clip(120 / np.sqrt(len(places)), 1.5, 7))
    height, width = canvas.pixels.shape[:2]
    weight, mixed = np.zeros(height * width), np.zeros((height * width, 3))
    reach = int(radius) + 1
    whole = np.floor(places).astype(np.int64)
    for step_y in range(-reach, reach + 1):
        for step_x in range(-reach, reach + 1):
            at = whole + np.array([step_x, step_y])
            cover = np.clip(radius - np.hypot(*(at + 0.5 - places).T) + 0.5, 0, 1)
            inside = (cover > 0) & (at >= 0).all(axis=1) & (at < (width, height)).all(axis=1)
            spots, share = at[inside, 1] * width + at[inside, 0], cover[inside]
            weight += np.bincount(spots, share, height * width)
            for part in range(3):
                mixed[:, part] += np.bincount(spots, share * colors[inside, part], height * width)
    seen = weight > 0
    opacity = np.minimum(weight[seen], 1)[:, None] * 0.9
    pixels = canvas.pixels.reshape(-1, 3)
    pixels[seen] = np.round(pixels[seen] * (1 - opacity) + mixed[seen] / weight[seen, None] * opacity).astype(np.uint8)


def _densest(places: F64) -> F64:
    """Middle of the fullest corner of a coarse grid: where a group's name goes."""
    cells = (places // (SIDE / 24)).astype(np.int64)
    _, which, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    middle: F64 = places[which.ravel() == counts.argmax()].mean(axis=0)
    return middle


def _write(canvas: Canvas, text: str, at: F64, taken: list[Box], dark: bool) -> None:
    """Write a name where it covers no other, as near as can be to its place; left out if there is no room."""
    scale = 2
    wide, high = LETTER_WIDTH * scale * len(text), LETTER_HEIGHT * scale
    for shift in _shifts(high + 8):
        x = int(np.clip(at[0] - wide / 2, 8, SIDE - wide - 8))
        y = int(np.clip(at[1] - high / 2 + shift, TOP, SIDE + TOP - high - 8))
        box = (x - 6, y - 4, x + wide + 6, y + high + 4)
        if not any(box[0] < b[2] and box[2] > b[0] and box[1] < b[3] and box[3] > b[1] for b in taken):
            taken.append(box)
            canvas.box(box[0], box[1], box[2] - box[0], box[3] - box[1], _PAPER[dark], 0.82)
            canvas.text(x, y, text, _INK[dark], scale=scale)
            return


def _shifts(step: int) -> Sequence[int]:
    return [0, *(sign * step * i for i in range(1, 6) for sign in (-1, 1))]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 2] + ".."
