"""Whether the fine texture of two sounds agrees, once pitch and tempo are taken back.

Two notes of one instrument have envelopes alike; what they do not share is how the partials beat and where the grains
of noise lie. So spectra are compared bin by bin (16 Hz) and frame by frame (8 ms), each beside its neighbors in
frequency and beside its own line over a fifth of a second. Filters and coding leave that as it is, and a phase vocoder
(Laroche and Dolson, 1999), which keeps the magnitudes of its frames and moves them, leaves most of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from scipy import fft, ndimage

from soundalike.duplicates.prints import RATE
from soundalike.types import F32

N_FFT, HOP = 1024, 128
_BINS = slice(4, round(7000 / RATE * N_FFT))
_NEIGHBORS = 15  # bins that each is seen beside
_CHUNK = 24  # frames
_LEAST_FRAMES = 4
_SLACK = 6  # frames: a vocoder holds onsets where they were, and drifts between them
_FLOOR = 1e-3  # of the strongest bin


@dataclass(frozen=True, slots=True)
class Texture:
    """How far the fine structure of two sounds agrees."""

    mean: float  # correlation, over all chunks
    least: float  # of the second weakest chunk
    by_chance: float  # the mean with the chunks of one at wrong places
    n_chunks: int


def texture(first: F32, second: F32, semitones: float, speed: float, lag_s: float) -> Texture | None:
    """Compare two sounds.

    Parameters
    ----------
    first, second : (n,) samples at `RATE`
    semitones : how much higher the second is
    speed : how much faster it is
    lag_s : where it begins, on the clock of the first

    Returns
    -------
    None if too little overlaps
    """
    ratio = 2 ** (semitones / 12)
    if semitones:
        second = soxr.resample(second, RATE, RATE * ratio, "MQ")
    one, other = _details(first, HOP), _details(second, HOP * ratio / speed)
    at, far = round(lag_s * RATE / HOP), []
    found = []
    for start in range(0, len(other) - _LEAST_FRAMES + 1, _CHUNK):
        chunk = other[start : start + _CHUNK]
        found.append(_best(one, chunk, start + at))
        far += [_best(one, chunk, start + at + off) for off in (-4 * _SLACK, 4 * _SLACK)]
    kept = sorted(score for score in found if score is not None)
    if not kept:
        return None
    chance = [score for score in far if score is not None]
    return Texture(
        float(np.mean(kept)), kept[min(1, len(kept) - 1)], float(np.mean(chance)) if chance else 0.0, len(kept)
    )


def _details(samples: F32, hop: float) -> F32:
    """Log-magnitudes ``(n_frames, n_bins)``, each beside its neighbors, at frames so many samples apart."""
    n_frames = int(len(samples) / hop) + 1
    padded = np.pad(samples, (N_FFT // 2, N_FFT))
    starts = np.minimum(np.round(np.arange(n_frames) * hop).astype(np.int64), len(padded) - N_FFT)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[starts]
    sizes = np.abs(fft.rfft(frames * np.hanning(N_FFT).astype(np.float32), axis=1))
    levels = np.log(sizes + sizes.max() * np.float32(_FLOOR) + np.float32(1e-12))
    details: F32 = (levels - ndimage.uniform_filter1d(levels, _NEIGHBORS, axis=1, mode="nearest"))[:, _BINS]
    return details


def _best(one: F32, chunk: F32, at: int) -> float | None:
    """Correlation of a chunk with what lies near a place, at the best of a few lags."""
    scores = []
    for start in range(at - _SLACK, at + _SLACK + 1):
        here = one[max(start, 0) : max(start + len(chunk), 0)]
        there = chunk[max(-start, 0) :][: len(here)]
        if len(there) >= _LEAST_FRAMES:
            here, there = _without_slope(here), _without_slope(there)
            energy = float(np.vdot(here, here)) * float(np.vdot(there, there))
            scores.append(float(np.vdot(here, there)) / max(energy, 1e-12) ** 0.5)
    return max(scores, default=None)


def _without_slope(details: F32) -> F32:
    """Take from every bin its mean and its slope over time: any two notes die away."""
    n = len(details)
    time = np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2)
    slopes = time @ details / np.float32(time @ time)
    left: F32 = details - details.mean(0) - time[:, None] * slopes
    return left
