"""Pitch classes: the chroma filters, and the key that a chroma profile suggests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from soundalike.types import F32, F64

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_C0_HZ = 440.0 / 16  # librosa's origin of octaves: A0
_CENTER_OCTAVE, _OCTAVE_WIDTH = 5.0, 2.0  # frequencies count most around A5, 880 Hz
# Krumhansl & Kessler (1982): how well each pitch class fits a key on C, as listeners rated it.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


@dataclass(frozen=True, slots=True)
class Key:
    """A tonal center and how sure it is."""

    tonic: str  # one of `PITCH_CLASSES`
    mode: Literal["major", "minor"]
    correlation: float  # of the chroma profile with the key's, [-1, 1]
    margin: float  # correlation less that of the next best key: a small one means that it could be either

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"


def chroma_bank(sample_rate: int, n_fft: int) -> F64:
    """Make the filters that fold a power spectrum into twelve pitch classes, C first, tuned to A = 440 Hz.

    Returns
    -------
    (12, n_fft // 2 + 1) float64

    References
    ----------
    Ellis (2007), *Chroma feature analysis and synthesis*; the same as ``librosa.filters.chroma(tuning=0)``.
    """
    frequencies = np.arange(1, n_fft) * (sample_rate / n_fft)
    semitones = 12 * np.log2(frequencies / _C0_HZ)
    semitones = np.concatenate([[semitones[0] - 18], semitones])  # 0 Hz: one and a half octaves below bin 1
    widths = np.concatenate([np.maximum(np.diff(semitones), 1.0), [1.0]])
    distances = np.mod(semitones - np.arange(12)[:, None] + 126, 12) - 6
    bank = np.exp(-0.5 * np.square(2 * distances / widths))
    bank /= np.sqrt(np.square(bank).sum(axis=0))
    bank *= np.exp(-0.5 * np.square((semitones / 12 - _CENTER_OCTAVE) / _OCTAVE_WIDTH))
    from_c: F64 = np.roll(bank, -3, axis=0)[:, : n_fft // 2 + 1]
    return from_c


def estimate_key(profile: F32 | F64) -> Key | None:
    """Key whose profile correlates best with a chroma profile; None for a flat profile.

    Parameters
    ----------
    profile : (12,), mean chroma, C first

    References
    ----------
    Krumhansl (1990), *Cognitive Foundations of Musical Pitch*, the key-finding algorithm with the profiles of
    Krumhansl & Kessler (1982).
    """
    if not float(np.ptp(profile)) > 1e-6:
        return None
    keys = np.array([np.roll(mode, tonic) for mode in (_MAJOR, _MINOR) for tonic in range(12)])
    keys -= keys.mean(axis=1, keepdims=True)
    offsets = profile.astype(np.float64) - profile.mean()
    correlations = keys @ offsets / np.sqrt(np.square(keys).sum(axis=1) * np.square(offsets).sum())
    second, best = np.argsort(correlations, kind="stable")[-2:]
    margin = float(correlations[best] - correlations[second])
    return Key(PITCH_CLASSES[best % 12], "major" if best < 12 else "minor", float(correlations[best]), margin)
