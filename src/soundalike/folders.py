"""Find the sounds under some paths, and give each a name of its own in the output."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PurePosixPath

from soundalike.audio import is_sound_file
from soundalike.errors import SoundalikeError


@dataclass(frozen=True, slots=True)
class SoundFile:
    """A sound on disk, and its name in the output."""

    path: Path
    name: PurePosixPath  # "kicks/808.wav": below the folder that was given; unique in one run


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells a changed file from an unchanged one."""

    size: int
    mtime_ns: int


def stamp_of(path: Path) -> Stamp:
    """Look up size and time of a file; zeros if that fails (reading it will say why)."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return Stamp(0, 0)
    return Stamp(status.st_size, status.st_mtime_ns)


def find_sounds(roots: Iterable[Path]) -> Iterator[SoundFile]:
    """Sounds under folders and files, in a stable order.

    Folders are walked by file extension in any letter case; hidden files and folders are left out, links to
    folders are not followed. A file that is given by name is taken whatever it is called. With one folder,
    names are relative to it; with several roots each name begins with its root's name, numbered where two
    agree.

    Raises
    ------
    SoundalikeError
        if a root is not there
    """
    roots = [Path(os.path.abspath(root)) for root in roots]  # noqa: PTH100 - resolve() would follow links
    for root in roots:
        if not root.exists() and not root.is_symlink():
            raise SoundalikeError(f"{root}: no such file or folder")
    seen: set[Path] = set()
    for root, prefix in zip(roots, _prefixes(roots), strict=True):
        for path in [root] if not root.is_dir() else _walk(root):
            if path not in seen:
                seen.add(path)
                yield SoundFile(path, prefix / path.relative_to(root))


def named_sounds(paths: Iterable[Path]) -> list[SoundFile]:
    """Sounds by name and in folders, as `find_sounds`; what is not there stays, to be named as a failure."""
    paths = list(paths)
    absent = [SoundFile(path, PurePosixPath(path.name)) for path in paths if not path.exists()]
    return [*find_sounds(path for path in paths if path.exists()), *absent]


def _prefixes(roots: list[Path]) -> list[PurePosixPath]:
    """First part of the names below each root; of two that differ in case only, one is numbered too."""
    if len(roots) == 1:
        return [PurePosixPath() if roots[0].is_dir() else PurePosixPath(roots[0].name)]
    used: set[str] = set()
    prefixes = []
    for root in roots:
        numbered = (f"{n}-{root.name}" for n in count(2))
        prefix = next(name for name in chain([root.name or "root"], numbered) if name.casefold() not in used)
        used.add(prefix.casefold())
        prefixes.append(PurePosixPath(prefix))
    return prefixes


def _walk(folder: Path) -> Iterator[Path]:
    """Files below ``folder`` that are called like sounds, sorted within each folder.

    A folder that cannot be listed stands for the sounds in it: reading it will fail, and say why.
    """
    closed: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if is_sound_file(name) and not name.startswith("."):
                yield Path(parent, name)
    yield from sorted(closed)
