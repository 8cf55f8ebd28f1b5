"""What was done to a recording: two aligned signals, one taken as what came out of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from soundalike.duplicates.prints import RATE
from soundalike.types import F32, F64

C64 = npt.NDArray[np.complex64]

_FAINT = 1e-4  # of the strongest band: bands below are not judged
_INAUDIBLE = 1e-5  # the same, for coherence
_INDEPENDENT = 0.6  # of the frames, which overlap by half
_TAIL_S = (0.006, 0.3)  # where an impulse response has its reverberation


@dataclass(frozen=True, slots=True)
class Changes:
    """How one signal comes of another."""

    gain_db: float  # of the bands that hold most
    bands_hz: tuple[float, ...]
    bands_db: tuple[float, ...]  # gain of each, beside ``gain_db``; nan where there is too little to tell
    range_db: float  # from the weakest of them to the strongest; 0 if none can be told
    left_db: float  # energy that no filter explains, beside all
    left_is_steady: float  # its median over time beside its mean: 1 steady, 0 in bursts
    tail_db: float  # impulse response after the direct sound, beside it
    tail_above_db: float  # the same beside the time before the direct sound


def changes(one: F32, other: F32) -> tuple[Changes, Changes]:
    """Compare two aligned signals ``(n,)`` at `RATE`: the second as what came of the first, and the other way round."""
    n_fft = int(np.clip(2 ** np.floor(np.log2(max(len(one) / 6, 1))), 64, 1024))
    x, y = _frames(one, n_fft), _frames(other, n_fft)
    n = fft.next_fast_len(2 * len(one), real=True)
    spectra = fft.rfft(one, n), fft.rfft(other, n)
    cross = (np.conj(x) * y).sum(0)
    return _changes(x, y, cross, _response(*spectra, n)), _changes(y, x, np.conj(cross), _response(*spectra[::-1], n))


def coherence(one: F32, other: F32) -> float:
    """Say how much of every audible frequency of one signal ``(n,)`` is a fixed filter of the other, [0, 1].

    Magnitude-squared coherence (Carter, Knapp and Nuttall, 1973) less what chance gives so few frames; the mean over
    frequencies, the soft ones as good as the loud ones.
    """
    n_fft = int(np.clip(2 ** np.floor(np.log2(max(len(one) / 12, 1))), 64, 1024))
    x, y = _frames(one, n_fft), _frames(other, n_fft)
    of_x, of_y = np.square(np.abs(x)).sum(0), np.square(np.abs(y)).sum(0)
    shared = np.square(np.abs((np.conj(x) * y).sum(0))) / np.maximum(of_x * of_y, 1e-30)
    n_independent = _INDEPENDENT * len(x)
    if n_independent < 1.5:
        return 0.0
    above_chance = np.clip((n_independent * shared - 1) / (n_independent - 1), 0, 1)
    is_audible = (of_x > _INAUDIBLE * of_x.max()) & (of_y > _INAUDIBLE * of_y.max())
    return float(above_chance[is_audible].mean()) if is_audible.any() else 0.0


def _changes(x: C64, y: C64, cross: C64, response: tuple[float, float, float]) -> Changes:
    """Say how frames ``(n_frames, n_bins)`` come of others."""
    of_x, of_y = np.square(np.abs(x)).sum(0), np.square(np.abs(y)).sum(0)
    n_fft = 2 * (x.shape[1] - 1)
    edges = _edges(n_fft)
    strength = np.add.reduceat(of_x, edges[:-1])
    gains = np.abs(np.add.reduceat(cross, edges[:-1])) / np.maximum(strength, 1e-20)
    gains_db = 20 * np.log10(np.maximum(gains, 1e-6))
    is_told = (strength > _FAINT * strength.max()) & (strength > 0)
    gain_db = _weighted_median(gains_db[is_told], strength[is_told]) if is_told.any() else 0.0
    left = np.square(np.abs(y - x * (cross / np.maximum(of_x, 1e-20)))).sum(1)
    direct, tail, early = response
    hz = np.sqrt(edges[:-1] * edges[1:]) * (RATE / n_fft)
    return Changes(
        gain_db,
        tuple(hz.tolist()),
        tuple(np.where(is_told, gains_db - gain_db, np.nan).tolist()),
        float(np.ptp(gains_db[is_told])) if is_told.any() else 0.0,
        _db(left.sum(), of_y.sum()),
        float(np.median(left) / max(left.mean(), 1e-20)),
        _db(tail, direct),
        _db(tail, early),
    )


def _db(one: float, other: float) -> float:
    return 10 * float(np.log10(max(float(one), 1e-20) / max(float(other), 1e-20)))


def _frames(samples: F32, n_fft: int) -> C64:
    padded = np.pad(samples, (0, max(0, n_fft - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[:: n_fft // 2]
    spectra: C64 = fft.rfft(frames * np.hanning(n_fft).astype(np.float32), axis=1)
    return spectra


def _edges(n_fft: int) -> npt.NDArray[np.int64]:
    """Bins where bands of a half octave begin, from 60 Hz up."""
    hz = 60 * 2 ** np.arange(0, 14.5, 0.5)
    bins = np.unique(np.round(hz[hz < RATE / 2] * n_fft / RATE).astype(np.int64))
    return np.append(bins[bins > 0], n_fft // 2)


def _weighted_median(values: F64, weights: F64) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _response(x: C64, y: C64, n: int) -> tuple[float, float, float]:
    """Energies of the impulse response: the direct sound, as much as lies after and before it for a tail."""
    power = np.square(np.abs(x))
    response = fft.irfft(y * np.conj(x) / (power + power.max() * 1e-4), n)
    near, far = (round(s * RATE) for s in _TAIL_S)
    far = min(far, n // 2)
    energy = np.square(response)
    direct = energy[: near].sum() + energy[-near:].sum()
    return float(direct), float(energy[near:far].sum()), float(energy[-far:-near].sum())
