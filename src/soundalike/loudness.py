"""Loudness as broadcast meters it: ITU-R BS.1770-4, gated, on all channels of a sound.

The K-weighting is applied in the frequency domain, block by block with an overlap, to bins of 100 ms. A
*momentary* value covers four bins (400 ms); the *integrated* loudness is the mean power of those momentary
values that lie above -70 LUFS and above the mean of these less 10 LU. Memory holds one number per 100 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from soundalike._decode import Decoder
from soundalike.types import F32, F64

BIN_S = 0.1  # between two momentary values
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
_BINS_PER_BLOCK = 4
_LEAD_S = 0.1  # the filter forgets within this time: to -200 dB
_SIZE = 1 << 15  # of a transform, at most
_SIZE_STEP = 1 << 12
_SURROUND = 1.41
_WEIGHTS = {5: (1.0, 1.0, 1.0, _SURROUND, _SURROUND), 6: (1.0, 1.0, 1.0, 0.0, _SURROUND, _SURROUND)}


@dataclass(frozen=True, slots=True, eq=False)
class Loudness:
    """How loud a sound is, over all and along its time."""

    integrated_lufs: float | None  # None: nothing rises above the gate
    momentary_lufs: F64  # (n,), one value per 100 ms, each over 400 ms; -inf in digital silence
    peak_db: float | None  # largest sample of any channel, dBFS; None in digital silence

    @property
    def times_s(self) -> F64:
        """Middle of each momentary value, (n,)."""
        return (np.arange(self.momentary_lufs.size, dtype=np.float64) + _BINS_PER_BLOCK / 2) * BIN_S


class Meter:
    """Measures a stream of blocks.

    Channels weigh 1; of five and six channels the surrounds weigh 1.41 and the sixth-channel layout's
    fourth, the low-frequency one, 0.
    """

    def __init__(self) -> None:
        self._powers: list[F64] = []  # of whole bins, channels weighed and summed
        self._kind = (0, 0)  # sample rate, channels
        self._lead = np.empty((0, 0), np.float32)
        self._rest = np.empty(0)
        self._position = 0  # of the first sample of `_rest`, since the last change of kind
        self._peak = 0.0

    def push(self, block: F32, sample_rate: int) -> None:
        """Take the next block ``(n, channels)``."""
        if not block.size:
            return
        kind = (sample_rate, block.shape[1])
        if kind != self._kind:
            self._flush()
            self._kind, self._position = kind, 0
            self._lead = np.zeros((max(round(_LEAD_S * sample_rate), 1), block.shape[1]), np.float32)
        self._peak = max(self._peak, float(np.abs(block).max()))
        step = _SIZE - len(self._lead) % _SIZE
        for start in range(0, len(block), step):
            self._sum_bins(self._filter(block[start : start + step]))

    def result(self) -> Loudness:
        """Close the stream; what is shorter than a block of 400 ms counts as one block."""
        self._flush()
        bins = np.concatenate([*self._powers, np.empty(0)])
        size = min(_BINS_PER_BLOCK, bins.size)
        means = np.convolve(bins, np.ones(size) / size, mode="valid") if size else bins
        with np.errstate(divide="ignore"):
            momentary = _lufs(np.maximum(means, 0.0))
            peak_db = 20 * float(np.log10(self._peak)) if self._peak else None
        return Loudness(_integrated(means), momentary, peak_db)

    def _filter(self, block: F32) -> F64:
        """Weighed power of each sample (n,), K-weighted."""
        from scipy import fft

        both = np.concatenate([self._lead, block])
        size = -(-len(both) // _SIZE_STEP) * _SIZE_STEP
        spectrum = fft.rfft(both.T, size) * _response(size, self._kind[0])
        out = fft.irfft(spectrum, size)[:, len(self._lead) : len(both)]
        self._lead = both[-len(self._lead) :]
        weights = np.array(_WEIGHTS.get(block.shape[1], (1.0,) * block.shape[1]))
        power: F64 = weights @ np.square(out, dtype=np.float64)
        return power

    def _sum_bins(self, power: F64) -> None:
        """Append the mean power of every bin that is complete."""
        power = np.concatenate([self._rest, power])
        first = self._position
        bins = np.arange(_bin_of(first, self._kind[0]), _bin_of(first + power.size, self._kind[0]) + 1)
        edges = np.round(bins * BIN_S * self._kind[0]).astype(np.int64) - first
        if edges.size > 1:
            sums = np.add.reduceat(power[: edges[-1]], edges[:-1])
            self._powers.append(sums / np.diff(edges))
        self._position, self._rest = first + int(edges[-1]), power[edges[-1] :]

    def _flush(self) -> None:
        """Keep what is left of a bin if it is the only one or half of one."""
        if self._rest.size and (not self._powers or self._rest.size >= 0.5 * BIN_S * self._kind[0]):
            self._powers.append(np.array([float(self._rest.mean())]))
        self._rest = self._rest[:0]


def loudness_of_file(path: Path | str) -> Loudness:
    """Measure a file with all its channels at its own rate.

    Raises
    ------
    SoundError
        as `soundalike.audio.read`
    """
    meter, decoder = Meter(), Decoder(Path(path))
    try:
        for block, sample_rate in decoder.blocks():
            meter.push(block, sample_rate)
    finally:
        decoder.close()
    return meter.result()


def k_weighting(frequencies_hz: F64) -> npt.NDArray[np.complex128]:
    """Response of the K-weighting: a shelf of +4 dB above 1.7 kHz after a high-pass at 38 Hz.

    The standard gives its filters at 48 kHz only; their response is taken over to any rate, beyond 24 kHz
    its end.

    References
    ----------
    ITU-R BS.1770-4 (2015), annex 1, tables 1 and 2.
    """
    z = np.exp(-2j * np.pi * np.minimum(frequencies_hz, 24_000) / 48_000)
    shelf = np.polyval([1.19839281085285, -2.69169618940638, 1.53512485958697], z) / np.polyval(
        [0.73248077421585, -1.69065929318241, 1.0], z
    )
    high_pass = np.polyval([1.0, -2.0, 1.0], z) / np.polyval([0.99007225036621, -1.99004745483398, 1.0], z)
    response: npt.NDArray[np.complex128] = shelf * high_pass
    return response


@lru_cache(maxsize=16)
def _response(size: int, sample_rate: int) -> npt.NDArray[np.complex64]:
    """K-weighting at the bins of a transform, (size // 2 + 1,)."""
    return k_weighting(np.arange(size // 2 + 1, dtype=np.float64) * (sample_rate / size)).astype(np.complex64)


def _bin_of(sample: int, sample_rate: int) -> int:
    """Find the last bin that starts at or before a sample."""
    number = int(sample / (BIN_S * sample_rate)) + 1
    while round(number * BIN_S * sample_rate) > sample:
        number -= 1
    return number


def _lufs(power: F64) -> F64:
    out: F64 = -0.691 + 10 * np.log10(power)
    return out


def _integrated(means: F64) -> float | None:
    """Gated mean of the powers of blocks, in LUFS."""
    loud = means[means > 10 ** ((ABSOLUTE_GATE_LUFS + 0.691) / 10)]
    if not loud.size:
        return None
    louder = loud[loud > loud.mean() * 10 ** (RELATIVE_GATE_LU / 10)]
    return float(_lufs(np.array(louder.mean())))
