"""Whether the fine texture of two sounds agrees, once pitch and tempo are taken back.

Two notes of one instrument have envelopes alike; what they do not share is how the partials beat and where the grains
of noise lie. So spectra are compared bin by bin (16 Hz) and frame by frame (8 ms), each beside its neighbors in
frequency and beside its own line over a fifth of a second. Filters and coding leave that as it is, and a phase vocoder
(Laroche and Dolson, 1999), which keeps the magnitudes of its frames and moves them, leaves most of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from soundalike import audio
from soundalike.duplicates.prints import N_FFT, RATE, window
from soundalike.types import F32

HOP = 128
_BINS = slice(4, round(7000 / RATE * N_FFT))
_NEIGHBORS = 15  # bins that each is seen beside
_CHUNK, _LEAST_CHUNK = 24, 4  # frames
_SLACK = 6  # frames: a vocoder holds onsets where they were, and drifts between them
_FAR = 24  # frames: where nothing fits but by chance
_FLOOR = 1e-3  # of the strongest bin


@dataclass(frozen=True, slots=True)
class Texture:
    """How far the fine structure of two sounds agrees."""

    mean: float  # correlation, over all chunks
    least: float  # of the second weakest chunk
    by_chance: float  # the mean with the chunks of one at wrong places
    n_chunks: int


def details(samples: F32, semitones: float = 0.0, speed: float = 1.0) -> F32:
    """Log-magnitudes, each beside its neighbors in frequency.

    Parameters
    ----------
    samples : (n,) at `RATE`
    semitones, speed : how much higher and faster the sound is than it shall be seen

    Returns
    -------
    (n_frames, n_bins), `HOP` samples of what it shall be from frame to frame
    """
    ratio = 2 ** (semitones / 12)
    if semitones:
        samples = audio.resample(samples, RATE, round(RATE * ratio))
    hop = HOP * ratio / speed
    n_frames = int(len(samples) / hop) + 1
    padded = np.pad(samples, (N_FFT // 2, N_FFT))
    starts = np.minimum(np.round(np.arange(n_frames) * hop).astype(np.int64), len(padded) - N_FFT)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[starts]
    sizes = np.abs(fft.rfft(frames * window(), axis=1))
    levels = np.log(sizes + sizes.max() * np.float32(_FLOOR) + np.float32(1e-12))
    flat: F32 = (levels - ndimage.uniform_filter1d(levels, _NEIGHBORS, axis=1, mode="nearest"))[:, _BINS]
    return flat


def agreement(one: F32, other: F32, lag_s: float) -> list[float]:
    """Correlate each chunk of the second of two `details` with the first, at the best of a few lags.

    Parameters
    ----------
    lag_s : where the second begins, on the clock of the first

    Returns
    -------
    one score for each chunk that overlaps
    """
    room, at, scores = _CHUNK + _SLACK, round(lag_s * RATE / HOP), []
    padded = np.pad(one, ((room, room), (0, 0)))
    for start in range(0, len(other) - _LEAST_CHUNK + 1, _CHUNK):
        chunk = _without_line(other[start : start + _CHUNK])
        first = start + at
        if min(first + len(chunk), len(one)) - max(first, 0) >= _LEAST_CHUNK:
            windows = np.lib.stride_tricks.sliding_window_view(padded, len(chunk), axis=0)
            scores.append(_best(windows[max(0, first + room - _SLACK) : first + room + _SLACK + 1], chunk))
    return scores


def texture(one: F32, other: F32, lag_s: float) -> Texture | None:
    """Say how far two `details` agree; None if too little overlaps."""
    scores = sorted(agreement(one, other, lag_s))
    if not scores:
        return None
    off_s = _FAR * HOP / RATE
    chance = [score for off in (-off_s, off_s) for score in agreement(one, other, lag_s + off)]
    by_chance = float(np.mean(chance)) if chance else 0.0
    return Texture(float(np.mean(scores)), scores[min(1, len(scores) - 1)], by_chance, len(scores))


def _best(windows: F32, chunk: F32) -> float:
    """Best correlation of a chunk ``(n, n_bins)`` with windows ``(n_lags, n_bins, n)``, each beside its own lines."""
    time = _time(len(chunk))
    products = np.einsum("lbn,nb->l", windows, chunk)
    energies = np.einsum("lbn,lbn->l", windows, windows) - np.square(windows.sum(2)).sum(1) / len(chunk)
    energies -= np.square(np.einsum("lbn,n->lb", windows, time)).sum(1) / np.square(time).sum()
    return float((products / np.sqrt(np.maximum(energies * np.square(chunk).sum(), 1e-6))).max())


def _without_line(chunk: F32) -> F32:
    """Take from every bin its mean and its slope over time: any two notes die away."""
    time = _time(len(chunk))
    slopes = np.einsum("n,nb->b", time, chunk) / np.square(time).sum()
    flat: F32 = chunk - chunk.mean(0) - time[:, None] * slopes
    return flat


def _time(n: int) -> F32:
    return np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2)
