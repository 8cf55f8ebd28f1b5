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

    score, semitones, lag, speed, family = max(_candidates(first, second, near), key=worth)
    moved = _moved(_stretched(second, speed), semitones)
    return Warp(family, semitones, speed, lag * FRAME_S, score, *_evidence(first, moved, semitones, lag))


def _is_promising(first: F32, second: F32, ratio: float) -> bool:
    """Whether a look at few frames shows anything, as it is or at the ratio of durations."""
    n = _COARSE if min(first.shape[1], second.shape[1]) >= _SHORT else 2
    first, second = _coarse(first, n), _coarse(second, n)
    size = _size(first, second)
    picture = _Picture.of(first, size)
    return any(
        _best_shift(picture, _Picture.of(_stretched(second, speed), size))[0] >= _LEAST_QUICK for speed in (1.0, ratio)
    )


def _candidates(first: F32, second: F32, ratios: Sequence[float]) -> Iterator[Candidate]:
    """Every hypothesis."""
    size = _size(first, second)
    picture = _Picture.of(first, size)
    yield *_best_shift(picture, _Picture.of(second, size)), 1.0, "pitch"
    for speed in sorted({*ratios, *(ratios[-1] * near for near in _AROUND)}):
        if SPEEDS[0] < speed < SPEEDS[1] and abs(speed - 1) > 0.02:
            stretched = _Picture.of(_stretched(second, speed), size)
            yield *_best_shift(picture, stretched, 0.0, 0.3), speed, "tempo"
            yield *_best_shift(picture, stretched, 12 * float(np.log2(speed)), 0.35), speed, "speed"


def _coarse(bands: F32, n: int) -> F32:
    """Means of so many frames each."""
    n_means = bands.shape[1] // n
    means: F32 = np.add.reduce([bands[:, at : n_means * n : n] for at in range(n)]) / np.float32(n)
    return means


def _stretched(bands: F32, speed: float) -> F32:
    """Stretch in time, as a sound is that was played so much faster."""
    n = bands.shape[1]
    if speed == 1.0 or n < 2:
        return bands
    places = np.linspace(0, n - 1, max(2, round(n * speed)), dtype=np.float32)
    before = np.minimum(places.astype(np.int64), n - 2)
    stretched: F32 = bands[:, before] + (places - before).astype(np.float32) * np.diff(bands, axis=1)[:, before]
    return stretched


@dataclass(frozen=True, slots=True)
class _Picture:
    """Bands, ready to be compared with others."""

    spectra: C64  # (N_BANDS, n): of each band over time
    energies: F64  # (N_BANDS + 1,): of the first bands together

    @classmethod
    def of(cls, bands: F32, size: int) -> _Picture:
        """Transform ``(N_BANDS, n_frames)``, with silence after it up to a size."""
        energies = np.concatenate([[0.0], np.cumsum(np.einsum("bt,bt->b", bands, bands), dtype=np.float64)])
        return cls(fft.rfft(bands, size, axis=1), energies)

    @property
    def size(self) -> int:
        """How many frames."""
        return 2 * (int(self.spectra.shape[1]) - 1)


def _size(first: F32, second: F32) -> int:
    """Frames that two pictures need, the second at any speed, so that no lag brings the end to the start."""
    most = max(first.shape[1], int(second.shape[1] * SPEEDS[1]) + 1) + _MOST_LAG
    return 2 * int(fft.next_fast_len(-(-most // 2), real=True))


def _best_shift(
    first: _Picture, second: _Picture, around: float = 0.0, within: float = _MOST_SEMITONES
) -> tuple[float, float, int]:
    """Score, semitones of the second above the first, and lag in frames: the best within so many semitones."""
    most, lags = _MOST_SEMITONES * PER_SEMITONE, np.arange(-_MOST_LAG, _MOST_LAG + 1)
    far = [abs(-shift / PER_SEMITONE - around) - within - 0.5 / PER_SEMITONE for shift in range(-most, most + 1)]
    shifts = np.arange(-most, most + 1)[np.array(far) <= 1 / PER_SEMITONE]
    conjugates = np.conj(second.spectra)
    product = np.stack([_product(first.spectra, conjugates, int(shift)) for shift in shifts])
    scores = fft.irfft(product, first.size, axis=1)[:, lags % first.size] / _energies(first, second, shifts)
    is_far = np.abs(-shifts / PER_SEMITONE - around) > within + 0.5 / PER_SEMITONE
    kept = np.where(is_far[:, None], -np.inf, scores)
    row, column = np.unravel_index(int(np.argmax(kept)), kept.shape)
    semitones = -(shifts[row] + _top(scores[:, column], int(row))) / PER_SEMITONE
    return float(scores[row, column]), float(semitones), int(lags[column])


def _product(first: C64, conjugates: C64, shift: int) -> C64:
    """Spectrum of the correlation over time, with the second moved up by so many bands."""
    low, high = max(shift, 0), min(shift + N_BANDS, N_BANDS)
    product: C64 = np.einsum("bf,bf->f", first[low:high], conjugates[low - shift : high - shift])
    return product


def _energies(first: _Picture, second: _Picture, shifts: npt.NDArray[np.int64]) -> F32:
    """Root of the energies of the bands that overlap at each shift, ``(n, 1)``."""
    low, high = np.maximum(shifts, 0), np.minimum(shifts + N_BANDS, N_BANDS)
    here, there = first.energies, second.energies
    product = (here[high] - here[low]) * (there[high - shifts] - there[low - shifts])
    roots: F32 = np.sqrt(np.maximum(product, 0)).astype(np.float32)[:, None] + np.float32(1e-9)
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
