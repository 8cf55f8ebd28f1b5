"""Where one recording lies in another: correlation of whitened waves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from soundalike.duplicates.prints import LOW, RATE, TEMPLATE_S, Block, Print, Store
from soundalike.types import F32, F64

_PARTS, _EVENED = 8, RATE // 50
_SOFTEST = 1e-3  # of the power: what is softer is not made louder
_LONG_S = 0.5  # from here on, low frequencies are looked at first
_WORTH_MORE = 0.15  # of their score
_LEAST_S = 0.05  # an overlap shorter than this counts less
_NEAR_S = 0.003  # the top of a correlation is as wide as this
_GROUP = 64  # lags
_STEPS = np.linspace(-1, 1, 41)  # samples
_LAGS = np.arange(-32, 33)
_BETWEEN = np.sinc(_STEPS[:, None] - _LAGS).astype(np.float32)  # from whole lags to those steps


@dataclass(frozen=True, slots=True)
class Alignment:
    """The best place of one signal in another."""

    score: float  # correlation of the whitened waves where they overlap, [0, 1]
    above_second: float  # score beside the second best place
    start_s: float  # of the second file, on the clock of the first


def align(store: Store, first: Print, second: Print) -> Alignment | None:
    """Find the second sound in the first, or the other way round: the shorter is looked for in the longer.

    Returns
    -------
    the best place, however bad; None if a first look at low frequencies has shown that there is none
    """
    if second.end_s - second.start_s > first.end_s - first.start_s:
        found = align(store, second, first)
        return None if found is None else replace(found, start_s=-found.start_s)
    block = second.blocks[len(second.blocks) // 2]
    wave, n = store.wave(block), round(TEMPLATE_S * RATE)
    skipped = max(0, (len(wave) - n) // 2) // LOW * LOW
    template = wave[skipped : skipped + n]
    low = store.low(block)[skipped // LOW : (skipped + n) // LOW]
    found = None
    for place in first.blocks:
        if len(low) < _LONG_S * RATE / LOW or _best(store.low(place), low)[0] >= _WORTH_MORE:
            one = _in_block(store, place, template, block.start_s + skipped / RATE)
            found = one if found is None or one.score > found.score else found
    return found


def _best(wave: F32, template: F32) -> tuple[float, int, F32]:
    """Score and row of the best lag, and sizes at all lags; those with little overlap count less."""
    sizes = np.abs(correlation(wave, template))
    edge = min(round(_LEAST_S * RATE), len(wave), len(template))
    fade = np.arange(1, edge + 1, dtype=np.float32) / edge
    sizes[:edge] *= fade
    sizes[-edge:] *= fade[::-1]
    row = int(np.argmax(sizes))
    return float(sizes[row]), row, sizes


def _in_block(store: Store, block: Block, template: F32, at_s: float) -> Alignment:
    wave = store.wave(block)
    best, row, sizes = _best(wave, template)
    lag, near = row - (len(template) - 1), round(_NEAR_S * RATE)
    second = max(sizes[: max(0, row - near)].max(initial=0), sizes[row + near :].max(initial=0))
    score, _ = score_at(wave, template, lag)
    return Alignment(abs(score), best / max(float(second), 1e-9), block.start_s + lag / RATE - at_s)


def correlation(wave: F32, template: F32) -> F32:
    """Correlate at every lag, each beside the energies of what overlaps.

    Parameters
    ----------
    wave : (n,)
    template : (m,)

    Returns
    -------
    (n + m - 1,), from -1 to 1, for lags from 1 - m on. Energies are taken over groups of lags, the most in each: a
    score may be too low by a little, and `score_at` gives the exact one. Where less than 2 % of the energy of
    either overlaps, 2 % is taken for it.
    """
    n, m = len(wave), len(template)
    size = fft.next_fast_len(n + m - 1, real=True)
    product = fft.rfft(wave, size)
    product *= np.conj(fft.rfft(template, size))
    raw = fft.irfft(product, size)
    raw = np.concatenate([raw[size - (m - 1) :], raw[:n]]) if m > 1 else raw[:n]
    lags = np.arange(1 - m, n, _GROUP)
    first, last = np.maximum(lags, 0), np.minimum(lags + _GROUP - 1 + m, n)
    there = _energy(wave, first, last)
    here = _energy(template, np.maximum(first - lags - _GROUP + 1, 0), np.minimum(last - lags, m))
    scale = 1 / np.sqrt(np.maximum(there * here, 1e-12))
    scores: F32 = raw * np.repeat(scale, _GROUP)[: len(raw)].astype(np.float32)
    return scores


def score_at(wave: F32, template: F32, lag: int) -> tuple[float, int]:
    """Correlate at one lag; also how many samples overlap."""
    first, last = max(lag, 0), min(lag + len(template), len(wave))
    there, here = wave[first:last], template[first - lag : last - lag]
    energies = [max(_sum(part), 0.02 * _sum(whole)) for part, whole in ((there, wave), (here, template))]
    return dot(there, here) / max(float(np.sqrt(energies[0] * energies[1])), 1e-6), last - first


def dot(one: F32, other: F32) -> float:
    """Sum of products, in this thread: what BLAS does in threads of its own holds up those that compare pairs."""
    return float(np.einsum("n,n->", one, other))


def in_step(one: F32, other: F32) -> F32:
    """Shift the second of two aligned signals ``(n,)`` by the part of a sample that is left."""
    n = fft.next_fast_len(len(one), real=True)
    x, y = fft.rfft(one, n), fft.rfft(other, n)
    cross = x * np.conj(y)
    cross /= np.maximum(np.abs(cross), np.abs(cross).max() * 1e-6)
    best = float(_STEPS[int(np.argmax(np.abs(np.einsum("sl,l->s", _BETWEEN, fft.irfft(cross, n)[_LAGS % n]))))])
    if best == 0:
        return other
    turns = fft.rfftfreq(n).astype(np.float32) * np.complex64(2j * np.pi)
    shifted: F32 = fft.irfft(y * np.exp(-turns * best), n)[: len(other)]
    return shifted


def alike(one: F32, other: F32) -> tuple[float, float, float]:
    """Correlate two aligned signals ``(n,)``, whitened each.

    Returns
    -------
    correlation; correlation with every moment made as loud as the others; and the second weakest of its eight parts in
    time: notes of one instrument fit in their onset only
    """
    whole = _correlation(one, other)
    one, other = _evened(one), _evened(other)
    parts = zip(np.array_split(one, _PARTS), np.array_split(other, _PARTS), strict=True)
    scores = sorted(abs(_correlation(a, b)) for a, b in parts if _sum(a) + _sum(b) > 0)
    return abs(whole), abs(_correlation(one, other)), scores[min(1, len(scores) - 1)] if scores else 0.0


def _correlation(one: F32, other: F32) -> float:
    product = max(float(np.sqrt(_sum(one) * _sum(other))), 1e-9)
    return dot(one, other) / product


def _evened(samples: F32) -> F32:
    power = ndimage.uniform_filter1d(np.square(samples), _EVENED, mode="nearest")
    evened: F32 = samples / np.sqrt(power + max(float(power.max()), 1e-12) * _SOFTEST)
    return evened


def _sum(samples: F32) -> float:
    return dot(samples, samples)


def _energy(samples: F32, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> F64:
    """Energy of stretches, to the group or a little more; 2 % of all at least."""
    groups = np.pad(samples, (0, -len(samples) % _GROUP)).reshape(-1, _GROUP)
    total = np.concatenate([[0.0], np.cumsum(np.einsum("gn,gn->g", groups, groups), dtype=np.float64)])
    energy: F64 = np.maximum(total[-(-last // _GROUP)] - total[first // _GROUP], 0.02 * total[-1])
    return energy
