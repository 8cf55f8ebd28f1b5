"""Whether two files are one recording, what was done to it, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import exp, log, log2, log10

import numpy as np

from soundalike.duplicates.align import Alignment, align, alike, in_step
from soundalike.duplicates.changes import Changes, changes, coherence
from soundalike.duplicates.prints import BANDS_S, BLOCK_S, RATE, Print, Store, whiten
from soundalike.duplicates.texture import Texture, agreement, details, texture
from soundalike.duplicates.values import Kind, Recording, Relation
from soundalike.duplicates.warp import SPEEDS, Warp, warp
from soundalike.types import F32

# Weights of logistic regressions, fitted to the pairs that were proposed among files that were made as in
# `benchmarks/duplicates.py`: 4,800 for waves and warps, 5,400 of other packages for textures.
# 1; the three of `alike`; log of the score beside the second place's; coherence; tens of dB that a filter of one
# explains of the other, the worse way and the better; log10 of the seconds that overlap.
_OF_WAVES = (-10.1, 3.6, 1.8, 0.8, 1.7, 1.8, 1.2, 2.2, 0.9)
# 1; score, shape, at this lag, detail, the lesser of these two; log10 of the seconds that sound; pitch; tempo: for
# whether a closer look is worth the time.
_OF_WARPS = (-9.9, 1.1, 3.7, 3.5, 3.9, 3.4, 2.8, 1.2, 1.9)
_WORTH_TEXTURE = 0.02
# 1; of the texture the mean, the least, by chance, log10 of the chunks; of the warp shape, at this lag, detail; pitch;
# tempo.
_OF_TEXTURES = (-9.2, 3.1, 2.7, -2.8, 4.4, 1.9, 4.7, 3.4, -0.8, -1.5)
_MOST_EXPLAINED_DB = 30.0

_LIKELY = 0.5  # no need to look further
_WORTH_A_LOOK = 0.25  # score of an alignment
_NOT_PERIODIC = 1.08  # a recording fits at one place better than at all others
_SAME = 0.9  # a score from which it may fit at several
_LEAST_SEMITONES, _LEAST_STRETCH = 0.5, 0.02  # with less, the waves would have fitted
_APART = {"tempo": 0.15, "speed": 0.35}  # semitones that a family allows beside what it says
_NEAR_SPEED, _NEAR_KEY = 0.03, 0.25
_LENGTHS_SAY_SO = 0.05  # of the agreement
_GAIN_DB, _FILTER_DB, _ALIKE_DB = 1.0, 4.0, -90.0
_TOGETHER_S = 0.05
_EXTRA_S = {True: 0.005, False: 0.1}  # of lossless files and others: coders add this much silence themselves
_SILENT = 3e-3  # of the peak


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two files."""

    recording: Recording
    print: Print


def relate(store: Store, first: Side, second: Side, *, may_fit: bool, may_be_warped: bool) -> Relation | None:
    """Compare two files.

    Parameters
    ----------
    may_fit : whether one may lie in the other as it is
    may_be_warped : whether other pitch, tempo and speed are worth the time

    Returns
    -------
    None if they are not one recording, as far as can be told; damaged files are not
    """
    if not first.print.blocks or not second.print.blocks:
        return None
    found = align(store, first.print, second.print) if may_fit else None
    relation = None
    if found is not None and found.score >= _WORTH_A_LOOK:
        relation = _of_waves(store, first.recording, second.recording, found)
    if relation is None or relation.sure < _LIKELY:
        warped = _of_warp(store, first, second) if may_be_warped else None
        return max((one for one in (relation, warped) if one is not None), key=lambda one: one.sure, default=None)
    if may_be_warped and _may_be_stretched(first, second, relation):
        warped = _of_warp(store, first, second, fits_at=relation.start_s)
        return relation if warped is None else replace(warped, sure=max(warped.sure, relation.sure))
    return relation


def _may_be_stretched(first: Side, second: Side, relation: Relation) -> bool:
    """Whether two waves that fit are of other lengths, from their beginning on: an onset stays where tempo changes."""
    ratio = first.recording.duration_s / max(second.recording.duration_s, 1e-6)
    return abs(relation.start_s) < _TOGETHER_S and SPEEDS[0] < ratio < SPEEDS[1] and abs(ratio - 1) > _LEAST_STRETCH / 2


def _logistic(weights: tuple[float, ...], *values: float) -> float:
    return 1 / (1 + exp(-sum(weight * value for weight, value in zip(weights, (1.0, *values), strict=True))))


# The wave as it is


