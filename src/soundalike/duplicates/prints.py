"""What is compared of a sound: its whitened wave, its bands over time, and landmarks to look it up by.

A sound is read once, as mono at 16 kHz, in blocks of at most a minute, so a file of any length takes the same memory;
what comes of it lies in temporary files. *Whitened*: every part of the spectrum made equally strong, so that two
recordings of the same note have little in common but one recording keeps all of it, whatever was filtered or coded.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage
from scipy.sparse import csr_array

from soundalike import audio
from soundalike.level import is_silent
from soundalike.types import F32

I8 = npt.NDArray[np.int8]
U32 = npt.NDArray[np.uint32]

RATE = 16_000  # Hz
BLOCK_S = 60.0
TEMPLATE_S = 15.0  # blocks overlap by what is looked for in them
EDGE = 1e-3  # of the peak: where a sound begins and ends
LOW = 4  # what the rate is divided by for a first look
N_FFT, HOP = 1024, 160
FRAME_S = HOP / RATE
BANDS_S = 8.0  # of a sound, whose bands are kept
PER_SEMITONE = 2  # bands
LOWEST_HZ, HIGHEST_HZ = 100.0, 7000.0
N_BANDS = int(12 * PER_SEMITONE * np.log2(HIGHEST_HZ / LOWEST_HZ))
_SMOOTH_HZ = 60.0  # whitening levels the spectrum over so many to each side
_N_WHOLE = 8  # sounds that are kept in memory: pairs come sorted by their first, and more than one thread asks
_PASS_HZ = (60.0, 7200.0)
_REACH = (8, 6)  # a landmark is the highest point within so many bins and pairs of frames
_FAN = 5  # landmarks that each is paired with
_AHEAD = 63  # pairs of frames from one to the other, at most
SHORT_S = 2.0  # a shorter sound has few landmarks: it is read several times, each beginning a little later
_READINGS = range(0, 2 * HOP, HOP // 2)  # samples


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a sound in the store."""

    start_s: float  # in the file
    at: int  # of its first sample in the store
    n: int  # samples
    low_at: int  # the same of its low frequencies, at a quarter of the rate
    n_low: int

    @property
    def end_s(self) -> float:
        """Where it ends in the file."""
        return self.start_s + self.n / RATE


@dataclass(frozen=True, slots=True)
class Print:
    """A sound in the store."""

    blocks: tuple[Block, ...]  # none: nothing sounds in it
    bands_at: int
    n_frames: int  # of bands
    marks_at: int
    n_marks: int
    start_s: float  # where it begins to sound
    end_s: float

    @property
    def n_readings(self) -> int:
        """How often landmarks were looked for."""
        return len(_READINGS) if self.end_s - self.start_s < SHORT_S else 1


