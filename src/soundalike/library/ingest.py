"""Bring a library in step with the disk: embed what is new, follow what was moved, forget what is gone.

A sound is known by its path, size and time; then nothing is read. If these differ but its bytes are those
of a sound that is in the library, it was moved, copied or touched, and is not embedded again. Results are
committed at least every `COMMIT_S` seconds and are reported only then: what was reported survives a kill at
any moment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import cast

from soundalike import audio
from soundalike.embed import sha256_of
from soundalike.errors import SoundError
from soundalike.folders import Stamp, find_sounds, stamp_of
from soundalike.library.store import below, path_bytes, path_of
from soundalike.library.values import Embedder, Progress, Space
from soundalike.library.writer import Facts, Known, Writer
from soundalike.tags import read_tags
from soundalike.types import Embedding, Failure

COMMIT_S = 0.5
COMMIT_SOUNDS = 256
DROP_SOUNDS = 1000  # forgotten in one transaction
OnProgress = Callable[[Progress], None]


def no_progress(progress: Progress) -> None:
    """Say nothing of how it goes."""


class Ingest:
    """One run over some files.

    Parameters
    ----------
    model : called once there is something to embed
    on_commit : called after each commit
    """

    def __init__(
        self, writer: Writer, space: Space, model: Callable[[], Embedder], progress: Progress,
        on_progress: OnProgress, on_commit: Callable[[], None],
    ) -> None:  # fmt: skip
        self._writer, self._space, self._model = writer, space, model
        self._progress, self._on_progress, self._on_commit = progress, on_progress, on_commit
        self._stamps: dict[Path, Stamp] = {}  # of sounds that are being embedded
        self._results: list[Embedding | Failure | None] = []  # written, not yet committed; None: followed
        self._committed = time.monotonic()

    def run(self, paths: Iterable[Path], *, force: bool, retry: bool, workers: int | None) -> None:
        """Deal with each file; interrupted, what is finished is kept."""
        with self._writer.batches():
            todo = self._todo(paths, force, retry)
            first = next(todo, None)
            if first is not None:  # else the model need not even be loaded
                self._embed(chain([first], todo), workers)
        self._report()

    def _embed(self, paths: Iterator[Path], workers: int | None) -> None:
        results = cast("Generator[Embedding | Failure]", self._model().embed_files(paths, workers, aspects=True))
        with closing(results):
            for result in results:
                path, stamp = path_bytes(result.path), self._stamps.pop(result.path)
                if isinstance(result, Embedding):
                    self._writer.put(path, stamp, result, facts_of(result.path), self._space)
                else:
                    self._writer.put_failure(path, stamp, result)
                self._written(result)

    def _todo(self, paths: Iterable[Path], force: bool, retry: bool) -> Iterator[Path]:
        """Files that must be embedded; the others are dealt with here."""
        for path in paths:
            key, stamp = path_bytes(path), stamp_of(path)
            known = self._writer.state(key)
            if known and not force and known.stamp == stamp and (known.sound_id is not None or not retry):
                self._progress.n_unchanged += known.sound_id is not None
                self._progress.n_failed_before += known.sound_id is None
                self._on_progress(self._progress)
            elif not force and (same := self._same_content(path, stamp, known)):
                self._follow(same, key, stamp)
                self._written(None)
            else:
                self._stamps[path] = stamp
                yield path

    def _same_content(self, path: Path, stamp: Stamp, known: Known | None) -> tuple[int, bytes] | None:
        """Find a sound with the same bytes: best that of this path, then one whose file is gone."""
        candidates = self._writer.of_size(stamp.size)
        if not candidates:
            return None
        try:
            sha256 = sha256_of(path)
        except SoundError:
            return None  # embedding it will say why
        equal = [(sound_id, old) for sound_id, old, found in candidates if found == sha256]
        here = (pair for pair in equal if known and pair[0] == known.sound_id)
        gone = (pair for pair in equal if not path_of(pair[1]).exists())
        return next(here, None) or next(gone, None) or next(iter(equal), None)

    def _follow(self, same: tuple[int, bytes], key: bytes, stamp: Stamp) -> None:
        sound_id, old = same
        if old == key or not path_of(old).exists():
            self._writer.move(sound_id, key, stamp)
        else:
            self._writer.copy(sound_id, key, stamp)

    def _written(self, result: Embedding | Failure | None) -> None:
        self._results.append(result)
        if len(self._results) >= COMMIT_SOUNDS or time.monotonic() - self._committed > COMMIT_S:
            self._writer.commit()
            self._report()
            self._committed = time.monotonic()

    def _report(self) -> None:
        """Report what is on disk now."""
        results, self._results = self._results, []
        for result in results:
            self._progress.last = result
            if isinstance(result, Failure):
                self._progress.n_failed += 1
            elif result is None:
                self._progress.n_moved += 1
            else:
                self._progress.n_added += 1
                self._progress.sound_s += result.duration_s
            self._on_progress(self._progress)
        self._progress.last = None
        self._on_commit()


def facts_of(path: Path) -> Facts:
    """Technical facts and tags; nothing where the file has vanished meanwhile."""
    try:
        info = audio.probe(path)
        return Facts(info.container, info.codec, info.bits_per_sample, info.bit_rate, read_tags(path))
    except SoundError:
        return Facts()


def reachable_roots(writer: Writer) -> tuple[list[Path], list[Path]]:
    """Folders that were added, and those of them that seem to be elsewhere just now.

    A folder that is not there, or is empty though sounds of it are known, is taken for a drive that is not
    mounted: its sounds are kept.
    """
    here: list[Path] = []
    away: list[Path] = []
    for (key,) in writer.query("SELECT path FROM roots ORDER BY path"):
        root = path_of(key)
        known = writer.paths_below(key)
        empty = root.is_dir() and not any(root.iterdir())
        (away if not root.is_dir() or (empty and known) else here).append(root)
    return here, away


def sounds_to_sync(writer: Writer, roots: Iterable[Path], away: Iterable[Path]) -> list[Path]:
    """Files below the folders, and single files that were added and are still there."""
    left_out = [path for (path,) in writer.query("SELECT path FROM left_out")]
    found = {sound.path: None for sound in find_sounds(roots) if not is_below(path_bytes(sound.path), left_out)}
    folders = [path_bytes(root) for root in (*roots, *away)]
    for path in _known_paths(writer):
        if not is_below(path, folders) and path_of(path).exists():
            found[path_of(path)] = None
    return list(found)


def missing(writer: Writer, away: Iterable[Path]) -> list[bytes]:
    """Known paths where there is no file any more, those in unreachable folders left out.

    A link to nowhere is there: it stays what it has become, a failure that says so.
    """
    folders = [path_bytes(root) for root in away]
    return [path for path in _known_paths(writer) if not is_below(path, folders) and not os.path.lexists(path)]


def drop_paths(writer: Writer, paths: list[bytes]) -> int:
    """Forget what is at some paths; how many sounds that were."""
    n_sounds = 0
    for start in range(0, len(paths), DROP_SOUNDS):
        with writer.transaction():
            for path in paths[start : start + DROP_SOUNDS]:
                known = writer.state(path)
                n_sounds += known is not None and known.sound_id is not None
                writer.drop_path(path)
    return n_sounds


def is_below(path: bytes, folders: Iterable[bytes]) -> bool:
    """Whether a path is one of these, or inside one."""
    return any(path == folder or path.startswith(below(folder)[0]) for folder in folders)


def _known_paths(writer: Writer) -> list[bytes]:
    return [path for (path,) in writer.query("SELECT path FROM sounds UNION SELECT path FROM failures")]
