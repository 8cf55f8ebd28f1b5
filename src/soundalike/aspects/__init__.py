"""Aspects: what a sound is like in seven measured qualities, in 45 numbers stored beside its vector.

A learned vector says how alike two sounds are on the whole. Aspects say in which way: *pitch*, *noisiness*,
*timbre*, *brightness*, *rhythm*, *loudness* and *length*, each with a similarity from 0 to 1. Search weighs
them:

    row = measure(samples, sample_rate).to_array()         # (45,) float32, kept in the library
    scores = similarities(row, rows)                       # (n, 7), columns as ASPECTS
    combined = weigh(scores, {"pitch": 2, "brightness": 1})

All but loudness and length are blind to gain and to silence around the sound: frames count by their
amplitude, and frames 40 dB below the loudest do not count.
"""

from soundalike.aspects.measuring import (
    LAYOUT,
    SIZE,
    VERSION,
    Aspects,
    Listener,
    measure,
    measure_blocks,
    measure_file,
)
from soundalike.aspects.similarity import ASPECTS, VOICED_ENOUGH, checked_weights, similarities, similarity, weigh
from soundalike.features.spectral import SAMPLE_RATE

__all__ = [
    "ASPECTS",
    "LAYOUT",
    "SAMPLE_RATE",
    "SIZE",
    "VERSION",
    "VOICED_ENOUGH",
    "Aspects",
    "Listener",
    "checked_weights",
    "measure",
    "measure_blocks",
    "measure_file",
    "similarities",
    "similarity",
    "weigh",
]