class Store:
    """Prints of many sounds, in temporary files that go when it is closed.

    Parameters
    ----------
    folder : of a store of another process, that is read here
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._own = None if folder else tempfile.TemporaryDirectory(prefix="soundalike-")
        self.folder = folder or Path(self._own.name if self._own else "")
        self._lock = threading.Lock()
        self._white, self._low, self._bands, self._marks = map(self._file, ("white", "low", "bands", "marks"))
        self.waves: I8 = np.zeros(0, np.int8)
        self.lows: I8 = np.zeros(0, np.int8)
        self.bands: I8 = np.zeros(0, np.int8)
        self.marks: U32 = np.zeros((0, 2), np.uint32)  # hash, time in pairs of frames
        self._whole = lru_cache(_N_WHOLE)(_whole)
        if folder:
            self.finish()

    @property
    def _files(self) -> tuple[IO[bytes], ...]:
        return self._white, self._low, self._bands, self._marks

    def _file(self, name: str) -> IO[bytes]:
        return (self.folder / name).open("w+b" if self._own else "rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of_error: object) -> None:
        self.waves = self.lows = self.bands = np.zeros(0, np.int8)  # the maps go before their files
        self.marks = np.zeros((0, 2), np.uint32)
        self._whole.cache_clear()
        for file in self._files:
            file.close()
        if self._own:
            self._own.cleanup()

    def add(self, path: Path) -> Print:
        """Read a sound; safe to call from several threads.

        Raises
        ------
        SoundError
            as `soundalike.audio.read`
        """
        blocks: list[Block] = []
        bands, marks = np.zeros((N_BANDS, 0), np.int8), [np.zeros((0, 2), np.uint32)]
        for start, samples, is_only in _blocks(path):
            first, last = _sounding(samples)
            if first == last:
                continue
            samples = samples[first if not blocks else 0 : last if is_only else len(samples)]
            start += first if not blocks else 0
            power = spectra(samples)
            if not blocks:
                bands = quantized(log_bands(power[: round(BANDS_S / FRAME_S)]), 16).T
            is_short = is_only and len(samples) < SHORT_S * RATE
            marks.append(_read_often(samples, power, start) if is_short else landmarks(power, start))
            wave, low = (quantized(one, 16) for one in whiten(samples))
            places = self._append(self._white, wave), len(wave), self._append(self._low, low), len(low)
            blocks.append(Block(start / RATE, *places))
        found = np.concatenate(marks)
        return Print(
            tuple(blocks),
            self._append(self._bands, bands),
            bands.shape[1],
            self._append(self._marks, found) // found.itemsize // 2,
            len(found),
            blocks[0].start_s if blocks else 0.0,
            blocks[-1].end_s if blocks else 0.0,
        )

    def finish(self) -> None:
        """Make what was added readable."""
        for file in self._files:
            file.flush()
        self.waves, self.lows = self._mapped(self._white, np.int8), self._mapped(self._low, np.int8)
        self.bands = self._mapped(self._bands, np.int8)
        self.marks = self._mapped(self._marks, np.uint32).reshape(-1, 2)

    def wave(self, block: Block) -> F32:
        """Give the whitened samples ``(n,)`` of a block."""
        return self.waves[block.at : block.at + block.n].astype(np.float32)

    def low(self, block: Block) -> F32:
        """Give its low frequencies, whitened, at a quarter of the rate: about ``(n / 4,)``."""
        return self.lows[block.low_at : block.low_at + block.n_low].astype(np.float32)

    def heard(self, path: Path, duration_s: float) -> Iterator[F32]:
        """Give the samples of a file at `RATE` in blocks; the last few short ones are not decoded again.

        Raises
        ------
        SoundError
            as `soundalike.audio.read`
        """
        if duration_s <= BLOCK_S:
            yield self._whole(path)
            return
        with audio.read(path, RATE) as sound:
            yield from sound

    def bands_of(self, one: Print) -> F32:
        """Give the bands ``(N_BANDS, n_frames)`` of a sound's first seconds."""
        kept = self.bands[one.bands_at : one.bands_at + N_BANDS * one.n_frames]
        return kept.reshape(N_BANDS, one.n_frames).astype(np.float32)

    def _append(self, file: IO[bytes], values: npt.NDArray[np.generic]) -> int:
        with self._lock:
            at = file.seek(0, 2)
            file.write(np.ascontiguousarray(values).tobytes())
        return at

    def _mapped(self, file: IO[bytes], dtype: type) -> Any:
        size = file.seek(0, 2)
        return np.memmap(file, dtype, mode="r") if size else np.zeros(0, dtype)


def _whole(path: Path) -> F32:
    with audio.read(path, RATE) as sound:
        return np.concatenate([np.zeros(0, np.float32), *sound])


def _blocks(path: Path) -> Iterator[tuple[int, F32, bool]]:
    """First sample, samples, whether it is the only one: blocks of a minute, each beginning within the one before."""
    n, overlap = round(BLOCK_S * RATE), round(TEMPLATE_S * RATE)
    start, held, n_held = 0, [np.zeros(0, np.float32)], 0
    with audio.read(path, RATE) as sound:
        for part in sound:
            held.append(part)
            n_held += len(part)
            if n_held >= n + overlap:
                samples = np.concatenate(held)
                yield start, samples[:n], False
                held, start = [samples[n - overlap :]], start + n - overlap
                n_held = len(held[0])
    yield start, np.concatenate(held), start == 0


def _sounding(samples: F32) -> tuple[int, int]:
    if is_silent(samples):
        return 0, 0
    loud = np.flatnonzero(np.abs(samples) >= EDGE * np.abs(samples).max())
    return int(loud[0]), int(loud[-1]) + 1


def quantized(values: F32, per_deviation: float) -> I8:
    """Bring values to 8 bits: so many steps to the standard deviation."""
    scale = per_deviation / max(float(values.std()), 1e-12) if values.size else 1.0
    return np.clip(np.round(values * scale), -127, 127).astype(np.int8)


