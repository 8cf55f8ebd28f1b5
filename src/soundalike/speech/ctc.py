"""Logits to words: greedy CTC decoding (Graves et al., ICML 2006), as a stream.

The likeliest character of each frame is taken, neighbours that are alike become one, and blanks fall out; a
delimiter ends a word. Words and their first and last frames are those of transformers' `Wav2Vec2CTCTokenizer`,
but frames may come in pieces, and of a day of speech only the word under way is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np

from soundalike.models.speech import CtcSpec
from soundalike.types import F32

Frame = tuple[int, float]
"""The likeliest character of a frame, by number, and its probability."""


@dataclass(frozen=True, slots=True)
class Word:
    """Something said, and when."""

    text: str
    start_s: float  # in the file: first frame of its first character
    end_s: float  # end of the last frame of its last character
    confidence: float  # mean probability of its characters over their frames, 0 to 1


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring frames of one character."""

    character: str
    start: int  # frames
    end: int
    probability: float  # sum over the frames


def frames_of(logits: F32) -> list[Frame]:
    """The likeliest character of each frame.

    Parameters
    ----------
    logits : (n_frames, n_characters)
    """
    best = logits.argmax(axis=1)
    top = np.take_along_axis(logits, best[:, None], axis=1)
    probabilities = 1 / np.exp(logits - top).sum(axis=1, dtype=np.float64)
    return list(zip(best.tolist(), probabilities.tolist(), strict=True))


def spell(frames: Iterable[Frame], spec: CtcSpec, sample_rate: int) -> Iterator[Word]:
    """Words of a stream of frames, in order, with their times in seconds."""
    runs = (run for run in _runs(frames, spec) if run.character != spec.blank)
    for between, letters in groupby(runs, key=lambda run: run.character == spec.delimiter):
        if not between:
            yield _word(list(letters), spec.hop_length / sample_rate)


def _runs(frames: Iterable[Frame], spec: CtcSpec) -> Iterator[_Run]:
    start = 0
    for number, group in groupby(frames, key=itemgetter(0)):
        probabilities = [probability for _, probability in group]
        end = start + len(probabilities)
        yield _Run(spec.characters[number], start, end, sum(probabilities))
        start = end


def _word(letters: list[_Run], frame_s: float) -> Word:
    n_frames = sum(letter.end - letter.start for letter in letters)
    confidence = sum(letter.probability for letter in letters) / n_frames
    text = "".join(letter.character for letter in letters)
    return Word(text, letters[0].start * frame_s, letters[-1].end * frame_s, min(confidence, 1.0))
