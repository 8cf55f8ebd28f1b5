"""``soundalike recommend``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundalike.cli.common import PATH, clock, device_option, json_option, note, print_json, shown
from soundalike.cli.library import library_option

if TYPE_CHECKING:
    from soundalike.library import Filters, Library, Match

_LISTS = (".m3u", ".m3u8", ".csv", ".txt")


@click.command()
@click.argument("seeds", nargs=-1, type=PATH)
@click.option("--path", nargs=2, type=PATH, metavar="FROM TO", help="Lead from one sound to another in small steps.")
@click.option("--artist", help="Artists like this one, by the tag artist.")
@click.option("--limit", "-n", type=click.IntRange(min=1), help="How many; 20 by default, 8 for a path.")
@click.option(
    "--diversity", default=0.3, show_default=True, type=click.FloatRange(0, 1),
    help="0 for the most alike, up to 1 for the most varied.",
)  # fmt: skip
@click.option("--folder", multiple=True, type=PATH, help="Only below this folder; may be repeated.")
@click.option("--m3u", type=PATH, help="Write a playlist.")
@device_option
@library_option
@json_option
def recommend(
    seeds: tuple[Path, ...], path: tuple[Path, Path] | None, artist: str | None, limit: int | None, diversity: float,
    folder: tuple[Path, ...], m3u: Path | None, device: str, library: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Recommend sounds like SEEDS, and unlike each other.

    Never a seed, never one twice. SEEDS are sounds or listening lists: .m3u, .m3u8, .csv or .txt files that name
    sounds.
    """
    from soundalike.library import Filters, Library
    from soundalike.library.results import write_m3u

    if bool(seeds) + bool(path) + bool(artist) != 1:
        raise click.UsageError("Give SEEDS, or --path FROM TO, or --artist NAME.")
    filters = Filters(folders=folder)
    with Library.open(library, device=device) as opened:
        if artist:
            matches = _artists(opened, artist, limit or 20, filters, as_json)
        elif path:
            matches = opened.path_between(*path, limit or 8, filters)
        else:
            matches = opened.recommend(_sounds(seeds), limit or 20, diversity=diversity, filters=filters)
    if not artist:
        _print(matches, as_json)
    if m3u is not None:
        write_m3u(matches, m3u)
        note(f"playlist: {shown(m3u)}")


def _sounds(seeds: tuple[Path, ...]) -> list[Path]:
    from soundalike.recommend import read_list

    found = [[seed] if seed.suffix.lower() not in _LISTS else read_list(seed) for seed in seeds]
    return [sound for part in found for sound in part]


def _artists(library: Library, name: str, n: int, filters: Filters, as_json: bool) -> list[Match]:
    """Print artists; give the sound of each that is nearest."""
    from soundalike.library import Match

    found = library.similar_artists(name, n, filters)
    for rank, one in enumerate(found, 1):
        if as_json:
            sounds = [shown(sound.path) for sound in one.sounds]
            print_json({"rank": rank, "artist": one.name, "score": one.score, "sounds": sounds})
        else:
            click.echo(f"{one.score:7.4f}  {shown(one.name)} ({len(one.sounds)})  {shown(one.sounds[0].path)}")
    return [Match(one.sounds[0], one.score) for one in found]


def _print(matches: list[Match], as_json: bool) -> None:
    from soundalike.library.records import match_record

    for rank, match in enumerate(matches, 1):
        if as_json:
            print_json(match_record(rank, match))
        else:
            click.echo(f"{match.score:7.4f}  {clock(match.duration_s):>10}  {shown(match.path)}")
    if not matches:
        note("Nothing to recommend: no sound is left that is not a seed and passes the filters.")
