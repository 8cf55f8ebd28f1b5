"""Embed many sounds into a folder: skip what is done, survive what is broken, go on where it stopped."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from soundalike import export
from soundalike.embed import Model
from soundalike.folders import SoundFile
from soundalike.journal import Journal, Settings, Stamp
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
    formats : of "json", "jsonl", "parquet", "numpy"
    segments : with the segments' vectors (JSON and JSON Lines)
    force : embed again what is unchanged
    retry : also try again what failed and has not changed
    workers : threads; one per core by default
    on_progress : called after each sound

    Returns
    -------
    Counts of the run. Interrupted at any moment, ``out`` keeps what was finished, and the next run goes on.
    """
    sounds = list(sounds)
    formats = tuple(formats)
    progress = Progress(len(sounds))
    with Journal(out, model.pipeline, model.card.name) as journal:
        journal.remember(Settings(model.card.name, model.card.level, formats, segments))
        todo: dict[Path, tuple[str, Stamp]] = {}
        for sound in sounds:
            stamp = stamp_of(sound.path)
            state = None if force else journal.state(str(sound.name))
            if state == (stamp, True) or (state == (stamp, False) and not retry):
                progress.n_unchanged += 1
            else:
                todo[sound.path] = (str(sound.name), stamp)
        on_progress(progress)
        try:
            for result in model.embed_files(list(todo), workers):
                name, stamp = todo.pop(result.path)
                journal.add(name, stamp, result)
                _count(progress, result)
                if "json" in formats and isinstance(result, Embedding):
                    export.write_json(record_of(journal, name, result, segments), name, out)
                on_progress(progress)
        finally:
            write_tables(journal, out, formats, segments)
    return progress


def stamp_of(path: Path) -> Stamp:
    """Size and time of a file; zeros if it cannot be looked at (reading it will say why)."""
    try:
        status = path.stat()
    except OSError:
        return Stamp(0, 0)
    return Stamp(status.st_size, status.st_mtime_ns)


def record_of(journal: Journal, name: str, result: Embedding, segments: bool) -> export.Record:
    """The record of a fresh embedding."""
    record = journal.record(
        name, result.duration_s, result.vector, result.sample_rate, result.channels, result.sha256
    )
    if segments:
        record["segments"] = export.segment_records(result.times_s, result.segments)
    return record


def write_tables(journal: Journal, out: Path, formats: Iterable[str], segments: bool) -> None:
    """Bring the table formats and the table of failures in step with the journal."""
    if journal.count():
        for name in formats:
            if name != "json":
                export.WRITERS[name](journal.records(segments), out)
    failures = journal.failures()
    if not failures:
        (out / FAILURE_TABLE).unlink(missing_ok=True)
        return
    with export.atomic(out / FAILURE_TABLE) as file:
        table = csv.writer(export.Text(file), lineterminator="\n")
        table.writerow(["path", "code", "reason"])
        table.writerows([name, failure.code, failure.reason] for name, failure in failures)


def _count(progress: Progress, result: Embedding | Failure) -> None:
    progress.last = result
    if isinstance(result, Failure):
        progress.n_failed += 1
    else:
        progress.n_done += 1
        progress.sound_s += result.duration_s


