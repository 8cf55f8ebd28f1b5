"""The layout, and the map of a library."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from soundalike.cli import main
from soundalike.errors import LibraryError
from soundalike.library import Filters, Library
from soundalike.map2d import IN_NONE, Scene, draw_page, draw_picture, layout, neighbors, scene, tsne
from soundalike.map2d.colors import palette
from soundalike.map2d.scene import OTHER, group_by_folder
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


# Page and picture


def drawn(names: Sequence[str], folder: Path = Path("/s")) -> Scene:
    n = len(names)
    places = np.random.default_rng(0).normal(size=(2, n)).astype(np.float32)
    paths = [folder / name for name in names]
    return scene(places[0], places[1], paths, [1.0] * n, np.arange(n) % 2, ["rain", "dog <b>"])


def data_of(page: bytes) -> dict[str, Any]:
    block = re.search(rb'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert block is not None
    record: dict[str, Any] = orjson.loads(block[1])
    return record


def test_a_page_asks_for_nothing_but_sounds() -> None:
    page = draw_page(drawn(["a.wav", "b c#.wav"]), "Map & more").decode()
    assert "<title>Map &amp; more</title>" in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'")
    assert "unsafe" not in policy[1]
    for kind, tag in (("script", "<script>(.*?)</script>"), ("style", "<style>(.*?)</style>")):
        (text,) = re.findall(tag, page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy[1]
    assert not re.search(r"https?://|@import|url\(", page.replace("http-equiv", ""))


def test_a_hostile_name_stays_a_name(tmp_path: Path) -> None:
    name = "<!--<script>alert(1)&@@DATA@@.wav"
    page = draw_page(drawn([name, "x.wav"]), "<i>@@SCRIPT@@")
    assert data_of(page)["names"] == [name, "x.wav"]
    assert page.count(b"</script>") == 2
    assert b"<title>&lt;i&gt;@@SCRIPT@@</title>" in page


def test_sounds_are_addressed_from_the_page_or_from_the_root(tmp_path: Path) -> None:
    folder = tmp_path / "my sounds"
    assert data_of(draw_page(drawn(["a.wav"], folder), "", tmp_path))["roots"] == ["my%20sounds/"]
    assert data_of(draw_page(drawn(["a.wav"], tmp_path), "", tmp_path))["roots"] == ["./"]
    assert data_of(draw_page(drawn(["a.wav"], folder), "", tmp_path / "x"))["roots"] == [folder.as_uri() + "/"]


def test_places_and_groups_survive_the_page() -> None:
    made = drawn([f"{i}.wav" for i in range(50)])
    record = data_of(draw_page(made, ""))
    x = np.frombuffer(base64.b64decode(record["x"]), "<u2").astype(float)
    assert np.corrcoef(x, made.x)[0, 1] > 0.999999
    assert np.frombuffer(base64.b64decode(record["groups"][0]["of"]), "<u2").tolist() == [0, 1] * 25
    assert record["groups"][0]["names"] == ["rain", "dog <b>"]


def test_folders_are_told_apart_as_deep_as_colors_go() -> None:
    paths = [Path(f"/s/{a}/{b}/x.wav") for a in "abc" for b in range(5)]
    assert group_by_folder(paths)[1][:2] == ("a/0", "a/1")
    of, names = group_by_folder(paths, 4)
    assert names == ("a", "b", "c")
    assert of.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert group_by_folder(paths, 2)[1] == ("a", OTHER)
    assert group_by_folder([Path("/s/x.wav"), Path("/s/y.wav")])[1] == ("s",)
    assert group_by_folder([])[1] == ()


def test_colors_are_different_and_readable() -> None:
    for dark, paper in ((False, 250), (True, 18)):
        colors = np.array(palette(30, dark=dark), float)
        assert len(np.unique(colors, axis=0)) == 30
        assert (np.abs(colors - paper).max(axis=1) > 90).all()


def pixels_of(picture: bytes) -> npt.NDArray[np.int64]:
    width, height = struct.unpack(">II", picture[16:24])
    lines = np.frombuffer(zlib.decompress(picture[picture.index(b"IDAT") + 4 : -16]), np.uint8)
    return lines.reshape(height, 1 + 3 * width)[:, 1:].reshape(height, width, 3).astype(np.int64)


@pytest.mark.parametrize(("n", "dark"), [(0, False), (1, True), (300, False)])
def test_a_picture_shows_every_group(n: int, dark: bool) -> None:
    made = drawn([f"{i}.wav" for i in range(n)])
    picture = draw_picture(made, "Map", dark=dark)
    width, height = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG")
    assert (width, 600 < height < 1700) == (1400, True)
    if n:
        pixels = pixels_of(picture)
        for color in palette(2, dark=dark)[: min(n, 2)]:
            assert (np.abs(pixels - color).sum(axis=2) < 60).any()


def test_a_name_stands_above_the_middle_of_what_it_is_of_and_what_is_in_no_cluster_has_none() -> None:
    x = np.array([0, 0.5, 0.52, 1], np.float32)
    made = scene(x, x * 0, [Path(f"{i}.wav") for i in range(4)], [1.0] * 4, np.array([0, 0, 0, 1]), ["a", IN_NONE])
    picture = pixels_of(draw_picture(made, ""))
    ink = (np.abs(picture - (36, 36, 46)).sum(axis=2) < 30)[64:]
    rows, columns = np.nonzero(ink)
    point = np.nonzero((np.abs(picture - palette(2, dark=False)[0]).sum(axis=2) < 60).any(axis=1))[0]
    assert abs(columns.mean() - 700) < 30
    assert rows.max() + 64 < point.min()
    assert (np.abs(picture - (110, 110, 124)).sum(axis=2) < 60)[point].any()


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


def test_the_command(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundalike.library.models.load", lambda *_: TinyModel())
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["map", *[str(one) for one in arguments], "-l", str(tmp_path / "library")])
        return result.exit_code, result.stdout

    code, text = call("--json")
    records = [orjson.loads(line) for line in text.splitlines()]
    assert (code, len(records)) == (0, 24)
    assert {record["name"] for record in records} == {"rain", "dog barking", "piano"}
    assert not (tmp_path / "map.html").exists()
    assert call() == (0, "")
    assert data_of((tmp_path / "map.html").read_bytes())["roots"] == ["sounds/"]
    assert call("-o", tmp_path / "m.png", "-o", tmp_path / "m.html", "--color", "folder", "--dark")[0] == 0
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    assert call("-o", "map.jpg")[0] == 2


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_a_library_of_hardly_a_sound_has_a_map(tmp_path: Path, n: int) -> None:
    (tmp_path / "sounds").mkdir()
    for i in range(n):
        (tmp_path / "sounds" / f"{i}.wav").write_text(f"line {i}")
    with Library.create(tmp_path / "library", TinyModel()) as opened:
        opened.add([tmp_path / "sounds"])
        found = opened.map()
        assert len(found.ids) == len(found.x) == len(found.cluster) == n
        assert np.isfinite(found.x).all()
    paths = [Path(f"/s/{i}.wav") for i in range(n)]
    assert data_of(draw_page(scene(found.x, found.y, paths, [1.0] * n, found.cluster, found.names), ""))["n"] == n
