"""``soundalike search`` and ``soundalike bench-index``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundalike.cli.common import NO_SOUNDS, PATH, clock, device_option, json_option, many, note, print_json, shown
from soundalike.cli.library import library_option

if TYPE_CHECKING:
    from soundalike.library import Answer, Filters


def _tags(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Read ``name=value``, split at the first ``=``."""
    found = {}
    for value in values:
        name, _, wanted = value.partition("=")
        if not (name and wanted):
            raise click.BadParameter(f"{value!r} is not name=value, such as genre=foley or artist=Bach*")
        found[name] = wanted
    return found


def _since(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Read a date, or a time ago: ``2026-11-01``, ``7d``, ``12h``."""
    if value is None:
        return None
    units = {"d": "days", "h": "hours", "m": "minutes"}
    try:
        if value[-1:] in units:
            return datetime.now() - timedelta(**{units[value[-1]]: float(value[:-1])})
        return datetime.fromisoformat(value)
    except (ValueError, OverflowError) as error:
        reason = f"{value!r} is no date like 2026-11-01, and no time ago like 7d or 12h"
        raise click.BadParameter(reason) from error


def _weigh(ctx: click.Context, param: click.Parameter, value: str | None) -> dict[str, float] | None:
    """Read ``pitch=2,brightness=1``."""
    try:
        pairs = [part.split("=") for part in value.split(",")] if value is not None else None
        return None if pairs is None else {name.strip(): float(weight) for name, weight in pairs}
    except ValueError as error:
        reason = f"{value!r}: aspects and their weights are needed, such as pitch=2,brightness=1"
        raise click.BadParameter(reason) from error


def _weights(ctx: click.Context, param: click.Parameter, value: str | None) -> list[float] | None:
    """Read numbers with commas between."""
    try:
        return None if value is None else [float(part) for part in value.split(",")]
    except ValueError as error:
        reason = f"{value!r}: numbers with commas between are needed, such as 1,0.5"
        raise click.BadParameter(reason) from error


@click.command()
@click.argument("query", required=False, type=PATH)
@click.option("--text", "-t", multiple=True, help="Words to search by; may be repeated and mixed with sounds.")
@click.option("--like", multiple=True, type=PATH, help="A further sound that results should be like.")
@click.option("--unlike", multiple=True, type=PATH, help="A sound that results should not be like.")
@click.option(
    "--weights",
    callback=_weights,
    metavar="NUMBERS",
    help="One for each part, in the order QUERY, --like, --text, --unlike: 1,0.5",
)
@click.option(
    "--weigh",
    callback=_weigh,
    metavar="ASPECTS",
    help="Rank by how alike sounds are in some ways: pitch=2,brightness=1. Aspects: pitch, noisiness, timbre, "
    "brightness, rhythm, loudness, length; and meaning, which weighs 1 unless given.",
)
@click.option("--limit", "-n", default=20, show_default=True, type=click.IntRange(min=1), help="How many results.")
@click.option(
    "--metric", default="cosine", show_default=True, type=click.Choice(["cosine", "euclidean", "dot"]),
    help="How scores are computed.",
)  # fmt: skip
@click.option("--min-duration", type=float, help="Shortest, in seconds.")
@click.option("--max-duration", type=float, help="Longest, in seconds.")
@click.option("--folder", multiple=True, type=PATH, help="Only below this folder; may be repeated.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    envvar="SOUNDALIKE_SEARCH_FORMAT",
    help="Only this container or codec: wav, mp3, pcm_s24le; may be repeated.",
)
@click.option("--channels", multiple=True, type=int, help="Only with so many channels; may be repeated.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    callback=_tags,
    metavar="NAME=VALUE",
    help="Only with this tag; * in the value stands for anything.",
)
@click.option("--since", callback=_since, metavar="WHEN", help="Only added since 2026-11-01, or 7d, 12h ago.")
@click.option("--segments", is_flag=True, help="Compare segments, and say where in each sound the best one is.")
@click.option(
    "--exact/--approximate",
    default=None,
    help="Compare with every sound, or use the index; by size if not given.",
)
@click.option(
    "--effort",
    type=click.IntRange(min=1),
    help="Of the index: more finds more of the truly nearest; see bench-index.",
)
@click.option("--with-query", is_flag=True, help="Also list the sounds of the library that are the question.")
@click.option("--copy-to", type=PATH, help="Copy the sounds that are found into this folder.")
@click.option("--m3u", type=PATH, help="Write a playlist of what is found.")
@device_option
@library_option
@json_option
def search(
    query: Path | None, text: tuple[str, ...], like: tuple[Path, ...], unlike: tuple[Path, ...],
    weights: list[float] | None, weigh: dict[str, float] | None, limit: int, metric: Any, segments: bool,
    exact: bool | None, effort: int | None, with_query: bool, copy_to: Path | None, m3u: Path | None, device: str,
    library: Path | None, as_json: bool, **filters: Any,
) -> None:  # fmt: skip
    """Find sounds by a sound, by words, or by a mix.

    QUERY is a sound file; words go into --text.
    """
    from soundalike.library import Library

    if query is None and not text and not like:
        raise click.UsageError("Give a sound file, --text, or --like.")
    if query is not None and not query.suffix and not query.exists():
        raise click.UsageError(f"{shown(query)}: there is no such file. Words go into --text: --text '{shown(query)}'")
    with Library.open(library, device=device) as opened:
        try:
            answer = opened.search(
                query, like=like, text=text, unlike=unlike, weights=weights, n=limit, metric=metric,
                filters=_filters(**filters), segments=segments, exact=exact, effort=effort,
                with_query=with_query, weigh=weigh,
            )  # fmt: skip
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    _print(answer, as_json, weigh or {})
    _keep(answer, copy_to, m3u)


def _filters(
    min_duration: float | None, max_duration: float | None, folder: tuple[Path, ...],
    formats: tuple[str, ...], channels: tuple[int, ...], tags: dict[str, str], since: datetime | None,
) -> Filters:  # fmt: skip
    from soundalike.library import Filters

    return Filters(
        min_s=min_duration, max_s=max_duration, folders=folder, formats=formats, channels=channels,
        tags=tags, added_since=since,
    )  # fmt: skip


def _print(answer: Answer, as_json: bool, weigh: Mapping[str, float]) -> None:
    from soundalike.library.records import match_record

    if not answer.n_passed:
        note("No sound in the library passes these filters.")
    elif answer.nothing_alike:
        note("Nothing here matches; the nearest all the same:")
    for rank, match in enumerate(answer, 1):
        if as_json:
            print_json(match_record(rank, match))
            continue
        chance = f"  {match.probability:4.0%}" if match.probability is not None else ""
        where = f"  {match.start_s:.2f}–{match.end_s:.2f} s" if match.start_s is not None else ""
        alike = "".join(f"  {name} {match.aspects[name]:.2f}" for name in _shown_aspects(weigh) if match.aspects)
        click.echo(f"{match.score:7.4f}{chance}  {clock(match.duration_s):>10}{where}{alike}  {shown(match.path)}")


def _shown_aspects(weigh: Mapping[str, float]) -> list[str]:
    """Aspects that decide, for the table; JSON has all."""
    return [name for name, weight in {**weigh, "meaning": weigh.get("meaning", 1.0)}.items() if weight]


def _keep(answer: Answer, copy_to: Path | None, m3u: Path | None) -> None:
    """Copy, and write a playlist, if asked."""
    from soundalike.library.results import copy_sounds, write_m3u

    if copy_to is not None:
        copied, missing = copy_sounds(answer, copy_to)
        note(f"{many(len(copied), 'sound')} copied to {shown(copy_to)}")
        for path in missing:
            note(f"failed: {shown(path)}: cannot be copied; is it still there?")
        if missing:
            sys.exit(1)
    if m3u is not None:
        write_m3u(answer, m3u)
        note(f"playlist: {shown(m3u)}")


@click.command()
@click.option(
    "--queries",
    default=200,
    show_default=True,
    type=click.IntRange(min=1),
    help="Sounds of the library to ask with.",
)
@click.option(
    "--limit",
    "-n",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="Results that are compared.",
)
@click.option("--build", is_flag=True, help="Make the index first, also for a small library.")
@library_option
@json_option
def bench_index(queries: int, limit: int, build: bool, library: Path | None, as_json: bool) -> None:
    """Measure how much of the truly nearest the index finds.

    For each --effort, beside how long it takes.
    """
    from soundalike.library import Library
    from soundalike.library.measure import measure_index

    with Library.open(library) as opened:
        rows = measure_index(opened, n_queries=queries, n=limit, build=build)
    for row in rows:
        if as_json:
            print_json(row.record())
        else:
            click.echo(row)
    if not rows:
        note(NO_SOUNDS)
    if len(rows) == 1:
        note("This library has no index: every search is exact. To make one and measure it: --build")
