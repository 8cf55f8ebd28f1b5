"""The whole flow: a stream of samples to features per frame and per sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from soundalike import audio
from soundalike.features import pitch, rhythm, spectral
from soundalike.features.rhythm import Tempo
from soundalike.features.spectral import HOP_LENGTH, N_FFT, N_MELS, SAMPLE_RATE
from soundalike.features.tonal import Key, estimate_key
from soundalike.loudness import Loudness, Meter, loudness_of_file
from soundalike.types import F32, F64

FRAME_RATE = SAMPLE_RATE / HOP_LENGTH  # frames per second
N_MFCC = 20
COLUMNS = {  # what is measured of each frame, and in how many numbers
    "mfcc": N_MFCC,
    "chroma": 12,
    "centroid_hz": 1,
    "bandwidth_hz": 1,
    "rolloff_hz": 1,
    "flatness": 1,
    "zero_crossing_rate": 1,
    "rms": 1,
    "f0_hz": 1,
    "aperiodicity": 1,
    "onset_strength": 1,
}
MOST_FRAMES = 1 << 18  # kept (1.7 h); longer sounds keep every 2nd, 4th ... frame
MOST_MELS = 1 << 12  # spectra kept for a picture (95 s); longer sounds keep means of 2, 4 ... neighbours
STRETCH_FRAMES = 25_840  # 10 min
RANGE_DB = 80.0  # within a stretch, mel bands further below the loudest count as so far below
POWER_FLOOR = 1e-10
MAX_VALUE = 1e12  # of a sample; the same bound as for files
SOUNDING_DB = -60.0  # a frame this far below the loudest one has no pitch


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What was measured of one sound.

    Attributes
    ----------
    duration_s : length of the sound
    times_s : (n_frames,), middle of each frame
    frames : per name of `COLUMNS`, (n_frames,) or (n_frames, 20 or 12); ``f0_hz`` is NaN where there is no
    pitch onsets_s : (n_onsets,), where something begins tempo : None where nothing repeats key : None
    without any tonal content at all; see its correlation loudness : integrated, momentary and peak mel_db :
    (n, 128), the log-mel spectrogram, at most `MOST_MELS` columns; for pictures mel_hop_s : from one column
    of ``mel_db`` to the next warnings : damage that was survived while reading a file
    """

    duration_s: float
    times_s: F64
    frames: dict[str, F32]
    onsets_s: F64
    tempo: Tempo | None
    key: Key | None
    loudness: Loudness
    mel_db: F32
    mel_hop_s: float
    warnings: tuple[str, ...] = field(default=())


def measure(samples: F32, sample_rate: int) -> Features:
    """Measure the features of a sound in memory.

    Parameters
    ----------
    samples : (n,) or (n, channels), finite, not empty; loudness is of all channels, the rest of their mix
    sample_rate : Hz
    """
    samples = checked(samples, sample_rate)
    meter = Meter()
    meter.push(samples, sample_rate)
    mono = audio.resample(audio.downmix(samples), sample_rate, SAMPLE_RATE)
    analysis = Analysis()
    analysis.take([mono])
    return analysis.result(len(samples) / sample_rate, meter.result())


def measure_file(path: Path | str) -> Features:
    """Measure the features of a sound file of any format and length.

    It is decoded twice: as a mono mix at 22,050 Hz for the frames, and as it is for the loudness. Memory is
    bounded, at about 250 MB for files beyond 1.7 hours, 30 MB per hour below.

    Raises
    ------
    SoundError
        as `soundalike.audio.read`
    """
    analysis = Analysis()
    with audio.read(path, SAMPLE_RATE) as sound:
        analysis.take(sound)
    return analysis.result(sound.duration_s, loudness_of_file(path), sound.warnings)


def checked(samples: F32, sample_rate: int) -> F32:
    """Give samples as ``(n, channels)``, or a ValueError that says what is wrong with them."""
    samples = np.asarray(samples, np.float32)
    if samples.ndim not in (1, 2) or not samples.size or sample_rate < 1:
        raise ValueError(
            f"expected (n,) or (n, channels) samples at a positive rate; got shape {samples.shape}"
        )
    if not np.abs(samples).max() <= MAX_VALUE:  # false for NaN
        raise ValueError(f"samples must be finite numbers within ±{MAX_VALUE:g}")
    return samples if samples.ndim == 2 else samples[:, None]


