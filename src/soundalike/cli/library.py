"""The verbs of a library: add, status, failures, remove, sync, search, rebuild, bench-index."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundalike.cli.common import (
    PATH,
    clock,
    device_option,
    failed_before,
    json_option,
    many,
    note,
    print_json,
    progress_bar,
    quoted,
    result_record,
    say_failed,
    shown,
    workers_option,
)  # fmt: skip
from soundalike.errors import LibraryBusy
from soundalike.readable import failure_record

if TYPE_CHECKING:
    from soundalike.library import Library, Progress

Command = Callable[..., Any]


def library_option(command: Command) -> Command:
    """``--library``."""
    text = "Folder of the library.  [default: ~/.soundalike]"
    return click.option("--library", "-l", type=PATH, envvar="SOUNDALIKE_LIBRARY", help=text)(command)


def of_library(folder: Path) -> str:
    """How a further command names this library: not at all if it is the usual one."""
    from soundalike.library import default_path

    return "" if folder == default_path().absolute() else f" -l {quoted(folder)}"


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATH)
@click.option("--force", is_flag=True, help="Embed again what is unchanged.")
@click.option("--retry", is_flag=True, help="Also try again what failed before.")
@workers_option
@click.option("--model", help="Model, by name; by default the library's own, or pocket for a new one.")
@device_option
@library_option
@json_option
def add(
    paths: tuple[Path, ...], force: bool, retry: bool, workers: int | None, model: str | None, device: str,
    library: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Add the sounds under PATHS to the library.

    It is made if need be. What is unchanged is not read again, and what was moved is not embedded again. Broken
    off, the next run goes on.
    """
    from soundalike.library import Library

    for path in paths:
        if not path.exists():
            raise click.UsageError(f"{shown(path)}: no such file or folder")
    with Library.create(library, model, device) as opened:
        _report(
            opened, as_json,
            lambda show: opened.add(paths, force=force, retry=retry, workers=workers, on_progress=show),
        )  # fmt: skip


@click.command()
@click.option("--retry", is_flag=True, help="Also try again what failed before.")
@click.option("--watch", is_flag=True, help="Go on looking for changes until interrupted.")
@click.option("--every", default=5.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds between looks.")
@workers_option
@device_option
@library_option
@json_option
def sync(
    retry: bool,
    watch: bool,
    every: float,
    workers: int | None,
    device: str,
    library: Path | None,
    as_json: bool,
) -> None:
    """Bring the library in step with its folders.

    New, changed, moved and deleted files of the folders that were added, and of single files, are followed.
    """
    from soundalike.library import Library

    with Library.open(library, device=device) as opened:
        _report(
            opened,
            as_json,
            lambda show: opened.sync(retry=retry, workers=workers, on_progress=show),
            end=not watch,
        )
        while watch:
            time.sleep(every)
            with suppress(LibraryBusy):  # its turn comes
                _report(
                    opened,
                    as_json,
                    lambda show: opened.sync(workers=workers, on_progress=show),
                    end=False,
                    quiet=True,
                )


def retry_in_library(folder: Path | None, workers: int | None, device: str, as_json: bool) -> None:
    """Try again the sounds that failed in a library."""
    from soundalike.library import Library

    with Library.open(folder, device=device) as opened:
        if opened.failures():
            _report(opened, as_json, lambda show: opened.retry(workers=workers, on_progress=show))
        else:
            note("Nothing failed here.")


def _report(
    library: Library, as_json: bool, run: Callable[[Callable[[Progress], None]], Progress], *,
    end: bool = True, quiet: bool = False,
) -> None:  # fmt: skip
    """Run with progress, then say what became of it."""
    from soundalike.types import Failure

    started = time.monotonic()
    with closing(_Bar()) as bar:

        def on_progress(progress: Progress) -> None:
            if as_json and progress.last is not None:
                print_json(result_record(progress.last))
            elif isinstance(progress.last, Failure):
                say_failed(progress.last)
            bar.show(progress, f"{progress.sound_s / max(time.monotonic() - started, 1e-3):.0f} x real time")

        done = run(on_progress)
    if not quiet or done.n_added or done.n_moved or done.n_removed or done.n_failed or done.n_measured:
        _summarize(library, done, time.monotonic() - started)
    if done.n_failed and end:
        here = of_library(library.path)
        note(f"What failed and why: soundalike failures{here}. To try those again: soundalike retry{here}")
        sys.exit(1)


def _summarize(library: Library, done: Progress, took_s: float) -> None:
    for folder in done.unreachable:
        forget = f"soundalike remove {quoted(folder)}{of_library(library.path)}"
        note(f"not there, or empty: {shown(folder)}. Its sounds are kept; to forget them: {forget}")
    removed = f"{done.n_removed} gone, " if done.n_removed else ""
    measured = f"aspects of {done.n_measured} measured, " if done.n_measured else ""
    moved = f"{done.n_moved} moved or copied, " if done.n_moved else ""
    note(
        f"{done.n_added} embedded ({clock(done.sound_s)} of sound in {clock(took_s)}), {moved}{removed}{measured}"
        f"{done.n_unchanged} unchanged, {done.n_failed} failed{failed_before(done.n_failed_before)}. "
        f"Library: {shown(library.path)}"
    )


class _Bar:
    """A progress bar that begins when it is known how much there is to do."""

    def __init__(self) -> None:
        self._context: Any = None
        self._show: Any = None

    def show(self, progress: Progress, rate: str) -> None:
        if self._context is None:
            self._context = progress_bar(progress.n_total, "adding")
            self._show = self._context.__enter__()
        self._show(progress.n_seen, rate)

    def close(self) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)


