"""Push, pull, ask: the same for every store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from soundalike.errors import PipelineMismatch, StoreError
from soundalike.push.contract import Fields, Hit, Metric, Row, Shape, Store, Where
from soundalike.push.retry import OnWait, explained, may_pass, patiently
from soundalike.push.sources import Source
from soundalike.types import F32

T = TypeVar("T")


@dataclass(slots=True)
class Pushed:
    """How far a push has come."""

    n_total: int
    n_copies: int = 0  # sounds with the content of another: one row stands for both
    n_written: int = 0
    n_unchanged: int = 0
    n_deleted: int = 0
    n_retries: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def n_seen(self) -> int:
        """Rows that are done."""
        return self.n_written + self.n_unchanged

    @property
    def rows_per_s(self) -> float:
        """Rows that were looked at, for each second so far."""
        return self.n_seen / max(time.monotonic() - self.started, 1e-9)


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """A store that is called with patience, and whose errors are explained."""

    store: Store
    on_wait: OnWait = lambda wait_s, error: None

    def __call__(self, act: Callable[[], T]) -> T:
        """Call."""
        with explained(self.store.name):
            return patiently(act, self.store.passing, self.on_wait)


def push(
    source: Source,
    store: Store,
    metric: Metric | None = None,
    *,
    mirror: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[Pushed], None] = lambda pushed: None,
    on_wait: OnWait = lambda wait_s, error: None,
) -> Pushed:
    """Bring a collection in step with a source: what is new or changed is written, the rest only looked at.

    Broken off at any moment, the next push goes on: what has arrived is recognized by its digest.

    Parameters
    ----------
    metric : of a collection that has to be made: cosine if not given; one that is there must have it
    mirror : also delete the rows whose sound is not in the source
    dry_run : check and count, write nothing
    on_progress : called after each batch
    on_wait : called before each further try, with the pause in seconds and the error

    Raises
    ------
    PipelineMismatch
        if the collection holds vectors of another pipeline
    StoreError
        if it takes vectors of another length or metric, or a vector is not finite
    """
    check_vectors(source.rows, source.dim)
    pushed = Pushed(len(source.rows), source.n_copies)

    def on_retry(wait_s: float, error: Exception) -> None:
        pushed.n_retries += 1
        on_wait(wait_s, error)

    call = Caller(store, on_retry)
    fresh = _prepare(source, store, metric, call, dry_run)
    for start in range(0, len(source.rows), store.batch_rows):
        batch = source.rows[start : start + store.batch_rows]
        _push_batch(batch, store, call, fresh, dry_run, pushed)
        on_progress(pushed)
    if mirror and not fresh:
        pushed.n_deleted = _delete_others(source, store, call, dry_run)
    if not dry_run and (pushed.n_written or pushed.n_deleted):
        call(store.finish)
    return pushed


def check_vectors(rows: list[Row], dim: int) -> None:
    """Check length and finiteness before any store sees them: stores differ in what they let pass.

    Raises
    ------
    StoreError
        if one is wrong; the row is named
    """
    for row in rows:
        if row.vector.shape != (dim,):
            raise StoreError(f"{row.fields['path']}: its vector has {row.vector.size} numbers, not {dim}")
        if not np.isfinite(row.vector).all():
            raise StoreError(f"{row.fields['path']}: its vector holds a number that is not finite")


def _prepare(source: Source, store: Store, metric: Metric | None, call: Caller, dry_run: bool) -> bool:
    """Make the collection, or check that it takes these vectors; say if it is empty."""
    wanted = Shape(source.dim, metric or "cosine")
    if wanted.metric not in store.metrics:
        raise StoreError(f"{store.name}: this store has no metric {wanted.metric}; it has {', '.join(store.metrics)}")
    shape = call(store.shape)
    if shape is None:
        if not dry_run:
            call(lambda: _make(store, wanted))
        return True
    if shape.dim != wanted.dim:
        raise StoreError(f"{store.name}: it takes vectors of {shape.dim} numbers; these have {wanted.dim}")
    if metric and shape.metric != metric:
        raise StoreError(f"{store.name}: it was made for the metric {shape.metric}, not {metric}")
    found = call(lambda: first_fields(store))
    if found is None:
        return True
    if found.get("pipeline") != source.pipeline:
        raise PipelineMismatch(f"the source (model {source.model})", _said(found), source.pipeline)
    if found.get("kind") != source.kind:
        raise StoreError(f"{store.name}: it holds vectors of {found.get('kind')}s; push {source.kind}s elsewhere")
    return False


def _make(store: Store, shape: Shape) -> None:
    """Make a collection; that it is there already is no error: the answer to an earlier try may have been lost."""
    try:
        store.create(shape)
    except Exception as error:  # clients' errors have no common tree
        if may_pass(error, store.passing) or store.shape() != shape:
            raise


def _said(fields: Fields) -> str:
    if "pipeline" not in fields:
        return "(unknown: these vectors were not pushed by soundalike)"
    return f"{fields['pipeline']} (model {fields.get('model')})"


def first_fields(store: Store) -> Fields | None:
    """Fields of any row; None if there is no row."""
    with_one = store.read()
    try:
        return next((row.fields for row in with_one), None)
    finally:
        with_one.close()


def _push_batch(batch: list[Row], store: Store, call: Caller, fresh: bool, dry_run: bool, pushed: Pushed) -> None:
    there = {} if fresh else call(lambda: store.digests([row.id for row in batch]))
    changed = [row for row in batch if there.get(row.id) != row.fields["digest"]]
    if changed and not dry_run:
        call(lambda: store.upsert(changed))
    pushed.n_written += len(changed)
    pushed.n_unchanged += len(batch) - len(changed)


def _delete_others(source: Source, store: Store, call: Caller, dry_run: bool) -> int:
    kept = {row.id for row in source.rows}
    others = call(lambda: [row.id for row in store.read() if row.id not in kept])
    for start in range(0, 0 if dry_run else len(others), store.batch_rows):
        part = others[start : start + store.batch_rows]
        call(lambda part=part: store.delete(part))  # type: ignore[misc]
    return len(others)


def pull(store: Store) -> Iterator[Row]:
    """Every row of a collection, with its vector.

    Raises
    ------
    StoreError
        if there is no such collection, or it cannot be read
    """
    existing_shape(store)
    with explained(store.name):
        yield from store.read()


def existing_shape(store: Store) -> Shape:
    """Look up the shape of a collection that must be there.

    Raises
    ------
    StoreError
        if it is not
    """
    shape = Caller(store)(store.shape)
    if shape is None:
        raise StoreError(f"{store.name}: there is no such collection. To make it: soundalike push SOURCE TARGET")
    return shape


def ask(store: Store, vector: F32, n: int = 20, where: Where = Where()) -> list[Hit]:  # noqa: B008  frozen
    """Find the rows nearest to a vector.

    Parameters
    ----------
    vector : (dim,)
    n : how many
    where : which rows may be found

    Returns
    -------
    Best first. Scores are by the collection's metric: cosine and dot product, higher is closer; euclidean is
    the distance, lower is closer.

    Raises
    ------
    StoreError
        if the vector is not finite or has the wrong length
    """
    shape = existing_shape(store)
    if vector.shape != (shape.dim,) or not np.isfinite(vector).all():
        raise StoreError(f"{store.name}: the question must be {shape.dim} finite numbers, not {vector.size}")
    return Caller(store)(lambda: store.query(np.ascontiguousarray(vector, np.float32), n, where))
