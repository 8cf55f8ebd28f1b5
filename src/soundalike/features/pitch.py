"""Fundamental frequency by YIN.

YIN looks for the shortest lag at which a frame repeats itself. The depth of the trough at that lag says how
well: 0 for a perfect repetition, about 1 for noise. That depth is kept as *aperiodicity*, from which
voicing is decided.

References
----------
De Cheveigne & Kawahara (2002), *YIN, a fundamental frequency estimator for speech and music*, JASA 111(4);
the numbers follow ``librosa.yin``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from soundalike.types import F32

FMIN_HZ, FMAX_HZ = 40.0, 2093.0  # below the lowest string of a bass guitar, to C7
THRESHOLD = 0.1  # the first trough below is taken; else the deepest
VOICED_BELOW = 0.2  # aperiodicity of a frame with a pitch


def yin(frames: F32, sample_rate: int, fmin_hz: float = FMIN_HZ, fmax_hz: float = FMAX_HZ) -> tuple[F32, F32]:
    """Fundamental frequency of each frame and how far the frame is from repeating itself.

    Parameters
    ----------
    frames : (n_frames, n_samples), not windowed; at least two periods of ``fmin_hz`` long
    sample_rate : Hz
    fmin_hz, fmax_hz : range of the search

    Returns
    -------
    f0_hz : (n_frames,), also where there is no pitch to speak of
    aperiodicity : (n_frames,), 0 for a repetition without difference; 1 in digital silence
    """
    shortest = int(sample_rate / fmax_hz)
    longest = min(int(np.ceil(sample_rate / fmin_hz)), frames.shape[1] - 1)
    difference = _normalized_difference(frames, shortest, longest)
    chosen = _choose(difference)
    rows = np.arange(len(frames))
    lag = shortest + chosen + _parabolic_shift(difference, rows, chosen)
    aperiodicity = np.clip(difference[rows, chosen], 0.0, 1.0)
    aperiodicity[~frames.any(axis=1)] = 1.0
    return (sample_rate / lag).astype(np.float32), aperiodicity.astype(np.float32)


def _normalized_difference(frames: F32, shortest: int, longest: int) -> F32:
    """Cumulative mean normalized difference, equation 8, at lags ``shortest`` to ``longest``."""
    from scipy import fft

    size = fft.next_fast_len(frames.shape[1] + longest, real=True)
    spectrum = fft.rfft(frames, size, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    correlation = fft.irfft(power, size, axis=1)[:, : longest + 1]
    energy = np.cumsum(np.square(frames[:, :longest]), axis=1)
    difference = 2 * (correlation[:, :1] - correlation[:, 1:]) - energy  # lags 1 to longest
    mean = np.cumsum(difference, axis=1) / np.arange(1, longest + 1, dtype=np.float32)
    lags = slice(shortest - 1, longest)
    out: F32 = difference[:, lags] / (mean[:, lags] + np.finfo(np.float32).tiny)
    return out


def _choose(difference: F32) -> npt.NDArray[np.intp]:
    """Index of the first trough below the threshold, or of the minimum, per frame."""
    trough = np.zeros(difference.shape, bool)
    trough[:, 0] = difference[:, 0] < difference[:, 1]
    trough[:, 1:-1] = (difference[:, 1:-1] < difference[:, :-2]) & (difference[:, 1:-1] <= difference[:, 2:])
    trough[:, -1] = difference[:, -1] < difference[:, -2]
    trough &= difference < THRESHOLD
    first = trough.argmax(axis=1)
    out: npt.NDArray[np.intp] = np.where(trough.any(axis=1), first, difference.argmin(axis=1))
    return out


def _parabolic_shift(values: F32, rows: npt.NDArray[np.intp], chosen: npt.NDArray[np.intp]) -> F32:
    """Offset of a parabola's lowest point from the chosen index; 0 at the ends and beyond one step."""
    inner = np.clip(chosen, 1, values.shape[1] - 2)
    left, middle, right = (values[rows, inner + step] for step in (-1, 0, 1))
    curve, slope = left + right - 2 * middle, (right - left) / 2
    usable = (np.abs(slope) < np.abs(curve)) & (inner == chosen)
    shift: F32 = np.where(usable, -slope / np.where(usable, curve, 1), 0)
    return shift
