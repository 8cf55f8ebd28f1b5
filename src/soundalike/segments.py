"""Split a stream of samples into overlapping segments.

A long sound gives segments of ``length_s`` every ``hop_s``, counted from where it first sounds; the last one
is right-aligned, so that every sample is seen and none is padded. Every segment is cut to where it sounds
(within `EDGE_DB` of its own peak); what is then shorter than ``shortest_s`` is repeated, so that silence
never dominates a one-shot. A segment is left out if it is silent, or if nothing sounds in it beyond the end
of the one before: a sound of three seconds has one segment, however long the silence behind it. All of this
is relative to the segment itself, so a quieter copy gives the same segments. Memory holds two segments and
one block, whatever the length of the sound.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSpec:
    """How a model wants its sound cut."""

    length_s: float  # of a segment
    hop_s: float  # from one start to the next
    shortest_s: float  # shorter sounds are repeated to this length
    fixed: bool = False  # they are repeated as a whole, and filled up with zeros: what CLAP calls "repeatpad"
    margin_s: float = 0.0  # silence that the encoder gets before and behind a segment, once it is leveled


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