@click.command()
@library_option
@json_option
def status(library: Path | None, as_json: bool) -> None:
    """Say what is in the library."""
    from soundalike.library import Library
    from soundalike.library.records import status_record

    with Library.open(library) as opened:
        now = opened.status()
    if as_json:
        print_json(status_record(now))
        return
    searched = f"index over {now.n_indexed:,} sounds" if now.n_indexed else "every search is exact"
    click.echo(f"library   {shown(now.path)} ({now.n_bytes / 1e6:.1f} MB)")
    click.echo(f"model     {now.model}, pipeline {now.pipeline}, {now.dim} numbers a vector; {searched}")
    counts = f"{now.n_sounds:,} ({clock(now.sound_s)}), {now.n_segments:,} segments, {now.n_failed:,} failed"
    click.echo(f"sounds    {counts}")
    for folder in now.folders:
        click.echo(f"folder    {shown(folder)}")
    if now.rebuilding:
        click.echo(f"rebuild   to {now.rebuilding} is unfinished: {now.n_rebuilt:,} of {now.n_sounds:,} are done")


@click.command()
@library_option
@json_option
def failures(library: Path | None, as_json: bool) -> None:
    """List the sounds that have no embedding, and why."""
    from soundalike.library import Library

    with Library.open(library) as opened:
        for failure in opened.failures():
            if as_json:
                print_json(failure_record(failure))
            else:
                click.echo(f"{failure.code}\t{shown(failure.path)}\t{failure.reason}")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATH)
@library_option
@json_option
def remove(paths: tuple[Path, ...], library: Path | None, as_json: bool) -> None:
    """Forget the sounds at PATHS, or below; no file is touched.

    sync does not bring them back; add does.
    """
    from soundalike.library import Library

    with Library.open(library) as opened:
        n_sounds = opened.remove(paths)
    if as_json:
        print_json({"n_removed": n_sounds})
    else:
        note(f"{many(n_sounds, 'sound')} forgotten")


@click.command()
@click.option("--model", required=True, help="Model, by name.")
@workers_option
@device_option
@library_option
@json_option
def rebuild(model: str, workers: int | None, device: str, library: Path | None, as_json: bool) -> None:
    """Embed the whole library again with another model.

    The old model answers until the new one is complete. Broken off, the next run goes on where it stopped.
    """
    from soundalike.library import Library

    with Library.open(library, device=device) as opened:
        _report(opened, as_json, lambda show: opened.rebuild(model, workers=workers, on_progress=show))
