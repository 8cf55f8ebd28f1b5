"""How alike two sounds are, aspect by aspect: the distances and what they mean.

How fast a similarity falls is a choice, in steps that an ear would call clearly different: see `SCALES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from soundalike.aspects.measuring import LAYOUT, Aspects, checked_rows
from soundalike.types import F32

ASPECTS = ("pitch", "noisiness", "timbre", "brightness", "rhythm", "loudness", "length")
SCALES = {  # a difference of this size brings a similarity, or its part, down to 1/e = 0.37
    "f0": 1.5 / 12,  # octaves: 1.5 semitones
    "flatness": 10.0,  # dB
    "aperiodicity": 0.25,
    "brightness": 0.5,  # octaves
    "tempo": 0.05,  # octaves: 3.5 %
    "rate": 1.0,  # octaves of onsets per second
    "loudness": 9.0,  # LU
    "dynamics": 12.0,  # dB of crest or of range
    "length": 1.0,  # octaves: half or double
    "timbre": 1.0,  # of the distance in units of `_MFCC_SPREAD`
}
VOICED_ENOUGH = 0.5  # part of a sound with a pitch from which its pitch counts in full
CLEAR_PULSE = 0.4  # from which a tempo counts in full
_OCTAVE_PITCH, _OCTAVE_TEMPO = 0.5, 0.6  # a right pitch or tempo in the wrong octave counts so much
_MFCC = slice(LAYOUT["mfcc_mean"].start, LAYOUT["mfcc_spread"].stop)
_ROWS_AT_ONCE = 2048  # stay in the cache
# Standard deviations of mean MFCC 1 to 12, then of their spreads 1 to 6, over unlike sounds (ESC-10).
_MFCC_SPREAD = np.array(
    [54.9, 44.0, 29.8, 20.8, 17.8, 16.2, 13.6, 12.8, 11.9, 12.2, 10.1, 9.1, 13.2, 11.3, 6.6, 5.7, 5.3, 4.7],
    np.float32,
)


def similarity(a: Aspects, b: Aspects) -> dict[str, float]:
    """How alike two sounds are, per aspect of `ASPECTS`, [0, 1]."""
    scores = similarities(a.to_array(), b.to_array()[None])[0]
    return dict(zip(ASPECTS, scores.tolist(), strict=True))


def similarities(query: npt.ArrayLike, rows: npt.ArrayLike, aspects: Sequence[str] = ASPECTS) -> F32:
    """How alike a sound is to many, per aspect.

    Parameters
    ----------
    query : (`SIZE`,), as `Aspects.to_array` gives it
    rows : (n, `SIZE`)
    aspects : those that are wanted

    Returns
    -------
    (n, n_aspects) in [0, 1], columns in the order of ``aspects``

    Raises
    ------
    ValueError
        for rows of another length or version
    """
    one = _Columns(checked_rows(np.asarray(query, np.float32)[None]))
    many = checked_rows(np.asarray(rows, np.float32))
    out = np.empty((len(many), len(aspects)), np.float32)
    for start in range(0, len(many), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        columns = _Columns(many[part])
        for number, aspect in enumerate(aspects):
            out[part, number] = _SIMILARITIES[aspect](one, columns)
    return out


def weigh(scores: F32, weights: Mapping[str, float]) -> F32:
    """Weighed mean of similarities, (n,).

    Parameters
    ----------
    scores : (n, n_aspects), from `similarities`
    weights : per name of `ASPECTS`, not negative, not all 0; names left out weigh 0
    """
    known = checked_weights(weights)
    out: F32 = np.einsum("na,a->n", scores, np.array([known.get(name, 0.0) for name in ASPECTS], np.float32))
    return out


def checked_weights(weights: Mapping[str, float], names: Sequence[str] = ASPECTS) -> dict[str, float]:
    """Weights as parts of 1, those of 0 left out.

    Raises
    ------
    ValueError
        if a weight is negative or of no known name, or all are 0
    """
    values = np.array(list(weights.values()), np.float64)
    if unknown := sorted(set(weights) - set(names)):
        raise ValueError(f"there is no aspect {unknown[0]!r}; aspects: {', '.join(names)}")
    if not np.isfinite(values).all() or (values < 0).any() or not values.any():
        given = ", ".join(f"{name}={value:g}" for name, value in weights.items())
        raise ValueError(f"weights of aspects are positive numbers, or 0 but not all of them; got {given or 'none'}")
    return {name: value / float(values.sum()) for name, value in weights.items() if value}


class _Columns:
    """Rows by the names of their fields: (n,) for a number, (n, size) for more."""

    def __init__(self, rows: F32) -> None:
        self._rows = rows

    def __getitem__(self, name: str) -> F32:
        part = self._rows[:, _MFCC if name == "mfcc" else LAYOUT[name]]
        return part if part.shape[1] > 1 else part[:, 0]


def _near(difference: npt.NDArray[np.floating], scale: str) -> F32:
    """1 for no difference, falling to 1/e at the scale's difference."""
    out: F32 = np.exp(-np.abs(difference) / np.float32(SCALES[scale]))
    return out


