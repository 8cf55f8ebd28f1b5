"""Searching equals brute force, whatever the way: files, database, index, filters, segments."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))  # for pytest's importlib mode
from soundalike.cli import main
from soundalike.library import Filters, Library, Query, caches, finder, ranking
from soundalike.library.filters import like_pattern
from soundalike.library.matrix import MatrixFiles
from soundalike.library.measure import measure_index
from soundalike.types import F32, F64
from tiny_model import DIM, TinyModel

N_SOUNDS = 300


def fill(folder: Path, first: int, last: int) -> None:
    """Sounds of one to four segments in three folders; each fifth has the same content."""
    rng = np.random.default_rng(first)
    for i in range(first, last):
        place = folder / ("kicks", "kicks loud", "snares")[i % 3]
        place.mkdir(parents=True, exist_ok=True)
        n_lines = int(rng.integers(1, 5))
        lines = [f"words {int(rng.integers(0, 40))}" for _ in range(n_lines)]
        (place / f"s{i}.wav").write_text("\n".join(lines) if i % 5 else "words 7\nwords 9")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library whose rows are in the files, in the database only, and gone; with an index over a part."""
    folder = tmp_path_factory.mktemp("search")
    fill(folder / "sounds", 0, N_SOUNDS)
    with Library.create(folder / "library", TinyModel()) as opened:
        opened.add([folder / "sounds"])
        opened.build_index()
        fill(folder / "sounds", N_SOUNDS, N_SOUNDS + 50)
        opened.add([folder / "sounds"])
        opened.remove([folder / "sounds" / "kicks" / f"s{i}.wav" for i in range(0, 90, 9)])
        yield opened


def brute_force(library: Library, query: F32, n: int, allowed: set[int] | None = None) -> tuple[list[int], F64]:
    """Ids and scores, in double precision, ties by id."""
    ids, vectors = library.vectors()
    scores = vectors.astype(np.float64) @ query.astype(np.float64)
    keep = np.ones(len(ids), np.bool_) if allowed is None else np.isin(ids, sorted(allowed))
    order = np.lexsort((ids[keep], -np.round(scores[keep], 12)))[:n]
    return ids[keep][order].tolist(), scores[keep][order]


def found(answer: Sequence[Any]) -> list[int]:
    return [match.sound.id for match in answer]


def unit(seed: int) -> F32:
    vector = np.random.default_rng(seed).normal(size=DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 400))
def test_exact_equals_brute_force(library: Library, seed: int, n: int) -> None:
    answer = library.search(unit(seed), n=n, exact=True)
    ids, scores = brute_force(library, unit(seed), n)
    assert answer.exact
    assert found(answer) == ids
    assert np.allclose([match.score for match in answer], scores, atol=1e-6)


def passes(filters: Filters, sound: Any) -> bool:
    """Filters, said another way."""
    return (
        (filters.min_s is None or sound.duration_s >= filters.min_s)
        and (filters.max_s is None or sound.duration_s <= filters.max_s)
        and (not filters.channels or sound.channels in filters.channels)
        and (not filters.folders or any(folder in sound.path.parents for folder in filters.folders))
    )


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 50),
    min_s=st.none() | st.integers(0, 5),
    max_s=st.none() | st.integers(0, 5),
    channels=st.sets(st.integers(1, 2)),
    folders=st.sets(st.sampled_from(["kicks", "kicks loud", "snares", "none"])),
    narrow=st.sampled_from([0, 20_000]),
)
def test_filters_find_exactly_the_right_sounds(
    library: Library, seed: int, n: int, min_s: int | None, max_s: int | None, channels: set[int],
    folders: set[str], narrow: int,
) -> None:  # fmt: skip
    sounds = library.path.parent / "sounds"
    filters = Filters(
        min_s=min_s,
        max_s=max_s,
        channels=tuple(channels),
        folders=tuple(sounds / name for name in sorted(folders)),
    )
    allowed = {sound.id for sound in library.sounds() if passes(filters, sound)}
    answer = library.search(unit(seed), n=n, filters=filters)
    assert found(answer) == brute_force(library, unit(seed), n, allowed)[0]
    assert answer.n_passed == len(allowed)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 40))
