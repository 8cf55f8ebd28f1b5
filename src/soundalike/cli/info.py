"""``soundalike info``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundalike.cli.common import PATH, clock, json_option, print_json, say_failed, shown
from soundalike.errors import SoundError
from soundalike.readable import format_name

if TYPE_CHECKING:
    from soundalike.types import Segment, SoundInfo


@click.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("--model", default="pocket", show_default=True, help="Model, by name.")
@json_option
def info(files: tuple[Path, ...], model: str, as_json: bool) -> None:
    """Say what is inside FILES, and how they will be cut."""
    from soundalike import audio
    from soundalike.models.cards import card_of
    from soundalike.segments import split
    from soundalike.types import Failure, Segment

    card, failed = card_of(model), False
    for path in files:
        try:
            with audio.read(path, card.sample_rate) as sound:
                cuts = [
                    Segment(cut.start_s, cut.end_s, cut.samples[:0])
                    for cut in split(sound, card.segments, card.sample_rate)
                ]
                show = _print_record if as_json else _show
                show(sound.info, sound.duration_s, cuts, sound.warnings)
        except SoundError as error:
            failed = True
            say_failed(Failure.of(path, error), as_json)
    sys.exit(1 if failed else 0)


def _print_record(info: SoundInfo, duration_s: float, cuts: list[Segment], warnings: tuple[str, ...]) -> None:
    from dataclasses import asdict

    facts = {"path": shown(info.path), "duration_s": duration_s, "declared_duration_s": info.duration_s}
    segments = [{"start_s": cut.start_s, "end_s": cut.end_s} for cut in cuts]
    print_json(asdict(info) | facts | {"segments": segments, "warnings": list(warnings)})


def _show(info: SoundInfo, duration_s: float, cuts: list[Segment], warnings: tuple[str, ...]) -> None:
    channels = {1: "mono", 2: "stereo"}.get(info.channels, f"{info.channels} channels")
    bits = f", {info.bits_per_sample} bit" if info.bits_per_sample else ""
    rate = f", {info.bit_rate / 1000:.0f} kbit/s" if info.bit_rate else ""
    click.echo(shown(info.path))
    facts = f"{info.sample_rate} Hz, {channels}{bits}{rate}, {clock(duration_s)}"
    click.echo(f"  {info.codec} in {format_name(info.container)}, {facts}")
    if not cuts:
        click.echo("  silent: it will have no vector")
    elif len(cuts) == 1:
        click.echo(f"  1 segment: {cuts[0].start_s:.2f} to {cuts[0].end_s:.2f} s")
    else:
        shown_cuts = ", ".join(f"{cut.start_s:.2f} to {cut.end_s:.2f}" for cut in cuts[:3])
        more = f", … the last {cuts[-1].start_s:.2f} to {cuts[-1].end_s:.2f}" if len(cuts) > 3 else ""
        click.echo(f"  {len(cuts)} segments: {shown_cuts}{more} s")
    for warning in warnings:
        click.echo(f"  note: {warning}")
