from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundalike.errors import SoundalikeError
from soundalike.folders import find_sounds


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names(*roots: Path) -> list[str]:
    return [str(sound.name) for sound in find_sounds(roots)]


def test_a_folder_is_walked_by_extension_in_any_case_and_in_a_stable_order(tmp_path: Path) -> None:
    make(
        tmp_path,
        "b.WAV",
        "a.mp3",
        "kicks/808.Flac",
        "kicks/deep/x.m4a",
        "notes.txt",
        "a.json",
        "wav",
        "z.wav",
    )
    assert names(tmp_path) == ["a.mp3", "b.WAV", "z.wav", "kicks/808.Flac", "kicks/deep/x.m4a"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, ".a.wav", ".trash/b.wav", "._c.wav", "d.wav")
    assert names(tmp_path) == ["d.wav"]


def test_a_file_that_is_named_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    make(tmp_path, "noext", ".hidden.wav", "x.txt")
    assert names(tmp_path / "noext") == ["noext"]
    assert names(tmp_path / "noext", tmp_path / ".hidden.wav", tmp_path / "x.txt") == [
        "noext",
        ".hidden.wav",
        "x.txt",
    ]


def test_a_folder_that_is_called_like_a_sound_is_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "x.wav/y.wav")
    assert names(tmp_path) == ["x.wav/y.wav"]


def test_several_roots_begin_with_their_own_names(tmp_path: Path) -> None:
    make(tmp_path, "a/kicks/1.wav", "b/kicks/1.wav", "b/Kicks/1.wav", "b/2-kicks/1.wav", "c/1.wav")
    roots = [tmp_path / root for root in ("a/kicks", "b/kicks", "b/Kicks", "b/2-kicks", "c/1.wav")]
    found = names(*roots)
    assert found == ["kicks/1.wav", "2-kicks/1.wav", "3-Kicks/1.wav", "2-2-kicks/1.wav", "1.wav"]


@given(st.lists(st.sampled_from(["a", "A", "2-a", "2-A", "3-a", "2-2-a"]), min_size=2, max_size=8))
def test_names_are_unique_whatever_the_roots_are_called(
    tmp_path_factory: pytest.TempPathFactory, called: list[str]
) -> None:
    tmp_path = tmp_path_factory.mktemp("roots")
    roots = [make(tmp_path / str(i) / name, "x.wav") for i, name in enumerate(called)]
    found = [name.casefold() for name in names(*roots)]
    assert len(set(found)) == len(roots)


def test_a_sound_under_two_roots_comes_once(tmp_path: Path) -> None:
    make(tmp_path, "kicks/1.wav", "2.wav")
    assert names(tmp_path, tmp_path / "kicks", tmp_path / "kicks" / ".." / "2.wav") == [
        f"{tmp_path.name}/2.wav", f"{tmp_path.name}/kicks/1.wav",
    ]  # fmt: skip


def test_paths_are_absolute_wherever_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "in/a.wav")
    monkeypatch.chdir(tmp_path / "in")
    (sound,) = find_sounds([Path()])
    assert (sound.path, str(sound.name)) == (tmp_path / "in" / "a.wav", "a.wav")
    assert [found.path for found in find_sounds([Path("../in/./a.wav")])] == [sound.path]


def test_a_root_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SoundalikeError, match=r"gone: no such file or folder"):
        list(find_sounds([tmp_path, tmp_path / "gone"]))


def test_links_to_folders_are_not_followed_and_broken_links_are_named(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.wav").symlink_to(tmp_path / "gone")
    assert names(tmp_path) == ["a.wav", "broken.wav"]
    assert names(tmp_path / "broken.wav") == ["broken.wav"]


def test_names_that_are_no_text_are_found(tmp_path: Path) -> None:
    make(tmp_path, "\udcff.wav", "new\nline.wav")
    assert sorted(names(tmp_path)) == ["new\nline.wav", "\udcff.wav"]


def test_a_folder_that_cannot_be_listed_stands_for_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "closed/a.wav", "open/b.wav")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(tmp_path) == ["open/b.wav", "closed"]
