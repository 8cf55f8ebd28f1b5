"""`Library`: index sounds once, find them by sound, by words, by both."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from soundalike.errors import LibraryError
from soundalike.folders import find_sounds
from soundalike.library import caches, ingest, models
from soundalike.library.answers import Answers
from soundalike.library.asking import query_from
from soundalike.library.database import is_made, writer_lock
from soundalike.library.filters import allowed_ids
from soundalike.library.finder import Finder, Options, current_space
from soundalike.library.matrix import KINDS, Ids, MatrixFiles
from soundalike.library.rebuild import n_rebuilt, rebuild_into
from soundalike.library.store import Store, path_bytes
from soundalike.library.values import Answer, Embedder, Filters, Metric, Progress, Query, Sound, Status
from soundalike.library.writer import Writer
from soundalike.types import F32, F64, Failure


def default_path() -> Path:
    """Where the library is unless told otherwise: ``SOUNDALIKE_LIBRARY``, or ``~/.soundalike``."""
    return Path(os.environ.get("SOUNDALIKE_LIBRARY") or Path.home() / ".soundalike")


class Library(Answers):
    """A library of sounds: a folder with one database and its caches.

    Any number of processes may search while one writes. Safe to use from many threads.

    Examples
    --------
    >>> from soundalike import Library
    >>> with Library.create("effects.library") as library:  # doctest: +SKIP
    ...     library.add(["~/Effects"])
    ...     for match in library.search("door.wav", text=["a heavy wooden door"]):
    ...         print(match.score, match.path)
    """

    def __init__(self, path: Path, model: str | Embedder | None = None, device: str = "auto") -> None:
        self.path = path
        self._device = device
        self._model: Embedder | None = None
        self._store = Store(path)
        self._finder = Finder(self._store)
        try:
            space = current_space(self._store)
            if model is not None:
                models.insist(space, model)
                self._model = None if isinstance(model, str) else model
        except BaseException:
            self._store.close()
            raise

    @classmethod
    def open(cls, path: str | Path | None = None, model: str | Embedder | None = None, device: str = "auto") -> Library:
        """Open a library.

        Parameters
        ----------
        path : its folder; `default_path` if not given
        model : to insist on one; by default the library's own is loaded when it is needed
        device : where the model runs

        Raises
        ------
        LibraryError
            if there is no library, or a newer version has written it
        PipelineMismatch
            if it holds vectors of another model or pipeline
        """
        return cls(_folder(path), model, device)

    @classmethod
    def create(
        cls, path: str | Path | None = None, model: str | Embedder | None = None, device: str = "auto"
    ) -> Library:
        """Open a library; make it first if it is not there, for the model "pocket" if none is given.

        Parameters and errors as for `open`.
        """
        folder = _folder(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryError(folder, f"the folder cannot be made ({error.strerror})") from error
        if not is_made(folder):
            model = models.load(model or "pocket", device) if isinstance(model, str | None) else model
            with writer_lock(folder, "create"), closing(Writer(folder)) as writer, writer.transaction():
                if not writer.query("SELECT 1 FROM spaces"):
                    writer.begin_space(model, current=True)
        return cls(folder, model, device)

    def close(self) -> None:
        """Close the library."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # What is in it

    @property
    def model(self) -> Embedder:
        """The library's model, loaded when it is first needed."""
        space = current_space(self._store)
        if self._model is None or self._model.pipeline != space.pipeline:
            self._model = models.load(space.model, self._device, space)
        return self._model

    def status(self) -> Status:
        """Say what is in the library."""
        space, making = current_space(self._store), self._store.space(current=False)
        n_sounds, n_segments, sound_s = self._store.totals()
        return Status(
            self.path, space.model, space.pipeline, space.dim, n_sounds, n_segments, sound_s,
            len(self._store.failures()), tuple(self._store.roots()),
            MatrixFiles(self._store, space, "sounds").state().n_indexed,
            sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file()),
            making.model if making else None, n_rebuilt(self._store, making) if making else 0,
        )  # fmt: skip

    def failures(self) -> list[Failure]:
        """Sounds that have no embedding, and why."""
        return self._store.failures()

    def sound(self, sound_id: int) -> Sound | None:
        """Look up a sound by its id; None if it is gone."""
        return self._store.sounds([sound_id]).get(sound_id)

    def sounds(self, filters: Filters | None = None) -> Iterator[Sound]:
        """All sounds, or those that pass the filters, in the order they came."""
        ids = self.ids(filters).tolist()
        for start in range(0, len(ids), 500):
            part = self._store.sounds(ids[start : start + 500])
            yield from (part[sound_id] for sound_id in ids[start : start + 500] if sound_id in part)

    def ids(self, filters: Filters | None = None) -> Ids:
        """Ids ``(n,)`` of all sounds, or of those that pass the filters, in the order they came."""
        return allowed_ids(self._store, filters or Filters())

    def vectors(self, ids: Ids | None = None) -> tuple[Ids, F32]:
        """Ids ``(n,)`` and vectors ``(n, dim)`` of all sounds, or of these, in the order they came."""
        view = self._finder.view(current_space(self._store), "sounds")
        rows = np.arange(len(view.ids)) if ids is None else view.rows_of(np.sort(ids))
        rows = rows if view.alive is None else rows[view.alive[rows]]
        return view.ids[rows], np.asarray(view.take(rows), np.float32)

    def segments(self, sound_id: int) -> tuple[F32, F64]:
        """Vectors ``(n, dim)`` and times ``(n, 2)`` of a sound's segments; kept in half precision."""
        found = self._store.segments(current_space(self._store), sound_id)
        if found is None:
            raise LibraryError(self.path, f"there is no sound with the id {sound_id}")
        return found

    # Bringing sounds in and out

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
            with writer.transaction():
                for root in roots:
                    writer.delete_below("left_out", path_bytes(root))
                    if root.is_dir():
                        writer.add_root(root)
            return self._ingest(writer, files, Progress(len(files)), on_progress, force, retry, workers)

    def sync(
        self,
        *,
        retry: bool = False,
        workers: int | None = None,
        on_progress: ingest.OnProgress = ingest.no_progress,
    ) -> Progress:
        """Bring the library in step with the folders that were added: new, changed, moved and deleted files.

        Sounds of a folder that is not there, or is empty, are kept: its drive may not be mounted.
        Parameters as for `add`.
        """
        with self._writing("sync") as writer:
            roots, away = ingest.reachable_roots(writer)
            files = ingest.sounds_to_sync(writer, roots, away)
            progress = Progress(len(files), unreachable=away)
            self._ingest(writer, files, progress, on_progress, False, retry, workers)
            progress.n_removed = ingest.drop_paths(writer, ingest.missing(writer, away))
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
        keys = [path_bytes(Path(path).expanduser()) for path in paths]
        with self._writing("remove") as writer:
            n_sounds = 0
            for key in keys:
                n_sounds += ingest.drop_paths(writer, writer.paths_below(key))
                with writer.transaction():
                    writer.leave_out(key)
            return n_sounds

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
        self, writer: Writer, files: Sequence[Path], progress: Progress, on_progress: ingest.OnProgress,
        force: bool, retry: bool, workers: int | None,
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

    # Searching

    def search(
        self, query: str | Path | F32 | Query | None = None, *, like: Iterable[str | Path] = (),
        text: str | Iterable[str] = (), unlike: Iterable[str | Path] = (),
        weights: Sequence[float] | None = None, n: int = 20, metric: Metric = "cosine",
        filters: Filters | None = None, segments: bool = False, exact: bool | None = None,
        effort: int | None = None, with_query: bool = False,
    ) -> Answer:  # fmt: skip
        """Find the sounds that are nearest to a sound, to words, or to a mix of both.

        Parameters
        ----------
        query : a sound file, a vector ``(dim,)``, or a `Query`
        like, text, unlike, weights : further parts of the question, see `Query.of`; a sound given as
            ``query`` is the first of ``like``
        n : how many
        metric : "cosine", "euclidean" (a distance: lower is closer) or "dot"
        filters : which sounds may be found
        segments : compare segments, and say where in a sound the best one is
        exact : True to compare with every sound, False for the index where there is one, None to choose
            by size
        effort : of the index: more finds more of the truly nearest, and takes longer
        with_query : also find the sounds of the library that the question is made of

        Raises
        ------
        SoundError
            if a sound of the question cannot be embedded
        ValueError
            if there is no question, or its parts cancel each other
        """
        whole = query_from(query, like, [text] if isinstance(text, str) else text, unlike, weights)
        options = Options(
            n=n, metric=metric, filters=filters or Filters(), segments=segments, exact=exact, effort=effort,
            with_query=with_query,
        )  # fmt: skip
        return self._finder.search(whole, options, lambda: self.model)


def _folder(path: str | Path | None) -> Path:
    return Path(path or default_path()).expanduser().absolute()
