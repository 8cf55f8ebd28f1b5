"""Waveforms to look at: the lowest and highest sample of each stretch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from soundalike import audio
from soundalike.types import F32

Peaks = npt.NDArray[np.int8]  # (n, 2): lowest and highest sample of each stretch, full scale to 127


def peaks_of(path: Path, n: int, duration_s: float) -> Peaks:
    """Look through a sound file of any length.

    Parameters
    ----------
    n : stretches of equal length
    duration_s : of the sound, as it was measured when it was embedded

    Raises
    ------
    SoundError
        as `soundalike.audio.read`
    """
    rate = audio.probe(path).sample_rate
    low, high = np.zeros(n, np.float32), np.zeros(n, np.float32)
    seen, whole = 0, max(duration_s * rate, 1.0)
    with audio.read(path, rate) as sound:
        for block in sound:
            places = np.minimum(((seen + np.arange(len(block))) * (n / whole)).astype(np.int64), n - 1)
            _take(block, places, low, high)
            seen += len(block)
    return _filled(np.stack([np.floor(low * 127), np.ceil(high * 127)], axis=1), seen, whole)


def _take(block: F32, places: npt.NDArray[np.int64], low: F32, high: F32) -> None:
    """Widen the range of each place by the samples that fall into it; places ascend."""
    if not len(block):
        return
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    at = places[starts]
    low[at] = np.minimum(low[at], np.minimum.reduceat(block, starts))
    high[at] = np.maximum(high[at], np.maximum.reduceat(block, starts))


def _filled(pairs: npt.NDArray[np.floating], seen: int, whole: float) -> Peaks:
    """Whole numbers; with fewer samples than stretches, each sample is as wide as it should be."""
    n = len(pairs)
    if 0 < seen < n:
        held = np.minimum((np.ceil(np.arange(n) * whole / n - 1e-9)).astype(np.int64), seen - 1)
        pairs = pairs[np.minimum((held * (n / whole)).astype(np.int64), n - 1)]
    peaks: Peaks = np.clip(pairs, -127, 127).astype(np.int8)
    return peaks


def fewer(peaks: Peaks, n: int) -> Peaks:
    """Bring peaks ``(m, 2)`` down to ``(n, 2)``, n <= m."""
    starts = np.arange(n) * len(peaks) // n
    low, high = np.minimum.reduceat(peaks[:, 0], starts), np.maximum.reduceat(peaks[:, 1], starts)
    return np.stack([low, high], axis=1)
