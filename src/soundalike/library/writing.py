"""Bringing sounds in and out of a library, as methods of `soundalike.Library`; one process at a time does so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from soundalike.errors import LibraryError
from soundalike.folders import find_sounds
from soundalike.library import caches, ingest, measured, models
from soundalike.library.database import writer_lock
from soundalike.library.finder import Finder, current_space
from soundalike.library.matrix import KINDS
from soundalike.library.rebuild import rebuild_into
from soundalike.library.store import Store, path_bytes
from soundalike.library.values import Embedder, Progress
from soundalike.library.writer import Writer


class Writing:
    """What `soundalike.Library` does to itself."""

    path: Path
    _store: Store
    _finder: Finder
    _device: str
    _model: Embedder | None

    if TYPE_CHECKING:  # what Library has

        @property
        def model(self) -> Embedder: ...  # noqa: D102

    def add(
        self, paths: Iterable[str | Path], *, force: bool = False, retry: bool = False,
        workers: int | None = None, on_progress: ingest.OnProgress = ingest.no_progress,
    ) -> Progress:  # fmt: skip
        """Add the sounds under folders and files: what is new or changed is embedded, the rest is not read.

        Parameters
        ----------
        paths : folders, which `sync` will walk again, and files
        force : embed again what is unchanged
        retry : also try again what failed and has not changed
        workers : files at once; one per core by default
        on_progress : called after each sound, once it is on disk

        Returns
        -------
        Counts. Killed at any moment, the library has every sound that was reported.
        """
        roots = [Path(path).expanduser() for path in paths]
        files = [sound.path for sound in find_sounds(roots)]
        with self._writing("add") as writer:
            welcome(writer, roots)
            return self._ingest(writer, files, Progress(len(files)), on_progress, force, retry, workers)

    def sync(
        self,
        *,
        retry: bool = False,
        workers: int | None = None,
        on_progress: ingest.OnProgress = ingest.no_progress,
    ) -> Progress:
        """Bring the library in step with the folders that were added: new, changed, moved and deleted files.

        Sounds of a folder that is not there, or is empty, are kept: its drive may not be mounted. Of sounds that
        an earlier version has added, the aspects are measured. Parameters as for `add`.
        """
        with self._writing("sync") as writer:
            roots, away = ingest.reachable_roots(writer)
            files = ingest.sounds_to_sync(writer, roots, away)
            progress = Progress(len(files), unreachable=away)
            self._ingest(writer, files, progress, on_progress, False, retry, workers)
            progress.n_removed = ingest.drop_paths(writer, ingest.missing(writer, away))
            if not away and not measured.are_complete(self._store):
                measured.measure_missing(self._store, writer, workers, progress, on_progress)
            return progress

    def retry(self, *, workers: int | None = None, on_progress: ingest.OnProgress = ingest.no_progress) -> Progress:
        """Try again the sounds that failed. Parameters as for `add`."""
        with self._writing("retry") as writer:
            files = [failure.path for failure in self._store.failures()]
            return self._ingest(writer, files, Progress(len(files)), on_progress, False, True, workers)

    def remove(self, paths: Iterable[str | Path]) -> int:
        """Forget sounds, or all below folders; no file is touched, and `sync` does not bring them back.

        Returns
        -------
        How many sounds were forgotten
        """
        with self._writing("remove") as writer:
            return forget(writer, [Path(path).expanduser() for path in paths])

    def rebuild(
        self,
        model: str | Embedder,
        *,
        workers: int | None = None,
        on_progress: ingest.OnProgress = ingest.no_progress,
    ) -> Progress:
        """Embed everything again with another model; the old one answers until this is complete.

        Broken off, the next call goes on where it stopped. Sounds that the new model cannot take, or whose
        file is gone, become failures. Parameters as for `add`.
        """
        model = models.load(model, self._device) if isinstance(model, str) else model
        with self._writing("rebuild") as writer:
            progress = rebuild_into(self._store, writer, model, workers, on_progress)
            self._model = model
            return progress

    def _ingest(
        self, writer: Writer, files: Sequence[Path], progress: Progress,
        on_progress: ingest.OnProgress = ingest.no_progress, force: bool = False, retry: bool = False,
        workers: int | None = None,
    ) -> Progress:  # fmt: skip
        space = current_space(self._store)

        def on_commit() -> None:
            caches.append(self._store, space, "sounds", at_least=caches.GROW_ROWS)

        run = ingest.Ingest(writer, space, lambda: self.model, progress, on_progress, on_commit)
        run.run(files, force=force, retry=retry, workers=workers)
        return progress

    @contextmanager
    def _writing(self, doing: str) -> Iterator[Writer]:
        """Be the writer; at the end the caches are brought in step.

        Raises
        ------
        LibraryBusy
            if another process is writing
        """
        with writer_lock(self.path, doing), closing(Writer(self.path)) as writer:
            yield writer
            writer.optimize()
            self._update_caches()

    def build_index(self) -> None:
        """Make the index, or bring it in step, whatever the size of the library."""
        with self._writing("build-index"):
            for kind in KINDS:
                caches.append(self._store, current_space(self._store), kind, at_least=1)
            self._update_caches(index_from=0)

    def _update_caches(self, index_from: int | None = None) -> None:
        try:
            caches.update(self._store, current_space(self._store), index_from=index_from)
        except OSError as error:
            reason = f"all sounds are saved, but the cache cannot be written ({error.strerror or error})"
            raise LibraryError(self.path, reason) from error
        self._finder.reopen()


def welcome(writer: Writer, paths: Iterable[Path]) -> None:
    """Let sounds be added that were forgotten; folders are walked by `sync` from now on."""
    with writer.transaction():
        for path in paths:
            writer.delete_below("left_out", path_bytes(path))
            if path.is_dir():
                writer.add_root(path)


def forget(writer: Writer, paths: Iterable[Path]) -> int:
    """Drop sounds, or all below folders, and do not let `sync` bring them back; give how many."""
    n_sounds = 0
    for key in map(path_bytes, paths):
        n_sounds += ingest.drop_paths(writer, writer.paths_below(key))
        with writer.transaction():
            writer.leave_out(key)
    return n_sounds
