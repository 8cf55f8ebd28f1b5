"""Split a stream of samples into overlapping segments.

A long sound gives segments of ``length_s`` every ``hop_s``, counted from where it first sounds; the last one
is right-aligned, so that every sample is seen and none is padded. Every segment is cut to where it sounds
(within `EDGE_DB` of its own peak); what is then shorter than ``shortest_s`` is repeated, so that silence
never dominates a one-shot. A segment is left out if it is silent, or if nothing sounds in it beyond the end
of the one before: a sound of three seconds has one segment, however long the silence behind it. All of this
is relative to the segment itself, so a quieter copy gives the same segments. Memory holds two segments and
one block, whatever the length of the sound.

A model that hears a sound as a whole before it is cut (`SegmentSpec.around_s`) has its segments uncut, with what
lies around them, and silence behind the last one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from soundalike.level import SILENCE_PEAK, is_silent, peak_of
from soundalike.types import F32, Segment

EDGE_DB = -60.0  # a segment begins and ends where it comes this near to its peak
LEAST = 0.75  # of a segment with surroundings; with less, it is left out: Resemblyzer's min_coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSpec:
    """How a model wants its sound cut."""

    length_s: float  # of a segment
    hop_s: float  # from one start to the next
    shortest_s: float  # shorter sounds are repeated to this length
    fixed: bool = False  # they are repeated as a whole, and filled up with zeros: what CLAP calls "repeatpad"
    margin_s: float = 0.0  # silence that the encoder gets before and behind a segment, once it is leveled
    around_s: tuple[float, float] | None = None  # of the sound before and behind a segment is heard with it


def split(blocks: Iterable[F32], spec: SegmentSpec, sample_rate: int) -> Iterator[Segment]:
    """Overlapping segments of a stream, in order.

    Parameters
    ----------
    blocks : mono blocks of any length, at ``sample_rate``
    spec : the model's rule
    sample_rate : Hz

    Yields
    ------
    `Segment`, with its times in the stream; nothing at all if the stream is silent
    """
    length, hop = round(spec.length_s * sample_rate), round(spec.hop_s * sample_rate)
    if spec.around_s is not None:
        yield from _with_surroundings(iter(blocks), spec, spec.around_s, sample_rate)
        return
    position, blocks = _from_onset(iter(blocks), length)
    seen = position  # end of the segment before
    kept, n, cursor = [np.zeros(0, np.float32)], 0, 0  # the first of n is sample `position`; next is at `cursor`
    for block in blocks:
        kept.append(block)
        n += block.size
        if n <= cursor + length:
            continue
        buffer = _joined(kept)
        while buffer.size > cursor + length:  # more to come, so this segment is not the last
            position, buffer, cursor = position + cursor, buffer[cursor:], hop
            yield from _cut(buffer[:length], position, seen, spec, sample_rate)
            seen = position + length
        kept, n = [buffer], buffer.size
    buffer = _joined(kept)
    first = max(buffer.size - length, 0)
    if cursor == 0 or first > 0:  # nothing seen yet, or something new since the last segment
        yield from _cut(buffer[first:], position + first, seen, spec, sample_rate)


def sounding(samples: F32) -> slice:
    """From the first to the last sample within `EDGE_DB` of the peak; empty if all is silent."""
    if is_silent(samples):
        return slice(0, 0)
    edge = peak_of(samples) * np.float32(10 ** (EDGE_DB / 20))
    return slice(_first(samples, edge), samples.size - _first(samples[::-1], edge))


def _first(samples: F32, edge: float | np.float32) -> int:
    """Place of the first sample that reaches ``edge``, which one does; it looks no further."""
    step = 4096
    for start in range(0, samples.size, step):
        loud = np.abs(samples[start : start + step]) >= edge
        if loud.any():
            return start + int(loud.argmax())
    return 0


def _joined(blocks: list[F32]) -> F32:
    """Blocks in a row as one; a copy only if more than one holds anything."""
    full = [block for block in blocks if block.size]
    return full[0] if len(full) == 1 else np.concatenate(full or blocks)


def _from_onset(blocks: Iterator[F32], length: int) -> tuple[int, Iterator[F32]]:
    """Find where the sound begins; give that place, and the blocks from there on.

    The first sample above silence opens a stretch of one segment's length, whose peak decides what counts as
    sound, also in the ``length`` samples before: of a quiet copy, the fade-in alone may lie below silence.
    """
    position, kept, n, first = 0, deque[F32](), 0, None  # the first of the n samples kept is `position`
    for block in blocks:
        if first is None and not is_silent(block):
            first = n + _first(block, SILENCE_PEAK)
        kept.append(block)
        n += block.size
        if first is not None and n >= first + length:
            break
        while first is None and n - kept[0].size >= length:
            position, n = position + kept[0].size, n - kept.popleft().size
    if first is None:
        return position + n, blocks
    head, back = _joined(list(kept)), max(first - length, 0)
    onset = back + sounding(head[back : first + length]).start
    return position + onset, chain([head[onset:]], blocks)


def _cut(samples: F32, position: int, seen: int, spec: SegmentSpec, sample_rate: int) -> Iterator[Segment]:
    """Cut a segment to where it sounds, if that goes beyond ``seen``, and make it long enough."""
    part = sounding(samples)
    if part.start == part.stop or position + part.stop <= seen:
        return
    times = (position + np.array([part.start, part.stop])) / sample_rate
    yield Segment(float(times[0]), float(times[1]), _fill(samples[part], spec, sample_rate))


def _fill(samples: F32, spec: SegmentSpec, sample_rate: int) -> F32:
    """Repeat a short segment until it is long enough."""
    length = round(spec.shortest_s * sample_rate)
    if samples.size >= length:
        return samples
    if not spec.fixed:
        return np.resize(samples, length)
    repeated = np.tile(samples, length // samples.size)
    return np.pad(repeated, (0, length - repeated.size))


def _with_surroundings(
    blocks: Iterator[F32], spec: SegmentSpec, around_s: tuple[float, float], sample_rate: int
) -> Iterator[Segment]:
    """Segments with what lies around them, from the first sample that is not silent; silent ones are left out.

    So are those after the first at whose end the sound is over, if it fills less than `LEAST` of them. Whether it is
    only a pause, the next segments tell.
    """
    length, hop = round(spec.length_s * sample_rate), round(spec.hop_s * sample_rate)
    before, after = (round(seconds * sample_rate) for seconds in around_s)
    position, blocks = _from_sound(blocks)
    waiting: list[Segment] = []
    for start, window in _windows(blocks, before, length, after, hop):
        inside = window[before : before + length]
        if is_silent(inside):
            continue
        part = np.array([_first(inside, SILENCE_PEAK), length - _first(inside[::-1], SILENCE_PEAK)])
        begin_s, end_s = (position + start + part) / sample_rate
        segment = Segment(float(begin_s), float(end_s), window)
        if waiting and end_s > waiting[-1].end_s:
            yield from waiting
            waiting.clear()
        if start == 0 or part[1] >= LEAST * length:
            yield segment
        else:
            waiting.append(segment)


def _from_sound(blocks: Iterator[F32]) -> tuple[int, Iterator[F32]]:
    """Place of the first sample that is not silent, and the blocks from there on."""
    position = 0
    for block in blocks:
        if not is_silent(block):
            first = _first(block, SILENCE_PEAK)
            return position + first, chain([block[first:]], blocks)
        position += block.size
    return position, blocks


def _windows(
    blocks: Iterator[F32], before: int, length: int, after: int, hop: int
) -> Iterator[tuple[int, F32]]:
    """Starts of segments, and their samples with so many before and after; the sound is mirrored at its ends."""
    head = _joined([np.zeros(0, np.float32), *_at_least(blocks, before + 1)])
    if head.size == 0:
        return
    head = np.pad(head, (0, max(before + 1 - head.size, 0)))
    samples, start = np.pad(head, (before, 0), mode="reflect"), 0  # the first of them lies `before` the start
    for block in blocks:
        samples = np.concatenate([samples, block])
        while samples.size >= before + length + after:
            yield start, samples[: before + length + after]
            samples, start = samples[hop:], start + hop
    while start == 0 or samples.size > before:
        window = samples[: before + length + after]
        window = np.pad(window, (0, max(before + length - window.size, 0)))
        yield start, np.pad(window, (0, before + length + after - window.size), mode="reflect")
        samples, start = samples[hop:], start + hop


def _at_least(blocks: Iterator[F32], n_samples: int) -> Iterator[F32]:
    """Blocks until there are ``n_samples``, or no more."""
    n = 0
    while n < n_samples and (block := next(blocks, None)) is not None:
        n += block.size
        yield block
