"""Whether one sound is another at another pitch, tempo or speed: correlation of bands over pitch and time.

A shift of pitch moves a picture of logarithmic bands up or down, a change of tempo stretches it, a change of speed
does both. Three families are searched, no mixture of them. Notes of one instrument pass for shifted copies as far as
their envelopes go; so what counts is the detail: what changes within a tenth of a second, at this lag and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from soundalike.duplicates.prints import FRAME_S, N_BANDS, PER_SEMITONE
from soundalike.types import F32, F64

C64 = npt.NDArray[np.complex64]
Rows = npt.NDArray[np.int64]

Family = Literal["pitch", "tempo", "speed"]

Candidate = tuple[float, float, int, float, Family]  # score, semitones, lag in frames, speed

_MOST_SEMITONES = 7
SPEEDS = (0.83, 1.2)  # that are searched
_MOST_LAG = 20  # frames
_AROUND = (0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01, 1.015, 1.02, 1.03, 1.04)  # the ratio of durations
_DOUBT = 3.0  # score that a speed loses for each unit of logarithm from both ratios of durations
_OFF = (-14, -10, -7, 7, 10, 14)  # frames
_COARSE, _SHORT = 4, 100  # frames
_QUICK = 9  # frames: what changes within them is detail
_LEAST_QUICK = 0.45  # of the score at the ratio of durations itself, for the search to go on


@dataclass(frozen=True, slots=True)
class Look:
    """A hypothesis: what the second sound is to the first."""

    family: Family
    speed: float  # as in `Warp`
    around: float  # semitones
    within: float  # so many of it


@dataclass(frozen=True, slots=True)
class Warp:
    """The best way to make one sound of another, and what speaks for it."""

    family: Family
    semitones: float  # of the second above the first
    speed: float  # of the second beside the first: 2 lasts half as long
    lag_s: float
    score: float  # correlation of the pictures
    shape: float  # the same without what is the same at all times, or in all bands
    at_this_lag: float  # what of it goes at other lags
    detail: float  # correlation of what changes quickly


def warp(first: F32, second: F32, ratios: tuple[float, float]) -> Warp | None:
    """Search for the second sound in the first.

    Parameters
    ----------
    first, second : (N_BANDS, n_frames) each
    ratios : duration of the first by that of the second: of the files, and of what sounds in them

    Returns
    -------
    None if not even the durations allow it, or nothing speaks for it
    """
    near = [ratio for ratio in ratios if SPEEDS[0] < ratio < SPEEDS[1]]
    if not near or min(first.shape[1], second.shape[1]) < 4 or not _is_promising(first, second, near[-1]):
        return None

    def worth(candidate: Candidate) -> float:
        return candidate[0] - _DOUBT * min(abs(float(np.log(candidate[3] / ratio))) for ratio in near)

    score, semitones, lag, speed, family = max(_best(first, second, list(_looks(near))), key=worth)
    stretched, (n_frames,) = _stretched(second, [speed])
    moved = _moved(stretched[0, :, :n_frames], semitones)
    return Warp(family, semitones, speed, lag * FRAME_S, score, *_evidence(first, moved, semitones, lag))


def _is_promising(first: F32, second: F32, ratio: float) -> bool:
    """Whether a look at few frames shows anything, as it is or at the ratio of durations."""
    n = _COARSE if min(first.shape[1], second.shape[1]) >= _SHORT else 2
    looks = [Look("pitch", speed, 0.0, _MOST_SEMITONES) for speed in (1.0, ratio)]
    return any(found[0] >= _LEAST_QUICK for found in _best(_coarse(first, n), _coarse(second, n), looks))


def _looks(ratios: Sequence[float]) -> Iterator[Look]:
    """Every hypothesis."""
    yield Look("pitch", 1.0, 0.0, _MOST_SEMITONES)
    for speed in sorted({*ratios, *(ratios[-1] * near for near in _AROUND)}):
        if SPEEDS[0] < speed < SPEEDS[1] and abs(speed - 1) > 0.02:
            yield Look("tempo", speed, 0.0, 0.3)
            yield Look("speed", speed, 12 * float(np.log2(speed)), 0.35)


def _coarse(bands: F32, n: int) -> F32:
    """Means of so many frames each."""
    n_means = bands.shape[1] // n
    means: F32 = np.add.reduce([bands[:, at : n_means * n : n] for at in range(n)]) / np.float32(n)
    return means


def _stretched(bands: F32, speeds: Sequence[float]) -> tuple[F32, list[int]]:
    """Stretch in time, as a sound is that was played so much faster.

    Returns
    -------
    (n_speeds, N_BANDS, n_frames), with silence after the shorter ones; and how many frames each has
    """
    n = bands.shape[1]
    lengths = [n if speed == 1.0 else max(2, round(n * speed)) for speed in speeds]
    frames = np.arange(max(lengths), dtype=np.float32)
    places = np.stack([frames * np.float32((n - 1) / (length - 1)) for length in lengths])
    before = np.minimum(places.astype(np.int64), n - 2)
    part = places - before.astype(np.float32)
    is_in = frames < np.array(lengths)[:, None]
    stretched: F32 = bands[:, before] * ((1 - part) * is_in) + bands[:, before + 1] * (part * is_in)
    return stretched.transpose(1, 0, 2), lengths


def _size(n_first: int, n_second: int) -> int:
    """Frames that two pictures need so that no lag brings the end to the start."""
    return 2 * int(fft.next_fast_len(-(-(max(n_first, n_second) + _MOST_LAG) // 2), real=True))


def _best(first: F32, second: F32, looks: Sequence[Look]) -> list[Candidate]:
    """Give the best shift and lag of each hypothesis.

    All of them together, in few calls on large arrays: threads that compare pairs wait for each other between calls.
    """
    speeds = sorted({look.speed for look in looks})
    stretched, _ = _stretched(second, speeds)
    size = _size(first.shape[1], stretched.shape[2])
    here, there = fft.rfft(first, size, axis=1), np.conj(fft.rfft(stretched, size, axis=2))
    shifts = [_shifts(look) for look in looks]
    rows = [speeds.index(look.speed) for look in looks]
    product = np.concatenate([_products(here, there[row], some) for row, some in zip(rows, shifts, strict=True)])
    lags = np.arange(-_MOST_LAG, _MOST_LAG + 1)
    scores = fft.irfft(product, size, axis=1)[:, lags % size]
    every_row = np.repeat(rows, [len(some) for some in shifts])
    scores /= _energies(_summed(first), _summed(stretched)[every_row], np.concatenate(shifts))[:, None]
    ends = np.cumsum([len(some) for some in shifts])[:-1]
    return [_best_of(*one) for one in zip(looks, shifts, np.split(scores, ends), strict=True)]


def _best_of(look: Look, shifts: Rows, scores: F32) -> Candidate:
    """Give the best of the scores ``(n_shifts, n_lags)`` that lies within the bounds."""
    is_far = np.abs(-shifts / PER_SEMITONE - look.around) > look.within + 0.5 / PER_SEMITONE
    kept = np.where(is_far[:, None], -np.inf, scores)
    row, column = np.unravel_index(int(np.argmax(kept)), kept.shape)
    semitones = -(shifts[row] + _top(scores[:, column], int(row))) / PER_SEMITONE
    return float(scores[row, column]), float(semitones), int(column) - _MOST_LAG, look.speed, look.family


def _shifts(look: Look) -> Rows:
    """Bands to shift by: those within the bounds and one more."""
    most = _MOST_SEMITONES * PER_SEMITONE
    shifts = np.arange(-most, most + 1)
    return shifts[np.abs(-shifts / PER_SEMITONE - look.around) <= look.within + 1.5 / PER_SEMITONE]


def _products(first: C64, second: C64, shifts: Rows) -> C64:
    """Spectra ``(n_shifts, n)`` of the correlation over time, with the second moved up by a range of bands."""
    low, high = int(shifts[0]), int(shifts[-1])
    padded = np.zeros((N_BANDS + high - low, second.shape[1]), np.complex64)
    rows = slice(max(0, -high), min(N_BANDS, N_BANDS - low))
    padded[rows.start + high : rows.stop + high] = second[rows]
    moved = np.lib.stride_tricks.sliding_window_view(padded, N_BANDS, axis=0)[::-1]
    product: C64 = np.einsum("bf,sfb->sf", first, moved)
    return product


def _summed(bands: F32) -> F64:
    """Energies of the first bands together, ``(..., N_BANDS + 1)``."""
    energies = np.einsum("...bt,...bt->...b", bands, bands)
    summed: F64 = np.cumsum(np.concatenate([np.zeros((*energies.shape[:-1], 1)), energies], axis=-1), axis=-1)
    return summed


def _energies(here: F64, there: F64, shifts: Rows) -> F32:
    """Root of the energies of the bands that overlap: of one picture, and of others ``(n, N_BANDS + 1)`` at shifts."""
    low, high, row = np.maximum(shifts, 0), np.minimum(shifts + N_BANDS, N_BANDS), np.arange(len(shifts))
    product = (here[high] - here[low]) * (there[row, high - shifts] - there[row, low - shifts])
    roots: F32 = np.sqrt(np.maximum(product, 0)).astype(np.float32) + np.float32(1e-9)
    return roots


def _top(scores: F32, row: int) -> float:
    """How far the top of a parabola through three points lies from the middle one."""
    if not 0 < row < len(scores) - 1:
        return 0.0
    before, here, after = (float(score) for score in scores[row - 1 : row + 2])
    bend = before - 2 * here + after
    return min(1.0, max(-1.0, 0.5 * (before - after) / bend)) if bend < 0 else 0.0


def _moved(bands: F32, semitones: float) -> F32:
    """Take a shift of pitch back."""
    rows = np.clip(np.arange(N_BANDS) + semitones * PER_SEMITONE, 0, N_BANDS - 1)
    below = np.minimum(rows.astype(np.int64), N_BANDS - 2)
    part = (rows - below).astype(np.float32)[:, None]
    moved: F32 = (1 - part) * bands[below] + part * bands[below + 1]
    return moved


def _evidence(first: F32, moved: F32, semitones: float, lag: int) -> tuple[float, float, float]:
    """Shape, what of it goes at other lags, and detail."""
    n_lost = int(np.ceil(abs(semitones) * PER_SEMITONE))
    kept = slice(0, N_BANDS - n_lost) if semitones > 0 else slice(n_lost, N_BANDS)
    first, moved = first[kept], moved[kept]

    def shape_at(at: int) -> float:
        one, other = _overlap(first, moved, at)
        return _alike(_without_means(one), _without_means(other)) if one.shape[1] > 3 else 0.0

    shape, (one, other) = shape_at(lag), _overlap(first, moved, lag)
    return shape, shape - max(shape_at(lag + off) for off in _OFF), _alike(_changes(one), _changes(other))


def _overlap(first: F32, second: F32, lag: int) -> tuple[F32, F32]:
    start = max(lag, 0)
    end = max(start, min(lag + second.shape[1], first.shape[1]))
    return first[:, start:end], second[:, start - lag : end - lag]


def _without_means(bands: F32) -> F32:
    means: F32 = bands - bands.mean(1, keepdims=True) - bands.mean(0, keepdims=True) + bands.mean()
    return means


def _changes(bands: F32) -> F32:
    quick: F32 = bands - ndimage.uniform_filter1d(bands, _QUICK, axis=1, mode="nearest")
    return quick


def _alike(one: F32, other: F32) -> float:
    """Correlation of two arrays of one shape."""
    product = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return float((one * other).sum()) / max(product, 1e-9)