def _of_waves(store: Store, first: Recording, second: Recording, found: Alignment) -> Relation | None:
    from_s = max(0.0, found.start_s)
    to_s = min(first.duration_s, found.start_s + second.duration_s)
    least = _EXTRA_S[first.is_lossless and second.is_lossless]
    here = _heard(store, first, from_s, to_s, least)
    there = _heard(store, second, from_s - found.start_s, to_s - found.start_s, least)
    n = min(len(here.samples), len(there.samples))
    if n < RATE // 100:
        return None
    one, other = here.samples[:n], in_step(here.samples[:n], there.samples[:n])
    score, *in_time = alike(whiten(one)[0], whiten(other)[0])
    if found.above_second < _NOT_PERIODIC and score < _SAME:
        return None
    forth, back = changes(one, other)
    explained = [min(-left_db, _MOST_EXPLAINED_DB) / 10 for left_db in sorted((forth.left_db, back.left_db))[::-1]]
    above, long = log(max(found.above_second, 1e-3)), log10(max(n / RATE, 0.01))
    sure = _logistic(_OF_WAVES, score, *in_time, above, coherence(one, other), *explained, long)
    parameters: dict[str, float] = {}
    kinds = list(_kinds(first, second, forth, back, parameters))
    kinds += _extents(*((first, here), (second, there))[:: 1 if first.duration_s >= second.duration_s else -1])
    if not kinds:
        kinds = ["same samples" if forth.left_db < _ALIKE_DB and abs(forth.gain_db) < 0.01 else "edited"]
    return Relation(tuple(kinds), sure, found.start_s, parameters)


def _kinds(
    first: Recording, second: Recording, forth: Changes, back: Changes, parameters: dict[str, float]
) -> Iterator[Kind]:
    """What was done to all of it, with the figures."""
    if max(forth.left_db, back.left_db) > -19 and forth.tail_above_db > 1.5:
        parameters["tail_db"] = forth.tail_db
        yield "reverb"
    elif _is_noisy(forth, back):
        parameters["noise_db"] = min(forth.left_db, back.left_db)
        yield "noise"
    yield from _filter(forth, back, parameters)
    if abs(forth.gain_db) > _GAIN_DB:
        parameters["gain_db"] = forth.gain_db
        yield "gain"
    if not (first.is_lossless and second.is_lossless) and _coding(first) != _coding(second):
        yield "re-encoded"
    if first.sample_rate != second.sample_rate:
        yield "resampled"
    if first.channels != second.channels:
        yield "channels"


def _coding(one: Recording) -> tuple[str, int]:
    return ("lossless", 0) if one.is_lossless else (one.codec, round(one.bit_rate / 8000))


def _is_noisy(forth: Changes, back: Changes) -> bool:
    """Whether one has steady noise and is else as the other."""
    is_else_alike = abs(forth.gain_db) < 1.5 and min(forth.range_db, back.range_db) <= _FILTER_DB
    return is_else_alike and any(-35 < one.left_db < -12 and one.left_is_steady > 0.95 for one in (forth, back))


def _filter(forth: Changes, back: Changes, parameters: dict[str, float]) -> Iterator[Kind]:
    """Whether bands differ in gain, whichever of the two is taken for the source."""
    if min(forth.range_db, back.range_db) <= _FILTER_DB:
        return
    gains = np.array(forth.bands_db)
    hz = np.array(forth.bands_hz)[~np.isnan(gains)]
    gains = gains[~np.isnan(gains)]
    gains -= gains.max()
    weak = np.flatnonzero(gains < -3)
    if weak[-1] == len(gains) - 1:
        parameters["low_pass_hz"] = float(hz[np.flatnonzero(gains >= -3)[-1]])
    if weak[0] == 0:
        parameters["high_pass_hz"] = float(hz[np.flatnonzero(gains >= -3)[0]])
    yield "filtered"


def _extents(longer: tuple[Recording, _Heard], shorter: tuple[Recording, _Heard]) -> Iterator[Kind]:
    """What one file has before and after the other."""
    if not longer[1].has_more:
        return
    if longer[1].outside < _SILENT * longer[1].inside:
        yield "padded"
    else:
        yield "contained" if shorter[0].duration_s < 0.5 * longer[0].duration_s else "trimmed"


@dataclass(frozen=True, slots=True)
class _Heard:
    """What of a file the other has too."""

    samples: F32  # (n,), a minute of it at most
    has_more: bool  # the file, than this
    inside: float  # the loudest
    outside: float  # the same of the rest of the file


def _heard(store: Store, one: Recording, from_s: float, to_s: float, least_s: float) -> _Heard:
    """Read a stretch of a file; all of it if there is more than so many seconds beside it."""
    has_more = max(from_s, one.duration_s - to_s) > least_s
    first, last, at = round(from_s * RATE), round(to_s * RATE), 0
    near, end = round(0.005 * RATE), min(last, first + round(BLOCK_S * RATE))
    kept, inside, outside = [np.zeros(0, np.float32)], 0.0, 0.0
    for block in store.heard(one.path, one.duration_s):
        kept.append(block[max(0, first - at) : max(0, end - at)])
        low, high = max(0, first - near - at), max(0, last + near - at)
        sizes = np.abs(block)
        inside = max(inside, float(sizes[low:high].max(initial=0)))
        outside = max(outside, float(sizes[:low].max(initial=0)), float(sizes[high:].max(initial=0)))
        at += len(block)
        if at >= end and not has_more:
            break
    return _Heard(np.concatenate(kept), has_more, inside, outside)