def test_segments_equal_brute_force(library: Library, seed: int, n: int) -> None:
    query = unit(seed)
    best = {}
    for sound in library.sounds():
        vectors, times_s = library.segments(sound.id)
        scores = vectors.astype(np.float64) @ query.astype(np.float64)
        row = int(np.round(scores, 12).argmax())
        best[sound.id] = (-round(float(scores[row]), 12), sound.id, times_s[row].tolist())
    expected = sorted(best.values())[:n]
    answer = library.search(query, n=n, segments=True)
    assert found(answer) == [sound_id for _, sound_id, _ in expected]
    assert [[match.start_s, match.end_s] for match in answer] == [times for _, _, times in expected]


@pytest.mark.parametrize("segments", [False, True])
def test_the_index_finds_nearly_the_same(library: Library, segments: bool) -> None:
    hits = 0
    for seed in range(50):
        exact = library.search(unit(seed), n=10, exact=True, segments=segments)
        answer = library.search(unit(seed), n=10, exact=False, effort=200, segments=segments)
        hits += sum(match.score >= exact[-1].score - 1e-9 for match in answer)
    assert hits >= 0.97 * 500  # one query may miss some: which ones differs from build to build


def test_the_index_is_used_and_knows_its_limits(library: Library) -> None:
    assert not library.search(unit(1), exact=False).exact
    assert library.search(unit(1), exact=True).exact
    assert library.search(unit(1)).exact  # a small library
    assert library.search(unit(1), n=349, exact=False).n_passed == 340
    few = Filters(folders=(library.path.parent / "sounds" / "snares",), max_s=1.0)
    assert library.search(unit(1), exact=False, filters=few).n_passed > 0


def test_measuring_the_index(library: Library) -> None:
    rows = measure_index(library, n_queries=20, n=10)
    assert [row.effort for row in rows][:3] == [None, 16, 32]
    assert rows[0].recall == 1.0
    assert rows[-1].recall >= 0.95
    assert rows[-1].record()["effort"] == 512


def test_metrics_agree(library: Library) -> None:
    cosine, euclidean, dot = (library.search(unit(3), metric=m) for m in ("cosine", "euclidean", "dot"))
    assert found(cosine) == found(euclidean) == found(dot)
    for a, b, c in zip(cosine, euclidean, dot, strict=True):
        assert b.score == pytest.approx(np.sqrt(2 - 2 * a.score), abs=1e-6)
        assert c.score == pytest.approx(a.score, abs=1e-6)
    twice = library.search(2 * unit(3), metric="dot")
    assert twice[0].score == pytest.approx(2 * dot[0].score, abs=1e-6)


def test_words_sounds_and_mixes(library: Library, tmp_path: Path) -> None:
    sounds = library.path.parent / "sounds"
    model = TinyModel()
    rain = tmp_path / "rain.wav"
    rain.write_text("words 3")
    mixed = library.search(rain, text=["words 4"], unlike=[sounds / "kicks loud" / "s1.wav"], weights=[1, 0.5, 0.3])
    parts = [model.embed_file(rain).vector, model.embed_text(["words 4"])[0]]
    parts.append(model.embed_file(sounds / "kicks loud" / "s1.wav").vector)
    vector = 1.0 * parts[0] + 0.5 * parts[1] - 0.3 * parts[2]
    unlike_id = next(sound.id for sound in library.sounds() if sound.path.name == "s1.wav")
    ids = brute_force(library, (vector / np.linalg.norm(vector)).astype(np.float32), 21)[0]
    assert found(mixed) == [sound_id for sound_id in ids if sound_id != unlike_id][:20]
    assert found(library.search(Query.of([rain], ["words 4"]))) == found(library.search(rain, text="words 4"))


def test_a_sound_of_the_library_needs_no_model_and_does_not_find_itself(library: Library) -> None:
    sound = next(library.sounds())
    with Library.open(library.path) as reader:  # no model is called "tiny": loading it would be an error
        assert sound.id not in found(reader.search(sound.path, n=400))
        assert found(reader.search(sound.path, n=400, with_query=True)).count(sound.id) == 1