class Analysis:
    """Takes the samples of one sound in order; then gives its features.

    Parameters
    ----------
    pitch_step : look for a pitch in every so manieth frame only; those between repeat it
    from_silence : count the beginning as a rise from silence; librosa's onset strength begins with none
    """

    def __init__(self, *, pitch_step: int = 1, from_silence: bool = False) -> None:
        self._pitch_step = pitch_step
        self._table, self._mels = Thinned(MOST_FRAMES), Thinned(MOST_MELS, average=True)
        self._strength: list[F32] = []
        self._last_mel = np.zeros(N_MELS, np.float32) if from_silence else None  # bands of the frame before

    def take(self, blocks: Iterable[F32]) -> None:
        """Take a whole stream of mono blocks at 22,050 Hz."""
        for rows, mel in _stretches(blocks, self._pitch_step):
            mel_db = to_db(mel)
            floor = mel_db.max() - np.float32(RANGE_DB)
            np.maximum(mel_db, floor, out=mel_db)
            previous = None if self._last_mel is None else np.maximum(to_db(self._last_mel), floor)
            self._strength.append(rhythm.onset_strength(mel_db, previous))
            self._last_mel = mel[-1]
            self._table.add(np.concatenate([mfcc(mel_db), rows], axis=1))
            self._mels.add(mel_db)

    @property
    def onset_strength(self) -> F32:
        """Of every frame, (n_frames,)."""
        return rhythm.center(np.concatenate(self._strength), N_FFT // (2 * HOP_LENGTH))

    @property
    def step(self) -> int:
        """Every so manieth frame is kept in `frames`."""
        return self._table.step

    @property
    def frames(self) -> dict[str, F32]:
        """By the names of `COLUMNS`, (n, ...); ``f0_hz`` is NaN where there is no pitch."""
        table = np.concatenate([self._table.rows, self.onset_strength[:: self.step, None]], axis=1)
        return _columns(table)

    def result(self, duration_s: float, loudness: Loudness, warnings: tuple[str, ...] = ()) -> Features:
        """Everything that is known once the last sample has passed."""
        strength, frames = self.onset_strength, self.frames
        return Features(
            duration_s=duration_s,
            times_s=np.arange(len(frames["rms"]), dtype=np.float64) * (self.step / FRAME_RATE),
            frames=frames,
            onsets_s=rhythm.pick_onsets(strength) / FRAME_RATE,
            tempo=rhythm.estimate_tempo(strength, FRAME_RATE),
            key=estimate_key(frames["chroma"].mean(axis=0)),
            loudness=loudness,
            mel_db=self._mels.rows,
            mel_hop_s=self._mels.step / FRAME_RATE,
            warnings=warnings,
        )


def _stretches(blocks: Iterable[F32], pitch_step: int) -> Iterator[tuple[F32, F32]]:
    """Yield rows without MFCC and onsets, and powers in the mel bands; about `STRETCH_FRAMES` at once."""
    rows: list[F32] = []
    mels: list[F32] = []
    for batch in spectral.batches(blocks):
        power = spectral.power_spectrum(batch.frames)
        mel, chroma = spectral.mel_and_chroma(power)
        pitches = pitch.yin(batch.frames[::pitch_step], SAMPLE_RATE)
        alone = [spectral.zero_crossing_rate(batch), spectral.rms(batch.frames)]
        alone += [np.repeat(values, pitch_step)[: len(power)] for values in pitches]
        rows.append(np.concatenate([chroma, spectral.shapes(power), np.stack(alone, axis=1)], axis=1))
        mels.append(mel)
        if sum(map(len, rows)) >= STRETCH_FRAMES:
            yield np.concatenate(rows), np.concatenate(mels)
            rows, mels = [], []
    if rows:
        yield np.concatenate(rows), np.concatenate(mels)


def _columns(table: F32) -> dict[str, F32]:
    """Split the table by the names of `COLUMNS`; frames without a pitch get no f0."""
    ends = np.cumsum(list(COLUMNS.values()))
    parts = np.split(table, ends[:-1], axis=1)
    columns = {
        name: part if part.shape[1] > 1 else part[:, 0] for name, part in zip(COLUMNS, parts, strict=True)
    }
    loud = columns["rms"] > columns["rms"].max() * 10 ** (SOUNDING_DB / 20)
    voiced = loud & (columns["aperiodicity"] < pitch.VOICED_BELOW)
    columns["f0_hz"] = np.where(voiced, columns["f0_hz"], np.float32(np.nan))
    return columns


def to_db(power: F32) -> F32:
    """Decibels of a power, -100 at least."""
    return np.float32(10) * np.log10(np.maximum(power, np.float32(POWER_FLOOR)))


def mfcc(mel_db: F32) -> F32:
    """Mel-frequency cepstral coefficients: the first 20 of an orthonormal DCT-II of the log-mel spectrum.

    Returns
    -------
    (n_frames, 20), as ``librosa.feature.mfcc``

    References
    ----------
    Davis & Mermelstein (1980), *Comparison of parametric representations for monosyllabic word recognition*.
    """
    from scipy import fft

    assert mel_db.shape[1] == N_MELS
    out: F32 = fft.dct(mel_db, axis=1, norm="ortho")[:, :N_MFCC]
    return out


class Thinned:
    """Rows up to a limit; beyond, every 2nd, 4th, 8th ... or the means of so many."""

    def __init__(self, limit: int, *, average: bool = False) -> None:
        self._limit = limit
        self._average = average
        self._parts: list[F32] = []
        self._rest: F32 | None = None  # rows that do not fill a step yet
        self.step = 1

    @property
    def rows(self) -> F32:
        """The rows so far; of the last step, what there is."""
        rest = (
            [] if self._rest is None or not len(self._rest) else [self._reduce(self._rest, len(self._rest))]
        )
        return np.concatenate([*self._parts, *rest])

    def add(self, rows: F32) -> None:
        """Append rows; when there are too many, double the step."""
        rows = rows if self._rest is None else np.concatenate([self._rest, rows])
        whole = len(rows) - len(rows) % self.step
        self._parts.append(self._reduce(rows[:whole], self.step))
        self._rest = rows[whole:]
        while sum(map(len, self._parts)) > self._limit:
            self._halve()

    def _halve(self) -> None:
        kept = np.concatenate(self._parts)
        even = len(kept) - len(kept) % 2
        if even < len(kept):  # an odd last row goes back, standing for the whole step that it came from
            last = np.repeat(kept[even:], self.step, axis=0)
            self._rest = last if self._rest is None else np.concatenate([last, self._rest])
        self._parts = [self._reduce(kept[:even], 2)]
        self.step *= 2

    def _reduce(self, rows: F32, step: int) -> F32:
        """One row for every ``step`` rows."""
        if self._average:
            out: F32 = rows.reshape(-1, step, rows.shape[1]).mean(axis=1)
            return out
        return rows[::step].copy()
