"""``soundalike duplicates``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundalike.cli.common import (
    PATH,
    clock,
    json_option,
    many,
    note,
    print_json,
    progress_bar,
    quoted,
    say_failed,
    shown,
    workers_option,
)
from soundalike.cli.library import library_option, of_library

if TYPE_CHECKING:
    from soundalike.duplicates import Step
    from soundalike.duplicates.finding import OnProgress
    from soundalike.library import Library
    from soundalike.library.duplicates import DuplicateGroup

_KINDS = (
    "identical", "same samples", "re-encoded", "gain", "resampled", "channels", "trimmed", "padded", "contained",
    "pitch", "tempo", "speed", "filtered", "noise", "reverb", "edited",
)  # fmt: skip


@click.command()
@click.option("--kind", "kinds", multiple=True, type=click.Choice(_KINDS), help="Only these; may be repeated.")
@click.option("--across", nargs=2, type=PATH, metavar="A B", help="Only pairs with one sound below each folder.")
@click.option("--folder", multiple=True, type=PATH, help="Only sounds below this folder; may be repeated.")
@click.option(
    "--min-sure", type=click.FloatRange(0, 1), help="Only pairs that are as sure.  [default: 0.8]"
)  # fmt: skip
@click.option("--apply", is_flag=True, help="Move all but the one to keep into the trash; needs --kind.")
@click.option("--trash", type=PATH, help="The trash folder, for --apply and --undo; in the library by default.")
@click.option("--undo", is_flag=True, help="Put back what --apply has moved last.")
@workers_option
@library_option
@json_option
def duplicates(
    kinds: tuple[Any, ...], across: tuple[Path, Path] | None, folder: tuple[Path, ...], min_sure: float | None,
    apply: bool, trash: Path | None, undo: bool, workers: int | None, library: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Find files that are one recording, and which to keep.

    It says what was done to each copy. Nothing is deleted. With --apply, files go to a trash folder, and --undo
    puts them back.
    """
    from soundalike.library import Filters, Library

    if apply and not kinds:
        raise click.UsageError("--apply needs --kind: say which sorts of copies may go, such as --kind identical.")
    with Library.open(library) as opened:
        if undo:
            _undo(opened, trash, as_json)
            return
        start = time.monotonic()
        with _progress() as on_progress:
            groups, failures = opened.duplicates(
                kinds=kinds or None, across=across, filters=Filters(folders=folder), least_sure=min_sure,
                workers=workers, on_progress=on_progress,
            )  # fmt: skip
        for number, group in enumerate(groups, 1):
            print_json(_record(number, group)) if as_json else _print(number, group)
        n_others = sum(len(group.sounds) - 1 for group in groups)
        note(f"{many(len(groups), 'group')}, {many(n_others, 'copy', 'copies')}, in {clock(time.monotonic() - start)}")
        for failure in failures:
            say_failed(failure, as_json)
        if apply and groups:
            moved = opened.trash_duplicates(groups, trash)
            back = f"soundalike duplicates --undo{of_library(opened.path)}"
            note(f"moved to {shown(moved)}; put back with: {back}" + (f" --trash {quoted(trash)}" if trash else ""))
    if failures:
        sys.exit(1)


def _undo(library: Library, trash: Path | None, as_json: bool) -> None:
    back = library.undo_trash(trash)
    for path in back:
        print_json({"path": shown(path)}) if as_json else click.echo(shown(path))
    note(f"{many(len(back), 'file is', 'files are')} back")


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """One bar for each step, one after the other."""
    from soundalike.duplicates import STEPS

    with ExitStack() as bar:
        shows: dict[Step, Callable[[int, str], None]] = {}

        def on_progress(step: Step, n_done: int, n_total: int) -> None:
            if step not in shows:
                bar.close()
                shows[step] = bar.enter_context(progress_bar(n_total, STEPS[step]))
            shows[step](n_done, "")

        yield on_progress


def _print(number: int, group: DuplicateGroup) -> None:
    click.echo(f"{number:4}  {shown(group.sounds[0].path)}  (keep: {group.why})")
    said = {}
    for pair in sorted(group.pairs, key=lambda pair: pair.relation.sure):
        said[pair.second.id] = f"{pair.words} (of {pair.first.path.name}; {pair.relation.sure:.0%} sure)"
    for sound in group.sounds[1:]:
        click.echo(f"      {shown(sound.path)}  {shown(said.get(sound.id, ''))}")


def _record(number: int, group: DuplicateGroup) -> dict[str, Any]:
    from soundalike.library.records import duplicate_record

    pairs = [duplicate_record(pair, lambda sound: shown(sound.path)) for pair in group.pairs]
    paths = [shown(sound.path) for sound in group.sounds]
    return {"group": number, "keep": paths[0], "why": group.why, "sounds": paths, "pairs": pairs}