def test_questions_without_an_answer(library: Library) -> None:
    with pytest.raises(ValueError, match="nothing to search for"):
        library.search()
    same = next(library.sounds()).path
    with pytest.raises(ValueError, match="cancel each other"):
        library.search(same, unlike=[same])
    with pytest.raises(ValueError, match="has 2 parts and needs as many weights, not 1"):
        library.search(text=["a", "b"], weights=[1])
    with pytest.raises(ValueError, match="the text is empty"):
        library.search(text=["a", " "])
    with pytest.raises(ValueError, match="no metric"):
        library.search(text="a", metric="manhattan")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(16,\), not \(3,\)"):
        library.search(np.zeros(3, np.float32))
    nothing = library.search(text="a", filters=Filters(min_s=1e6))
    assert (len(nothing), nothing.n_passed, nothing.nothing_alike) == (0, 0, True)


def test_added_since_and_patterns(library: Library) -> None:
    assert not list(library.sounds(Filters(added_since=datetime(2999, 1, 1))))
    assert len(list(library.sounds(Filters(added_since=datetime(2000, 1, 1))))) == 340
    assert like_pattern("100%_*\\") == "100\\%\\_%\\\\"


def test_an_empty_library_answers(tmp_path: Path) -> None:
    with Library.create(tmp_path / "empty", TinyModel()) as empty:
        assert len(empty.search(text="rain")) == 0
        assert len(empty.search(text="rain", segments=True)) == 0
        empty.build_index()
        assert len(empty.search(text="rain", exact=False)) == 0


def _search_elsewhere(folder: Path, asked: Any, answers: Any) -> None:
    with Library.open(folder, TinyModel()) as library:
        while asked.get(timeout=60):
            answer = library.search(text="brand new", n=1)
            answers.put((answer[0].path.name, answer[0].score) if answer else None)


