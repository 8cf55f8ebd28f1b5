"""Labels by their names alone: each label's words are compared with the sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from soundalike.classify.classifier import Answers, softmax
from soundalike.models.cards import Calibration
from soundalike.types import F32

NONE = "none of these"
PROMPTS = ("{}", "the sound of {}", "{} sound effect", "a recording of {}")


def label_vectors(labels: Sequence[str], embed_text: Callable[[list[str]], F32]) -> F32:
    """Give one vector for each label ``(n, dim)``: the mean over `PROMPTS`, scaled to length 1.

    Parameters
    ----------
    embed_text : a model's text tower: lines to vectors
    """
    if not labels or not all(label.strip() for label in labels):
        raise ValueError("labels are words, at least one")
    if len(set(labels)) != len(labels):
        raise ValueError("a label is given twice")
    lines = [prompt.format(label) for label in labels for prompt in PROMPTS]
    mean = embed_text(lines).reshape(len(labels), len(PROMPTS), -1).mean(axis=1, dtype=np.float64)
    return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)


def zero_shot(vectors: F32, labels: Sequence[str], of_labels: F32, calibration: Calibration) -> Answers:
    """Say how probable each label is, and that it is none of these.

    The card's calibration turns a cosine into the odds that words fit a sound, in a draw where half of the pairs fit.
    With every label and "none of these" equally likely beforehand, Bayes' rule makes probabilities of these odds.

    Parameters
    ----------
    vectors : (n, dim), unit norm
    labels : their names
    of_labels : (n_labels, dim), from `label_vectors`
    calibration : of the model's card

    Returns
    -------
    Probabilities of the labels and, last, of `NONE`
    """
    scores = vectors.astype(np.float64) @ of_labels.T.astype(np.float64)
    log_odds = calibration.text_slope * scores + calibration.text_offset
    nothing = np.zeros((len(vectors), 1))
    return Answers((*labels, NONE), softmax(np.concatenate([log_odds, nothing], axis=1)))
