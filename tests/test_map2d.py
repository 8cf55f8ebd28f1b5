"""The layout, and the map of a library."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from soundalike.errors import LibraryError
from soundalike.library import Filters, Library
from soundalike.map2d import layout, neighbors, tsne
from soundalike.types import F32
from tiny_model import TinyModel


def blobs(sizes: Sequence[int], spread: float = 0.12, dim: int = 16) -> tuple[F32, npt.NDArray[np.int64]]:
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    points = np.eye(dim)[numbers] + spread * np.random.default_rng(0).normal(size=(len(numbers), dim))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), numbers


def purity(places: F32, numbers: npt.NDArray[np.int64], queries: F32, wanted: npt.NDArray[np.int64]) -> float:
    near = neighbors.neighbors(places, queries, 5)
    return float((numbers[near] == wanted[:, None]).mean())


def test_neighbors_stay_neighbors_and_new_ones_find_their_place() -> None:
    vectors, numbers = blobs([30] * 8, 0.08)
    kept = np.arange(len(vectors)) % 3 > 0
    laid = layout(vectors[kept])
    assert laid.positions.shape == (kept.sum(), 2)
    assert purity(laid.positions, numbers[kept], laid.positions, numbers[kept]) > 0.97
    flat = np.asarray((vectors[kept] - laid.center) @ laid.components[:2].T, np.float32)  # a straight projection
    assert purity(flat, numbers[kept], flat, numbers[kept]) < 0.97
    new = laid.transform(vectors[~kept])
    assert purity(laid.positions, numbers[kept], new, numbers[~kept]) > 0.97


def test_the_same_for_the_same_and_other_for_another_seed() -> None:
    vectors, _ = blobs([20, 20])
    steps: list[tuple[int, int]] = []
    first = layout(vectors, on_progress=lambda done, total: steps.append((done, total)))
    np.testing.assert_array_equal(first.positions, layout(vectors).positions)
    assert (first.positions != layout(vectors, seed=1).positions).any()
    assert steps[-1] == (len(steps), len(steps))
    np.testing.assert_array_equal(first.transform(vectors[:3]), first.transform(vectors[:3]))


@settings(max_examples=10)
@given(st.integers(0, 12), st.integers(1, 3), st.integers(2, 5))
def test_any_number_of_sounds_copies_among_them(n: int, copies: int, dim: int) -> None:
    rows = np.random.default_rng(n).normal(size=(n, dim))
    vectors = np.repeat((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), copies, axis=0)
    laid = layout(vectors)
    assert laid.positions.shape == (n * copies, 2)
    assert np.isfinite(laid.positions).all()
    assert np.isfinite(laid.transform(vectors[:1])).all()


def test_the_grid_gives_the_sum_over_all_pairs() -> None:
    places = np.random.default_rng(0).normal(scale=6, size=(300, 2))
    apart = places[:, None] - places[None]
    q = 1 / (1 + (apart**2).sum(axis=2))
    exact = (q[..., None] ** 2 * apart).sum(axis=1) / (q.sum() - len(places))
    found = tsne._pushed(places)
    assert np.linalg.norm(found - exact) < 0.15 * np.linalg.norm(exact)


def test_the_graph_finds_what_comparing_all_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).normal(size=(800, 12)).astype(np.float32)
    exact = neighbors.neighbors(points, points, 8)
    away = np.sort(((points[:, None] - points[None]) ** 2).sum(axis=2), axis=1)[:, :8]
    np.testing.assert_allclose(((points[exact] - points[:, None]) ** 2).sum(axis=2), away, atol=1e-4)
    monkeypatch.setattr(neighbors, "MOST_EXACT", 0)
    near = neighbors.neighbors(points, points, 8)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(near.tolist(), exact.tolist(), strict=True)]) > 7.8
    np.testing.assert_array_equal(near, neighbors.neighbors(points, points, 8))


def test_of_very_many_some_are_laid_out_and_the_rest_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsne, "MOST", 90)
    vectors, numbers = blobs([60, 60, 60])
    laid = layout(vectors)
    assert (len(laid.laid), len(laid.positions)) == (90, 180)
    assert purity(laid.positions, numbers, laid.positions, numbers) > 0.95


# In a library


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for kind in ("rain", "dog barking", "piano"):
        for i in range(8):
            (folder / f"{kind} {i}.wav").write_text(f"{kind}\n{kind}\n{kind}\n{kind} {i}")
    with Library.create(tmp_path / "library", TinyModel()) as opened:
        opened.add([folder])
        yield opened


def places_of(library: Library) -> dict[int, tuple[float, float]]:
    found = library.map()
    return {int(i): (float(x), float(y)) for i, x, y in zip(found.ids, found.x, found.y, strict=True)}


def test_a_map_is_kept_and_nobody_moves_when_others_come(library: Library, tmp_path: Path) -> None:
    first = places_of(library)
    assert sorted(first) == library.ids().tolist()
    (tmp_path / "sounds" / "new.wav").write_text("piano\npiano\npiano\npiano 99")
    (tmp_path / "sounds" / "rain 0.wav").unlink()
    library.sync()
    second = places_of(library)
    assert {i: second[i] for i in first if i in second} == {i: first[i] for i in first if i in second}
    assert len(second) == len(first)
    found = library.map()
    kinds = {int(i): library.sound(int(i)).path.stem for i in found.ids}  # type: ignore[union-attr]
    row = found.ids.tolist().index(max(kinds))
    assert found.names[found.cluster[row]] == "piano"
    some = library.map(Filters(min_s=3.0))
    np.testing.assert_array_equal(some.x, found.x)
    assert library.map(Filters(min_s=99.0)).ids.size == 0


def test_a_map_is_made_anew_when_asked_outgrown_or_damaged(library: Library, tmp_path: Path) -> None:
    calls: list[int] = []

    def count(done: int, total: int) -> None:
        calls.extend([done] if done == total else [])

    library.map(on_progress=count)
    library.map(on_progress=count)
    assert len(calls) == 1
    library.map(fresh=True, on_progress=count)
    library.map(seed=3, on_progress=count)
    assert len(calls) == 3
    (kept,) = (tmp_path / "library" / "cache").glob("map-*.npz")
    kept.write_bytes(kept.read_bytes()[:500])
    library.map(on_progress=count)
    assert len(calls) == 4
    for i in range(40):
        (tmp_path / "sounds" / f"more {i}.wav").write_text(f"more\n{i}")
    library.sync()
    library.map(on_progress=count)
    assert len(calls) == 5
    assert [path.name for path in (tmp_path / "library" / "cache").glob("*map*")] == [kept.name]


def test_a_map_that_cannot_be_kept_is_an_error(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("read-only")))
    with pytest.raises(LibraryError, match="cannot be kept"):
        library.map()
