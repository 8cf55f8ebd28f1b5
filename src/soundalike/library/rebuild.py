"""Move a library to another model: a new space is filled beside the old one, which answers to the last."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

from soundalike.folders import stamp_of
from soundalike.library import caches, schema
from soundalike.library.ingest import DROP_SOUNDS, OnProgress
from soundalike.library.matrix import KINDS, MatrixFiles
from soundalike.library.store import Store, path_bytes, path_of
from soundalike.library.values import Embedder, Progress, Space
from soundalike.library.writer import Writer
from soundalike.types import Embedding, Failure

COMMIT_SOUNDS = 64


def n_rebuilt(store: Store, space: Space) -> int:
    """How many sounds a space has."""
    return int(store.query("SELECT count(*) FROM vectors WHERE key BETWEEN ? AND ?", schema.keys_of(space.id))[0][0])


def rebuild_into(
    store: Store, writer: Writer, model: Embedder, workers: int | None, on_progress: OnProgress
) -> Progress:
    """Fill a space for a model, or go on filling it; then let it answer and delete the old one."""
    old = store.space()
    if old is not None and old.pipeline == model.pipeline:
        n_sounds = store.totals()[0]
        return Progress(n_sounds, n_unchanged=n_sounds)
    space = _space_for(store, writer, model)
    todo = store.query(
        "SELECT id, path FROM sounds WHERE NOT EXISTS "
        "(SELECT 1 FROM vectors JOIN segments USING (key) WHERE key = ? + sounds.id) ORDER BY id",
        [schema.key_of(space.id, 0)],
    )
    progress = Progress(store.totals()[0])
    progress.n_unchanged = progress.n_total - len(todo)
    ids = {path_of(path): sound_id for sound_id, path in todo}
    failures = _fill(writer, space, model, ids, workers, progress, on_progress)
    caches.update(store, space)
    with writer.transaction():
        for failure in failures:
            writer.put_failure(path_bytes(failure.path), stamp_of(failure.path), failure)
        writer.query("UPDATE spaces SET current = (id = ?)", [space.id])
    if old is not None:
        _delete_space(store, writer, old)
    return progress


def _space_for(store: Store, writer: Writer, model: Embedder) -> Space:
    """Go on with the space in the making, if it is this model's; else give it up and begin a new one."""
    making = store.space(current=False)
    if making is not None and making.pipeline == model.pipeline:
        return making
    if making is not None:
        _delete_space(store, writer, making)
    with writer.transaction():
        writer.begin_space(model, current=False)
    space = store.space(current=False)
    assert space is not None
    return space


def _fill(
    writer: Writer, space: Space, model: Embedder, todo: dict[Path, int], workers: int | None,
    progress: Progress, on_progress: OnProgress,
) -> list[Failure]:  # fmt: skip
    failures: list[Failure] = []
    results = cast("Generator[Embedding | Failure]", model.embed_files(list(todo), workers))
    with writer.batches(), closing(results):
        for batch in _batches(results):
            for result in batch:
                if isinstance(result, Embedding):
                    writer.put_vectors(space, todo[result.path], result)
                else:
                    failures.append(result)
            writer.commit()
            for result in batch:
                progress.last = result
                progress.n_added += isinstance(result, Embedding)
                progress.n_failed += isinstance(result, Failure)
                progress.sound_s += result.duration_s if isinstance(result, Embedding) else 0.0
                on_progress(progress)
    progress.last = None
    return failures


def _batches(results: Iterator[Embedding | Failure]) -> Iterator[list[Embedding | Failure]]:
    batch: list[Embedding | Failure] = []
    for result in results:
        batch.append(result)
        if len(batch) == COMMIT_SOUNDS:
            yield batch
            batch = []
    if batch:
        yield batch


def _delete_space(store: Store, writer: Writer, space: Space) -> None:
    """Delete a space that does not answer: its vectors bit by bit, so that the log stays small."""
    for table in ("vectors", "segments"):
        some = f"SELECT key FROM {table} WHERE key BETWEEN ? AND ? LIMIT {DROP_SOUNDS}"
        sql = f"DELETE FROM {table} WHERE key IN ({some})"
        n_deleted = 1
        while n_deleted:
            with writer.transaction():
                n_deleted = writer.execute(sql, schema.keys_of(space.id))
    with writer.transaction():
        writer.execute("DELETE FROM spaces WHERE id = ?", [space.id])
    for kind in KINDS:
        MatrixFiles(store, space, kind).delete()
