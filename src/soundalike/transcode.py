"""Sounds in formats that every player takes: WAV of floats, exact; WAV of 16 bits; Opus for long ones.

What `soundalike.audio` can read comes out: the same decoder, so the same bounds on memory and work. Sounds of
more than two channels are brought down to two.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO

import av
import numpy as np
import soxr

from soundalike._decode import Decoder
from soundalike.errors import SoundError
from soundalike.export import atomic
from soundalike.types import F32

OPUS_RATE = 48_000  # Hz, the only one that Opus plays at
_OPUS_BIT_RATE = 128_000  # bit/s
_MOST_BYTES = 0xFFFF_FFFF - 64  # what the size field of a WAV file can say


def write_float_wav(path: Path, out: Path, *, longest_s: float) -> float:
    """Write the samples as they are decoded, as 32-bit floats; the length in seconds.

    Parameters
    ----------
    longest_s : of the sound

    Raises
    ------
    SoundError
        as `soundalike.audio.read`; and if the sound is longer, or changes its rate or channels within
    """
    with atomic(out) as file:
        return _write(path, file, floats=True, longest_s=longest_s)


def write_wav(path: Path, out: Path) -> float:
    """Write a sound as 16-bit WAV, mono or stereo; the length in seconds. Errors as `write_float_wav`."""
    with atomic(out) as file:
        return _write(path, file, floats=False, longest_s=None)


def _write(path: Path, file: IO[bytes], *, floats: bool, longest_s: float | None) -> float:
    blocks, rate, channels = _opened(path, stereo=not floats)
    width, n = (4 if floats else 2) * channels, 0
    most = _MOST_BYTES // width if longest_s is None else min(int(longest_s * rate), _MOST_BYTES // width)
    file.write(_header(0, rate, channels, floats=floats))
    for block in blocks:
        n += len(block)
        if n > most:
            raise SoundError(path, "unreadable", f"it is longer than {most / rate / 60:.0f} minutes")
        file.write(np.ascontiguousarray(block if floats else _sixteen_bits(block)).tobytes())
    file.seek(0)
    file.write(_header(n * width, rate, channels, floats=floats))
    return n / rate


def write_opus(path: Path, out: Path) -> None:
    """Write a sound as Opus in Ogg, mono or stereo at 48 kHz. Errors as `write_float_wav`, but of any length."""
    blocks, rate, channels = _opened(path, stereo=True)
    layout = "mono" if channels == 1 else "stereo"
    with atomic(out) as file, av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", OPUS_RATE, layout=layout, bit_rate=_OPUS_BIT_RATE)
        n = 0
        for block in _at_opus_rate(blocks, rate, channels):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), "flt", layout)
            frame.sample_rate, frame.pts, frame.time_base = OPUS_RATE, n, Fraction(1, OPUS_RATE)
            n += len(block)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _at_opus_rate(blocks: Iterator[F32], rate: int, channels: int) -> Iterator[F32]:
    """Blocks ``(n, channels)`` within ±1 at 48 kHz."""
    resampler = soxr.ResampleStream(rate, OPUS_RATE, channels, dtype="float32", quality="HQ")
    for block in chain(blocks, [None]):
        last = block is None
        samples = np.empty((0, channels), np.float32) if block is None else np.ascontiguousarray(block)
        out = resampler.resample_chunk(samples, last=last)
        if len(out):
            yield np.clip(out, -1.0, 1.0)


def _opened(path: Path, *, stereo: bool) -> tuple[Iterator[F32], int, int]:
    """Blocks ``(n, channels)`` of a sound whose kind stays as it begins; rate in Hz, channels."""
    decoder = Decoder(path)
    blocks = decoder.blocks()
    try:
        first, rate = next(blocks)
    except BaseException:
        decoder.close()
        raise
    channels = first.shape[1]
    kept = min(channels, 2) if stereo else channels

    def run() -> Iterator[F32]:
        try:
            for block, block_rate in chain([(first, rate)], blocks):
                if (block_rate, block.shape[1]) != (rate, channels):
                    return  # as players do: what cannot go on ends here
                yield block if kept == channels else _to_stereo(block)
        finally:
            decoder.close()

    return run(), rate, kept


def _to_stereo(block: F32) -> F32:
    """Many channels ``(n, channels)`` to two: even ones left, odd ones right."""
    pairs = [block[:, 0::2].mean(axis=1), block[:, 1::2].mean(axis=1)]
    return np.stack(pairs, axis=1).astype(np.float32)


def _sixteen_bits(block: F32) -> np.ndarray:
    return np.round(np.clip(block, -1.0, 1.0) * 32767).astype("<i2")


def _header(n_bytes: int, rate: int, channels: int, *, floats: bool) -> bytes:
    width = 4 if floats else 2
    kind, frame = (3 if floats else 1), channels * width
    head = struct.pack("<IHHIIHH", 16, kind, channels, rate, rate * frame, frame, 8 * width)
    return struct.pack("<4sI8s", b"RIFF", 36 + n_bytes, b"WAVEfmt ") + head + struct.pack("<4sI", b"data", n_bytes)
