"""A library that an earlier version wrote opens, answers and grows: each fixture stays for ever."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for pytest's importlib mode
from soundalike.errors import LibraryError
from soundalike.library import Filters, Library
from tiny_model import TinyModel

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("library_v*"))


@pytest.mark.parametrize("caches", [True, False])
@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.name)
def test_a_library_of_an_earlier_version(fixture: Path, caches: bool, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    shutil.copytree(fixture, folder)
    if not caches:
        shutil.rmtree(folder / "cache")
    with Library.open(folder, TinyModel()) as library:
        status = library.status()
        assert (status.model, status.n_sounds, status.n_segments, status.n_failed) == ("tiny", 11, 22, 1)
        assert [failure.path.name for failure in library.failures()] == ["broken.wav"]
        hit = library.search(text="and 3", n=1, segments=True)[0]
        assert (hit.path.name, hit.start_s, hit.end_s) == ("s3.wav", 1.0, 2.0)
        assert hit.score == pytest.approx(1.0, abs=1e-3)
        assert len(library.search(text="and 3", filters=Filters(min_s=2.0))) == 11
        known = next(sound.path for sound in library.sounds() if sound.path.name == "s3.wav")  # the file is gone
        if fixture.name == "library_v1":
            with pytest.raises(LibraryError, match="no aspects yet"):
                library.search(known, weigh={"pitch": 1})
        else:
            assert len(library.search(known, weigh={"pitch": 1})) == 10
        new = tmp_path / "new.wav"
        new.write_text("new")
        library.add([new])
        assert library.search(text="new", n=1)[0].path == new


def test_there_is_a_fixture() -> None:
    assert FIXTURES
