"""Vectors into databases and back: one body of tests, run over every store."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import re
import subprocess
import sys
import textwrap
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import store_servers
from memory_store import Kept, MemoryStore, exact_score, passes
from soundalike.cli import main
from soundalike.errors import PipelineMismatch, StoreError
from soundalike.library import Library
from soundalike.push import Row, Target, Where, ask, open_store, pull, push, retry
from soundalike.push.contract import Metric, Shape
from soundalike.push.retry import may_pass, patiently
from soundalike.push.sources import Source, make_row, record_of, row_id
from store_backends import NEEDS, Opener, Servers
from tiny_model import TinyModel

pytestmark = [  # the clients' own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket"),
]
DIM, N_ROWS = 16, 240


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    found = Servers(tmp_path_factory.mktemp("stores"))
    yield found
    found.close()


@pytest.fixture(params=NEEDS)
def opener(
    request: pytest.FixtureRequest, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opener]:
    monkeypatch.setenv("PINECONE_API_KEY", "a key for the stand-in")
    yield servers.opener(request.param)
    close_sockets()


@pytest.fixture(params=[name for name in NEEDS if name != "memory"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of a back end whose rows another process finds."""
    monkeypatch.setenv("PINECONE_API_KEY", "a key for the stand-in")
    yield request.param
    close_sockets()


@pytest.fixture(params=["qdrant-server", "pinecone"])
def stand_in(
    request: pytest.FixtureRequest, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opener]:
    """Open collections of servers whose network the tests can cut."""
    monkeypatch.setenv("PINECONE_API_KEY", "a key for the stand-in")
    yield servers.opener(request.param)
    close_sockets()


def close_sockets() -> None:
    """Collect what clients leave open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # some clients leave sockets open
        gc.collect()


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


def test_a_push_killed_in_the_middle_goes_on(servers: Servers, backend: str) -> None:
    target = servers.target(backend)
    code = """
        import os, sys, test_push as t
        from soundalike.push import open_store
        store = open_store(sys.argv[1])
        store.batch_rows = 40
        def after(pushed):
            if pushed.n_written >= 120:
                os.kill(os.getpid(), 9)
        t.push(t.make_source(), store, on_progress=after)
    """
    killed = run_here(code, target)
    assert killed.returncode == -9, killed.stderr
    with closing(open_store(target)) as store:
        rest = push(make_source(), store)
        assert (rest.n_unchanged, rest.n_written, store.count(Where())) == (120, N_ROWS - 120, N_ROWS)


def run_here(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of code in a process of its own, with the modules of the tests."""
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("n_answered", [2, 4, 6])
def test_a_request_without_an_answer_is_sent_again(
    stand_in: Opener, n_answered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.001)
    with closing(stand_in()) as store:
        monkeypatch.setattr(store, "batch_rows", 60)
        monkeypatch.setattr(store_servers, "CUTS", [n_answered])
        push(make_source(), store)
        assert store_servers.CUTS == []  # it did happen
        assert store.count(Where()) == N_ROWS
        assert push(make_source(), store).n_unchanged == N_ROWS


# What holds for every store, shown on the plainest


class Cut(MemoryStore):
    """Loses the connection at every third write, before or after the rows have arrived."""

    n_calls = 0

    def upsert(self, rows: Sequence[Row]) -> None:
        self.n_calls += 1
        if self.n_calls % 3 == 1:
            raise ConnectionResetError("cut before")
        super().upsert(rows)
        if self.n_calls % 3 == 2:
            raise InterruptedError("cut after")


def test_network_cut_in_the_middle_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.001)
    store, waits = Cut(Kept()), list[str]()
    done = push(make_source(), store, on_wait=lambda wait_s, error: waits.append(str(error)))
    assert (done.n_written, store.count(Where())) == (N_ROWS, N_ROWS)
    assert done.n_retries == len(waits) >= 2
    assert {"cut before", "cut after"} == set(waits)


def test_only_errors_that_may_pass_are_tried_again() -> None:
    class Told(Exception):
        def __init__(self, status_code: int) -> None:
            super().__init__(f"status {status_code}")
            self.status_code = status_code

    assert [may_pass(Told(status)) for status in (503, 429, 500, 400, 401, 404)] == [True] * 3 + [False] * 3
    assert may_pass(TimeoutError())
    assert not may_pass(ValueError())
    waits: list[float] = []

    calls: list[int] = []

    def refuse(status: int) -> None:
        calls.append(status)
        raise Told(status)

    for status in (503, 401):
        with pytest.raises(Told):
            patiently(partial(refuse, status), sleep=waits.append)
    assert calls == [503] * retry.TRIES + [401]
    assert waits == sorted(waits)
    assert 0.3 < waits[0] < 0.7
    assert 10 < waits[-1] < 21


def test_killed_push_goes_on(tmp_path: Path) -> None:
    code = """
        import os, pickle, sys, test_push as t
        from memory_store import Kept, MemoryStore
        class Dies(MemoryStore):
            def upsert(self, rows):
                super().upsert(rows)
                if len(self._kept.rows) >= 120:
                    pickle.dump(self._kept, open(sys.argv[1], "wb")); os.kill(os.getpid(), 9)
        t.push(t.make_source(), Dies(Kept()))
    """
    path = tmp_path / "kept"
    done = run_here(code, str(path))
    assert done.returncode == -9, done.stderr
    store = MemoryStore(pickle.loads(path.read_bytes()))
    assert store.count(Where()) == 120
    rest = push(make_source(), store)
    assert (rest.n_unchanged, rest.n_written, store.count(Where())) == (120, N_ROWS - 120, N_ROWS)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_reaches_no_store(wrong: float) -> None:
    source = make_source()
    source.rows[5].vector[3] = wrong
    store = MemoryStore(Kept())
    with pytest.raises(StoreError, match=r"5.*not finite"):
        push(source, store)
    assert store.shape() is None


