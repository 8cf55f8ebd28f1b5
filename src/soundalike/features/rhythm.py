"""Onsets and tempo, from the rises of a log-mel spectrogram."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from soundalike.types import F32, F64

# Peak picking: frames looked at before and after, and how far a peak stands out of the mean. librosa found
# them by a search over the onset database of Böck et al.
_MAX_BEFORE, _MAX_AFTER = 1, 1
_MEAN_BEFORE, _MEAN_AFTER = 4, 5
_WAIT, _DELTA = 1, 0.07
_WINDOW_S = 8.0  # of the tempogram
_START_BPM, _MAX_BPM = 120.0, 320.0
_MOST_FRAMES = 20_000  # of the tempogram (7.7 min); of longer sounds, every 2nd, 3rd ... frame
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Tempo:
    """A pulse and how sure it is.

    Half and double of a tempo fit the same onsets nearly as well, and which of them a listener taps to is
    taste: `bpm` leans towards 120, and `alternative_bpm` is the better one of its half and its double.
    """

    bpm: float
    strength: float  # how well the onsets repeat at this tempo: 0 not at all, 1 exactly
    alternative_bpm: float


def onset_strength(mel_db: F32, previous: F32 | None = None) -> F32:
    """Mean rise of the mel bands from frame to frame, in decibels.

    Parameters
    ----------
    mel_db : (n_frames, n_mels)
    previous : (n_mels,), the frame before the first, where there is one

    Returns
    -------
    (n_frames,), not yet shifted: a rise from frame t - 1 to t is at t

    References
    ----------
    Böck & Widmer (2013), *Maximum filter vibrato suppression for onset detection*;
    ``librosa.onset.onset_strength``.
    """
    start = mel_db[:1] if previous is None else previous[None]
    rises = np.diff(mel_db, axis=0, prepend=start)
    out: F32 = np.maximum(rises, 0.0).mean(axis=1, dtype=np.float32)
    return out


def center(strength: F32, shift: int) -> F32:
    """Move an envelope to the right by the frames that a window sees ahead, at constant length."""
    return np.concatenate([np.zeros(shift, np.float32), strength])[: strength.size]


def pick_onsets(strength: F32) -> npt.NDArray[np.int64]:
    """Frames at which something begins: peaks that stand out of their surroundings.

    Parameters
    ----------
    strength : (n_frames,), centered

    Returns
    -------
    (n_onsets,) frame numbers, as ``librosa.onset.onset_detect``
    """
    level = strength - strength.min()
    largest = float(level.max())
    if not largest > 0:
        return np.empty(0, np.int64)
    level = level / (largest + np.finfo(np.float32).tiny)
    padded = np.pad(level, (_MAX_BEFORE, 0), constant_values=-1.0)
    highest = np.lib.stride_tricks.sliding_window_view(padded, _MAX_BEFORE + _MAX_AFTER).max(axis=1)
    candidates = np.flatnonzero((level == highest) & (level >= _local_mean(level) + _DELTA))
    chosen: list[int] = []
    for frame in candidates.tolist():
        if not chosen or frame > chosen[-1] + _WAIT:
            chosen.append(frame)
    return np.array(chosen, np.int64)


def _local_mean(level: F32) -> F64:
    """Mean of the frames around each frame, as many of them as there are."""
    running = np.concatenate([[0.0], np.cumsum(level, dtype=np.float64)])
    frame = np.arange(level.size)
    first, last = np.maximum(frame - _MEAN_BEFORE, 0), np.minimum(frame + _MEAN_AFTER, level.size)
    mean: F64 = (running[last] - running[first]) / (last - first)
    return mean


def tempogram(strength: F32, frame_rate: float) -> F32:
    """Autocorrelation of the onset strength in windows of 8 s, scaled to 1 at lag 0, its mean over time.

    Returns
    -------
    (n_lags,), by lag in frames; zeros where there are no onsets

    References
    ----------
    Grosche, Müller & Kurth (2010), *Cyclic tempogram*; the mean of ``librosa.feature.tempogram``.
    """
    length = int(_WINDOW_S * frame_rate)
    padded = np.pad(strength, length // 2, mode="linear_ramp")
    step = -(-strength.size // _MOST_FRAMES)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[: strength.size : step]
    total = np.zeros(length)
    for start in range(0, len(frames), _AT_ONCE):
        total += _autocorrelation(frames[start : start + _AT_ONCE]).sum(axis=0, dtype=np.float64)
    return (total / len(frames)).astype(np.float32)


def _autocorrelation(frames: F32) -> F32:
    """Of windowed frames, each scaled by its largest value."""
    from scipy import fft

    size = fft.next_fast_len(2 * frames.shape[1] - 1, real=True)
    spectrum = fft.rfft(frames * _window(frames.shape[1]), size, axis=1)
    correlation = fft.irfft(np.square(spectrum.real) + np.square(spectrum.imag), size, axis=1)[
        :, : frames.shape[1]
    ]
    largest = np.abs(correlation).max(axis=1, keepdims=True)
    out: F32 = correlation / np.where(largest > np.finfo(np.float32).tiny, largest, 1)
    return out


@lru_cache(maxsize=4)
def _window(length: int) -> F32:
    return np.hanning(length + 1)[:-1].astype(np.float32)


def estimate_tempo(strength: F32, frame_rate: float) -> Tempo | None:
    """Tempo that a tempogram and a preference for 120 BPM agree on; None where nothing repeats.

    The choice is ``librosa.feature.tempo``'s among whole frames, which are 5 BPM apart at 120; it is then
    refined between them.

    Parameters
    ----------
    strength : (n_frames,), onset strength, centered
    frame_rate : frames per second
    """
    mean_tempogram = tempogram(strength, frame_rate)
    lags = np.arange(mean_tempogram.size)
    with np.errstate(divide="ignore"):
        bpm = 60 * frame_rate / lags
    prior = -0.5 * np.square(np.log2(bpm / _START_BPM))
    score = np.where(bpm < _MAX_BPM, np.log1p(1e6 * np.maximum(mean_tempogram, 0)) + prior, -np.inf)
    best = int(score.argmax())
    if not mean_tempogram[best] > 0:
        return None
    refined = _refined(mean_tempogram, best)
    octaves = [lag for lag in (round(refined / 2), round(refined * 2)) if lag < lags.size]
    other = max(octaves, key=lambda lag: float(score[lag]))
    clarity = _pulse_clarity(strength, best, int(_WINDOW_S * frame_rate))
    return Tempo(
        60 * frame_rate / refined, clarity, 60 * frame_rate / (refined * (2 if other > best else 0.5))
    )


def _pulse_clarity(strength: F32, lag: int, length: int) -> float:
    """Correlation of the envelope with itself a beat later, in windows of ``length`` frames.

    The tempogram cannot tell: the envelope is positive, so it correlates with itself at any lag.
    """
    length = min(length, strength.size)
    if 2 * lag > length:  # not one repetition
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(strength, length)[:: max(length // 4, 1)]
    windows = windows - windows.mean(axis=1, keepdims=True)
    power = np.square(windows).mean(axis=1)
    near = [
        np.mean(windows[:, shift:] * windows[:, :-shift], axis=1) for shift in range(max(lag - 1, 1), lag + 2)
    ]
    correlation = np.max(near, axis=0) / np.where(power > 0, power, 1)
    weights = np.sqrt(power)  # a window without onsets says nothing
    return float(np.clip(np.sum(correlation * weights) / max(float(weights.sum()), 1e-12), 0.0, 1.0))


def _refined(mean_tempogram: F32, best: int) -> float:
    """Lag between two beats in parts of a frame: from the peak there, then from those 2, 4 and 8 beats later.

    The window's own autocorrelation leans the peaks to shorter lags; it is divided out.
    """
    length = mean_tempogram.size
    leaning = np.correlate(_window(length), _window(length), "full")[length - 1 :]
    upright = mean_tempogram / np.maximum(leaning / leaning[0], 1e-3)
    lag = best + _peak_shift(upright, best)
    for beats in (2, 4, 8):
        near = round(beats * lag)
        if near + 2 >= length // 2:
            break
        peak = near - 1 + int(upright[near - 1 : near + 2].argmax())
        if upright[peak] < max(upright[peak - 1], upright[peak + 1]):  # no peak here: the pulse wanders
            break
        lag = (peak + _peak_shift(upright, peak)) / beats
    return lag


def _peak_shift(values: F32, index: int) -> float:
    """Offset of a parabola's highest point from a peak, within half a step."""
    if index + 1 >= values.size:
        return 0.0
    left, middle, right = (float(value) for value in values[index - 1 : index + 2])
    curve = left + right - 2 * middle
    return min(max((left - right) / (2 * curve), -0.5), 0.5) if curve < 0 else 0.0
