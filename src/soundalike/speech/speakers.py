"""Whether voices are one speaker's: the cosine of speaker vectors, and the score from which on their makers say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from soundalike.embed import Model, load_model
from soundalike.errors import ModelError
from soundalike.types import F32, Embedding, Failure

SPEAKER_MODEL = "wavlm-base-plus-sv"


@dataclass(frozen=True, slots=True, eq=False)
class Voices:
    """How alike the voices in some sounds are."""

    paths: tuple[Path, ...]  # of the sounds that have a vector
    scores: F32 = field(repr=False)  # (n, n), cosine similarity
    speakers: tuple[int, ...]  # a number for each sound, from 1: in a group, every two are the same speaker
    same_speaker: float  # score from which on two voices count as one
    model: str
    failures: tuple[Failure, ...]

    def same(self, a: int, b: int) -> bool:
        """Whether two sounds, by number, count as one speaker."""
        return bool(self.scores[a, b] >= self.same_speaker)


def compare_voices(
    paths: Sequence[str | Path], model: str | Model = SPEAKER_MODEL, *, same_speaker: float | None = None
) -> Voices:
    """Compare the voices in sounds, each with each.

    Parameters
    ----------
    paths : each with one speaker
    model : a speaker model, by name, or loaded by `soundalike.load_model`
    same_speaker : score in place of the one that the model's makers publish

    Raises
    ------
    ModelError
        if the model is not made for voices, or is not there
    """
    model = load_model(model) if isinstance(model, str) else model
    if model.card.same_speaker is None:
        raise ModelError(f"{model.card.name} does not tell speakers apart. One that does: {SPEAKER_MODEL}")
    threshold = model.card.same_speaker if same_speaker is None else same_speaker
    results = {result.path: result for result in model.embed_files(dict.fromkeys(map(Path, paths)))}
    ordered = [results[Path(path)] for path in paths]
    voices = [result for result in ordered if isinstance(result, Embedding)]
    vectors = np.array([voice.vector for voice in voices], np.float32).reshape(len(voices), model.card.dim)
    scores = np.clip(vectors @ vectors.T, -1, 1)
    return Voices(
        tuple(voice.path for voice in voices), scores, _group(scores, threshold), threshold, model.card.name,
        tuple(result for result in ordered if isinstance(result, Failure)),
    )  # fmt: skip


def _group(scores: F32, threshold: float) -> tuple[int, ...]:
    """Number groups in which every two score at least ``threshold``, the closest joined first; by first member."""
    if len(scores) < 2:
        return (1,) * len(scores)
    from scipy.cluster.hierarchy import fcluster, linkage

    above = np.triu_indices(len(scores), 1)
    tree = linkage(1 - scores[above].astype(np.float64), "complete")
    labels = fcluster(tree, 1 - np.float64(np.float32(threshold)), "distance")
    numbers: dict[int, int] = {}
    return tuple(numbers.setdefault(int(label), len(numbers) + 1) for label in labels)