def _octaves_apart(difference: F32, scale: str, other_octave: float) -> F32:
    """Nearness of two logarithms; the same in another octave counts ``other_octave``."""
    folded = difference - np.round(difference)
    out: F32 = np.maximum(_near(difference, scale), other_octave * _near(folded, scale))
    return out


def _where_both(a: F32, b: F32, near: F32, neither: F32 | float) -> F32:
    """``near`` so far as both have something (0 not, 1 and above surely), ``neither`` so far as neither has."""
    both = np.minimum(np.minimum(a, b), np.float32(1))
    none = np.float32(1) - np.minimum(np.maximum(a, b), np.float32(1))
    out: F32 = both * near + none * neither
    return out


def _pitch(a: _Columns, b: _Columns) -> F32:
    """Half the pitch itself, half the pitch classes that sound; these alone where neither has a pitch."""
    near = _octaves_apart(a["f0"] - b["f0"], "f0", _OCTAVE_PITCH)
    flat = [columns["chroma"] - columns["chroma"].mean(axis=1, keepdims=True) for columns in (a, b)]
    norms = [np.maximum(np.sqrt(np.square(part).sum(axis=1)), 1e-6) for part in flat]
    classes = np.clip((flat[0] * flat[1]).sum(axis=1) / (norms[0] * norms[1]), 0, 1)
    agreed = _where_both(a["voiced"] / VOICED_ENOUGH, b["voiced"] / VOICED_ENOUGH, near, classes)
    out: F32 = (agreed + classes) / 2
    return out


def _noisiness(a: _Columns, b: _Columns) -> F32:
    """Flatness and aperiodicity, together."""
    flatness = (a["flatness"] - b["flatness"]) / SCALES["flatness"]
    aperiodicity = (a["aperiodicity"] - b["aperiodicity"]) / SCALES["aperiodicity"]
    out: F32 = np.exp(-np.sqrt((np.square(flatness) + np.square(aperiodicity)) / 2))
    return out


def _timbre(a: _Columns, b: _Columns) -> F32:
    """Distance of the cepstra, coefficient by coefficient in units of its usual spread."""
    distance = np.square((a["mfcc"] - b["mfcc"]) / _MFCC_SPREAD).mean(axis=1)
    out: F32 = np.exp(-np.sqrt(distance) / np.float32(SCALES["timbre"]))
    return out


def _brightness(a: _Columns, b: _Columns) -> F32:
    """Centroid and rolloff, together."""
    octaves = np.abs(a["centroid"] - b["centroid"]) + np.abs(a["rolloff"] - b["rolloff"])
    return _near(octaves / 2, "brightness")


def _rhythm(a: _Columns, b: _Columns) -> F32:
    """Tempo where both have a pulse (or neither), and onsets per second."""
    near = _octaves_apart(a["tempo"] - b["tempo"], "tempo", _OCTAVE_TEMPO)
    agreed = _where_both(a["pulse"] / CLEAR_PULSE, b["pulse"] / CLEAR_PULSE, near, 1.0)
    out: F32 = 0.6 * agreed + 0.4 * _near(a["onset_rate"] - b["onset_rate"], "rate")
    return out


def _loudness(a: _Columns, b: _Columns) -> F32:
    """Integrated loudness first, then crest and range."""
    dynamics = _near(a["crest"] - b["crest"], "dynamics") * _near(a["range"] - b["range"], "dynamics")
    out: F32 = _near(a["loudness"] - b["loudness"], "loudness") * np.sqrt(dynamics)
    return out


def _length(a: _Columns, b: _Columns) -> F32:
    """Ratio of the lengths."""
    return _near(a["length"] - b["length"], "length")


_SIMILARITIES = dict(
    zip(ASPECTS, (_pitch, _noisiness, _timbre, _brightness, _rhythm, _loudness, _length), strict=True)
)
