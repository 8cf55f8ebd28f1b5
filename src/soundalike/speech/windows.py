"""Overlapping windows of a stream, of which only the middle is kept.

A recognizer hears a word best from what stands around it, and cannot hear hours at once. So it gets windows that
overlap by two margins, and gives up its frames in the margins, except at the ends of the sound; the frames that
are kept follow each other without a gap. Windows begin on the grid of frames, as in transformers' chunked pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from soundalike.models.speech import CtcSpec
from soundalike.types import F32


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A stretch that a recognizer hears at once."""

    samples: F32  # (n_samples,)
    kept: slice  # of its frames


def windows(blocks: Iterable[F32], spec: CtcSpec, sample_rate: int) -> Iterator[Window]:
    """Cut a stream into windows; memory holds one window and one block.

    Parameters
    ----------
    blocks : mono blocks of any length, at ``sample_rate``
    """
    length, margin = (_n_frames(seconds, spec, sample_rate) for seconds in (spec.window_s, spec.margin_s))
    buffer, first = np.zeros(0, np.float32), 0
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while buffer.size > length * spec.hop_length:  # more to come, so this window is not the last
            yield Window(buffer[: length * spec.hop_length], slice(first, length - margin))
            buffer, first = buffer[(length - 2 * margin) * spec.hop_length :], margin
    yield Window(buffer, slice(first, None))


def _n_frames(seconds: float, spec: CtcSpec, sample_rate: int) -> int:
    return round(seconds * sample_rate / spec.hop_length)
