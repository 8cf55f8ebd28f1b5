"""Sound files to blocks of mono samples at a rate of choice: the only decoder, the only resampler.

    with audio.read(path, 32_000) as sound:
        for block in sound:      # mono float32, at most about a second each
            ...
    sound.duration_s, sound.warnings

The path of the samples: decoded blocks of half a second on a grid from the start of the file, channels to one
(`downmix`), then a streaming resampler (soxr, HQ) whose output does not depend on how its input was cut. So
the same samples give the same blocks bit for bit, whatever the file format, on every run. Memory is bounded
by a block, never by the file. Levels are left as they are: values beyond 1 in float files are kept.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soxr

from soundalike._decode import Decoder
from soundalike.types import F32, SoundInfo

SOUND_EXTENSIONS: frozenset[str] = frozenset(
    """
    3g2 3gp 8svx aa3 aac ac3 adts adx aif aifc aiff alac amr ape asf ast au avi avr awb bwf caf dsf
    dss dts eac3 flac flv hca iff ircam loas m2a m2ts m4a m4b m4r m4v mka mkv mlp mov mp+ mp1 mp2
    mp3 mp4 mpa mpc mpeg mpg mpp mts mxf nist oga ogg ogv ogx oma opus paf pvf qcp qoa ra rf64 rm rmvb
    sds sf shn snd sph spx svx tak thd tta vag voc vqf w64 wav wave webm wma wmv wv xa xwma
    """.split()  # noqa: SIM905, a list that people read
)
"""Extensions, lower case and without the dot, of files that may hold sound: for walking folders.

Only a filter of likely names: `read` goes by content and takes any name.
"""

# Cancellation: a mean is given up for the loudest channel when it holds less than this part of the energy
# that the loudest channel alone would leave in it. For a pair: 20 dB below the loudest channel.
_CANCELLED = 0.04
_TINY = np.finfo(np.float32).tiny


def is_sound_file(path: Path | str) -> bool:
    """Whether a file may hold sound, by its extension in any case; what it holds, only `read` can tell."""
    return Path(path).suffix[1:].lower() in SOUND_EXTENSIONS


def probe(path: Path | str) -> SoundInfo:
    """Describe a sound file from its headers, without decoding it.

    Parameters
    ----------
    path : a file in any format, recognized by its content

    Returns
    -------
    SoundInfo; ``duration_s`` is what the file declares, 0.0 where it declares nothing

    Raises
    ------
    SoundError
        ``missing``, ``unreadable``, ``not_audio``, ``damaged`` (header) or ``empty`` (no bytes)
    """
    decoder = Decoder(Path(path))
    decoder.close()
    return decoder.info


def read(path: Path | str, sample_rate: int) -> Sound:
    """Open a sound file for reading as mono blocks.

    Parameters
    ----------
    path : a file in any format, recognized by its content; of several sound streams the first is read
    sample_rate : of the blocks, Hz

    Raises
    ------
    SoundError
        ``missing``, ``unreadable``, ``not_audio``, ``damaged`` or ``empty``; where nothing decodes, this is
        known, and raised, only at the end of iterating
    """
    return Sound(Path(path), sample_rate)


class Sound:
    """An open sound: iterate over it once, for blocks ``(n,)`` of mono float32 of at most one second.

    It closes itself at the end, or on leaving its ``with`` block.

    Attributes
    ----------
    path : the file
    info : what its headers say
    sample_rate : of the blocks, Hz
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        if sample_rate < 1:
            raise ValueError(f"a sample rate is a positive number of Hz, not {sample_rate}")
        self.path = path
        self.sample_rate = sample_rate
        self._decoder = Decoder(path)
        self._blocks = self._run()

    @property
    def info(self) -> SoundInfo:
        """What the file's headers say."""
        return self._decoder.info

    @property
    def duration_s(self) -> float:
        """Length in seconds, exact to the sample of the file; valid once iterated to the end."""
        return self._decoder.duration_s

    @property
    def warnings(self) -> tuple[str, ...]:
        """Damage that was survived, in plain words; valid once iterated to the end."""
        return self._decoder.warnings()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._blocks.close()
        self._decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[F32]:
        return self._blocks

    def _run(self) -> Generator[F32, None, None]:
        resampler = Resampler(0, self.sample_rate)
        try:
            for block, rate in self._decoder.blocks():
                if rate != resampler.from_rate:
                    yield from resampler.finish()
                    resampler = Resampler(rate, self.sample_rate)
                yield from resampler.push(_flush_denormals(downmix(block)))
            yield from resampler.finish()
        finally:
            self._decoder.close()


class Resampler:
    """A stream of mono blocks at one rate to blocks of at most a second at another."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self.from_rate = from_rate
        self._to_rate = to_rate
        self._stream = None
        if from_rate not in (0, to_rate):
            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")

    def push(self, block: F32, *, last: bool = False) -> Iterator[F32]:
        """Take a block ``(n,)``; what has come out at the other end."""
        out = block if self._stream is None else self._stream.resample_chunk(block, last=last)
        for start in range(0, len(out), self._to_rate):
            yield out[start : start + self._to_rate]

    def finish(self) -> Iterator[F32]:
        """Give what is left."""
        return self.push(np.empty(0, np.float32), last=True)


def resample(samples: F32, from_rate: int, to_rate: int) -> F32:
    """Resample a whole signal, band-limited: the same numbers as `read` gives block by block.

    Parameters
    ----------
    samples : (n,), mono
    from_rate, to_rate : Hz

    Returns
    -------
    (about n * to_rate / from_rate,)
    """
    samples = np.ascontiguousarray(samples, np.float32)
    if from_rate == to_rate:
        return samples
    out: F32 = soxr.resample(samples, from_rate, to_rate, quality="HQ")
    return out


def downmix(block: F32) -> F32:
    """Mix channels to one: their mean, or the loudest channel where they cancel each other.

    Parameters
    ----------
    block : (n, channels); `read` gives half seconds, so that an excerpt of a file decides as the file does

    Returns
    -------
    (n,)
    """
    channels = block.shape[1]
    if channels == 1 or not len(block):
        return block[:, 0]
    mean: F32 = (block.sum(axis=1, dtype=np.float64) / channels).astype(np.float32)
    energies = [_energy(channel) for channel in block.T]
    loudest = int(np.argmax(energies))
    return block[:, loudest] if _energy(mean) < _CANCELLED * energies[loudest] / channels**2 else mean


def _energy(samples: F32) -> float:
    return float(np.einsum("n,n->", samples, samples))


def _flush_denormals(block: F32) -> F32:
    """Zero for values so small that processors slow down on them."""
    usual = np.abs(block) >= _TINY
    return block if usual.all() else block * usual
