"""``soundalike push``, ``soundalike pull`` and ``soundalike query``: vector databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundalike.cli.common import PATH, clock, device_option, json_option, note, print_json, progress_bar, shown, words
from soundalike.cli.search import _tags

if TYPE_CHECKING:
    from soundalike.push import Pushed, Row, Store

_TARGETS = """
    TARGET is qdrant://HOST/COLLECTION, pinecone://INDEX, postgresql://USER@HOST/DB?table=NAME,
    weaviate://HOST/COLLECTION, chroma://HOST/COLLECTION, milvus://HOST/COLLECTION, or a folder of this machine:
    qdrant:, chroma:, milvus: or lance:FOLDER?collection=NAME. Keys and passwords come from the environment.
"""


def _with_targets(command: Callable[..., Any]) -> Callable[..., Any]:
    command.__doc__ = (command.__doc__ or "") + "\n" + _TARGETS
    return command


@contextmanager
def _opened(target: str) -> Iterator[Store]:
    from soundalike.push import open_store

    with closing(open_store(target)) as store:
        yield store


@click.command()
@click.argument("source", type=PATH)
@click.argument("target")
@click.option(
    "--metric", type=click.Choice(["cosine", "euclidean", "dot"]),
    help="Of a collection that is made; cosine by default.",
)  # fmt: skip
@click.option("--segments", is_flag=True, help="The vectors of the segments, into a collection of their own.")
@click.option("--mirror", is_flag=True, help="Also delete from the collection what SOURCE has not.")
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be done; write nothing.")
@json_option
@_with_targets
def push(
    source: Path, target: str, metric: Any, segments: bool, mirror: bool, dry_run: bool, as_json: bool
) -> None:
    """Bring a vector database in step with vectors of yours.

    SOURCE is a library, a folder of JSON files, .jsonl, .parquet or .npy. What is there already is not sent again;
    broken off, the next run goes on.
    """
    from soundalike.push import push as push_rows
    from soundalike.push import read_source
    from soundalike.push.secrets import hidden

    rows = read_source(source, segments=segments)

    def on_wait(wait_s: float, error: Exception) -> None:
        note(f"{hidden(str(error))[:200] or type(error).__name__}; trying again in {clock(wait_s)}")

    with _opened(target) as store, progress_bar(len(rows.rows), "pushing") as show:
        done = push_rows(
            rows, store, metric, mirror=mirror, dry_run=dry_run, on_wait=on_wait,
            on_progress=lambda now: show(now.n_seen, f"{now.rows_per_s:,.0f} rows/s"),
        )  # fmt: skip
    if as_json:
        counts = {name: value for name, value in asdict(done).items() if name != "started"}
        print_json({"target": store.name, "pipeline": rows.pipeline, "dry_run": dry_run, **counts})
    _summarize(done, store.name, dry_run)


def _summarize(done: Pushed, name: str, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    deleted = f", {done.n_deleted:,} {would}deleted" if done.n_deleted else ""
    copies = f", {done.n_copies:,} left out as copies of another (same content)" if done.n_copies else ""
    retries = f", after {done.n_retries} further tries" if done.n_retries else ""
    rate = "" if dry_run else f" ({done.rows_per_s:,.0f} rows/s)"
    note(
        f"{done.n_written:,} rows {would}written, {done.n_unchanged:,} unchanged{deleted}{copies}{retries}{rate}. "
        f"Target: {shown(name)}"
    )


@click.command()
@click.argument("target")
@click.option("--out", "-o", required=True, type=PATH, help="Folder for the result.")
@click.option(
    "--format", "-f", "file_format", default="jsonl", show_default=True, envvar="SOUNDALIKE_PULL_FORMAT",
    type=click.Choice(["jsonl", "parquet", "numpy"]), help="One file for all; numpy comes with a csv.",
)  # fmt: skip
@json_option
@_with_targets
def pull(target: str, out: Path, file_format: str, as_json: bool) -> None:
    """Bring the vectors of a vector database back into a file.

    push takes that file, and so does any other reader.
    """
    from soundalike.export import WRITERS
    from soundalike.push import Where
    from soundalike.push import pull as pull_rows
    from soundalike.push.moving import Caller
    from soundalike.push.sources import record_of

    with _opened(target) as store:
        rows = pull_rows(store)
        first = next(rows, None)
        if first is None:
            raise click.UsageError(f"{store.name}: the collection is empty")
        n_rows = Caller(store)(lambda: store.count(Where()))
        with progress_bar(n_rows, "pulling") as show:
            path = WRITERS[file_format]((record_of(row) for row in _counted(first, rows, show)), out)
    if as_json:
        print_json({"target": store.name, "path": shown(path), "n_rows": n_rows})
    note(f"{n_rows:,} rows: {shown(path)}")


def _counted(first: Row, rest: Iterator[Row], show: Callable[[int, str], None]) -> Iterator[Row]:
    yield first
    for n_done, row in enumerate(rest, 2):
        yield row
        if n_done % 500 == 0:
            show(n_done, "")


@click.command()
@click.argument("target")
@click.argument("query", required=False, type=PATH)
@click.option("--text", "-t", callback=words, help="Words to search by, in place of a sound.")
@click.option("--limit", "-n", default=20, show_default=True, type=click.IntRange(min=1), help="How many results.")
@click.option("--min-duration", type=float, help="Shortest, in seconds.")
@click.option("--max-duration", type=float, help="Longest, in seconds.")
@click.option("--tag", "tags", multiple=True, callback=_tags, metavar="NAME=VALUE", help="Only with this tag.")
@device_option
@json_option
@_with_targets
def query(
    target: str, query: Path | None, text: str | None, limit: int, min_duration: float | None,
    max_duration: float | None, tags: dict[str, str], device: str, as_json: bool,
) -> None:  # fmt: skip
    """Ask a vector database for what is nearest.

    To QUERY, a sound file, or to words.
    """
    from soundalike.push import Where, ask
    from soundalike.push.asking import model_of

    if (query is None) == (text is None):
        raise click.UsageError("Give a sound file, or words with --text.")
    where = Where(min_duration, max_duration, tuple(f"{name}={value}" for name, value in tags.items()))
    with _opened(target) as store:
        model = model_of(store, device)
        vector = model.embed_file(query).vector if query is not None else model.embed_text([text or ""])[0]
        hits = ask(store, vector, limit, where)
    if not hits:
        note("Nothing in the collection passes these filters.")
    for rank, hit in enumerate(hits, 1):
        if as_json:
            print_json({"rank": rank, "score": hit.score, "id": hit.id, **hit.fields})
            continue
        start_s = hit.fields.get("start_s")
        at = "" if start_s is None else f"  {start_s:.2f}–{hit.fields['end_s']:.2f} s"
        click.echo(f"{hit.score:7.4f}  {clock(hit.fields['duration_seconds']):>10}{at}  {shown(hit.fields['path'])}")
