"""Measure the aspects of a sound, and keep them as one row of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soundalike import audio
from soundalike.features import rhythm
from soundalike.features.analysis import FRAME_RATE, Analysis, checked
from soundalike.features.spectral import SAMPLE_RATE
from soundalike.loudness import Loudness, Meter
from soundalike.types import F32, F64

VERSION = 1  # first number of every array; a change of meaning or of layout counts it up
EXCERPT_S = 20.0  # a longer sound is measured in excerpts, evenly spread
MOST_EXCERPTS = 6
SOUNDING_DB = -40.0  # of the loudest frame: quieter ones do not count
PITCH_STEP = 3  # a pitch is looked for in every third frame
QUIETEST_LUFS = -70.0  # what silence counts as
TONES_HZ, TEMPO_BPM, CENTER_HZ = 440.0, 120.0, 1000.0  # where the logarithms are 0


Values = dict[str, float | F32]  # fields of `Aspects` by name


@dataclass(frozen=True, slots=True, eq=False)
class Aspects:
    """The compact description of one sound; means are over frames weighed by their amplitude."""

    voiced: float  # part of the sound that has a pitch, [0, 1]
    f0: float  # median, octaves above 440 Hz; 0 without any pitch
    f0_spread: float  # between the quartiles, octaves
    chroma: F32  # (12,), C first; sums to 1, or all 0 in silence
    flatness: float  # dB: 0 is white noise, -60 a tone
    aperiodicity: float  # mean, [0, 1]: 0 repeats exactly, 1 does not repeat
    mfcc_mean: F32  # (12,), coefficients 1 to 12
    mfcc_spread: F32  # (6,), standard deviations of coefficients 1 to 6
    centroid: float  # octaves above 1 kHz
    rolloff: float  # octaves above 1 kHz
    tempo: float  # octaves above 120 BPM; 0 without a pulse
    pulse: float  # how clear the tempo is, [0, 1]
    onset_rate: float  # log2(1 + onsets per second)
    loudness: float  # integrated, LUFS, of the mono mix
    crest: float  # peak above the loudness, dB
    range: float  # between the 10th and 95th percentiles of momentary loudness, LU
    length: float  # octaves above 1 s

    def to_array(self) -> F32:
        """As one row: `VERSION` first, then the fields in order."""
        values = [np.ravel(getattr(self, item.name)) for item in fields(self)]
        return np.concatenate([[VERSION], *values]).astype(np.float32)

    @classmethod
    def from_array(cls, row: npt.ArrayLike) -> Aspects:
        """Back from `to_array`.

        Raises
        ------
        ValueError
            for a row of another length or version
        """
        values = checked_rows(np.asarray(row, np.float32)[None])[0]
        parts = {name: values[place] for name, place in LAYOUT.items() if name != "version"}
        known: Values = {name: part if part.size > 1 else float(part[0]) for name, part in parts.items()}
        return cls(**known)  # type: ignore[arg-type]


def _layout() -> dict[str, slice]:
    sizes = {"chroma": 12, "mfcc_mean": 12, "mfcc_spread": 6}
    names = ["version", *(item.name for item in fields(Aspects))]
    ends = np.cumsum([sizes.get(name, 1) for name in names]).tolist()
    return {name: slice(end - sizes.get(name, 1), end) for name, end in zip(names, ends, strict=True)}


LAYOUT: Mapping[str, slice] = _layout()
"""Where in a row each field lies."""
SIZE = LAYOUT["length"].stop


def checked_rows(rows: F32) -> F32:
    """Rows as they are, or a ValueError that says why they cannot be compared."""
    if rows.ndim != 2 or rows.shape[1] != SIZE:
        raise ValueError(f"rows of aspects have {SIZE} numbers; got shape {rows.shape}")
    if not (rows[:, 0] == VERSION).all():
        raise ValueError(
            f"these aspects are of version {set(rows[:, 0].tolist())}, not {VERSION}: measure again"
        )
    return rows


def measure(samples: F32, sample_rate: int) -> Aspects:
    """Measure the aspects of a sound in memory.

    Parameters
    ----------
    samples : (n,) or (n, channels), finite, not empty
    sample_rate : Hz
    """
    samples = checked(samples, sample_rate)
    mono = audio.resample(audio.downmix(samples), sample_rate, SAMPLE_RATE)
    return measure_blocks([mono], len(samples) / sample_rate)


def measure_file(path: Path | str) -> Aspects:
    """Measure the aspects of a sound file, whatever its length, in bounded memory and time.

    Raises
    ------
    SoundError
        as `soundalike.audio.read`
    """
    with audio.read(path, SAMPLE_RATE) as sound:
        return measure_blocks(sound)


def measure_blocks(blocks: Iterable[F32], duration_s: float | None = None) -> Aspects:
    """Measure the aspects of a stream of mono blocks at 22,050 Hz.

    Parameters
    ----------
    blocks : (n,) each
    duration_s : length of the sound, if it is known better than from the number of samples
    """
    listener = Listener(SAMPLE_RATE)
    for block in blocks:
        listener.hear(block)
    return listener.result(duration_s)


class Listener:
    """Measures a sound while its blocks pass by on their way to something else.

    Parameters
    ----------
    sample_rate : of the blocks, Hz; below `SAMPLE_RATE` the highest octaves are missing from what is measured
    """

    def __init__(self, sample_rate: int) -> None:
        self._resampler = audio.Resampler(sample_rate, SAMPLE_RATE)
        self._excerpts, self._meter, self._n_samples = _Excerpts(), Meter(), 0

    def hear(self, block: F32) -> None:
        """Take the next mono block ``(n,)``."""
        self._take(self._resampler.push(block))

    def _take(self, blocks: Iterable[F32]) -> None:
        for block in blocks:
            self._excerpts.add(block)
            self._meter.push(block[:, None], SAMPLE_RATE)
            self._n_samples += block.size

    def result(self, duration_s: float | None = None) -> Aspects:
        """Say what was heard; the length is the given one, if that is known better."""
        self._take(self._resampler.finish())
        frames, strength = _analyzed(self._excerpts.kept())
        known: Values = {"length": float(np.log2(max(duration_s or self._n_samples / SAMPLE_RATE, 1e-3)))}
        known |= _tones(frames) | _colors(frames) | _pulse(strength) | _levels(self._meter.result())
        return Aspects(**known)  # type: ignore[arg-type]


def _analyzed(excerpts: list[F32]) -> tuple[dict[str, F32], F32]:
    """Frames and onset strength of all excerpts, at the same level for every sound: some features have floors."""
    peak = max(float(np.abs(excerpt).max(initial=0)) for excerpt in excerpts)
    gain = 1 / peak if peak > 1e-30 else 1.0
    analyses = []
    for excerpt in excerpts:
        analyses.append(Analysis(pitch_step=PITCH_STEP, from_silence=True))
        analyses[-1].take([excerpt * np.float32(gain)])
    columns = [analysis.frames for analysis in analyses]
    frames = {name: np.concatenate([column[name] for column in columns]) for name in columns[0]}
    return frames, np.concatenate([analysis.onset_strength for analysis in analyses])


class _Excerpts:
    """Excerpts of `EXCERPT_S` in a row while there are few; then every 2nd, 4th ... of them."""

    def __init__(self) -> None:
        self._length = round(EXCERPT_S * SAMPLE_RATE)
        self._whole: list[F32] = []
        self._parts: list[F32] = []  # of the excerpt that is being filled
        self._filled = self._seen = 0
        self._step = 1

    def add(self, block: F32) -> None:
        """Take the next block."""
        while block.size:
            part, block = np.split(block, [self._length - self._filled])
            if self._seen % self._step == 0:
                self._parts.append(part)
            self._filled += part.size
            if self._filled == self._length:
                self._close()

    def kept(self) -> list[F32]:
        """Give the excerpts; the last, shorter one if it is the only one or more than half as long."""
        rest = np.concatenate([*self._parts, np.empty(0, np.float32)])
        return [*self._whole, rest] if not self._whole or rest.size > self._length // 2 else self._whole

    def _close(self) -> None:
        if self._parts:
            self._whole.append(np.concatenate(self._parts))
        self._parts, self._filled, self._seen = [], 0, self._seen + 1
        if len(self._whole) > MOST_EXCERPTS:
            self._whole, self._step = self._whole[::2], self._step * 2


def _weights(frames: dict[str, F32]) -> F64:
    """How much each frame counts, (n_frames,), sum 1; all frames alike in silence."""
    rms = frames["rms"].astype(np.float64)
    weights = np.where(rms >= rms.max() * 10 ** (SOUNDING_DB / 20), rms, 0.0)
    total = weights.sum()
    return weights / total if total > 0 else np.full(rms.size, 1 / rms.size)


def _tones(frames: dict[str, F32]) -> Values:
    """Pitch and noisiness."""
    weights, f0 = _weights(frames), frames["f0_hz"]
    voiced = np.isfinite(f0) & (weights > 0)
    quartiles = np.zeros(3)
    if voiced.any():
        quartiles = _quantiles(np.log2(f0[voiced] / TONES_HZ), weights[voiced], np.array([0.25, 0.5, 0.75]))
    chroma = weights @ frames["chroma"]
    return {
        "voiced": float(weights[voiced].sum()),
        "f0": float(quartiles[1]),
        "f0_spread": float(quartiles[2] - quartiles[0]),
        "chroma": (chroma / max(float(chroma.sum()), 1e-9)).astype(np.float32),
        "flatness": float(weights @ (10 * np.log10(np.maximum(frames["flatness"], 1e-9)))),
        "aperiodicity": float(weights @ frames["aperiodicity"]),
    }


def _quantiles(values: npt.NDArray[np.floating], weights: F64, wanted: F64) -> F64:
    """Quantiles of weighed values."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    places = np.searchsorted(reached, wanted * reached[-1]).clip(0, values.size - 1)
    return np.asarray(values[order][places], np.float64)