def test_foreign_collection_and_other_kind_are_refused() -> None:
    kept = Kept(Shape(DIM, "cosine"), {"x": Row("x", np.ones(DIM, np.float32), {"title": "theirs"})})
    with pytest.raises(PipelineMismatch, match=r"not pushed by soundalike.*p1|p1.*not pushed by soundalike"):
        push(make_source(), MemoryStore(kept))
    store = MemoryStore(Kept())
    push(make_source(), store)
    with pytest.raises(StoreError, match="holds vectors of sounds"):
        push(replace(make_source(), kind="segment"), store)


def test_ids_follow_from_the_content() -> None:
    vector = np.ones(3, np.float32)
    one = make_row(fields_of(1), vector)
    moved = make_row(fields_of(1) | {"path": "b/other.wav", "filename": "other.wav"}, vector)
    part = make_row(fields_of(1) | {"kind": "segment", "start_s": 2.5, "end_s": 7.5}, vector)
    assert one.id == moved.id == row_id(str(one.fields["sha256"]))
    assert len({one.id, part.id, make_row(fields_of(2), vector).id}) == 3
    assert one.fields["digest"] != moved.fields["digest"]
    assert row_id("0" * 64) == "9ec717c2-629a-5035-b3bb-26bd65faba67"  # for ever: collections would double


@given(st.text(), st.dictionaries(st.text(min_size=1).filter(lambda t: "=" not in t), st.text(), max_size=3))
def test_a_row_survives_export_and_return(name: str, tags: dict[str, str]) -> None:
    row = make_row(fields_of(1) | {"path": name, "tags": tags}, np.ones(3, np.float32))
    back = record_of(row)
    again = make_row(back, back["embedding"])
    assert (again.id, again.fields) == (row.id, row.fields)


@pytest.mark.parametrize(
    ("text", "store", "place", "collection"),
    [
        ("qdrant://host:6333/fx", "qdrant", "http://host:6333", "fx"),
        ("qdrant+https://host/fx", "qdrant", "https://host", "fx"),
        ("qdrant:some/folder", "qdrant", "some/folder", "sounds"),
        ("chroma:/abs?collection=fx", "chroma", "/abs", "fx"),
        ("pinecone://index/space", "pinecone", "index", "space"),
        ("pgvector://me@host/db?table=fx", "postgresql", "postgresql://me@host/db", "fx"),
        ("milvus:a.db?collection=fx", "milvus", "a.db", "fx"),
        ("lance:s3://bucket/x?collection=fx", "lance", "s3://bucket/x", "fx"),
    ],
)
def test_targets(text: str, store: str, place: str, collection: str) -> None:
    target = Target.parse(text)
    assert (target.store, target.place, target.collection) == (store, place, collection)


@pytest.mark.parametrize("text", ["nothing", "mysql://host/db", "qdrant:", "lance://host/x", "pinecone:folder"])
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match=re.escape(text.partition("?")[0])):
        Target.parse(text)


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "s3cret-key")

    class Telling(MemoryStore):
        def shape(self) -> Shape | None:
            raise ValueError("refused: key s3cret-key at http://me:pass-word@host/")

    with pytest.raises(StoreError) as told:
        push(make_source(), Telling(Kept()))
    shown = "".join(traceback.format_exception(told.value))
    assert "refused" in shown
    assert "s3cret-key" not in shown.partition("refused")[2]
    assert "pass-word" not in shown.partition("StoreError")[2]
    with pytest.raises(StoreError, match="PGPASSWORD") as told:
        Target.parse("postgresql://me:pass-word@host/db")
    assert "pass-word" not in str(told.value)


def test_verbs_from_library_to_library_of_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    monkeypatch.setattr("soundalike.push.open_store", lambda target: MemoryStore(kept))
    model = TinyModel()
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.wav").write_text(f"{name}\nsecond {name}")
    (tmp_path / "copy.wav").write_text("a\nsecond a")
    with Library.create(tmp_path / "lib", model=model) as library:
        library.add([tmp_path / f"{name}.wav" for name in ("a", "b", "c", "copy")])
    run = CliRunner().invoke
    done = run(main, ["push", str(tmp_path / "lib"), "memory", "--json"])
    assert done.exit_code == 0, done.output
    told = orjson.loads(done.stdout)
    assert (told["n_written"], told["n_copies"], told["pipeline"]) == (3, 1, model.pipeline)
    assert run(main, ["pull", "memory", "-o", str(tmp_path / "out")]).exit_code == 0
    done = run(main, ["push", str(tmp_path / "out" / "embeddings.jsonl"), "memory", "--json"])
    assert orjson.loads(done.stdout)["n_unchanged"] == 3
    monkeypatch.setattr("soundalike.push.asking.model_of", lambda store, device: model)
    done = run(main, ["query", "memory", str(tmp_path / "b.wav"), "-n", "1", "--json"])
    assert orjson.loads(done.stdout)["filename"] == "b.wav"
    assert run(main, ["query", "memory"]).exit_code == 2
    kept.rows.clear()
    kept.shape = None
    done = run(main, ["push", str(tmp_path / "lib"), "memory", "--segments", "--json"])
    assert orjson.loads(done.stdout)["n_written"] == 6
