"""`Library`: index sounds once, find them by sound, by words, by both."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from soundalike import aspects
from soundalike.errors import LibraryError
from soundalike.folders import Stamp, stamp_of
from soundalike.library import measured, models
from soundalike.library.answers import Answers
from soundalike.library.asking import query_from
from soundalike.library.database import is_made, writer_lock
from soundalike.library.duplicates import DuplicateFinder
from soundalike.library.facets import facets_of
from soundalike.library.filters import allowed_ids, first_ids
from soundalike.library.finder import Finder, Options, current_space
from soundalike.library.matrix import Ids, MatrixFiles
from soundalike.library.rebuild import n_rebuilt
from soundalike.library.store import Store
from soundalike.library.values import Answer, Embedder, Facets, Filters, Metric, Query, Sound, Status
from soundalike.library.writer import Writer
from soundalike.library.writing import Writing
from soundalike.types import F32, F64, Failure


def default_path() -> Path:
    """Where the library is unless told otherwise: ``SOUNDALIKE_LIBRARY``, or ``~/.soundalike``."""
    return Path(os.environ.get("SOUNDALIKE_LIBRARY") or Path.home() / ".soundalike")


class Library(Writing, Answers, DuplicateFinder):
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
        self.path, self._device, self._model = path, device, None
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

    def n_sounds(self) -> int:
        """How many sounds are in it."""
        return self._store.n_sounds()

    def n_failures(self) -> int:
        """How many sounds have no embedding."""
        return self._store.n_failures()

    def roots(self) -> list[Path]:
        """Folders that were added, which `sync` walks."""
        return self._store.roots()

    def failures(self) -> list[Failure]:
        """Sounds that have no embedding, and why."""
        return self._store.failures()

    def sound(self, sound_id: int) -> Sound | None:
        """Look up a sound by its id; None if it is gone."""
        return self._store.sounds([sound_id]).get(sound_id)

    def some(self, ids: Sequence[int]) -> dict[int, Sound]:
        """Look up sounds by their ids; those that are gone are left out."""
        return self._store.sounds(ids)

    def sounds(self, filters: Filters | None = None) -> Iterator[Sound]:
        """All sounds, or those that pass the filters, in the order they came."""
        ids = self.ids(filters).tolist()
        for start in range(0, len(ids), 500):
            part = self._store.sounds(ids[start : start + 500])
            yield from (part[sound_id] for sound_id in ids[start : start + 500] if sound_id in part)

    def browse(self, filters: Filters | None = None, n: int = 100, offset: int = 0) -> list[Sound]:
        """Sounds that pass the filters, in the order of their paths: ``n`` of them, after the first ``offset``."""
        ids = first_ids(self._store, filters or Filters(), n, offset)
        known = self._store.sounds(ids)
        return [known[sound_id] for sound_id in ids if sound_id in known]

    def paths(self, ids: Ids | None = None) -> dict[int, Path]:
        """Where all sounds are, or these, by id."""
        return self._store.paths(None if ids is None else ids.tolist())

    def id_of(self, path: str | Path) -> int | None:
        """Id of the sound at a path; None if there is none."""
        return self._store.id_of(Path(path))

    def ids_of(self, paths: Sequence[Path]) -> dict[Path, int]:
        """Ids of the sounds at these paths; those that are not there are left out."""
        return self._store.ids_of(paths)

    def is_unchanged(self, sound: Sound) -> bool:
        """Whether a sound's file still has the size and the time that it had when it was embedded."""
        return stamp_of(sound.path) == Stamp(*self._store.stamp(sound.id))

    def version(self) -> int:
        """Read a number that changes when another process, or another `Library`, has written."""
        return self._store.data_version()

    def facets(self) -> Facets:
        """Count what `Filters` can be set to."""
        return facets_of(self._store)

    def ids(self, filters: Filters | None = None) -> Ids:
        """Ids ``(n,)`` of all sounds, or of those that pass the filters, in the order they came."""
        return allowed_ids(self._store, filters or Filters())

    def vectors(self, ids: Ids | None = None) -> tuple[Ids, F32]:
        """Ids ``(n,)`` and vectors ``(n, dim)`` of all sounds, or of these, in the order they came."""
        view = self._finder.view(current_space(self._store), "sounds")
        rows = np.arange(len(view.ids)) if ids is None else view.rows_of(np.sort(ids))
        rows = rows if view.alive is None else rows[view.alive[rows]]
        return view.ids[rows], np.asarray(view.take(rows), np.float32)

    def measures(self, ids: Ids) -> F32:
        """What was measured of these sounds ``(n, 45)``, laid out as `aspects.LAYOUT`; NaN where nothing was."""
        view = self._finder.view(measured.SPACE, "aspects")
        found = np.full((len(ids), aspects.SIZE), np.nan, np.float32)
        if len(view.ids):
            rows = np.minimum(np.searchsorted(view.ids, ids), len(view.ids) - 1)
            there = view.ids[rows] == ids
            if view.alive is not None:
                there &= view.alive[rows]
            found[there] = view.take(rows[there])
        return found

    def segments(self, sound_id: int) -> tuple[F32, F64]:
        """Vectors ``(n, dim)`` and times ``(n, 2)`` of a sound's segments; kept in half precision."""
        found = self._store.segments(current_space(self._store), sound_id)
        if found is None:
            raise LibraryError(self.path, f"there is no sound with the id {sound_id}")
        return found

    # Searching

    def search(
        self, query: str | Path | F32 | Query | None = None, *, like: Iterable[str | Path] = (),
        text: str | Iterable[str] = (), unlike: Iterable[str | Path] = (),
        weights: Sequence[float] | None = None, n: int = 20, metric: Metric = "cosine",
        filters: Filters | None = None, segments: bool = False, exact: bool | None = None,
        effort: int | None = None, with_query: bool = False, weigh: Mapping[str, float] | None = None,
        offset: int = 0, with_aspects: bool = False,
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
        weigh : rank by aspects: how much "pitch", "noisiness", "timbre", "brightness", "rhythm", "loudness" and
            "length" count, 0 unless given, and "meaning", the cosine, 1 unless given; the question needs a sound.
            Each match then has its `Match.aspects`, and its score is their weighed mean, [0, 1]
        offset : leave out so many of the best: the next page of results
        with_aspects : also give `Match.aspects` when none is weighed, if the question has a sound

        Raises
        ------
        SoundError
            if a sound of the question cannot be embedded
        ValueError
            if there is no question, its parts cancel each other, or there is no such aspect
        LibraryError
            if aspects are weighed that the library does not have yet
        """
        whole = query_from(query, like, [text] if isinstance(text, str) else text, unlike, weights)
        options = Options(
            n=n, metric=metric, filters=filters or Filters(), segments=segments, exact=exact, effort=effort,
            with_query=with_query, weigh=weigh, offset=offset, with_aspects=with_aspects,
        )  # fmt: skip
        return self._finder.search(whole, options, lambda: self.model)


def _folder(path: str | Path | None) -> Path:
    return Path(path or default_path()).expanduser().absolute()
