"""``soundalike map``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundalike.cli.common import (
    NO_SOUNDS,
    PATH,
    device_option,
    json_option,
    many,
    note,
    print_json,
    progress_bar,
    shown,
)
from soundalike.cli.library import library_option

if TYPE_CHECKING:
    from soundalike.library import Sound
    from soundalike.library.findings import Map
    from soundalike.map2d import Scene

_KINDS = (".html", ".htm", ".png")


@click.command()
@click.option("--out", "-o", multiple=True, type=PATH, help="An .html page or a .png picture.  [default: map.html]")
@click.option(
    "--color", default="cluster", type=click.Choice(["cluster", "folder"]), help="Of a picture: what colors stand for."
)
@click.option("--dark", is_flag=True, help="Of a picture: on dark paper.")
@click.option("--title", help="Of the page or picture.  [default: the library's name]")
@click.option("--folder", multiple=True, type=PATH, help="Show only sounds below this folder; may be repeated.")
@click.option("--fresh", is_flag=True, help="Lay out anew; by default, sounds stay where they were.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the layout.")
@device_option
@library_option
@json_option
def map(
    out: tuple[Path, ...], color: str, dark: bool, title: str | None, folder: tuple[Path, ...], fresh: bool, seed: int,
    device: str, library: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Lay the library out in the plane: a page, or a picture.

    Alike lies near alike; in the page, click to hear.
    """
    from soundalike.library import Filters, Library
    from soundalike.map2d import N_STEPS, scene

    wrong = [path for path in out if path.suffix.lower() not in _KINDS]
    if wrong:
        raise click.UsageError(f"{shown(wrong[0])}: a map is written to a file called .html or .png.")
    with Library.open(library, device=device) as opened:
        filters = Filters(folders=folder) if folder else None
        with progress_bar(N_STEPS, "laying out") as show:
            found = opened.map(filters, fresh=fresh, seed=seed, on_progress=lambda done, _: show(done, ""))
        known = {sound.id: sound for sound in opened.sounds(filters)}
        name = title or f"Sounds of {opened.path.name.removesuffix('.library').lstrip('.')}"
    rows = [row for row, sound_id in enumerate(found.ids.tolist()) if sound_id in known]
    sounds = [known[int(found.ids[row])] for row in rows]
    if not sounds:
        raise click.UsageError(NO_SOUNDS)
    if as_json:
        _print(found, rows, sounds)
    drawn = scene(
        found.x[rows], found.y[rows], [sound.path for sound in sounds], [sound.duration_s for sound in sounds],
        found.cluster[rows], found.names,
    )  # fmt: skip
    for path in out or (() if as_json else (Path("map.html"),)):
        _write(path, drawn, name, color, dark)


def _print(found: Map, rows: list[int], sounds: list[Sound]) -> None:
    for row, sound in zip(rows, sounds, strict=True):
        number = int(found.cluster[row])
        print_json({
            "id": sound.id, "path": shown(sound.path), "x": float(found.x[row]), "y": float(found.y[row]),
            "cluster": number + 1, "name": found.names[number],
        })  # fmt: skip


def _write(path: Path, drawn: Scene, title: str, color: Any, dark: bool) -> None:
    from soundalike.export import atomic
    from soundalike.map2d import draw_page, draw_picture

    if path.suffix.lower() == ".png":
        content = draw_picture(drawn, title, by=color, dark=dark)
    else:
        content = draw_page(drawn, title, path.absolute().parent)
    with atomic(path) as file:
        file.write(content)
    note(f"map of {many(len(drawn.paths), 'sound')}: {shown(path)}")