def _colors(frames: dict[str, F32]) -> Values:
    """Timbre and brightness."""
    weights, mfcc = _weights(frames), frames["mfcc"][:, 1:13].astype(np.float64)
    mean = weights @ mfcc
    variance = weights @ np.square(mfcc[:, :6] - mean[:6])
    octaves = {
        name: float(np.log2(max(float(weights @ frames[f"{name}_hz"]), 20.0) / CENTER_HZ))
        for name in ("centroid", "rolloff")
    }
    out: Values = {"mfcc_mean": mean.astype(np.float32), "mfcc_spread": np.sqrt(variance).astype(np.float32)}
    return out | octaves


def _pulse(strength: F32) -> Values:
    """Tempo, its clarity, and onsets per second."""
    tempo = rhythm.estimate_tempo(strength, FRAME_RATE)
    rate = rhythm.pick_onsets(strength).size / (strength.size / FRAME_RATE)
    clear = tempo is not None and tempo.strength > 0
    return {
        "tempo": float(np.log2(tempo.bpm / TEMPO_BPM)) if tempo and clear else 0.0,
        "pulse": tempo.strength if tempo else 0.0,
        "onset_rate": float(np.log2(1 + rate)),
    }


def _levels(loudness: Loudness) -> Values:
    """Loudness and dynamics; the range is gated as in EBU Tech 3342, but of momentary values."""
    level = QUIETEST_LUFS if loudness.integrated_lufs is None else loudness.integrated_lufs
    momentary = loudness.momentary_lufs[loudness.momentary_lufs >= max(level - 20, QUIETEST_LUFS)]
    low, high = np.percentile(momentary, [10, 95]) if momentary.size else (0.0, 0.0)
    crest = 0.0 if loudness.peak_db is None else max(loudness.peak_db, QUIETEST_LUFS) - level
    return {"loudness": level, "crest": crest, "range": float(high - low)}
