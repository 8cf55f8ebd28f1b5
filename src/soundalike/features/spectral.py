"""Frames and what one frame's spectrum says: mel bands, chroma, centroid, bandwidth, rolloff, flatness.

Frames are librosa's: 2048 samples every 512 at 22,050 Hz, a periodic Hann window, the first frame centred
on the first sample, zeros beyond both ends. They are cut from a stream, so a file of any length passes
through in pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from soundalike.features.tonal import chroma_bank
from soundalike.frontend import MelSpec, mel_bank
from soundalike.types import F32

SAMPLE_RATE = 22_050  # Hz
N_FFT = 2048  # samples of a frame, 93 ms
HOP_LENGTH = 512  # samples from frame to frame, 23 ms
N_MELS = 128
ROLLOFF = 0.85  # part of the magnitude below the rolloff frequency
_MEL = MelSpec(
    sample_rate=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS,
    fmin_hz=0.0, fmax_hz=SAMPLE_RATE / 2, norm="slaney",
)  # fmt: skip
_FLATNESS_FLOOR = 1e-10
_FRAMES_AT_ONCE = 128
_NEGLIGIBLE = 1e-9  # a bank's entries below this part of its largest are left out


@dataclass(frozen=True, slots=True)
class Batch:
    """Some frames in a row."""

    frames: F32  # (n_frames, N_FFT), a view: neighbours share samples
    samples: F32  # ((n_frames - 1) * HOP_LENGTH + N_FFT,), what the frames are cut from
    sound: slice  # which of the samples are the sound's own, not zeros beyond its ends


def batches(blocks: Iterable[F32]) -> Iterator[Batch]:
    """Cut a stream of samples into frames, ``1 + n_samples // HOP_LENGTH`` in all."""
    samples, first = np.zeros(N_FFT // 2, np.float32), N_FFT // 2
    needed = (_FRAMES_AT_ONCE - 1) * HOP_LENGTH + N_FFT
    for block in blocks:
        samples = np.concatenate([samples, block])
        while samples.size > needed + N_FFT:
            yield _batch(samples[:needed], first, needed)
            first, samples = 0, samples[_FRAMES_AT_ONCE * HOP_LENGTH :]
    end = samples.size
    samples = np.concatenate([samples, np.zeros(N_FFT // 2, np.float32)])
    while samples.size >= N_FFT:
        yield _batch(samples[:needed], first, min(end, needed))
        first, end = 0, end - _FRAMES_AT_ONCE * HOP_LENGTH
        samples = samples[_FRAMES_AT_ONCE * HOP_LENGTH :]


def _batch(samples: F32, first: int, end: int) -> Batch:
    frames = np.lib.stride_tricks.sliding_window_view(samples, N_FFT)[::HOP_LENGTH]
    return Batch(frames, samples[: (len(frames) - 1) * HOP_LENGTH + N_FFT], slice(first, max(end, first)))


def power_spectrum(frames: F32) -> F32:
    """Power of each frame's spectrum, (n_frames, N_FFT // 2 + 1)."""
    from scipy import fft

    spectrum = fft.rfft(frames * _window(), axis=1)
    power: F32 = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    return power


def mel_and_chroma(power: F32) -> tuple[F32, F32]:
    """Power in the mel bands (n_frames, N_MELS), and chroma (n_frames, 12) with a maximum of 1 per frame.

    The mel bands are Slaney's, 0 Hz to half the rate. Both are as ``librosa.feature.melspectrogram`` and
    ``librosa.feature.chroma_stft(tuning=0)`` have them.
    """
    bands = (_banks() @ np.ascontiguousarray(power.T)).T
    chroma = np.ascontiguousarray(bands[:, N_MELS:])
    largest = chroma.max(axis=1, keepdims=True)
    chroma /= np.where(largest > np.finfo(np.float32).tiny, largest, 1.0)
    return np.ascontiguousarray(bands[:, :N_MELS]), chroma


def shapes(power: F32) -> F32:
    """Centroid, bandwidth, rolloff (all in hertz, on magnitudes) and flatness (on powers), (n_frames, 4).

    The *centroid* is the mean frequency, the *bandwidth* the standard deviation around it, the *rolloff* the
    frequency below which 85 % of the magnitude lies, the *flatness* the geometric over the arithmetic mean
    (1 for white noise, near 0 for tones). A silent frame has 0, 0, 0 and 1, as in librosa.
    """
    magnitude = np.sqrt(power)
    running = np.cumsum(magnitude, axis=1)
    total = running[:, -1]
    safe = np.where(total > np.finfo(np.float32).tiny, total, 1.0)[:, None]
    magnitude /= safe
    frequencies = np.arange(N_FFT // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE / N_FFT)
    centroid = np.einsum("tf,f->t", magnitude, frequencies)
    deviation = np.square(frequencies - centroid[:, None])
    bandwidth = np.sqrt(np.einsum("tf,tf->t", magnitude, deviation))
    rolloff = frequencies[(running >= np.float32(ROLLOFF) * total[:, None]).argmax(axis=1)]
    floored = np.maximum(power, np.float32(_FLATNESS_FLOOR))
    flatness = np.exp(np.log(floored).mean(axis=1)) / floored.mean(axis=1)
    return np.stack([centroid, bandwidth, rolloff, flatness], axis=1).astype(np.float32)


def rms(frames: F32) -> F32:
    """Effective value of each frame, (n_frames,)."""
    out: F32 = np.sqrt(np.einsum("tn,tn->t", frames, frames) / np.float32(N_FFT))
    return out


def zero_crossing_rate(batch: Batch) -> F32:
    """Part of a frame's samples whose sign differs from the sample before, (n_frames,).

    The sound's first and last samples go on beyond its ends here, so that an end is not a crossing.
    """
    negative = batch.samples < -1e-10
    crossings = np.zeros(negative.size, np.int64)
    inner = (
        slice(batch.sound.start + 1, batch.sound.stop) if batch.sound.start else slice(1, batch.sound.stop)
    )
    crossings[inner] = negative[inner] != negative[inner.start - 1 : max(inner.stop - 1, inner.start - 1)]
    running = np.cumsum(crossings)
    rate: F32 = ((running[N_FFT - 1 :: HOP_LENGTH] - running[: -N_FFT + 1 : HOP_LENGTH]) / N_FFT).astype(
        np.float32
    )
    return rate


@lru_cache(maxsize=1)
def _window() -> F32:
    return np.hanning(N_FFT + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=1)
def _banks() -> Any:
    """Mel and chroma filters as one sparse (N_MELS + 12, N_FFT // 2 + 1)."""
    from scipy.sparse import csr_array

    bank = np.concatenate([mel_bank(_MEL).T, chroma_bank(SAMPLE_RATE, N_FFT)])
    bank[bank < _NEGLIGIBLE * bank.max(axis=1, keepdims=True)] = 0.0
    return csr_array(bank.astype(np.float32))
