"""What the questions about a whole library are answered with: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soundalike.classify import Classifier, CurvePoint, Report
from soundalike.clusters import Method
from soundalike.library.values import Match, Sound
from soundalike.types import F32, Failure


@dataclass(frozen=True, slots=True)
class Classified:
    """A sound with its label."""

    path: Path
    label: str  # the most probable; `soundalike.classify.NONE` where none fits
    probability: float
    ranking: tuple[tuple[str, float], ...]  # every label with its probability, the most probable first


@dataclass(frozen=True, slots=True)
class Classification:
    """Labels for sounds."""

    sounds: tuple[Classified, ...]
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Training:
    """A classifier, and how good it is."""

    classifier: Classifier
    report: Report | None  # None: too few examples to hold any out
    curve: tuple[CurvePoint, ...]
    paths: tuple[Path, ...]  # of the examples, in the order of the rows in ``report.mistakes``
    failures: tuple[Failure, ...]  # examples that could not be used


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A sound that is worth a label."""

    sound: Sound
    doubt: float  # 0 sure, 1 as unsure as can be
    guess: str | None


@dataclass(frozen=True, slots=True)
class SimilarArtist:
    """An artist who is like the one asked for."""

    name: str
    score: float  # cosine of both artists' mean vectors, the mean of all taken off before
    sounds: tuple[Sound, ...]  # the most like the one asked for first


@dataclass(frozen=True, slots=True)
class SoundCluster:
    """Sounds that belong together."""

    name: str
    words: tuple[str, ...]  # that fit it best; none if the model has no text tower
    matches: tuple[Match, ...]  # the nearest to the center first, with their cosine: the first few are exemplars
    silhouette: float


@dataclass(frozen=True, slots=True)
class Clusters:
    """Groups of sounds, the biggest first."""

    clusters: tuple[SoundCluster, ...]
    outliers: tuple[Sound, ...]  # in no cluster; with k-means: unusually far from their center
    method: Method
    rule: str  # the setting that was used, and where it comes from
    silhouette: float


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """Sounds in the plane: alike lies near alike."""

    ids: npt.NDArray[np.int64]  # (n,), ascending
    x: F32  # (n,); the unit means nothing
    y: F32  # (n,), upwards
    cluster: npt.NDArray[np.int64]  # (n,): number in ``names``
    names: tuple[str, ...]  # of the clusters, the biggest first
