"""Test sounds: signals made from a formula or a seed, and files of every format that hold them.

    write_sound(tmp_path / "a.flac", tone(440, 1.0, 44_100), 44_100)

The suffix of the path chooses container and codec; `codec` chooses another one, with FFmpeg's name or, for
what FFmpeg writes badly or not at all, libsndfile's subtype ("VORBIS"). PyAV and soundfile encode.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from soundalike.types import F32

# Of a suffix: FFmpeg's container, where its name is another, and the codec when nothing else is asked for.
_SUFFIXES = {
    ".aac": ("adts", "aac"),
    ".ac3": (None, "ac3"),
    ".aif": ("aiff", "pcm_s16be"),
    ".aiff": (None, "pcm_s16be"),
    ".amr": (None, "libopencore_amrnb"),
    ".au": (None, "pcm_s16be"),
    ".avi": (None, "mp2"),
    ".caf": (None, "pcm_s16be"),
    ".flac": (None, "flac"),
    ".flv": (None, "libmp3lame"),
    ".m4a": ("ipod", "aac"),
    ".mka": ("matroska", "flac"),
    ".mkv": ("matroska", "flac"),
    ".mov": (None, "pcm_s16le"),
    ".mp2": (None, "mp2"),
    ".mp3": (None, "libmp3lame"),
    ".mp4": (None, "aac"),
    ".mpg": ("vob", "mp2"),
    ".ogg": (None, "VORBIS"),
    ".opus": (None, "libopus"),
    ".ts": ("mpegts", "aac"),
    ".tta": (None, "tta"),
    ".w64": (None, "pcm_s16le"),
    ".wav": (None, "pcm_s16le"),
    ".webm": (None, "libopus"),
    ".wma": ("asf", "wmav2"),
    ".wv": (None, "wavpack"),
}
_LAYOUTS = {1: "mono", 2: "stereo", 4: "quad", 6: "5.1", 8: "7.1"}


def tone(frequency_hz: float, duration_s: float, sample_rate: int, level: float = 0.5) -> F32:
    """Make a sine: ``(n, 1)``."""
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    return (level * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)[:, None]


def noise(duration_s: float, sample_rate: int, channels: int = 1, seed: int = 0, level: float = 0.1) -> F32:
    """Make white noise, seeded: ``(n, channels)``."""
    shape = (round(duration_s * sample_rate), channels)
    return (level * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def on_16_bits(samples: F32) -> F32:
    """Round to values that every lossless format of 16 bits or more keeps exactly."""
    return (np.clip(np.round(samples * 32768), -32768, 32767) / 32768).astype(np.float32)


def write_sound(path: Path, samples: F32, sample_rate: int, codec: str | None = None, **options: Any) -> Path:
    """Write samples ``(n, channels)`` or ``(n,)`` to a file; give its path.

    Parameters
    ----------
    codec : an FFmpeg encoder, or a libsndfile subtype in capitals; by default what is usual for the suffix
    options : ``bit_rate`` (bit/s), ``container`` (FFmpeg's name), ``video=True`` (pictures before the sound),
        further encoder options by FFmpeg's names
    """
    samples = np.ascontiguousarray(samples.reshape(len(samples), -1), np.float32)
    usual_container, usual_codec = _SUFFIXES[path.suffix.lower()]
    codec = codec or usual_codec
    if codec.isupper():
        container = options.get("container") or path.suffix[1:].upper()
        soundfile.write(path, samples, sample_rate, subtype=codec, format=container)
        return path
    container = options.pop("container", usual_container)
    bit_rate, video = options.pop("bit_rate", None), options.pop("video", False)
    with av.open(str(path), "w", format=container) as output:
        pictures = _add_pictures(output) if video else None
        layout = _LAYOUTS.get(samples.shape[1], f"{samples.shape[1]} channels")
        stream: Any = output.add_stream(codec, rate=sample_rate, layout=layout)
        formats = [sample_format.name for sample_format in stream.codec.audio_formats]
        stream.format = next((name for name in formats if name.startswith("s16")), formats[0])
        if bit_rate or codec == "wmav2":  # which has no default
            stream.bit_rate = bit_rate or 128_000
        stream.options = {name: str(value) for name, value in options.items()}
        if pictures:
            _write_pictures(output, pictures)
        _encode(output, stream, samples, sample_rate, layout)
    return path


def _encode(output: Any, stream: Any, samples: F32, sample_rate: int, layout: str) -> None:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
    frame.sample_rate = sample_rate
    frame.pts = 0
    stream.codec_context.open(strict=False)
    size = stream.codec_context.frame_size or 4096
    resampler = av.AudioResampler(stream.format, layout, sample_rate, frame_size=size)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(stream.encode(part))
    output.mux(stream.encode(None))


def _add_pictures(output: Any) -> Any:
    stream = output.add_stream("mpeg4", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def _write_pictures(output: Any, stream: Any) -> None:
    for i in range(3):
        picture = np.full((48, 64, 3), 80 * i, np.uint8)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    output.mux(stream.encode(None))


def png() -> bytes:
    """Make the bytes of a small picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    rows = zlib.compress(8 * (b"\0" + 24 * b"\x7f"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def id3_with_picture() -> bytes:
    """Make an ID3v2.3 tag that holds a cover picture, as music players put it before an MP3."""
    body = b"\0image/png\0\x03\0" + png()
    frame = b"APIC" + struct.pack(">IH", len(body), 0) + body
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + frame


def wav_bytes(
    data: bytes, sample_rate: int, channels: int = 1, bits: int = 16, kind: int = 1, stated: int | None = None
) -> bytes:
    """Make a WAV file by hand, with whatever its header is to claim.

    Parameters
    ----------
    kind : format tag, 1 for integers, 3 for floats
    stated : length of the data as the header has it; by default the true one
    """
    width = channels * bits // 8
    stated = len(data) if stated is None else stated
    rate = sample_rate * width & 0xFFFFFFFF
    header = struct.pack("<HHIIHH", kind, channels, sample_rate, rate, width & 0xFFFF, bits)
    riff = struct.pack("<4sI4s", b"RIFF", min(36 + stated, 0xFFFFFFFF), b"WAVE")
    return riff + struct.pack("<4sI", b"fmt ", 16) + header + struct.pack("<4sI", b"data", stated) + data
