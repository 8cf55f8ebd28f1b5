"""The classifier that learns from the labels on the page."""

from __future__ import annotations

import numpy as np
from fastapi import HTTPException

from soundalike.classify import Classifier, train
from soundalike.library import Sound
from soundalike.library.findings import Suggestion
from soundalike.web.desk import Desk


def classifier_of(desk: Desk) -> Classifier:
    """Learn from the examples, if anything has changed since; the request fails if they are too few."""
    status = (desk.marks.version, desk.library.version())
    found = desk.while_same("classifier", status, lambda: _learned(desk))
    if found is None:
        raise HTTPException(409, "two labels with an example each are needed")
    return found


def _learned(desk: Desk) -> Classifier | None:
    label_of = {sound_id: name for name, ids in desk.marks.labels().items() for sound_id in ids}
    ids, vectors = desk.library.vectors(np.array(sorted(label_of), np.int64))
    names = [label_of[sound_id] for sound_id in ids.tolist()]
    if len(set(names)) < 2:
        return None
    now = desk.library.status()
    return train(vectors, names, pipeline=now.pipeline, model=now.model)


def predictions_of(desk: Desk, label: str | None, n: int) -> list[tuple[Sound, str, float]]:
    """Sounds that are not examples, with their most probable label; those it is surest of first.

    Parameters
    ----------
    label : only those of this label
    """
    learned = classifier_of(desk)
    if label is not None and label not in learned.labels:
        raise HTTPException(404, f"the classifier knows no label {label!r}: give it an example")
    ids, vectors = desk.library.vectors()
    answers = learned.answer(vectors, learned.pipeline)
    likely = answers.probabilities.argmax(axis=1)
    sure = answers.probabilities.max(axis=1)
    examples = [sound_id for marked in desk.marks.labels().values() for sound_id in marked]
    wanted = ~np.isin(ids, examples)
    if label is not None:
        wanted &= likely == learned.labels.index(label)
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(-sure[rows], kind="stable")][:n]
    found = ((desk.library.sound(int(ids[row])), learned.labels[likely[row]], float(sure[row])) for row in rows)
    return [(sound, name, chance) for sound, name, chance in found if sound is not None]


def suggestions_of(desk: Desk, n: int) -> list[Suggestion]:
    """Sounds whose labels would teach the most."""
    marked = desk.marks.labels()
    paths = desk.library.paths(np.array([one for ids in marked.values() for one in ids], np.int64))
    labels = {paths[sound_id]: name for name, ids in marked.items() for sound_id in ids if sound_id in paths}
    return desk.library.suggest_labels(labels, n)
