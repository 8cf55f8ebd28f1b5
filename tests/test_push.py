"""Vectors into databases and back: one body of tests, run over every store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from memory_store import exact_score, passes
from soundalike.errors import PipelineMismatch, StoreError
from soundalike.push import Where, ask, pull, push
from soundalike.push.contract import Metric, Shape
from soundalike.push.sources import Source, make_row
from store_backends import NEEDS, Opener, Servers

pytestmark = [  # the clients' own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR"),
]
DIM, N_ROWS = 16, 240


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    found = Servers(tmp_path_factory.mktemp("stores"))
    yield found
    found.close()


@pytest.fixture(params=NEEDS)
def opener(request: pytest.FixtureRequest, servers: Servers) -> Opener:
    return servers.opener(request.param)


def make_source(n_rows: int = N_ROWS, dim: int = DIM, pipeline: str = "p1", unit: bool = True) -> Source:
    vectors = np.random.default_rng(7).normal(size=(n_rows, dim)).astype(np.float32)
    if unit:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [make_row(fields_of(i, pipeline), vector) for i, vector in enumerate(vectors)]
    return Source(rows, "tiny", pipeline, "sound", 0)


def fields_of(i: int, pipeline: str = "p1") -> dict[str, object]:
    return {
        "filename": f"{i}.wav", "path": f"it's \"{i}\".wav", "duration_seconds": 0.5 + i / 10, "model": "tiny",
        "pipeline": pipeline, "sample_rate": 44_100, "channels": 1 + i % 2,
        "sha256": hashlib.sha256(str(i).encode()).hexdigest(),
        "tags": {"genre": "foley" if i % 3 else "it's \"rock\""} if i % 4 else {},
    }  # fmt: skip


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_answers_equal_the_exact_ones(opener: Opener, metric: Metric) -> None:
    source = make_source(unit=metric == "cosine")
    with closing(opener()) as store:
        if metric not in store.metrics:
            pytest.skip("not offered")
        assert push(source, store, metric).n_written == N_ROWS
        queries = np.random.default_rng(1).normal(size=(8, DIM)).astype(np.float32)
        for query in queries:
            hits = ask(store, query, 20)
            exact = sorted(
                ((exact_score(row.vector, query, metric), row.id) for row in source.rows),
                reverse=metric != "euclidean",
            )[:20]
            assert [hit.id for hit in hits] == [key for _, key in exact]
            np.testing.assert_allclose([hit.score for hit in hits], [score for score, _ in exact], atol=2e-5)


def test_filters(opener: Opener) -> None:
    source = make_source()
    with closing(opener()) as store:
        push(source, store)
        for where in (
            Where(min_s=5.0), Where(max_s=5.0), Where(min_s=3.0, max_s=8.0, tags=("genre=foley",)),
            Where(tags=("genre=it's \"rock\"",)), Where(texts={"filename": "3.wav"}),
            Where(texts={"path": "it's \"5\".wav"}), Where(min_s=1e6),
        ):  # fmt: skip
            expected = {row.id for row in source.rows if passes(row, where)}
            assert store.count(where) == len(expected)
            hits = ask(store, source.rows[0].vector, N_ROWS, where)
            assert {hit.id for hit in hits} == expected


def test_push_twice_changes_nothing_and_update_changes_one(opener: Opener) -> None:
    source = make_source()
    with closing(opener()) as store:
        push(source, store)
        again = push(source, store)
        assert (again.n_written, again.n_unchanged) == (0, N_ROWS)
    moved = make_row(fields_of(3) | {"path": "elsewhere/3.wav", "tags": {"genre": "new"}}, source.rows[3].vector)
    rows = [moved if row.id == moved.id else row for row in source.rows]
    with closing(opener()) as store:
        once_more = push(replace(source, rows=rows), store)
        assert (once_more.n_written, store.count(Where())) == (1, N_ROWS)
        hit = ask(store, moved.vector, 1)[0]
        assert (hit.id, hit.fields["path"]) == (moved.id, "elsewhere/3.wav")
        assert store.count(Where(tags=("genre=new",))) == 1


def test_what_is_pulled_is_what_was_pushed(opener: Opener) -> None:
    source = make_source()
    with closing(opener()) as store:
        push(source, store)
        found = {row.id: row for row in pull(store)}
    assert len(found) == N_ROWS
    for row in source.rows:
        back = found[row.id]
        np.testing.assert_allclose(back.vector, row.vector, atol=1e-7)
        assert {**row.fields, "tags": row.fields["tags"] or []} == {"tags": [], **back.fields}


def test_broken_off_push_goes_on(opener: Opener) -> None:
    source = make_source()
    with closing(opener()) as store:
        push(replace(source, rows=source.rows[:100]), store)
    with closing(opener()) as store:
        rest = push(source, store)
        assert (rest.n_written, rest.n_unchanged) == (N_ROWS - 100, 100)
        assert store.count(Where()) == N_ROWS


def test_wrong_pipeline_and_wrong_dimension_are_refused(opener: Opener) -> None:
    with closing(opener()) as store:
        push(make_source(), store)
        with pytest.raises(PipelineMismatch, match=r"p2.*p1|p1.*p2"):
            push(make_source(pipeline="p2"), store)
        with pytest.raises(StoreError, match=r"16.*24"):
            push(make_source(dim=24), store)
        with pytest.raises(StoreError, match=r"cosine.*euclidean"):
            push(make_source(), store, "euclidean")
        with pytest.raises(StoreError, match="16 finite numbers"):
            ask(store, np.zeros(24, np.float32))
        assert store.count(Where()) == N_ROWS


def test_mirror_deletes_what_the_source_has_not(opener: Opener) -> None:
    source = make_source()
    fewer = replace(source, rows=source.rows[10:])
    with closing(opener()) as store:
        push(source, store)
        assert push(fewer, store, mirror=True, dry_run=True).n_deleted == 10
        assert store.count(Where()) == N_ROWS
        assert push(fewer, store, mirror=True).n_deleted == 10
        assert {row.id for row in pull(store)} == {row.id for row in fewer.rows}


def test_dry_run_writes_nothing_and_absence_is_said(opener: Opener) -> None:
    with closing(opener()) as store:
        assert push(make_source(), store, dry_run=True).n_written == N_ROWS
        assert store.shape() is None
        with pytest.raises(StoreError, match="no such collection"):
            ask(store, np.zeros(DIM, np.float32))
        store.create(Shape(DIM, "cosine"))
        assert store.shape() == Shape(DIM, "cosine")
        assert (store.count(Where()), list(store.read())) == (0, [])
