"""What to play next."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from soundalike.cli import main
from soundalike.errors import LibraryError, SoundalikeError
from soundalike.library import Library
from soundalike.recommend import SAME, path_between, read_list, recommend, similar_groups
from soundalike.types import F32
from tiny_model import TinyModel


def unit(rows: object) -> F32:
    points = np.asarray(rows, np.float32)
    return np.asarray(points / np.linalg.norm(points, axis=-1, keepdims=True), np.float32)


def some(n: int, seed: int = 0) -> F32:
    return unit(np.random.default_rng(seed).normal(size=(n, 8)))


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 60), st.floats(0, 1))
def test_nothing_twice_and_never_a_seed(n_sounds: int, n_seeds: int, n: int, diversity: float) -> None:
    vectors = np.repeat(some(n_sounds), 2, axis=0)  # each sound is there twice
    n_seeds = min(n_seeds, n_sounds)
    seeds = vectors[: 2 * n_seeds : 2]
    found = recommend(vectors, seeds, n, diversity=diversity)
    assert len(found.rows) == min(n, n_sounds - n_seeds)
    assert len(set((found.rows // 2).tolist())) == len(found.rows)
    assert (found.rows >= 2 * n_seeds).all()


def test_without_diversity_the_most_alike_come_in_order() -> None:
    vectors = some(50)
    found = recommend(vectors, vectors[:1], 10, diversity=0)
    expected = [row for row in np.argsort(-(vectors @ vectors[0])).tolist() if row != 0][:10]
    assert found.rows.tolist() == expected
    np.testing.assert_allclose(found.scores, vectors[expected] @ vectors[0], rtol=1e-5)


def test_more_diversity_is_more_varied_and_less_relevant() -> None:
    vectors = some(300)
    relevance, likeness = [], []
    for diversity in (0.0, 0.4, 0.9):
        found = recommend(vectors, vectors[:2], 10, diversity=diversity)
        relevance.append(found.scores.mean())
        likeness.append((vectors[found.rows] @ vectors[found.rows].T).mean())
    assert relevance[0] > relevance[1] > relevance[2]
    assert likeness[0] > likeness[1] > likeness[2]


def test_left_out_rows_and_wrong_questions() -> None:
    vectors = some(5)
    assert sorted(recommend(vectors, vectors[:1], 9, left_out=np.array([2])).rows.tolist()) == [1, 3, 4]
    with pytest.raises(ValueError, match="diversity"):
        recommend(vectors, vectors[:1], diversity=2)
    with pytest.raises(ValueError, match="seed"):
        recommend(vectors, vectors[:0])


@given(st.integers(0, 60), st.integers(1, 12), st.integers(0, 3))
def test_a_path_has_no_sound_twice_and_not_its_ends(n_sounds: int, n: int, seed: int) -> None:
    ends = some(2, seed + 10)
    vectors = np.concatenate([some(n_sounds, seed), ends])
    found = path_between(vectors, ends[0], ends[1], n)
    assert len(set(found.rows.tolist())) == len(found.rows) <= n
    assert not {n_sounds, n_sounds + 1} & set(found.rows.tolist())
    assert len(found.scores) == len(found.rows)
    assert (np.abs(found.scores) <= 1 + 1e-5).all()


def test_a_path_along_an_arc_is_in_order() -> None:
    angles = np.linspace(0, np.pi / 2, 21)
    arc = np.zeros((21, 8), np.float32)
    arc[:, 0], arc[:, 1] = np.cos(angles), np.sin(angles)
    rows = path_between(np.concatenate([arc, some(100)]), arc[0], arc[-1], 9).rows.tolist()
    assert rows == sorted(rows)
    assert rows == list(range(2, 20, 2))
    assert path_between(arc, arc[0], arc[0], 5).rows.size <= 5


def test_groups_are_ranked_by_their_mean() -> None:
    vectors = unit([[1, 0, 0.1], [1, 0.1, 0], [0.9, 0.3, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    groups = ["Bach", "bach", "Telemann", "Cage", "Cage", None]
    found = similar_groups(vectors, groups, "BACH")
    assert [match.name for match in found] == ["Telemann", "Cage"]
    assert found[1].rows == (4, 3) or found[1].rows == (3, 4)
    with pytest.raises(ValueError, match="Nobody"):
        similar_groups(vectors, groups, "Nobody")


def test_lists_of_all_kinds(tmp_path: Path) -> None:
    expected = [tmp_path / "a b.wav", Path("/x/ü.wav")]
    m3u = tmp_path / "l.m3u"
    m3u.write_text("\ufeff#EXTM3U\n#EXTINF:1,A\na b.wav\nhttp://example.org/c.mp3\nfile:///x/%C3%BC.wav\n\n")
    (tmp_path / "l.csv").write_text("artist,Path\nMe,a b.wav\nYou,/x/ü.wav\nshort\n")
    (tmp_path / "plain.csv").write_text("a b.wav,1\n/x/ü.wav,2\n")
    (tmp_path / "l.txt").write_bytes(b"a b.wav\r\n\0/x/\xc3\xbc.wav")
    for name in ("l.m3u", "l.csv", "plain.csv", "l.txt"):
        assert read_list(tmp_path / name) == expected
    m3u.write_text("#EXTM3U\n")
    with pytest.raises(SoundalikeError, match="names no sound"):
        read_list(m3u)
    with pytest.raises(SoundalikeError, match="cannot be read"):
        read_list(tmp_path / "gone.m3u")


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for i in range(12):
        (folder / f"{i:02}.wav").write_text(f"{'rain' if i < 6 else 'dog'}\nline {i}")
    (folder / "copy.wav").write_text("rain\nline 0")
    with Library.create(tmp_path / "library", TinyModel()) as opened:
        opened.add([folder])
        yield opened


def test_a_library_recommends(library: Library, tmp_path: Path) -> None:
    seeds = [tmp_path / "sounds" / "00.wav", tmp_path / "sounds" / "01.wav"]
    found = library.recommend(seeds, 5)
    names = [match.path.name for match in found]
    assert len(set(names)) == 5
    assert not {"00.wav", "01.wav", "copy.wav"} & set(names)  # a copy of a seed is the seed
    assert {"02.wav", "03.wav", "04.wav", "05.wav"} <= set(names)
    (tmp_path / "new.wav").write_text("dog\nnew")
    assert int(library.recommend([tmp_path / "new.wav"], 1)[0].path.stem) >= 6
    with pytest.raises(ValueError, match="seed"):
        library.recommend([])
    with pytest.raises(LibraryError, match="Nobody"):
        library.similar_artists("Nobody")


def test_a_library_leads_from_one_sound_to_another(library: Library, tmp_path: Path) -> None:
    ends = (tmp_path / "sounds" / "00.wav", tmp_path / "sounds" / "11.wav")
    found = library.path_between(*ends, 4)
    assert 1 <= len(found) <= 4
    assert not {match.path for match in found} & set(ends)
    assert all(match.score < SAME for match in found)


def test_the_command(library: Library, tmp_path: Path) -> None:
    sounds, where = tmp_path / "sounds", ["-l", str(tmp_path / "library")]
    (tmp_path / "heard.m3u").write_text("sounds/00.wav\nsounds/01.wav\n")

    def call(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["recommend", *map(str, arguments), *where])
        return result.exit_code, result.stdout

    code, text = call(tmp_path / "heard.m3u", "-n", 3, "--json", "--m3u", tmp_path / "next.m3u")
    paths = [orjson.loads(line)["path"] for line in text.splitlines()]
    assert (code, len(paths)) == (0, 3)
    assert [str(path) for path in read_list(tmp_path / "next.m3u")] == paths
    code, text = call("--path", sounds / "00.wav", sounds / "11.wav", "-n", 3)
    assert code == 0
    assert text
    assert call()[0] == call(sounds / "00.wav", "--artist", "X")[0] == 2
    assert call("--artist", "X")[0] == 2
