"""Files to blocks of samples, by PyAV (FFmpeg). Used by `soundalike.audio`.

One decoder serves every format, so copies of the same samples in WAV, FLAC, AIFF or ALAC arrive bit for bit
the same. One file uses one core; FFmpeg works with the interpreter lock released.

What damage costs: a packet that does not decode is skipped and counted; an end that comes too early is noted;
only a file of which nothing decodes is an error. Declared sizes are not believed: memory and work are bounded
by the bytes that are really there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from soundalike._container import (
    check_file,
    check_readable,
    choose_stream,
    describe,
    open_container,
    reason,
    states_length,
)
from soundalike.errors import SoundError
from soundalike.readable import format_name
from soundalike.types import F32

# FFmpeg's sample formats; a planar one has a "p" behind its name.
_DTYPES = {
    name: np.dtype(code)
    for name, code in {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}.items()
}
_MAX_PLANES = 8  # of one planar frame; PyAV finds further ones by reading past the end of a list

_RATES = range(100, 6_200_001)  # Hz; DSD1024 decodes to 5.6 MHz
_CHANNELS = range(1, 65)
_MAX_BLOCK = 1 << 22  # samples in a block, all channels together
_MAX_VALUE = 1e12  # beyond are broken bits, not sound; 32-bit integers stored as floats stay below
_MAX_BARREN = 10_000  # packets in a row without one sample before a decoder counts as stuck
_MAX_CHANGES = 1_000  # of sample rate or channels within one file
_MAX_REREAD = 16  # bytes decoded per byte of the file: more is a file that points at itself in a loop

Kind = tuple[int, int, str]  # of a frame: sample rate in Hz, channels, FFmpeg's sample format


class Decoder:
    """One open file: what it is, its samples in blocks of a fixed size, and what was wrong with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._n_bytes = check_file(path)
        self._container = open_container(path)
        try:
            self._stream = choose_stream(path, self._container)
            self.info = describe(path, self._container, self._stream)
        except BaseException:
            self.close()
            raise
        # FFmpeg trims two kinds of files wrongly: short Ogg Vorbis, whose first packet gives nothing but an
        # overlap for the second, yet counts, and ALAC in CAF, whose last packet is trimmed twice. These are
        # taken untrimmed, and cut at the length that the file states.
        self._is_vorbis = (self.info.container, self.info.codec) == ("ogg", "vorbis")
        self._is_untrimmed = self._is_vorbis or (self.info.container, self.info.codec) == ("caf", "alac")
        if self._is_untrimmed:
            self._stream.codec_context.flags2 |= 1 << 29  # AV_CODEC_FLAG2_SKIP_MANUAL
        self._n_samples: Counter[int] = Counter()  # by sample rate
        self._n_packets = 0
        self._n_bad_packets = 0
        self._n_bad_values = 0
        self._n_changes = 0
        self._stopped = ""  # why decoding ended before the end of the file

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._container.close()

    @property
    def duration_s(self) -> float:
        """Length of what was decoded so far, in seconds of the file's own samples."""
        return sum(n / rate for rate, n in self._n_samples.items())

    def blocks(self) -> Iterator[tuple[F32, int]]:
        """Yield blocks ``(n, channels)`` of about half a second, each with its sample rate in Hz.

        Blocks lie on a grid from the start of the file, whatever the sizes of the codec's frames; a change of
        rate or channels within the file ends one block early and starts a new grid.

        Raises
        ------
        SoundError
            after the last packet when there was not one sample, or when the system stops reading
        """
        grid = _Grid((0, 0, ""))
        for frame, n_used in self._frames():
            kind = (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
            if kind != grid.kind:
                yield from self._finish(grid, grid.rest())
                if not self._accept(kind, grid.kind):
                    return
                grid = _Grid(kind)
            if grid.push(frame, n_used):
                yield from self._finish(grid, grid.full())
        yield from self._finish(grid, grid.rest())
        if not self._n_samples:
            raise self._nothing_decoded()

    def warnings(self) -> tuple[str, ...]:
        """Damage that was survived, in plain words; complete after the last block."""
        notes = []
        if self._n_bad_packets:
            notes.append(f"{self._n_bad_packets} of {self._n_packets} packets were damaged and left out")
        if self._n_bad_values:
            notes.append(f"{self._n_bad_values} samples were not usable numbers and count as silence")
        if self._n_changes:
            notes.append(f"the sample rate or the channels change within the file (times: {self._n_changes})")
        if self._stopped:
            notes.append(f"stopped after {self.duration_s:.2f} s: {self._stopped}")
        elif states_length(self.info) and self.duration_s < 0.98 * self.info.duration_s - 0.1:
            notes.append(
                f"ends after {self.duration_s:.2f} s of {self.info.duration_s:.2f} s that it declares"
            )
        return tuple(notes)

    def _finish(self, grid: _Grid, blocks: list[F32]) -> Iterator[tuple[F32, int]]:
        for block in blocks:
            rate, _, sample_format = grid.kind
            if sample_format[0] in "fd":  # only floats and doubles can hold values that are not numbers
                self._n_bad_values += _silence_bad_values(block)
            self._n_samples[rate] += len(block)
            yield block, rate

    def _accept(self, kind: Kind, old: Kind) -> bool:
        """Whether sound of this kind can go on; nothing plausible from the start is an error."""
        rate, channels, _ = kind
        sane = rate in _RATES and channels in _CHANNELS
        if old[0]:
            self._n_changes += 1
        elif not sane:
            raise SoundError(self.path, "damaged", f"{channels} channels at {rate} Hz are not plausible")
        if not sane or self._n_changes > _MAX_CHANGES:
            self._stopped = f"the sound turns into {channels} channels at {rate} Hz"
            return False
        return True

    def _frames(self) -> Iterator[tuple[Any, int]]:
        """Yield every frame that holds samples, and how many of them to use: all, but for the last frame."""
        last = last_packet = None
        n_seen = 0
        for frame, packet in self._decoded():
            if last:
                yield last, last.samples
                n_seen += last.samples
            last, last_packet = frame, packet
        if last:
            n_rest = self._n_rest(n_seen, last_packet.duration or 0 if last_packet else 0)
            yield last, min(n_rest, last.samples) if n_rest > 0 else last.samples

    def _n_rest(self, n_seen: int, n_packet: int) -> int:
        """How many samples of the last frame belong to the sound, where that is stated exactly; else 0."""
        if not self._stream.duration or self._stream.time_base != Fraction(1, self.info.sample_rate or 1):
            return 0
        if self._is_untrimmed:
            return int(self._stream.duration) - n_seen
        return n_packet if self.info.container.startswith("mov") else 0  # MP4 states it for each packet

    def _decoded(self) -> Iterator[tuple[Any, Any]]:
        """Yield decoded frames, each with the packet that brought it forth."""
        n_barren = 0
        for packet in self._packets():
            n_barren += 1
            for frame in self._decode(packet):
                if frame.samples and not (self._is_vorbis and self._n_packets == 1):
                    n_barren = 0
                    yield frame, packet
            if n_barren > _MAX_BARREN:
                self._stopped = f"{n_barren} packets in a row hold nothing that decodes"
                return

    def _packets(self) -> Iterator[Any]:
        """Yield the stream's packets, then None: what the decoder still holds back is to be drained."""
        budget = self._n_bytes * _MAX_REREAD + 65_536
        try:
            for packet in self._container.demux(self._stream):
                budget -= packet.size + 1
                if budget < 0:
                    self._stopped = "the file refers to the same bytes again and again"
                    break
                if packet.size:
                    self._n_packets += 1
                    yield packet
        except av.FFmpegError as error:
            check_readable(self.path)
            self._stopped = reason(error)
        yield None

    def _decode(self, packet: Any) -> list[Any]:
        try:
            return self._stream.decode(packet)  # type: ignore[no-any-return]
        except av.FFmpegError:
            self._n_bad_packets += packet is not None
            return []

    def _nothing_decoded(self) -> SoundError:
        kind = f"recognized as {self.info.codec} in {format_name(self.info.container)}"
        if self._stopped:
            return SoundError(self.path, "damaged", f"{kind}, but nothing decodes: {self._stopped}")
        if self._n_bad_packets or (not self._n_packets and self.info.duration_s > 0):
            return SoundError(self.path, "damaged", f"{kind}, but nothing in it decodes; get a fresh copy")
        return SoundError(self.path, "empty", f"{kind}, but it holds no samples")


class _Grid:
    """Frames of any size in, blocks of one size out, as float32."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        rate, channels, _ = kind
        self._size = max(1, min(rate // 2, _MAX_BLOCK // max(channels, 1)))
        self._fifo = av.AudioFifo()
        self._n = 0  # samples per channel in store

    def push(self, frame: Any, n_used: int) -> bool:
        """Take in a frame, of the last one only the first samples; say whether a block is full now."""
        frame.pts = None  # the store would insist on a clock without gaps
        self._fifo.write(frame)
        self._n += n_used
        return self._n >= self._size

    def full(self) -> list[F32]:
        """Give the blocks ``(n, channels)`` that are full."""
        return [self._take(self._size) for _ in range(self._n // self._size)]

    def rest(self) -> list[F32]:
        """Give the block that is not full yet, if it holds anything."""
        return [self._take(self._n)] if self._n else []

    def _take(self, n: int) -> F32:
        self._n -= n
        return _to_float(self._fifo.read(n))


def _to_float(frame: Any) -> F32:
    """Give a frame's samples ``(n, channels)``, full scale to 1.0, each channel in one piece."""
    channels, n = frame.layout.nb_channels, frame.samples
    if frame.format.is_planar and channels > _MAX_PLANES:
        frame = av.AudioResampler(format=frame.format.name.removesuffix("p")).resample(frame)[0]
    dtype = _DTYPES[frame.format.name.removesuffix("p")]
    out: F32 = np.empty((channels, n), np.float32)
    if frame.format.is_planar:
        for plane, row in zip(frame.planes, out, strict=False):
            _scale(np.frombuffer(plane, dtype, n), row)
    else:
        _scale(np.frombuffer(frame.planes[0], dtype, n * channels).reshape(n, channels).T, out)
    return out.T


def _scale(samples: npt.NDArray[Any], out: F32) -> None:
    match samples.dtype.kind:
        case "i":
            full_scale = 2.0 ** (8 * samples.itemsize - 1)
            np.multiply(samples, np.float32(1 / full_scale), out=out, casting="same_kind")
        case "u":  # 8 bits around 128
            np.subtract(samples, np.float32(128), out=out)
            out *= np.float32(1 / 128)
        case _:
            with np.errstate(over="ignore", invalid="ignore"):  # broken numbers are dealt with later
                np.copyto(out, samples, casting="same_kind")


def _silence_bad_values(block: F32) -> int:
    """Set what is no usable number to zero, in place; say in how many samples."""
    good = np.abs(block) <= _MAX_VALUE  # False for NaN
    if good.all():
        return 0
    block[~good] = 0
    return int(good.size - np.count_nonzero(good))
