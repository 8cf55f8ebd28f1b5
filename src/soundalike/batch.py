"""Embed many sounds into a folder: skip what is done, survive what is broken, go on where it stopped."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from soundalike import export
from soundalike.embed import Model
from soundalike.folders import SoundFile, Stamp, stamp_of
from soundalike.journal import Journal, Settings
from soundalike.types import Embedding, Failure

FORMATS = ("json", *export.WRITERS)
FAILURE_TABLE = "failures.csv"


@dataclass(slots=True)
class Progress:
    """Where a run is; handed to ``on_progress`` after each sound."""

    n_total: int
    n_unchanged: int = 0
    n_done: int = 0
    n_failed: int = 0
    n_failed_before: int = 0  # unchanged since, so not tried again
    sound_s: float = 0.0  # seconds of sound embedded in this run
    last: Embedding | Failure | None = None


def embed_into(
    out: Path,
    model: Model,
    sounds: Iterable[SoundFile],
    *,
    formats: Iterable[str] = ("json",),
    segments: bool = False,
    force: bool = False,
    retry: bool = False,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Embed sounds into ``out``, and only those that are new or have changed.

    Parameters
    ----------
    out : folder for the results; made if need be
    formats : of "json", "jsonl", "parquet", "numpy"; those that ``out`` already has are kept up as well
    segments : with the segments' vectors (JSON and JSON Lines); stays on in ``out`` once it was
    force : embed again what is unchanged
    retry : also try again what failed and has not changed
    workers : threads; one per core by default
    on_progress : called after each sound

    Returns
    -------
    Counts of the run. Interrupted at any moment, ``out`` keeps what was finished, and the next run goes on.
    """
    sounds = list(sounds)
    progress = Progress(len(sounds))
    with Journal(out, model.pipeline, model.card.name) as journal:
        before = journal.settings()
        settings = _joined(before, Settings(model.card.name, model.card.level, tuple(formats), segments))
        anew = before is not None and before.segments < settings.segments
        _write_missing(journal, out, settings, anew)
        journal.remember(settings)
        todo: dict[Path, tuple[str, Stamp]] = {}
        for sound in sounds:
            name, stamp = str(sound.name), stamp_of(sound.path)
            worked = None if force else journal.worked(name, sound.path, stamp)
            if worked:
                progress.n_unchanged += 1
            elif worked is False and not retry:
                progress.n_failed_before += 1
            else:
                todo[sound.path] = (name, stamp)
        on_progress(progress)
        results = cast("Generator[Embedding | Failure]", model.embed_files(list(todo), workers))
        try:
            with closing(results):
                for result in results:
                    name, stamp = todo.pop(result.path)
                    if isinstance(result, Failure):  # what it was before it changed is no longer true
                        (out / export.json_name(name)).unlink(missing_ok=True)
                    elif "json" in settings.formats:
                        export.write_json(journal.record(name, result, settings.segments), name, out)
                    journal.add(name, stamp, result)
                    _count(progress, result)
                    on_progress(progress)
        finally:
            write_tables(journal, out, settings)
    return progress


def _joined(before: Settings | None, now: Settings) -> Settings:
    """Add to the settings of a folder: it keeps the formats it was made with, so that all tell the same."""
    if before is None:
        return now
    formats = tuple(dict.fromkeys([*before.formats, *now.formats]))
    return replace(now, formats=formats, segments=before.segments or now.segments)


def _write_missing(journal: Journal, out: Path, settings: Settings, anew: bool) -> None:
    """Write the JSON files of earlier runs that are not there, or all of them ``anew``."""
    if "json" in settings.formats:
        for name in journal.names():
            if anew or not (out / export.json_name(name)).exists():
                export.write_json(journal.stored(name, settings.segments), name, out)


def write_tables(journal: Journal, out: Path, settings: Settings) -> None:
    """Bring the table formats and the table of failures in step with the journal."""
    if journal.count():
        for name in settings.formats:
            if name != "json":
                export.WRITERS[name](journal.records(settings.segments), out)
    failures = journal.failures()
    if not failures:
        (out / FAILURE_TABLE).unlink(missing_ok=True)
        return
    with export.atomic(out / FAILURE_TABLE) as file:
        table = csv.writer(export.Text(file))
        table.writerow(["path", "code", "reason"])
        table.writerows([export.readable(name), failure.code, failure.reason] for name, failure in failures)


def _count(progress: Progress, result: Embedding | Failure) -> None:
    progress.last = result
    if isinstance(result, Failure):
        progress.n_failed += 1
    else:
        progress.n_done += 1
        progress.sound_s += result.duration_s


