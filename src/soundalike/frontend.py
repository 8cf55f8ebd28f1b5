"""Log-mel spectrograms: one function, every model's parameters.

A front end is data (`MelSpec`); `log_mel` does what the data says, in the order in which it is written there:
fill up, pad, frame, window, transform, filter bank, logarithm, affine. Models were trained on the exact numbers
of their reference code, so the odd corners (a symmetric window here, an offset inside the logarithm there) are
parameters and not approximated. Parity with each reference: docs/front-ends.md, tests/golden/frontend.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from soundalike.types import F32, F64


@dataclass(frozen=True, slots=True, kw_only=True)
class MelSpec:
    """Everything that decides a log-mel spectrogram."""

    sample_rate: int  # Hz, of the samples
    n_fft: int
    hop_length: int
    n_mels: int
    fmin_hz: float
    fmax_hz: float
    win_length: int | None = None  # None: n_fft; a shorter frame is filled up with zeros to n_fft
    window: Literal["hann", "hann_symmetric"] = "hann"  # "hann" is the periodic one
    pre_emphasis: float = 0.0  # y[t] = x[t+1] - pre_emphasis * x[t], one sample shorter
    frames_multiple: int = 1  # silence behind the samples until the number of frames is a multiple of this
    padding: Literal["reflect", "none", "left_zeros"] = "reflect"  # half a frame at both ends; nothing; aiSFX
    mel_scale: Literal["slaney", "htk"] = "slaney"  # "htk" is also Kaldi's: 1127 ln(1 + f / 700)
    triangles: Literal["hz", "mel"] = "hz"  # the filters are straight lines over this axis
    norm: Literal["none", "slaney", "sum"] = "none"  # per filter: as is, 2 / bandwidth, unit sum
    bank_sample_rate: int | None = None  # None: sample_rate; MS CLAP 2023 built its bank for another rate
    drop_nyquist: bool = False  # Kaldi's banks leave out the last bin
    power: Literal[1, 2] = 2  # magnitude or power spectrum
    log: Literal["db", "ln", "log10", "none"] = "db"  # db: 10 log10
    floor: float = 0.0  # before the logarithm: max(x, floor)
    gain: float = 1.0  # then gain * x + offset
    offset: float = 0.0
    shift: float = 0.0  # after the logarithm: (x + shift) * scale
    scale: float = 1.0
    precision: Literal["float32", "float64"] = "float32"  # of the transform, as the reference does it

    @property
    def shortest(self) -> int:
        """Fewest samples that give one frame."""
        frame = {"reflect": self.n_fft // 2 + 1, "none": self.win_length or self.n_fft, "left_zeros": 1}
        return frame[self.padding] + (1 if self.pre_emphasis else 0)

    def n_frames(self, n_samples: int) -> int:
        """Frames of ``n_samples``, at least `shortest`, before silence is put behind them."""
        window = self.win_length or self.n_fft
        more = {"reflect": 0, "none": -window, "left_zeros": window // 2 - 1}  # the last: rounded up, not down
        return (n_samples - (1 if self.pre_emphasis else 0) + more[self.padding]) // self.hop_length + 1


def log_mel(samples: F32, spec: MelSpec) -> F32:
    """Log-mel spectrogram of one segment.

    Nothing here calls BLAS, whose threads would fight those of the caller and could change the last bit.

    Parameters
    ----------
    samples : (n_samples,), mono, at ``spec.sample_rate``; at least ``spec.shortest`` of them
    spec : the front end of the model

    Returns
    -------
    (n_mels, n_frames) float32, contiguous, in the unit that ``spec`` names
    """
    if samples.ndim != 1 or samples.size < spec.shortest:
        raise ValueError(f"log_mel needs (n,) samples, n >= {spec.shortest}; got shape {samples.shape}")
    missing = -spec.n_frames(samples.size) % spec.frames_multiple
    if missing:
        samples = np.pad(samples, (0, missing * spec.hop_length))
    padded, window, n_frames = _padded(samples, spec), _window(spec), spec.n_frames(samples.size)
    used, bank = _bank(spec)
    at_once = min(n_frames, _FRAMES_AT_ONCE[spec.precision])
    mel = np.empty((spec.n_mels, n_frames), spec.precision)
    stretch = np.empty((at_once - 1) * spec.hop_length + window.size, spec.precision)
    frames = np.lib.stride_tricks.sliding_window_view(stretch, window.size)[:: spec.hop_length]
    windowed = np.zeros((at_once, spec.n_fft), spec.precision)
    spectrum = np.empty((at_once, spec.n_fft // 2 + 1), np.complex128)
    for start in range(0, n_frames, at_once):
        n = min(at_once, n_frames - start)
        piece = padded[start * spec.hop_length :][: stretch.size]
        stretch[: piece.size] = piece
        np.multiply(frames[:n], window, out=windowed[:n, : window.size])
        mel[:, start : start + n] = bank @ _power(_transform(windowed[:n], spectrum[:n])[:, used], spec)
    return _logarithm(mel, spec).astype(np.float32, copy=False)


_FRAMES_AT_ONCE = {"float32": 128, "float64": 32}  # what a step makes stays in the cache


def _padded(samples: F32, spec: MelSpec) -> F32 | F64:
    """All samples that frames are taken from; in the precision of the samples, but for a pre-emphasis."""
    if spec.pre_emphasis:
        exact = samples.astype(spec.precision, copy=False)
        samples = exact[1:] - exact.dtype.type(spec.pre_emphasis) * exact[:-1]
    win_length = spec.win_length or spec.n_fft
    padded: npt.NDArray[Any] = samples
    if spec.padding == "reflect":  # the window lies in the middle of n_fft samples, an even number
        padded = np.pad(samples, (win_length - win_length // 2, win_length // 2), mode="reflect")
    elif spec.padding == "left_zeros":  # the first frame starts half a frame early, the last is filled up
        n_frames = -(-(samples.size + win_length // 2) // spec.hop_length)
        tail = (n_frames - 1) * spec.hop_length + win_length - win_length // 2 - samples.size
        padded = np.pad(samples, (win_length // 2, tail))
    return padded


def _transform(windowed: F32 | F64, out: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Spectra (n_frames, n_fft // 2 + 1); those in double precision into ``out``, which saves half of the time."""
    if windowed.dtype == np.float64:
        return np.fft.rfft(windowed, axis=1, out=out)
    from scipy import fft

    spectrum: npt.NDArray[Any] = fft.rfft(windowed, axis=1)  # in single precision faster than numpy's
    return spectrum