def test_another_process_sees_what_was_just_written(tmp_path: Path) -> None:
    fill(tmp_path / "sounds", 0, 10)
    new = tmp_path / "new.wav"
    new.write_text("brand new")
    context = multiprocessing.get_context("spawn")
    asked, answers = context.Queue(), context.Queue()
    with Library.create(tmp_path / "library", TinyModel()) as library:
        library.add([tmp_path / "sounds"])
        process = context.Process(target=_search_elsewhere, args=(library.path, asked, answers))
        process.start()
        asked.put(True)
        assert answers.get(timeout=60)[1] < 0.99
        library.add([new])
        asked.put(True)
        assert answers.get(timeout=60) == ("new.wav", pytest.approx(1.0))
        library.remove([new])
        asked.put(True)
        assert answers.get(timeout=60)[0] != "new.wav"
        asked.put(False)
        process.join()


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of a large library, at the size of a small one."""
    for module, name, value in (
        (caches, "APPEND_ROWS", 10), (caches, "GROW_ROWS", 20), (caches, "CHECKPOINT_ROWS", 25),
        (ranking, "EXACT_ROWS", 40), (ranking, "NARROW_ROWS", 5), (finder, "HEAL_ROWS", 20),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


@pytest.mark.usefixtures("small_steps")
def test_caches_grow_with_the_library(tmp_path: Path) -> None:
    with Library.create(tmp_path / "library", TinyModel()) as library:
        reader = Library.open(library.path, TinyModel())
        for last in range(7, 150, 7):
            fill(tmp_path / "sounds", last - 7, last)
            library.add([tmp_path / "sounds"])
            if last % 3 == 0:
                library.remove([tmp_path / "sounds" / "kicks" / f"s{last - 21}.wav"])
            for opened in (library, reader):
                assert found(opened.search(unit(last), n=5, exact=True)) == brute_force(library, unit(last), 5)[0]
                least = brute_force(library, unit(last), 5)[1][-1]
                near = opened.search(unit(last), n=5, effort=100)
                assert sum(match.score >= least - 1e-6 for match in near) >= 4
        status = library.status()
        assert status.n_indexed > 100
        state = MatrixFiles(library._store, finder.current_space(library._store), "sounds").state()
        assert state.n_rows - state.n_indexed < 20
        library.remove([tmp_path / "sounds" / "snares"])  # a third: the files are begun anew
        again = MatrixFiles(library._store, finder.current_space(library._store), "sounds").state()
        assert again.generation == state.generation + 1
        assert found(reader.search(unit(1), n=5, exact=True)) == brute_force(library, unit(1), 5)[0]
        assert len(list((library.path / "cache").glob("sounds-*"))) == 4
        reader.close()


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("damage", ["delete", "cut", "other", "index"])
def test_caches_can_be_lost(tmp_path: Path, damage: str) -> None:
    fill(tmp_path / "sounds", 0, 100)
    with Library.create(tmp_path / "library", TinyModel()) as library:
        library.add([tmp_path / "sounds"])
        expected = found(library.search(unit(1), n=10, exact=True))
        cache = library.path / "cache"
    for path in sorted(cache.iterdir()):
        if damage == "delete":
            path.unlink()
        elif damage == "cut" and path.suffix == ".rows":
            path.write_bytes(path.read_bytes()[:100])
        elif damage == "index" and path.suffix == ".index":
            path.write_bytes(path.read_bytes()[:500])
        elif damage == "other" and path.suffix == ".rows":
            path.write_bytes(bytes(path.stat().st_size))
    with Library.open(library.path, TinyModel()) as library:
        if damage != "other":
            assert found(library.search(unit(1), n=10, exact=True)) == expected
            assert len(library.search(unit(1), n=10)) == 10
        fill(tmp_path / "sounds", 100, 130)
        library.add([tmp_path / "sounds"])
        library.remove([tmp_path / "sounds" / f"s{i}.wav" for i in range(100, 130)])
        ids, vectors = library.vectors()
        sound = next(library.sounds())
        assert np.array_equal(vectors[ids == sound.id][0], TinyModel().embed_file(sound.path).vector)


def run(*args: object, code: int = 0) -> Any:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    return result


def test_the_commands(tmp_path: Path, bands: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundalike.embed.load_model", lambda *args, **kwargs: TinyModel())
    monkeypatch.setenv("SOUNDALIKE_LIBRARY", str(tmp_path / "library"))
    fill(tmp_path / "sounds", 0, 12)
    (tmp_path / "sounds" / "broken.wav").write_text("bad")
    assert "10 embedded" in run("add", tmp_path / "sounds", code=1).stderr
    assert "1 failed" in run("status").stdout
    assert "not_audio" in run("failures").stdout
    assert "1 failed" in run("retry", code=1).stderr
    (tmp_path / "sounds" / "broken.wav").write_text("mended")
    assert "1 embedded" in run("retry").stderr
    assert "Nothing failed here" in run("retry").stderr
    (tmp_path / "sounds" / "broken.wav").unlink()
    assert "12 unchanged" in run("sync").stderr
    lines = run("search", "--text", "words 7", "-n", 3, "--segments", "--json").stdout.splitlines()
    assert len(lines) == 3
    assert '"start_s":0.0,"end_s":1.0' in lines[0]
    out = run("search", tmp_path / "sounds/kicks/s0.wav", "--copy-to", tmp_path / "out", "--m3u", tmp_path / "x.m3u")
    assert len(out.stdout.splitlines()) == 11
    assert len(list((tmp_path / "out").iterdir())) == 11
    assert (tmp_path / "x.m3u").read_text().splitlines()[2].endswith(".wav")
    assert "No sound" in run("search", "-t", "x", "--min-duration", 99).stderr
    run("search", code=2)
    run("search", "-t", "x", "--weights", "1,2", code=2)
    run("search", "-t", "x", "--since", "whenever", code=2)
    assert run("search", "-t", "x", "--since", "7d", "--json").stdout
    assert "effort 512" in run("bench-index", "--build", "--queries", 3).stdout
    assert "11 sounds forgotten" not in run("remove", tmp_path / "sounds" / "kicks").stderr
    assert "there is no library here" in run("status", "--library", tmp_path / "none", code=2).stderr
