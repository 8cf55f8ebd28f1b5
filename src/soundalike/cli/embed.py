"""``soundalike embed`` and ``soundalike retry``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundalike.cli.common import (
    PATH,
    clock,
    device_option,
    failed_before,
    json_option,
    level_option,
    model_option,
    note,
    print_json,
    progress_bar,
    quoted,
    result_record,
    say_failed,
    shown,
    workers_option,
)
from soundalike.cli.library import library_option, retry_in_library

if TYPE_CHECKING:
    from soundalike.embed import Model
    from soundalike.folders import SoundFile
    from soundalike.types import LevelRule

_FORMATS = ("json", "jsonl", "parquet", "numpy")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATH)
@click.option("--out", "-o", required=True, type=PATH, help="Folder for the results.")
@click.option(
    "--format", "-f", "formats", multiple=True, default=["json"], show_default=True,
    type=click.Choice(_FORMATS),
    help="json: one file per sound. jsonl, parquet, numpy (with csv): one file for all. May be repeated.",
)  # fmt: skip
@click.option("--segments", is_flag=True, help="Also each segment's vector and times (json, jsonl).")
@click.option("--force", is_flag=True, help="Embed again what is unchanged.")
@click.option("--retry", "retry_failed", is_flag=True, help="Also try again what failed before.")
@level_option
@workers_option
@model_option
@json_option
def embed(
    paths: tuple[Path, ...], out: Path, formats: tuple[str, ...], segments: bool, force: bool,
    retry_failed: bool, level: LevelRule | None, workers: int | None, model: str, device: str, as_json: bool,
) -> None:  # fmt: skip
    """Turn sounds into vectors: an embedding for every sound.

    PATHS are folders, walked to their ends, and sounds; results go into --out. Only new or changed sounds are done;
    a run that was broken off goes on where it stopped.
    """
    from soundalike.embed import load_model
    from soundalike.folders import find_sounds

    sounds = list(find_sounds(paths))
    if not sounds:
        raise click.UsageError(f"no sounds found under {', '.join(shown(path) for path in paths)}")
    loaded = load_model(model, device, level)
    _run(out, loaded, sounds, formats, segments, force, retry_failed, workers, as_json)


@click.command()
@click.argument("out", type=PATH, required=False)
@workers_option
@device_option
@library_option
@json_option
def retry(out: Path | None, workers: int | None, device: str, library: Path | None, as_json: bool) -> None:
    """Try again the sounds that failed.

    In the library, or in OUT, a folder made by embed, with its settings.
    """
    from soundalike.embed import load_model
    from soundalike.journal import read_failures

    if out is None:
        retry_in_library(library, workers, device, as_json)
        return
    settings, sounds = read_failures(out)
    if not sounds:
        note("Nothing failed here.")
        return
    loaded = load_model(settings.model, device, settings.level)
    _run(out, loaded, sounds, settings.formats, settings.segments, False, True, workers, as_json)


def _run(
    out: Path, model: Model, sounds: list[SoundFile], formats: tuple[str, ...], segments: bool, force: bool,
    retry: bool, workers: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Embed with progress, then say what became of it."""
    from soundalike.batch import FAILURE_TABLE, Progress, embed_into
    from soundalike.types import Failure

    started = time.monotonic()
    with progress_bar(len(sounds), "embedding") as show:

        def on_progress(progress: Progress) -> None:
            if as_json and progress.last is not None:
                print_json(result_record(progress.last))
            elif isinstance(progress.last, Failure):
                say_failed(progress.last)
            n_seen = progress.n_unchanged + progress.n_failed_before + progress.n_done + progress.n_failed
            show(n_seen, f"{progress.sound_s / max(time.monotonic() - started, 1e-3):.0f} x real time")

        end = embed_into(
            out, model, sounds, formats=formats, segments=segments, force=force, retry=retry, workers=workers,
            on_progress=on_progress,
        )  # fmt: skip
    took = time.monotonic() - started
    done = f"{end.n_done} embedded ({clock(end.sound_s)} of sound in {clock(took)})"
    before = failed_before(end.n_failed_before)
    note(f"{done}, {end.n_unchanged} unchanged, {end.n_failed} failed{before}. Results: {shown(out)}")
    if end.n_failed or end.n_failed_before:
        table = shown(out / FAILURE_TABLE)
        note(f"What failed and why: {table}. To try those again: soundalike retry {quoted(out)}")
        sys.exit(1)
