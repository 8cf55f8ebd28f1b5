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

Planes = list[npt.NDArray[Any]]  # of one frame: one (n, channels), or one (n, 1) for each channel
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
        for planes, kind in self._frames():
            if kind != grid.kind:
                yield from self._finish(grid, grid.rest())
                if not self._accept(kind, grid.kind):
                    return
                grid = _Grid(kind)
            yield from self._finish(grid, grid.push(planes))
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
            if grid.kind[2][0] in "fd":  # only floats can hold values that are not numbers
                self._n_bad_values += _silence_bad_values(block)
            self._n_samples[grid.rate] += len(block)
            yield block, grid.rate

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

    def _frames(self) -> Iterator[tuple[Planes, Kind]]:
        """Yield every frame that holds samples; cut the last one where the file says that its sound ends."""
        last: tuple[Planes, Kind] | None = None
        n_seen = n_packet = 0
        for frame, packet in self._decoded():
            if last:
                yield last
                n_seen += len(last[0][0])
            last = _planes(frame), _kind(frame)
            n_packet = packet.duration or 0 if packet else 0
        if last:
            n_rest = self._n_rest(n_seen, n_packet)
            yield ([plane[:n_rest] for plane in last[0]] if n_rest > 0 else last[0]), last[1]

    def _n_rest(self, n_seen: int, n_packet: int) -> int:
        """How many samples of the last frame belong to the sound, where that is stated exactly; else 0."""
        if not self._stream.duration or self._stream.time_base != Fraction(1, self.info.sample_rate or 1):
            return 0
        if self._is_untrimmed:
            return int(self._stream.duration) - n_seen
        return (
            n_packet if self.info.container.startswith("mov") else 0
        )  # MP4 states the length of each packet

    def _decoded(self) -> Iterator[tuple[Any, Any]]:
        """Yield decoded frames, each with the packet that brought it forth."""
        pack = _Interleaver()
        n_barren = 0
        for packet in self._packets():
            n_barren += 1
            for frame in self._decode(packet):
                if frame.samples and not (self._is_vorbis and self._n_packets == 1):
                    n_barren = 0
                    many = frame.format.is_planar and frame.layout.nb_channels > _MAX_PLANES
                    yield pack(frame) if many else frame, packet
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
        kind = f"recognized as {self.info.codec} in {self.info.container}"
        if self._stopped:
            return SoundError(self.path, "damaged", f"{kind}, but nothing decodes: {self._stopped}")
        if self._n_bad_packets or (not self._n_packets and self.info.duration_s > 0):
            return SoundError(self.path, "damaged", f"{kind}, but nothing in it decodes; get a fresh copy")
        return SoundError(self.path, "empty", f"{kind}, but it holds no samples")


class _Interleaver:
    """Planar frames of many channels to packed ones, where PyAV cannot give the planes."""

    def __init__(self) -> None:
        self._kind: Kind | None = None
        self._resampler: Any = None

    def __call__(self, frame: Any) -> Any:
        if _kind(frame) != self._kind:
            self._kind = _kind(frame)
            self._resampler = av.AudioResampler(format=frame.format.name.removesuffix("p"))
        return self._resampler.resample(frame)[0]


class _Grid:
    """Frames of any size in, blocks of one size out, as float32."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.rate, self._channels, _ = kind
        self._size = max(1, min(self.rate // 2, _MAX_BLOCK // max(self._channels, 1)))
        self._frames: list[Planes] = []
        self._n = 0  # samples per channel in the frames

    def push(self, planes: Planes) -> list[F32]:
        """Take in a frame; give the blocks ``(n, channels)`` that are full now."""
        self._frames.append(planes)
        self._n += len(planes[0])
        return self._cut(self._size) if self._n >= self._size else []

    def rest(self) -> list[F32]:
        """Give the block that is not full yet, if it holds anything."""
        return self._cut(self._n) if self._n else []

    def _cut(self, size: int) -> list[F32]:
        joined = [np.concatenate(plane) for plane in zip(*self._frames, strict=True)]
        ends = range(size, self._n + 1, size)
        blocks = [_to_float([plane[end - size : end] for plane in joined], self._channels) for end in ends]
        self._n -= ends[-1]
        self._frames = [[plane[ends[-1] :] for plane in joined]] if self._n else []
        return blocks


def _kind(frame: Any) -> Kind:
    return frame.sample_rate, frame.layout.nb_channels, frame.format.name


def _planes(frame: Any) -> Planes:
    """Give a frame's samples as FFmpeg laid them out, without a copy."""
    kind, n = frame.format.name, frame.samples
    dtype = _DTYPES[kind.removesuffix("p")]
    channels = frame.layout.nb_channels
    if frame.format.is_planar:
        return [np.frombuffer(plane, dtype, n)[:, None] for plane in frame.planes[:channels]]
    return [np.frombuffer(frame.planes[0], dtype, n * channels).reshape(n, channels)]


def _to_float(planes: Planes, channels: int) -> F32:
    """Full scale to 1.0; the columns of the result ``(n, channels)`` are contiguous."""
    out: F32 = np.empty((channels, len(planes[0])), np.float32)
    row = 0
    for plane in planes:
        rows = out[row : row + plane.shape[1]]
        row += plane.shape[1]
        match plane.dtype.kind:
            case "i":
                scale = np.float32(2.0 ** (1 - 8 * plane.itemsize))
                np.multiply(plane.T, scale, out=rows, casting="same_kind")
            case "u":  # 8 bits around 128
                np.subtract(plane.T, np.float32(128), out=rows)
                rows *= np.float32(2.0**-7)
            case _:
                with np.errstate(over="ignore", invalid="ignore"):  # broken numbers are dealt with later
                    np.copyto(rows, plane.T, casting="same_kind")
    return out.T


def _silence_bad_values(block: F32) -> int:
    """Set what is no usable number to zero, in place; say in how many samples."""
    good = np.abs(block) <= _MAX_VALUE  # False for NaN
    if good.all():
        return 0
    block[~good] = 0
    return int(good.size - np.count_nonzero(good))
