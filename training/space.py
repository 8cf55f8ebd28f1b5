"""The joint space: where sounds lie, and where each AudioSet class points.

    python training/space.py TEACHER.pt CLIPS HEARD SPACE.npz

Sounds. Pooled features and hidden layer of the teacher, centred by the corpus mean, each scaled to a share of the variance,
rotated to their 512 principal directions and mildly whitened. Mild whitening keeps the geometry that makes
neighbours sound alike and takes a little weight from the few directions that dominate everything.

Classes. Under a Gaussian model the mean of the sounds that a class fires on lies along the covariance of its logit with the
sound vectors; the direction that tells them from all other sounds is that pattern behind the inverse of the regularised
covariance (linear discriminant analysis). No clip needs a label: the teacher's logits over the corpus are enough.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from networks import load_teacher
from teacher import Clips, load_heard

F32 = np.ndarray


@dataclass(frozen=True, slots=True)
class Config:
    """Every knob; chosen on ESC-10 retrieval and on class words of the corpus (see the model card)."""

    dim: int = 512
    hidden_share: float = 0.6  # standard deviation of the hidden layer beside that of the pooled features, 1
    whiten: float = 0.15  # power of the variance that each direction is divided by
    whiten_floor: float = 0.01  # of the mean variance
    ridge: float = 0.3  # of the mean variance, for the classes' directions


def fit_sounds(pooled: F32, hidden: F32, config: Config) -> tuple[F32, F32]:
    """Matrix (896, dim) and mean (896,) that take features into the space."""
    features = np.concatenate([pooled, hidden], 1)
    mean = features.mean(0)
    scale = np.concatenate([
        np.full(pooled.shape[1], 1 / np.sqrt(pooled.var(0).sum())),
        np.full(hidden.shape[1], config.hidden_share / np.sqrt(hidden.var(0).sum())),
    ])
    centred = (features - mean) * scale
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    variance, axes = np.maximum(variance[::-1][: config.dim], 0), axes[:, ::-1][:, : config.dim]
    weight = (variance + config.whiten_floor * variance.mean()) ** -config.whiten
    return scale[:, None] * axes * weight, mean


def fit_classes(vectors: F32, logits: F32, config: Config) -> F32:
    """Unit direction of each class (527, dim) among the unit vectors (n, dim) of the corpus."""
    z = (logits - logits.mean(0)) / logits.std(0)
    patterns = unit_rows(z.T @ (vectors - vectors.mean(0)) / len(vectors))
    covariance = vectors.T @ vectors / len(vectors)
    ridge = config.ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return unit_rows(np.linalg.solve(covariance + ridge, patterns.T).T)


def unit_rows(rows: F32) -> F32:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("teacher", "clips", "heard", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    config, heard = Config(), load_heard(Clips(args.clips), args.heard)
    matrix, mean = fit_sounds(heard["pooled"], heard["hidden"], config)
    features = np.concatenate([heard["pooled"], heard["hidden"]], 1)
    vectors = unit_rows((features - mean) @ matrix)
    head = load_teacher(args.teacher).classifier[5]
    logits = heard["hidden"] @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    classes = fit_classes(vectors, logits, config)
    np.savez(args.out, matrix=matrix, mean=mean, classes=classes, config=str(asdict(config)), n_clips=len(vectors))
    print(f"space of {len(vectors)} clips: {args.out}")


if __name__ == "__main__":
    main()
