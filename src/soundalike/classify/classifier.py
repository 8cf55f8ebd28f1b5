"""A classifier: logistic regression on vectors, in a file of plain JSON that names its pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson

from soundalike.errors import ModelError, PipelineMismatch
from soundalike.export import atomic
from soundalike.readable import why
from soundalike.types import F32, F64

FORMAT, VERSION = "soundalike classifier", 1
STRENGTH = 10.0  # inverse of the regularization; the best of 1, 3, 10, … 300 on clips of the training corpus


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a classifier says of some sounds."""

    labels: tuple[str, ...]
    probabilities: F64  # (n, n_labels)

    @property
    def names(self) -> list[str]:
        """The most probable label of each sound."""
        return [self.labels[i] for i in self.probabilities.argmax(axis=1)]

    @property
    def sureness(self) -> F64:
        """Probability ``(n,)`` of that label."""
        best: F64 = self.probabilities.max(axis=1)
        return best


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """Labels learned from examples; `train` makes one."""

    labels: tuple[str, ...]
    weights: F32 = field(repr=False)  # (n_labels, dim)
    offsets: F32 = field(repr=False)  # (n_labels,)
    pipeline: str
    model: str
    n_examples: int

    def answer(self, vectors: F32, pipeline: str) -> Answers:
        """Say how probable each label is for each vector.

        Parameters
        ----------
        vectors : (n, dim), unit norm
        pipeline : that made the vectors

        Raises
        ------
        PipelineMismatch
            if it is not the one of the vectors that this classifier learned from
        """
        if pipeline != self.pipeline:
            what = f"this classifier of {len(self.labels)} labels (model {self.model})"
            raise PipelineMismatch(what, pipeline, self.pipeline)
        if vectors.ndim != 2 or vectors.shape[1] != self.weights.shape[1]:
            raise ValueError(f"vectors are (n, {self.weights.shape[1]}), not {vectors.shape}")
        logits = vectors.astype(np.float64) @ self.weights.T.astype(np.float64) + self.offsets
        return Answers(self.labels, softmax(logits))

    def to_json(self) -> bytes:
        """Give the content of the file that `save` writes."""
        record = {
            "format": FORMAT, "version": VERSION, "model": self.model, "pipeline": self.pipeline,
            "n_examples": self.n_examples, "labels": self.labels, "offsets": self.offsets, "weights": self.weights,
        }  # fmt: skip
        return orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY)

    def save(self, path: str | Path) -> Path:
        """Write it as JSON: plain numbers, the same answers after `load`."""
        with atomic(Path(path)) as file:
            file.write(self.to_json())
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a classifier.

        Raises
        ------
        ModelError
            if the file is not there, is something else, is damaged, or a newer version has written it
        """
        try:
            record = orjson.loads(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: no classifier can be read here ({why(error)})") from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise ModelError(f"{path}: this is not a classifier; `soundalike train` makes one")
        if record.get("version") != VERSION:
            raise ModelError(f"{path}: a classifier of version {record.get('version')}: update soundalike to read it")
        try:
            return cls(**_checked(record))
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise ModelError(f"{path}: this classifier is damaged ({error}): train it again") from error


def _checked(record: dict[str, Any]) -> dict[str, Any]:
    labels = tuple(record["labels"])
    weights, offsets = np.asarray(record["weights"], np.float32), np.asarray(record["offsets"], np.float32)
    texts = (*labels, record["model"], record["pipeline"])
    if not all(isinstance(text, str) for text in texts) or len(set(labels)) != len(labels) or len(labels) < 2:
        raise ValueError("labels, model and pipeline are texts")
    if weights.ndim != 2 or len(weights) != len(labels) or offsets.shape != (len(labels),) or not weights.size:
        raise ValueError(f"{len(labels)} labels, but numbers for {weights.shape}")
    if not (np.isfinite(weights).all() and np.isfinite(offsets).all()):
        raise ValueError("numbers that are not finite")
    about = {"pipeline": record["pipeline"], "model": record["model"], "n_examples": int(record["n_examples"])}
    return {"labels": labels, "weights": weights, "offsets": offsets, **about}


def train(vectors: F32, labels: Sequence[str], *, pipeline: str, model: str = "") -> Classifier:
    """Learn labels from examples: logistic regression in which every label weighs the same.

    The same examples in the same order give the same classifier, bit for bit on one machine.

    Parameters
    ----------
    vectors : (n, dim), unit norm
    labels : n of them, two kinds or more
    pipeline, model : that made the vectors

    Raises
    ------
    ValueError
        if there is only one label, or shapes do not fit
    """
    from sklearn.linear_model import LogisticRegression

    if vectors.ndim != 2 or len(vectors) != len(labels):
        raise ValueError(f"{len(labels)} labels for vectors of shape {vectors.shape}")
    texts = np.array(labels, dtype=object).astype(str)
    names = np.unique(texts)
    if len(names) < 2:
        raise ValueError(f"a classifier needs two labels or more; here is {len(names)}: {', '.join(names)}")
    center = vectors.mean(axis=0, dtype=np.float64)
    fitted = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=500, tol=1e-3)
    fitted.fit(vectors - center, texts)
    weights, offsets = fitted.coef_, fitted.intercept_ - fitted.coef_ @ center
    if len(names) == 2:  # one row stands for both
        weights, offsets = np.concatenate([-weights, weights]) / 2, np.concatenate([-offsets, offsets]) / 2
    weights, offsets = np.ascontiguousarray(weights, np.float32), offsets.astype(np.float32)
    return Classifier(tuple(names.tolist()), weights, offsets, pipeline, model, len(labels))


def softmax(logits: F64) -> F64:
    """Probabilities that sum to one in each row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: F64 = powers / powers.sum(axis=1, keepdims=True)
    return shares
