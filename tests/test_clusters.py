"""Groups of sounds, and their names."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from soundalike.cli import main
from soundalike.clusters import METHODS, Method, cluster, grouping, name_clusters, vocabulary
from soundalike.library import Library
from soundalike.recommend import read_list
from soundalike.types import F32
from tiny_model import TinyModel


def blobs(sizes: Sequence[int], spread: float = 0.12, seed: int = 0, dim: int = 16) -> tuple[F32, list[int]]:
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    points = np.eye(dim)[numbers] + spread * rng.normal(size=(len(numbers), dim))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), numbers.tolist()


@pytest.mark.parametrize("method", METHODS)
def test_clear_groups_are_found(method: Method) -> None:
    vectors, numbers = blobs([40, 30, 20, 10])
    found = cluster(vectors, method)
    assert [len(one.rows) for one in found.clusters] == sorted((len(one.rows) for one in found.clusters), reverse=True)
    for one in found.clusters:
        assert len({numbers[row] for row in one.rows}) == 1
        assert one.silhouette > 0.4
    assert len(found.clusters) == 4
    if method == "kmeans":
        assert (found.labels >= 0).all()
        assert found.rule.startswith("k 4: ")


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.sampled_from(METHODS), st.integers(0, 3))
def test_every_sound_is_in_one_cluster_or_none(sizes: list[int], method: Method, seed: int) -> None:
    vectors, _ = blobs(sizes, seed=seed)
    found = cluster(vectors, method, seed=seed)
    rows = [row for one in found.clusters for row in one.rows.tolist()]
    assert sorted(rows) == np.flatnonzero(found.labels >= 0).tolist()
    assert set(np.flatnonzero(found.labels < 0).tolist()) <= set(found.outliers.tolist())
    for number, one in enumerate(found.clusters):
        assert (found.labels[one.rows] == number).all()
        closeness = vectors[one.rows] @ one.center
        assert (np.diff(closeness) <= 1e-6).all()
    again = cluster(vectors, method, seed=seed)
    np.testing.assert_array_equal(found.labels, again.labels)


def test_k_as_asked_and_wrong_questions() -> None:
    vectors, _ = blobs([20, 20])
    assert len(cluster(vectors, k=5).clusters) == 5
    for wrong in ({"method": "dbscan", "k": 2}, {"k": 0}, {"k": 99}, {"method": "magic"}):
        with pytest.raises(ValueError, match=r"k is for|no method"):
            cluster(vectors, **wrong)


def test_a_stranger_is_an_outlier() -> None:
    vectors, _ = blobs([60, 60])
    stranger = np.eye(16, dtype=np.float32)[9:10]
    for method in METHODS:
        assert 120 in cluster(np.concatenate([vectors, stranger]), method).outliers.tolist()


def test_copies_of_one_sound_are_no_problem() -> None:
    for method in METHODS:
        found = cluster(np.repeat(np.eye(8, dtype=np.float32)[:2], 10, axis=0), method)
        assert len(found.labels) == 20


def test_large_collections_are_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MOST_DENSE", 60)
    vectors, numbers = blobs([60, 60, 60])
    for method in METHODS:
        found = cluster(vectors, method)
        right = [numbers[row] for one in found.clusters[:3] for row in one.rows]
        assert len(right) > 140
        for one in found.clusters:
            assert len({numbers[row] for row in one.rows}) == 1


def test_names_fit_and_are_different() -> None:
    model = TinyModel()
    rain, dog = model.embed_text(["rain", "dog"])
    rng = np.random.default_rng(0)
    vectors = np.concatenate([vector + 0.02 * rng.normal(size=(12, 16)) for vector in (rain, rain + 0.4 * dog, dog)])
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = cluster(vectors, k=3)
    names = name_clusters(found, model.embed_text, ["rain", "dog", "whale"])
    by_row = {row: names[i].name for i, one in enumerate(found.clusters) for row in one.rows.tolist()}
    assert {by_row[0], by_row[12]} == {"rain", "rain 2"}
    assert by_row[24] == "dog"
    assert name_clusters(cluster(vectors[:0]), model.embed_text) == []


def test_the_vocabulary_is_clean() -> None:
    words = vocabulary()
    assert len(words) == len(set(words)) > 300
    assert all(word == word.strip().lower() and word.isascii() for word in words)


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


def test_a_library_groups_and_names(library: Library) -> None:
    found = library.clusters(k=3)
    assert {one.name for one in found.clusters} == {"rain", "dog barking", "piano"}
    for one in found.clusters:
        assert {match.path.stem[:-2] for match in one.matches} == {one.name}
        assert one.words[0] == one.name


def test_the_command(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundalike.library.models.load", lambda *_: TinyModel())

    def call(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["clusters", *map(str, arguments), "-l", str(tmp_path / "library")])
        return result.exit_code, result.stdout

    lists, copies, links = (tmp_path / name for name in ("lists", "copies", "links"))
    code, text = call("--k", 3, "--json", "--m3u", lists, "--copy-to", copies, "--link-to", links)
    records = [orjson.loads(line) for line in text.splitlines()]
    assert code == 0
    assert [record["n_sounds"] for record in records[:3]] == [8, 8, 8]
    assert len(list(lists.glob("*.m3u"))) == 3
    assert len(read_list(next(lists.glob("01 *.m3u")))) == 8
    assert len([path for path in copies.rglob("*.wav") if not path.is_symlink()]) == 24
    assert all(path.is_symlink() for path in links.rglob("*.wav"))
    assert call("--method", "hdbscan", "--picture", tmp_path / "c.png")[0] == 0
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert call("--k", 3, "--link-to", links)[0] == 0  # again, over what is there
    assert "dog barking" in call("--k", 3)[1]
    assert call("--k", 3, "--method", "dbscan")[0] == call("--k", 100)[0] == 2
    (tmp_path / "sounds" / "rain 0.wav").unlink()
    assert call("--k", 3, "--copy-to", copies)[0] == 1
