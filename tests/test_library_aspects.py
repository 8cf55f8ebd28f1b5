"""Search by aspects: rows in step with the sounds, the weighed mean as brute force has it, and what it is for."""

from __future__ import annotations

import runpy
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))  # for pytest's importlib mode
from soundalike.aspects import ASPECTS, measure_file, similarities
from soundalike.audio import is_sound_file
from soundalike.cli import main
from soundalike.errors import LibraryError
from soundalike.library import Filters, Library, measured
from soundalike.library.database import DATABASE
from soundalike.selftest import EXAMPLES
from soundalike.types import F32
from tiny_model import TinyModel, aspects_of

BENCHMARK = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "aspects.py"))


def write(folder: Path, first: int, last: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.wav" for number in range(first, last)]
    for path in paths:
        path.write_text(f"sound {path.stem}\nand more")
    return paths


def rows_kept(library: Library) -> dict[str, F32]:
    with closing(sqlite3.connect(library.path / DATABASE)) as db:
        found = db.execute("SELECT path, row FROM aspects JOIN sounds ON id = key & 0xFFFFFFFFFF").fetchall()
        (n_rows,) = db.execute("SELECT count(*) FROM aspects").fetchone()
    assert n_rows == len(found)
    return {Path(path.decode()).name: np.frombuffer(row, np.float32) for path, row in found}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Rows in the files, in the database only, and gone."""
    folder = tmp_path_factory.mktemp("aspects")
    with Library.create(folder / "library", TinyModel()) as opened:
        opened.add(write(folder / "a", 0, 60))
        opened.build_index()
        opened.add(write(folder / "b", 60, 90))
        opened.remove([folder / "a" / "7.wav", folder / "b" / "70.wav"])
        yield opened


@settings(max_examples=30)
@given(
    weigh=st.dictionaries(st.sampled_from([*ASPECTS, "meaning"]), st.floats(0.1, 4.0), min_size=1),
    query=st.sampled_from([0, 33, 61, 89]),
    narrow=st.booleans(),
)
def test_the_weighed_mean_is_that_of_brute_force(
    library: Library, weigh: dict[str, float], query: int, narrow: bool
) -> None:
    folder = library.path.parent / ("a" if query < 60 else "b")
    path = folder / f"{query}.wav"
    row = aspects_of(path)
    if row is None:
        return  # it would be measured as a sound, which it is not
    filters = Filters(folders=(library.path.parent / "b",)) if narrow else None
    answer = library.search(path, weigh=weigh, filters=filters, n=200, with_query=True)
    ids, vectors = library.vectors(library.ids(filters))
    weights = {"meaning": 1.0, **weigh}
    cosines = vectors.astype(np.float64) @ TinyModel().embed_file(path).vector.astype(np.float64)
    for match in answer:
        assert match.aspects is not None
        theirs = aspects_of(match.path)
        alike = np.zeros(len(ASPECTS)) if theirs is None else similarities(row, theirs[None])[0]
        meaning = np.clip(cosines[ids == match.sound.id][0], 0, 1)
        expected = dict(zip([*ASPECTS, "meaning"], [*alike, meaning], strict=True))
        assert match.aspects == pytest.approx(expected, abs=1e-5)
        mean = sum(weight * expected[name] for name, weight in weights.items()) / sum(weights.values())
        assert match.score == pytest.approx(mean, abs=1e-5)
    assert sorted(match.sound.id for match in answer) == ids.tolist()
    assert [match.score for match in answer] == sorted((match.score for match in answer), reverse=True)
    assert [match.sound.id for match in library.search(path, weigh=weigh, filters=filters, n=5, with_query=True)] == [
        match.sound.id for match in answer[:5]
    ]


def test_a_sound_has_its_row_from_first_to_last(tmp_path: Path) -> None:
    with Library.create(tmp_path / "library", TinyModel()) as library:
        paths = write(tmp_path / "a", 0, 6)
        library.add([tmp_path / "a"])
        paths[0].rename(tmp_path / "a" / "moved.wav")
        copied = next(path for path in paths[3:] if aspects_of(path) is not None)
        (tmp_path / "a" / "copy.wav").write_bytes(copied.read_bytes())
        library.sync()
        library.remove([paths[2]])
        library.rebuild(TinyModel("other"))
        kept = rows_kept(library)
        assert sorted(kept) == sorted(sound.path.name for sound in library.sounds())
        for sound in library.sounds():
            expected = aspects_of(sound.path)
            expected = measured.UNKNOWN if expected is None else expected
            assert np.array_equal(kept[sound.path.name], expected, equal_nan=True)
        assert library.search(tmp_path / "a" / "copy.wav", weigh={"pitch": 1}, n=1)[0].path == copied


def test_a_library_of_before_gets_them_with_sync(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for path in sorted(path for path in EXAMPLES.rglob("*.*") if is_sound_file(path))[:3]:
        (sounds / path.name).write_bytes(path.read_bytes())
    with Library.create(tmp_path / "library", TinyModel()) as library:
        library.add([sounds])
        first = next(library.sounds()).path
        with closing(sqlite3.connect(library.path / DATABASE)) as db, db:
            db.execute("DELETE FROM aspects")
            db.execute("DELETE FROM about WHERE name = 'aspects'")
        with pytest.raises(LibraryError, match="no aspects yet: run `soundalike sync`"):
            library.search(first, weigh={"pitch": 1})
        sounds.rename(tmp_path / "away")
        assert library.sync().n_measured == 0  # its drive may come back
        (tmp_path / "away").rename(sounds)
        assert library.sync().n_measured == 3
        assert library.sync().n_measured == 0
        for name, row in rows_kept(library).items():
            assert np.array_equal(row, measure_file(sounds / name).to_array())
        assert len(library.search(first, weigh={"pitch": 1})) == 2


def test_what_cannot_be_weighed(library: Library) -> None:
    sound = library.path.parent / "a" / "0.wav"
    with pytest.raises(ValueError, match="no aspect 'picth'"):
        library.search(sound, weigh={"picth": 1})
    with pytest.raises(ValueError, match="positive numbers"):
        library.search(sound, weigh={"meaning": 0})
    with pytest.raises(ValueError, match="the question has none"):
        library.search(text="rain", weigh={"pitch": 1})
    with pytest.raises(ValueError, match="leave out segments"):
        library.search(sound, weigh={"pitch": 1}, segments=True)


def test_the_command(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDALIKE_LIBRARY", str(library.path))
    sound = str(library.path.parent / "b" / "61.wav")
    table = CliRunner().invoke(main, ["search", sound, "--weigh", "pitch=2,length=1", "-n", "2"])
    assert table.exit_code == 0, table.output
    for line in table.stdout.splitlines():
        assert line.find("  pitch ") < line.find("  length ") < line.find("  meaning ")
    lines = CliRunner().invoke(main, ["search", sound, "--weigh", "pitch=2,meaning=0", "--json"]).stdout.splitlines()
    assert all(f'"{name}":' in line for line in lines for name in (*ASPECTS, "meaning"))
    wrong = CliRunner().invoke(main, ["search", sound, "--weigh", "pitch"])
    assert wrong.exit_code == 2
    assert "such as pitch=2,brightness=1" in wrong.stderr


def test_a_weighed_aspect_brings_its_property_first(tmp_path: Path) -> None:
    weighings = [{}, {"pitch": 4}, {"brightness": 4}, {"rhythm": 4, "meaning": 0}]
    plain, pitch, brightness, rhythm = BENCHMARK["library_rates"](tmp_path, weighings, most=2)
    for name, rates in (("pitch_hz", pitch), ("cutoff_hz", brightness), ("tempo_bpm", rhythm)):
        assert rates[name] >= 0.95
        assert rates[name] >= plain[name]
