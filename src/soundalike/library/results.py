"""Matches as files: copies of the sounds, a playlist."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from soundalike.errors import LibraryError
from soundalike.export import atomic
from soundalike.library.values import Match, Sound


def copy_sounds(
    matches: Iterable[Match], folder: Path, *, link: bool = False
) -> tuple[list[Path], list[Path]]:
    """Copy the sounds into a folder, or links to them, numbered by rank: ``01 door.wav``.

    Returns
    -------
    The copies, and the sounds that could not be copied
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(folder, f"the folder cannot be made ({error.strerror})") from error
    copied, missing = [], []
    for rank, match in enumerate(matches, 1):
        target = folder / f"{rank:02} {match.path.name}"
        try:
            _link(match.path, target) if link else shutil.copy2(match.path, target)
            copied.append(target)
        except OSError:
            missing.append(match.path)
    return copied, missing


def _link(path: Path, target: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(path)
    if target.is_symlink():
        target.unlink()
    target.symlink_to(path)


def folder_name(name: str) -> str:
    """Make a name of words one that any file system takes."""
    kept = "".join(c if c.isprintable() and c not in '<>:"/\\|?*' else "_" for c in name)
    return kept.strip(" .")[:80] or "_"


def write_m3u(matches: Iterable[Match], path: Path) -> Path:
    """Write a playlist (extended M3U, UTF-8) of the sounds, best first."""
    try:
        with atomic(path) as file:
            file.writelines(m3u_lines(match.sound for match in matches))
    except OSError as error:
        raise LibraryError(path, f"the playlist cannot be written ({error.strerror})") from error
    return path


def m3u_lines(sounds: Iterable[Sound]) -> Iterator[bytes]:
    """Yield the lines of a playlist."""
    yield b"#EXTM3U\n"
    for sound in sounds:
        title = sound.tags.get("title", sound.path.stem).encode(errors="replace").replace(b"\n", b" ")
        yield b"#EXTINF:%d,%s\n%s\n" % (round(sound.duration_s), title, sound.path_bytes)
