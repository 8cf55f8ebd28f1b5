"""Searching a library: question, filters, ranking, and what is known of the sounds that were found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from soundalike.errors import LibraryError
from soundalike.library import caches, measured
from soundalike.library.asking import Question, aspects_of, in_metric, question_of
from soundalike.library.calibration import calibration_of, is_nothing
from soundalike.library.database import writer_lock
from soundalike.library.filters import allowed_ids
from soundalike.library.matrix import Ids, Kind, MatrixFiles
from soundalike.library.ranking import Ranked, rank
from soundalike.library.rows import Rows, View
from soundalike.library.store import Store
from soundalike.library.values import METRICS, Answer, Embedder, Filters, Match, Metric, Query, Space
from soundalike.library.weighing import Weighed, alike_in, parts_of_one, rank_weighed
from soundalike.models.cards import Calibration
from soundalike.types import F64

HEAL_ROWS = 20_000  # with so many sounds missing in the flat files, a reader appends them if nobody writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to search; the fields are explained at `soundalike.library.Library.search`."""

    n: int = 20
    metric: Metric = "cosine"
    filters: Filters = field(default_factory=Filters)
    segments: bool = False
    exact: bool | None = None
    effort: int | None = None
    with_query: bool = False
    weigh: Mapping[str, float] | None = None  # by the names of `weighing.NAMES`, not negative
    offset: int = 0
    with_aspects: bool = False

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"there is no metric {self.metric!r}; metrics: {', '.join(METRICS)}")
        if self.n < 1 or self.offset < 0:
            raise ValueError("n is at least 1, and the offset not negative")
        if self.weigh is not None and (self.segments or self.metric != "cosine" or self.exact is False):
            raise ValueError("aspects are weighed over whole sounds, exactly: leave out segments, metric, approximate")


class Finder:
    """What searching one library needs; follows what other processes write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[tuple[int, Kind], Rows] = {}

    def search(self, query: Query, options: Options, model: Callable[[], Embedder]) -> Answer:
        """Find the sounds nearest to a question."""
        space = current_space(self._store)
        question = question_of(self._store, space, query, model)
        view = self.view(space, "segments" if options.segments else "sounds")
        allowed = allowed_ids(self._store, options.filters) if options.filters else None
        left_out = frozenset() if options.with_query else question.sound_ids
        n, weighed = options.offset + options.n + len(left_out), None
        if options.weigh is None:
            ranked = rank(view, question.vector, n, allowed=allowed, exact=options.exact, effort=options.effort)
        else:
            weighed = self._weighed(query, question, view, n, options.weigh, allowed)
            ranked = weighed.ranked
        shown = np.flatnonzero(~np.isin(ranked.ids, list(left_out)))[options.offset :][: options.n]
        alike = [weighed.alike[i] for i in shown] if weighed else self._alike(query, ranked, shown, options)
        scores = weighed.scores if weighed else in_metric(ranked.scores, question, options.metric)
        columns = (ranked.ids[shown], ranked.rows[shown], ranked.scores[shown], scores[shown])
        n_passed = view.n_sounds if allowed is None else len(allowed)
        best = float(ranked.scores[0]) if len(ranked.scores) else -1.0
        nothing = is_nothing(space.model, len(shown), best, question.words_only)
        calibration = None if nothing else calibration_of(space.model)
        kept = tuple(self._matches(columns, alike, view, question, options, space, calibration))
        return Answer(kept, options.metric, ranked.exact, n_passed, nothing)

    def _weighed(
        self, query: Query, question: Question, view: View, n: int, weigh: Mapping[str, float], allowed: Ids | None
    ) -> Weighed:
        """Rank by aspects."""
        if not measured.are_complete(self._store):
            reason = "its sounds have no aspects yet: run `soundalike sync` while all its folders are there"
            raise LibraryError(self._store.folder, reason)
        weights = parts_of_one(weigh)
        likes = aspects_of(self._store, query)
        if not likes:
            raise ValueError("aspects are weighed against a sound, and the question has none: add one to it")
        aspects = self.view(measured.SPACE, "aspects")
        return rank_weighed(view, aspects, question.vector, likes, weights, n, allowed)

    def view(self, space: Space, kind: Kind) -> View:
        """Give the rows as they are now."""
        rows = self._rows.get((space.id, kind))
        if rows is None:
            last_id = MatrixFiles(self._store, space, kind).state().last_id
            if caches.n_newer(self._store, last_id) > HEAL_ROWS:
                self._heal(space, kind)
            rows = Rows(self._store, space, kind)
            others = {key: old for key, old in self._rows.items() if key[1] != kind}  # not those before a rebuild
            self._rows = {**others, (space.id, kind): rows}  # in one step: other threads search
        return rows.refresh()

    def reopen(self) -> None:
        """Look at the flat files again: they were written."""
        for rows in self._rows.values():
            rows.reopen()

    def _alike(
        self, query: Query, ranked: Ranked, shown: Ids, options: Options
    ) -> Sequence[Mapping[str, float] | None]:
        """How alike some of the sounds are in each aspect, if that is asked for and known."""
        likes = aspects_of(self._store, query) if options.with_aspects else []
        if not likes:
            return [None] * len(shown)
        rows = [measured.row_of(self._store, sound_id) for sound_id in ranked.ids[shown].tolist()]
        return [None if row is None else alike_in(row, likes) for row in rows]

    def _matches(
        self, columns: tuple[Ids, Ids, F64, F64], alike: Sequence[Mapping[str, float] | None], view: View,
        question: Question, options: Options, space: Space, calibration: Calibration | None,
    ) -> Iterator[Match]:  # fmt: skip
        """What is known of the sounds of some ids, rows, cosines and scores."""
        sounds = self._store.sounds(columns[0].tolist())
        words = question.words_only
        numbers = (column.tolist() for column in columns)
        for sound_id, row, cosine, score, aspects in zip(*numbers, alike, strict=True):
            if sound_id in sounds:
                times = self._times(view, space, sound_id, row) if options.segments else (None, None)
                chance = calibration.probability(cosine, text=words) if calibration else None
                yield Match(sounds[sound_id], score, chance, *times, aspects)

    def _times(self, view: View, space: Space, sound_id: int, row: int) -> tuple[float | None, float | None]:
        """Where in a sound a row of the segments is."""
        found = self._store.segments(space, sound_id)
        if found is None:
            return None, None
        number = row - int(np.searchsorted(view.ids, sound_id))
        return float(found[1][number, 0]), float(found[1][number, 1])

    def _heal(self, space: Space, kind: Kind) -> None:
        """Write flat files that were deleted or broken off, if nobody is writing; else do with memory."""
        try:
            with writer_lock(self._store.folder, "search"):
                caches.append(self._store, space, kind)
        except (LibraryError, OSError):
            return


def current_space(store: Store) -> Space:
    """Say which model and pipeline answer.

    Raises
    ------
    LibraryError
        if there is none: the making of the library was broken off
    """
    space = store.space()
    if space is None:
        raise LibraryError(
            store.folder, "there is no library here, or its making was broken off: run `soundalike add`."
        )
    return space
