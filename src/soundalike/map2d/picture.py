"""A map as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from soundalike.canvas import LETTER_HEIGHT, LETTER_WIDTH, Canvas, Color
from soundalike.map2d.colors import palette
from soundalike.map2d.scene import IN_NONE, Scene
from soundalike.types import F64

Box = tuple[int, int, int, int]
WIDTH, EDGE, TOP = 1400, 60, 64  # pixels; the picture is as high as the map asks for
LOWEST, HIGHEST = 0.5, 1.1  # times the width
LONGEST = 30  # letters of a name
_HALO = [(x, y) for x in (-2, 0, 2) for y in (-2, 0, 2)]  # of paper around letters, so that they stand out
_PAPER: dict[bool, Color] = {False: (250, 249, 246), True: (18, 19, 24)}
_INK: dict[bool, Color] = {False: (36, 36, 46), True: (236, 236, 242)}
_FAINT: dict[bool, Color] = {False: (110, 110, 124), True: (160, 162, 176)}


def draw_picture(scene: Scene, title: str, *, by: str = "cluster", dark: bool = False) -> bytes:
    """Draw the map as a PNG file, 1400 pixels wide.

    Parameters
    ----------
    title : letters beyond ASCII become hollow boxes
    by : "cluster" or "folder": what colors and names stand for
    dark : on dark paper
    """
    of, names = (scene.cluster, scene.clusters) if by == "cluster" else (scene.folder, scene.folders)
    places = _fitted(scene)
    height = int(places[:, 1].max()) + EDGE if len(places) else WIDTH // 2
    canvas = Canvas(WIDTH, max(height, int(LOWEST * WIDTH)), _PAPER[dark])
    canvas.text(EDGE, 30, _short(title, 70), _INK[dark])
    count = f"{len(scene.paths):,} sounds, {sum(name != IN_NONE for name in names)} {by}s"
    canvas.text(WIDTH - EDGE, 30, count, _FAINT[dark], align=1.0)
    if not len(of):
        return canvas.png()
    shades = zip(names, palette(len(names), dark=dark), strict=True)
    colors = [_FAINT[dark] if name == IN_NONE else color for name, color in shades]
    _draw_points(canvas, places, np.array(colors, np.float32)[of])
    taken: list[Box] = []
    above = np.array([0.0, _radius(len(of)) + LETTER_HEIGHT + 4])  # a name stands above the points that it is of
    for number in np.argsort(-np.bincount(of, minlength=len(names)), kind="stable").tolist():
        if (of == number).any() and names[number] != IN_NONE:
            _write(canvas, _short(names[number], LONGEST), _densest(places[of == number]) - above, taken, dark)
    return canvas.png()


def _fitted(scene: Scene) -> F64:
    """Places ``(n, 2)`` in pixels."""
    places = np.stack([scene.x, -scene.y], axis=1).astype(np.float64)
    if not len(places):
        return places
    low, span = places.min(axis=0), np.maximum(np.ptp(places, axis=0), 1e-9)
    room = np.array([WIDTH - 2 * EDGE, HIGHEST * WIDTH - TOP - 2 * EDGE])
    scale = float((room / span).min())
    empty = np.maximum([room[0], LOWEST * WIDTH - TOP - 2 * EDGE] - span * scale, 0)
    fitted: F64 = (places - low) * scale + empty / 2 + np.array([EDGE, EDGE + TOP])
    return fitted


def _radius(n_points: int) -> float:
    """Of a point, in pixels."""
    return float(np.clip(120 / np.sqrt(n_points), 1.5, 7))


def _draw_points(canvas: Canvas, places: F64, colors: npt.NDArray[np.float32]) -> None:
    """Lay a soft disc for each point; where many lie, their colors mix."""
    radius = _radius(len(places))
    height, width = canvas.pixels.shape[:2]
    reach = int(radius) + 1
    steps = np.arange(-reach, reach + 1)
    at = np.floor(places).astype(np.int64)[:, None] + np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    cover = np.clip(radius - np.linalg.norm(at + 0.5 - places[:, None], axis=2) + 0.5, 0, 1)
    inside = (cover > 0) & (at >= 0).all(axis=2) & (at < (width, height)).all(axis=2)
    spots, share = (at[..., 1] * width + at[..., 0])[inside], cover[inside]
    weight = np.bincount(spots, share, height * width)
    shades = colors[np.nonzero(inside)[0]] * share[:, None]
    mixed = np.stack([np.bincount(spots, shades[:, part], height * width) for part in range(3)], axis=1)
    seen = weight > 0
    opacity = np.minimum(weight[seen], 1)[:, None] * 0.9
    pixels = canvas.pixels.reshape(-1, 3)
    pixels[seen] = np.round(pixels[seen] * (1 - opacity) + mixed[seen] / weight[seen, None] * opacity).astype(np.uint8)


def _densest(places: F64) -> F64:
    """Middle of the fullest corner of a coarse grid, of several the one nearest to the group's own middle."""
    cells = (places // (WIDTH / 24)).astype(np.int64)
    _, which, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    full = np.flatnonzero(counts == counts.max())
    middles: F64 = np.stack([places[which.ravel() == cell].mean(axis=0) for cell in full])
    nearest: F64 = middles[np.linalg.norm(middles - np.median(places, axis=0), axis=1).argmin()]
    return nearest


def _write(canvas: Canvas, text: str, at: F64, taken: list[Box], dark: bool) -> None:
    """Write a name where it covers no other, as near as can be to its place; left out if there is no room."""
    scale = 2
    wide, high = LETTER_WIDTH * scale * len(text), LETTER_HEIGHT * scale
    for shift in _shifts(high + 8):
        x = int(np.clip(at[0] - wide / 2, 8, WIDTH - wide - 8))
        y = int(np.clip(at[1] - high / 2 + shift, TOP, canvas.pixels.shape[0] - high - 8))
        box = (x - 6, y - 4, x + wide + 6, y + high + 4)
        if not any(box[0] < b[2] and box[2] > b[0] and box[1] < b[3] and box[3] > b[1] for b in taken):
            taken.append(box)
            for step_x, step_y in _HALO:
                canvas.text(x + step_x, y + step_y, text, _PAPER[dark], scale=scale)
            canvas.text(x, y, text, _INK[dark], scale=scale)
            return


def _shifts(step: int) -> Sequence[int]:
    return [0, *(sign * step * i for i in range(1, 6) for sign in (-1, 1))]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 2] + ".."
