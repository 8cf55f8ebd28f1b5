"""Options and output that several verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundalike.readable import failure_record
from soundalike.readable import many as many
from soundalike.readable import quoted as quoted
from soundalike.readable import shown as shown

if TYPE_CHECKING:
    from soundalike.types import Embedding, Failure

PATH = click.Path(path_type=Path)
NO_SOUNDS = "There are no sounds here: none was added to the library yet, or none lies below --folder."
Command = Callable[..., Any]


def model_option(command: Command) -> Command:
    """``--model`` and ``--device``."""
    command = device_option(command)
    return click.option("--model", default="pocket", show_default=True, help="Model, by name.")(command)


def device_option(command: Command) -> Command:
    """``--device``."""
    words = "Where to run: auto, cpu, cuda, coreml, directml, openvino or openvino-bf16."
    return click.option("--device", default="auto", show_default=True, help=words)(command)


def level_option(command: Command) -> Command:
    """``--level``."""
    rules = click.Choice(["none", "peak", "rms", "loudness"])
    return click.option("--level", type=rules, help="Level rule in place of the model's.")(command)


def words(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse a text in which there is nothing."""
    if value is not None and not value.strip():
        raise click.BadParameter("there are no words in it")
    return value


def json_option(command: Command) -> Command:
    """``--json``."""
    text = "One JSON object per line on stdout."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


def workers_option(command: Command) -> Command:
    """``--workers``."""
    words = "Files at once; one per core by default."
    return click.option("--workers", type=click.IntRange(min=1), help=words)(command)


def print_json(record: dict[str, Any]) -> None:
    """One JSON object on one line of stdout."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    sys.stdout.buffer.flush()


def print_rows(rows: list[list[str]]) -> None:
    """Rows of a table: columns in line on a terminal, tabs between them elsewhere."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        if sys.stdout.isatty():
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        else:
            click.echo("\t".join(row))


def note(text: str) -> None:
    """Write one line for the reader on stderr."""
    click.echo(shown(text), err=True)


def say_failed(failure: Failure, as_json: bool = False) -> None:
    """Name a sound that could not be used on stderr; with ``--json``, on stdout too."""
    if as_json:
        print_json(failure_record(failure))
    note(f"failed: {shown(failure.path)}: {failure.reason}")


def result_record(result: Embedding | Failure) -> dict[str, object]:
    """What became of one sound, for JSON."""
    from soundalike.types import Failure

    if isinstance(result, Failure):
        return failure_record(result)
    return {
        "path": shown(result.path), "duration_seconds": result.duration_s, "segments": len(result.segments),
        "warnings": list(result.warnings),
    }  # fmt: skip


def failed_before(n_sounds: int) -> str:
    """End of a summary: what failed in an earlier run and has not changed since."""
    return f", {n_sounds} failed before and not tried again" if n_sounds else ""


def size(n_bytes: int) -> str:
    """Size of a file as people say it."""
    return f"{n_bytes / 1e6:,.0f} MB" if n_bytes >= 10_000_000 else f"{n_bytes / 1e3:,.0f} kB"


def clock(seconds: float) -> str:
    """Write a duration as people read it: 0.73 s, 12.4 s, 3:07 min, 2:03:07 h."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"


@contextmanager
def progress_bar(total: int, what: str) -> Iterator[Callable[[int, str], None]]:
    """Progress with rate and time left, on stderr; silent when stderr is not a terminal.

    Yields
    ------
    A function that takes how many are done and a note, such as the rate.
    """
    if not sys.stderr.isatty() or total == 0:
        yield lambda done, rate: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, rate="")
        yield lambda done, rate: bar.update(task, completed=done, rate=rate)