# The wave drawn out or shifted


def _of_warp(store: Store, first: Side, second: Side, fits_at: float | None = None) -> Relation | None:
    """Compare at another pitch, tempo or speed; None if textures agree as well where the waves fit as they are."""
    sounding = [side.print.end_s - side.print.start_s for side in (first, second)]
    ratios = first.recording.duration_s / max(second.recording.duration_s, 1e-6), sounding[0] / sounding[1]
    found = warp(store.bands_of(first.print), store.bands_of(second.print), ratios)
    if found is None or not _is_plain(found) or _first_guess(found, min(sounding)) < _WORTH_TEXTURE:
        return None
    looked = _look_closer(store, first, second, found, ratios, fits_at)
    if looked is None:
        return None
    found, sure = looked
    parameters = {
        "pitch": {"semitones": found.semitones},
        "tempo": {"speed": found.speed},
        "speed": {"speed": found.speed, "semitones": 12 * log2(found.speed)},
    }[found.family]
    start_s = first.print.start_s - second.print.start_s / found.speed + found.lag_s
    return Relation((found.family,), sure, start_s, parameters)


def _look_closer(
    store: Store, first: Side, second: Side, found: Warp, ratios: tuple[float, float], fits_at: float | None
) -> tuple[Warp, float] | None:
    """Give the numbers at which textures agree best, and how sure that is."""
    here, there = details(_head(store, first)), _head(store, second)
    looks = [(one, details(there, one.semitones, one.speed)) for one in _near(found, ratios)]
    found, best = max(looks, key=lambda look: _worth(look[0], agreement(here, look[1], look[0].lag_s), ratios[0]))
    closer = texture(here, best, found.lag_s)
    if closer is None:
        return None
    if fits_at is not None:
        lag_s = second.print.start_s + fits_at - first.print.start_s
        if closer.mean <= _mean(agreement(here, details(there), lag_s)):
            return None
    return found, _sure_of_texture(closer, found)


def _first_guess(found: Warp, sounding_s: float) -> float:
    lesser, long = min(found.at_this_lag, found.detail), log10(max(sounding_s, 0.01))
    evidence = found.score, found.shape, found.at_this_lag, found.detail, lesser, long
    return _logistic(_OF_WARPS, *evidence, found.family == "pitch", found.family == "tempo")


def _sure_of_texture(of: Texture, found: Warp) -> float:
    evidence = of.mean, of.least, of.by_chance, log10(of.n_chunks), found.shape, found.at_this_lag, found.detail
    return _logistic(_OF_TEXTURES, *evidence, found.family == "pitch", found.family == "tempo")


def _near(found: Warp, ratios: tuple[float, float]) -> Iterator[Warp]:
    """What was found, and the same with the numbers that durations, the pitch or a keyboard suggest."""
    if found.family == "pitch":
        near = {found.semitones, *({float(round(found.semitones))} if _is_near_a_key(found.semitones) else ())}
        yield from (replace(found, semitones=one) for one in sorted(near))
        return
    suggested = (*ratios, 2 ** (found.semitones / 12)) if found.family == "speed" else ratios
    near = {one for one in suggested if abs(one / found.speed - 1) < _NEAR_SPEED and abs(one - 1) >= _LEAST_STRETCH}
    for speed in sorted({found.speed, *near}):
        yield replace(found, speed=speed, semitones=12 * log2(speed) if found.family == "speed" else 0.0)


def _worth(one: Warp, scores: list[float], ratio: float) -> float:
    """Agreement, and something for the speed that the lengths of the files say."""
    return _mean(scores) + _LENGTHS_SAY_SO * (one.speed == ratio)


def _mean(scores: list[float]) -> float:
    return sum(scores) / len(scores) if scores else -1.0


def _is_near_a_key(semitones: float) -> bool:
    return round(semitones) != 0 and abs(semitones - round(semitones)) < _NEAR_KEY


def _head(store: Store, side: Side) -> F32:
    """Read the first seconds of what sounds, as many as bands are kept of."""
    first, last = round(side.print.start_s * RATE), round(min(side.print.end_s, side.print.start_s + BANDS_S) * RATE)
    kept, at = [np.zeros(0, np.float32)], 0
    for block in store.heard(side.recording.path, side.recording.duration_s):
        kept.append(block[max(0, first - at) : max(0, last - at)])
        at += len(block)
        if at >= last:
            break
    return np.concatenate(kept)


def _is_plain(found: Warp) -> bool:
    """Whether the numbers are those of one family."""
    if found.family == "pitch":
        return abs(found.semitones) >= _LEAST_SEMITONES
    expected = 12 * log2(found.speed) if found.family == "speed" else 0.0
    return abs(found.speed - 1) >= _LEAST_STRETCH and abs(found.semitones - expected) < _APART[found.family]