def _power(spectrum: npt.NDArray[Any], spec: MelSpec) -> F32 | F64:
    """Magnitudes or powers (n_bins, n_frames) of spectra (n_frames, n_bins)."""
    if spec.precision == "float64":  # the reference keeps single-precision spectra between double steps
        spectrum = spectrum.astype(np.complex64)
    power = np.square(spectrum.real, dtype=spec.precision)
    power += np.square(spectrum.imag, dtype=spec.precision)
    if spec.power == 1:
        np.sqrt(power, out=power)
    return np.ascontiguousarray(power.T)


@lru_cache(maxsize=32)
def _window(spec: MelSpec) -> F32 | F64:
    """Hann window of ``win_length`` in the precision of the transform."""
    length = spec.win_length or spec.n_fft
    window = np.hanning(length) if spec.window == "hann_symmetric" else np.hanning(length + 1)[:-1]
    return window.astype(spec.precision)


def _logarithm(mel: F32 | F64, spec: MelSpec) -> F32 | F64:
    """Floor, gain, offset, logarithm and affine, in place."""
    if spec.floor:
        np.maximum(mel, spec.floor, out=mel)
    if spec.gain != 1.0:
        mel *= spec.gain
    if spec.offset:
        mel += spec.offset
    if spec.log == "ln":
        np.log(mel, out=mel)
    elif spec.log != "none":
        np.log10(mel, out=mel)
        if spec.log == "db":
            mel *= 10.0
    if spec.shift:
        mel += spec.shift
    if spec.scale != 1.0:
        mel *= spec.scale
    return mel


@lru_cache(maxsize=32)
def _bank(spec: MelSpec) -> tuple[slice, Any]:
    """Range of the bins that some filter uses, and the filters over it as a sparse (n_mels, n_used_bins)."""
    from scipy.sparse import csr_array

    bank = mel_bank(spec)
    bins = np.flatnonzero(bank.any(axis=1))
    used = slice(int(bins[0]), int(bins[-1]) + 1)
    return used, csr_array(bank[used].T.astype(spec.precision))


def mel_bank(spec: MelSpec) -> F64:
    """Triangular mel filters of a front end.

    Returns
    -------
    (n_fft // 2 + 1, n_mels) float64; one row fewer with ``drop_nyquist``

    References
    ----------
    Slaney (1998), *Auditory Toolbox*; Young et al. (2006), *The HTK Book*; Povey et al. (2011), *Kaldi*.
    """
    bank_rate = spec.bank_sample_rate or spec.sample_rate
    n_bins = spec.n_fft // 2 + (0 if spec.drop_nyquist else 1)
    bins_hz = np.arange(n_bins, dtype=np.float64) * (bank_rate / spec.n_fft)
    low, high = hz_to_mel(np.array([spec.fmin_hz, spec.fmax_hz]), spec.mel_scale)
    edges_mel = np.linspace(low, high, spec.n_mels + 2)
    edges_hz = mel_to_hz(edges_mel, spec.mel_scale)
    if spec.triangles == "hz":
        bank = _triangles(bins_hz, edges_hz)
    else:
        bank = _triangles(hz_to_mel(bins_hz, spec.mel_scale), edges_mel)
        bank[0] = 0.0  # these references leave out the constant component
    if spec.norm == "slaney":
        bank *= 2.0 / (edges_hz[2:] - edges_hz[:-2])
    elif spec.norm == "sum":
        bank /= bank.sum(axis=0)
    return bank


def _triangles(bins: F64, edges: F64) -> F64:
    """Triangles between neighbouring ``edges``, sampled at ``bins``: (n_bins, n_edges - 2)."""
    rising = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    return np.maximum(0.0, np.minimum(rising, falling))


_SLANEY_HZ = 200.0 / 3  # width of a mel below 1 kHz
_SLANEY_KNEE_HZ = 1000.0
_SLANEY_STEP = np.log(6.4) / 27.0  # above: 27 mels for a factor of 6.4


def hz_to_mel(hz: F64, scale: Literal["slaney", "htk"]) -> F64:
    """Frequencies in hertz on a mel scale."""
    if scale == "htk":
        return np.asarray(1127.0 * np.log1p(hz / 700.0))
    above = _SLANEY_KNEE_HZ / _SLANEY_HZ + np.log(np.maximum(hz, 1.0) / _SLANEY_KNEE_HZ) / _SLANEY_STEP
    return np.where(hz < _SLANEY_KNEE_HZ, hz / _SLANEY_HZ, above)


def mel_to_hz(mel: F64, scale: Literal["slaney", "htk"]) -> F64:
    """Inverse of `hz_to_mel`."""
    if scale == "htk":
        return np.asarray(700.0 * np.expm1(mel / 1127.0))
    knee = _SLANEY_KNEE_HZ / _SLANEY_HZ
    return np.where(mel < knee, mel * _SLANEY_HZ, _SLANEY_KNEE_HZ * np.exp(_SLANEY_STEP * (mel - knee)))