def whiten(samples: F32) -> tuple[F32, F32]:
    """Level the spectrum of a signal: after Knapp and Carter (1976), the phase transform, smoothed.

    Parameters
    ----------
    samples : (n,)

    Returns
    -------
    (n,) and (about n / LOW,): all of it, and what is below `RATE` / (2 * `LOW`) at that rate
    """
    n = LOW * fft.next_fast_len(-(-len(samples) // LOW) + RATE // 40, real=True)
    spectrum = fft.rfft(samples, n)
    hz = np.arange(spectrum.size) * (RATE / n)
    half = max(3, round(_SMOOTH_HZ * n / RATE))
    power = np.square(np.abs(spectrum))
    total = np.concatenate([[0.0], np.cumsum(power, dtype=np.float64)])
    i = np.arange(spectrum.size)
    first, last = np.maximum(i - half, 0), np.minimum(i + half + 1, spectrum.size)
    smooth = (total[last] - total[first]) / (last - first)
    spectrum /= np.sqrt(smooth + smooth.max() * 1e-6).astype(np.float32)
    spectrum[(hz < _PASS_HZ[0]) | (hz > _PASS_HZ[1])] = 0
    low = fft.irfft(spectrum[: n // LOW // 2 + 1], n // LOW)
    return fft.irfft(spectrum, n)[: len(samples)], low[: -(-len(samples) // LOW)]


def spectra(samples: F32) -> F32:
    """Give magnitudes ``(n_frames, N_FFT // 2 + 1)``; frame k is centered on sample k * HOP."""
    padded = np.pad(samples, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    out = [np.abs(fft.rfft(frames[at : at + 512] * window(), axis=1)) for at in range(0, len(frames), 512)]
    return np.concatenate(out)


@cache
def window() -> F32:
    """Hann's, of one frame: ``(N_FFT,)``."""
    return np.hanning(N_FFT).astype(np.float32)


@cache
def _to_bands() -> Any:
    """Triangles, none narrower than a bin, as sparse weights ``(N_BANDS, N_FFT // 2 + 1)``."""
    hz = np.fft.rfftfreq(N_FFT, 1 / RATE)
    centers = LOWEST_HZ * 2 ** (np.arange(-1, N_BANDS + 1) / (12 * PER_SEMITONE))
    widths = np.maximum(RATE / N_FFT, (centers[2:] - centers[:-2]) / 2)
    weights = np.maximum(0, 1 - np.abs(hz[:, None] - centers[None, 1:-1]) / widths)
    return csr_array((weights / weights.sum(0)).T.astype(np.float32))


def log_bands(magnitudes: F32) -> F32:
    """Give log-levels ``(n_frames, N_BANDS)``, each beside those within half an octave of it."""
    levels = (_to_bands() @ magnitudes.T).T
    levels = np.log(levels + max(float(levels.max()), 1e-12) * 1e-3)
    flat: F32 = levels - ndimage.uniform_filter1d(levels, 12 * PER_SEMITONE, axis=1, mode="nearest")
    return flat


def _read_often(samples: F32, power: F32, start: int) -> U32:
    """Landmarks of a short sound, wherever a grid of frames lies that a piece of it may have."""
    later = [landmarks(spectra(samples[late:]), start + late) for late in _READINGS[1:] if late < len(samples)]
    return np.unique(np.concatenate([landmarks(power, start), *later]), axis=0)


def landmarks(magnitudes: F32, start: int) -> U32:
    """Give hashes of pairs of spectral peaks and the times of their first: ``(n, 2)``; after Wang (2003)."""
    levels = magnitudes[::2]
    tops = ndimage.maximum_filter(levels, (2 * _REACH[1] + 1, 2 * _REACH[0] + 1), mode="constant")
    times, bins = np.nonzero((levels == tops) & (levels > levels.max(initial=0) * 1e-3))
    found = []
    for step in range(1, _FAN + 1):
        first, second = slice(None, max(0, len(times) - step)), slice(step, None)
        ahead = times[second] - times[first]
        is_near = ahead <= _AHEAD
        hashes = (bins[first] << 15) | (bins[second] << 6) | ahead
        found.append(np.stack([hashes, times[first] + start // (2 * HOP)], axis=1)[is_near])
    return np.concatenate(found).astype(np.uint32)
