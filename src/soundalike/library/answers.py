"""Questions about a whole library, as methods of `soundalike.Library`; each is answered by a room of its own.

The rooms (classify, clusters, recommend and their neighbors) are pure functions on arrays. Here vectors are fetched,
a room is asked, and rows become sounds again. Rooms are imported where they are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soundalike.errors import LibraryError, ModelError, SoundalikeError, SoundError
from soundalike.library.asking import vector_of
from soundalike.library.calibration import calibration_of
from soundalike.library.finder import current_space
from soundalike.library.store import Store
from soundalike.library.values import Embedder, Filters, Match, Part, Sound
from soundalike.types import F32, Failure

if TYPE_CHECKING:
    from soundalike.classify import Answers as Labelled
    from soundalike.classify import Classifier
    from soundalike.clusters import Clustering, Method, Name
    from soundalike.library.findings import Classification, Clusters, Map, SimilarArtist, Suggestion, Training
    from soundalike.library.matrix import Ids
    from soundalike.map2d import OnProgress

Labels = Mapping[Path, str] | str | Path


class Answers:
    """What `soundalike.Library` answers about many sounds at once."""

    if TYPE_CHECKING:  # what Library has
        path: Path
        _store: Store

        @property
        def model(self) -> Embedder: ...  # noqa: D102
        def ids(self, filters: Filters | None = None) -> Ids: ...  # noqa: D102
        def vectors(self, ids: Ids | None = None) -> tuple[Ids, F32]: ...  # noqa: D102

    # Labels

    def train(self, labels: Labels, *, curve: bool = False, seed: int = 0) -> Training:
        """Learn labels from examples, and test what was learned.

        Parameters
        ----------
        labels : a folder with a folder for each label, a CSV file of path,label, or a label by path; sounds that
            are not in the library are embedded on the way
        curve : also measure accuracy against the number of examples
        seed : of the draws of cross-validation

        Raises
        ------
        SoundalikeError
            if fewer than two labels have a sound that can be used
        """
        from soundalike.classify import cross_validate, learning_curve, train
        from soundalike.library.findings import Training

        wanted = _labels(labels)
        paths, vectors, failures = self._vectors_of(wanted)
        names = [wanted[path] for path in paths]
        if len(set(names)) < 2:
            raise SoundalikeError(f"two labels or more are needed; sounds were found for {len(set(names))}")
        space = current_space(self._store)
        classifier = train(vectors, names, pipeline=space.pipeline, model=space.model)
        points = learning_curve(vectors, names, seed=seed) if curve else []
        report = cross_validate(vectors, names, seed=seed)
        return Training(classifier, report, tuple(points), tuple(paths), tuple(failures))

    def classify(
        self, by: Classifier | Sequence[str], paths: Iterable[str | Path] | None = None, filters: Filters | None = None
    ) -> Classification:
        """Label sounds with a classifier, or with labels in words.

        Parameters
        ----------
        by : a classifier, or labels: "dog barking", "rain", …
        paths : sound files; by default all sounds of the library that pass the filters

        Raises
        ------
        PipelineMismatch
            if the classifier learned from vectors of another pipeline
        ModelError
            if there are labels in words and the model's card has no calibration for them
        """
        from soundalike.library.findings import Classification, Classified

        failures: list[Failure] = []
        if paths is None:
            found, vectors = self._sounds_and_vectors(filters)
            places = [sound.path for sound in found]
        else:
            places, vectors, failures = self._vectors_of([Path(path).expanduser() for path in paths])
        answers = self._label(by, vectors)
        order = np.argsort(-answers.probabilities, axis=1, kind="stable")
        sounds = []
        for path, row, best in zip(places, answers.probabilities, order, strict=True):
            ranking = tuple((answers.labels[i], float(row[i])) for i in best)
            sounds.append(Classified(path, *ranking[0], ranking))
        return Classification(tuple(sounds), tuple(failures))

    def suggest_labels(self, labels: Labels, n: int = 20, filters: Filters | None = None) -> list[Suggestion]:
        """Pick the sounds of the library whose labels would teach a classifier the most.

        Parameters
        ----------
        labels : the examples so far, as for `train`, in the library or not; may be an empty mapping. Those that
            cannot be read are left out
        n : how many
        """
        from soundalike.classify import suggest
        from soundalike.library.findings import Suggestion

        wanted = {path.absolute(): label for path, label in _labels(labels).items()}
        sounds, vectors = self._sounds_and_vectors(filters)
        rest = [row for row, sound in enumerate(sounds) if sound.path not in wanted]
        examples, of_examples, _ = self._vectors_of(wanted)
        names = [*[None] * len(rest), *(wanted[path] for path in examples)]
        found = suggest(np.concatenate([vectors[rest], of_examples]), names, n)
        rows = zip(found.rows.tolist(), found.doubt.tolist(), found.guesses, strict=True)
        return [Suggestion(sounds[rest[row]], doubt, guess) for row, doubt, guess in rows]

    def _label(self, by: Classifier | Sequence[str], vectors: F32) -> Labelled:
        from soundalike.classify import Classifier, label_vectors, zero_shot

        space = current_space(self._store)
        if isinstance(by, Classifier):
            return by.answer(vectors, space.pipeline)
        calibration = calibration_of(space.model)
        if calibration is None:
            raise ModelError(
                f"{space.model}: the card of this model has no calibration for words; train a classifier from examples"
            )
        return zero_shot(vectors, by, label_vectors(by, self.model.embed_text), calibration)

    # Groups

    def clusters(
        self, method: Method = "kmeans", *, k: int | None = None, filters: Filters | None = None, seed: int = 0
    ) -> Clusters:
        """Group the sounds that are alike, and name the groups.

        Parameters
        ----------
        method : "kmeans" puts every sound into a group; "dbscan" and "hdbscan" find dense places and leave the rest out
        k : number of groups for "kmeans"; chosen by silhouette if not given
        filters : which sounds
        seed : of the start of k-means

        Raises
        ------
        ValueError
            if there is no such method, or k does not fit
        """
        from soundalike.clusters import cluster
        from soundalike.library.findings import Clusters, SoundCluster

        sounds, vectors = self._sounds_and_vectors(filters)
        found = cluster(vectors, method, k=k, seed=seed)
        parts = []
        for group, name in zip(found.clusters, self._names(found), strict=True):
            scores = (vectors[group.rows] @ group.center).tolist()
            matches = [Match(sounds[row], score) for row, score in zip(group.rows, scores, strict=True)]
            parts.append(SoundCluster(name.name, name.words, tuple(matches), group.silhouette))
        outliers = tuple(sounds[row] for row in found.outliers)
        return Clusters(tuple(parts), outliers, found.method, found.rule, found.silhouette)

    def _names(self, found: Clustering) -> list[Name]:
        from soundalike.clusters import Name, name_clusters

        if not found.clusters or self.model.card.text is None:
            return [Name(f"cluster {number}", ()) for number in range(1, len(found.clusters) + 1)]
        return name_clusters(found, self.model.embed_text)

    def map(
        self,
        filters: Filters | None = None,
        *,
        fresh: bool = False,
        seed: int = 0,
        on_progress: OnProgress | None = None,
    ) -> Map:
        """Lay the sounds out in the plane, alike near alike; colored by named clusters.

        The layout is kept with the library: sounds that come later are placed among the others, and nobody moves. It is
        made anew if it is asked for, with another seed, or once more than half of the sounds came later.

        Parameters
        ----------
        filters : which sounds are shown; they lie where they lie in the map of all
        fresh : lay out anew
        seed : of the layout
        on_progress : called with how much of a new layout is done, and of how much
        """
        from soundalike.library.maps import current_map, map_path
        from soundalike.map2d import no_progress

        path, ids = map_path(self.path, current_space(self._store).pipeline), self.vectors()[0]
        kept = current_map(
            path, self._store.about("id") or "", ids, lambda some: self.vectors(some)[1], self._names,
            fresh=fresh, seed=seed, on_progress=on_progress or no_progress,
        )  # fmt: skip
        return kept.shown(ids[np.isin(ids, self.ids(filters))] if filters else ids)

    def kept_map(self) -> Map | None:
        """Give the map as `map` has made it, of the sounds that were there then; None if there is none."""
        from soundalike.library.maps import map_path, read_map

        path = map_path(self.path, current_space(self._store).pipeline)
        kept = read_map(path, self._store.about("id") or "")
        return None if kept is None else kept.shown(np.intersect1d(kept.ids, self.ids()))

    # What to play next

    def recommend(
        self, seeds: Iterable[str | Path], n: int = 20, *, diversity: float = 0.3, filters: Filters | None = None
    ) -> list[Match]:
        """Recommend sounds that are like the seeds and unlike each other; never a seed, never one twice.

        Parameters
        ----------
        seeds : sound files, in the library or not; `soundalike.recommend.read_list` reads them from a playlist
        n : how many
        diversity : 0 for the most alike, up to 1 for the most varied
        filters : which sounds may be recommended

        Raises
        ------
        SoundError
            if a seed cannot be embedded
        ValueError
            if there is no seed
        """
        from soundalike.recommend import recommend

        of_seeds, ids = self._seeds(seeds)
        sounds, vectors = self._sounds_and_vectors(filters)
        left_out = np.flatnonzero(np.isin([sound.id for sound in sounds], ids))
        found = recommend(vectors, of_seeds, n, diversity=diversity, left_out=left_out)
        return [Match(sounds[row], score) for row, score in zip(found.rows, found.scores.tolist(), strict=True)]

    def path_between(
        self, start: str | Path, end: str | Path, n: int = 8, filters: Filters | None = None
    ) -> list[Match]:
        """Find sounds that lead from one sound to another in small steps; the ends are not among them.

        Parameters and errors as for `recommend`; the score of each is the cosine with the sound before.
        """
        from soundalike.recommend import path_between

        ends, ids = self._seeds([start, end])
        sounds, vectors = self._sounds_and_vectors(filters)
        left_out = np.flatnonzero(np.isin([sound.id for sound in sounds], ids))
        found = path_between(vectors, ends[0], ends[1], n, left_out=left_out)
        return [Match(sounds[row], score) for row, score in zip(found.rows, found.scores.tolist(), strict=True)]

    def similar_artists(self, name: str, n: int = 10, filters: Filters | None = None) -> list[SimilarArtist]:
        """Find artists whose sounds are like those of one, by the sounds' tags.

        Parameters
        ----------
        name : as in the tag ``artist``, in any letter case

        Raises
        ------
        LibraryError
            if no sound has that artist
        """
        from soundalike.library.findings import SimilarArtist
        from soundalike.recommend import similar_groups

        sounds, vectors = self._sounds_and_vectors(filters)
        artists = [sound.tags.get("artist") for sound in sounds]
        try:
            found = similar_groups(vectors, artists, name, n)
        except ValueError as error:
            raise LibraryError(self.path, str(error)) from error
        return [SimilarArtist(one.name, one.score, tuple(sounds[row] for row in one.rows)) for one in found]

    def _seeds(self, seeds: Iterable[str | Path]) -> tuple[F32, list[int]]:
        """Vectors ``(n, dim)`` of the seeds, and the ids of those that are in the library."""
        space, vectors, ids = current_space(self._store), [], []
        for seed in seeds:
            vector, sound_id = vector_of(self._store, space, Part(Path(seed).expanduser()), lambda: self.model)
            vectors.append(vector)
            ids += [] if sound_id is None else [sound_id]
        return np.array(vectors, np.float32).reshape(-1, space.dim), ids

    # Vectors

    def _sounds_and_vectors(self, filters: Filters | None = None) -> tuple[list[Sound], F32]:
        """Sounds that pass, and their vectors ``(n, dim)``, in the order they came."""
        ids, vectors = self.vectors(self.ids(filters) if filters else None)
        known = self._store.sounds(ids.tolist())
        rows = [row for row, sound_id in enumerate(ids.tolist()) if sound_id in known]
        return [known[int(ids[row])] for row in rows], vectors[rows]

    def _vectors_of(self, paths: Iterable[Path]) -> tuple[list[Path], F32, list[Failure]]:
        """Vectors ``(n, dim)`` of files: stored where the library has them unchanged, else embedded now."""
        space = current_space(self._store)
        kept, vectors, failures = [], [np.zeros((0, space.dim), np.float32)], []
        for path in paths:
            try:
                vector, _ = vector_of(self._store, space, Part(path), lambda: self.model)
            except SoundError as error:
                failures.append(Failure.of(path, error))
                continue
            kept.append(path)
            vectors.append(vector[None])
        return kept, np.concatenate(vectors), failures


def _labels(labels: Labels) -> Mapping[Path, str]:
    from soundalike.classify import read_labels

    return read_labels(labels) if isinstance(labels, str | Path) else labels
