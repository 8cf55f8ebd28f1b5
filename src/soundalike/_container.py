"""Sound files opened safely: which formats, which stream, what it says. Used by `soundalike._decode`.

A file is recognized by its content, never by its name. Nothing outside the file is ever opened: playlists and
other formats that name further files or addresses are not on the list of formats, and the only protocol is
the local file. What the system refuses, what is no sound and what is damaged become a `SoundError` each.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import av

from soundalike.errors import SoundError
from soundalike.readable import format_name
from soundalike.types import SoundInfo

# Self-contained formats that can hold sound. Left out on purpose: all that refer to other files or addresses
# (hls, dash, concat, sdp, image2, ...), are guessed from the name alone (raw PCM), or hold pictures.
_FORMATS = (
    "wav,w64,flac,aiff,caf,au,mp3,aac,loas,mov,ogg,matroska,asf,xwma,amr,ac3,eac3,dts,dtshd,truehd,mlp,ape,"
    "wv,tta,tak,mpc,mpc8,dsf,iff,shn,bonk,rka,osq,qoa,wavarc,oma,aea,vqf,iamf,avi,flv,mpegts,mpeg,mxf,rm,nut,dv,"
    "wtv,gxf,voc,ircam,nistsphere,avr,paf,epaf,pvf,sds,sol,siff,wve,wsd,dss,act,qcp,mmf,aa,adx,vag,brstm,bfstm,"
    "fsb,xvag,hca,hcom,sox,xa,txd,ast,rso,smk,bink,binka,thp"
)
_OPTIONS = {
    "format_whitelist": _FORMATS,
    "protocol_whitelist": "file",
    "max_probe_packets": "1",  # finds DTS in WAV files; the default spends 30 ms on every 16-bit one
}

_STATES_LENGTH = ("wav", "w64", "flac", "aiff", "caf", "mov", "matroska", "tta", "wv", "ape")

# First bytes of formats whose readers refuse a damaged header: tells "damaged" from "not sound at all".
_MAGIC = (
    b"RIFF....WAVE", b"RF64....WAVE", b"BW64....WAVE", b"RIFX....WAVE", b"riff\x2e\x91\xcf\x11",
    b"fLaC", b"OggS", b"FORM....AIF", b"caff", b".snd", b"ID3", b"....ftyp", b"....moov", b"....mdat",
    b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"wvpk", b"TTA1", b"MAC ", b"#!AMR", b"MPCK", b"MP+",
    b"DSD ",
)  # fmt: skip

_MP4_STARTS = b"ftyp moov mdat free skip wide pnot udta uuid styp sidx junk pict".split()
_MAX_BOXES = 1_000_000  # of an MP4, looked at before it is opened
_SPARE_PACKETS = 1_000_000  # that an MP4 may state beyond its bytes: a file cut short still gives its start


def check_file(path: Path) -> int:
    """Size in bytes of a regular file.

    Raises
    ------
    SoundError
        ``missing``, ``unreadable`` or ``empty``
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _system_error(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise SoundError(path, "unreadable", f"this is {kind}")
    if status.st_size == 0:
        raise SoundError(path, "empty", "the file has no bytes")
    return status.st_size


def open_container(path: Path) -> Any:
    """Open a file that `check_file` has passed.

    Raises
    ------
    SoundError
        ``not_audio``, ``damaged``, or what the system says
    """
    _refuse_packet_bomb(path)
    try:
        # "file:" keeps FFmpeg from reading a name such as "http:x.wav" or "concat:x" as an address.
        return av.open(f"file:{path}", mode="r", container_options=_OPTIONS, metadata_errors="replace")
    except MemoryError as error:
        raise SoundError(path, "damaged", "its header asks for more memory than there is") from error
    except av.FFmpegError as error:
        head = check_readable(path)
        if _has_magic(head):
            raise SoundError(path, "damaged", f"its header cannot be read ({reason(error)})") from error
        raise SoundError(path, "not_audio", "no sound format is recognized in it") from error


def check_readable(path: Path) -> bytes:
    """First bytes of the file; an error of the system becomes a SoundError."""
    check_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(-1, os.SEEK_END)
            file.read(1)
    except OSError as error:
        raise _system_error(path, error) from error
    return head


def _system_error(path: Path, error: Exception) -> SoundError:
    if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError):
        return SoundError(path, "missing", "there is no such file")
    return SoundError(path, "unreadable", f"the system does not let it be read ({reason(error)})")


def reason(error: Exception) -> str:
    """Words of the system or of FFmpeg for what went wrong."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _has_magic(head: bytes) -> bool:
    def fits(magic: bytes) -> bool:
        return len(head) >= len(magic) and all(m in (b".."[0], h) for m, h in zip(magic, head, strict=False))

    return any(map(fits, _MAGIC))


def _refuse_packet_bomb(path: Path) -> None:
    """Refuse an MP4 that states far more packets than it has bytes: FFmpeg would list them in memory."""
    try:
        with path.open("rb") as file:
            n_bytes = os.fstat(file.fileno()).st_size
            if file.read(8)[4:] in _MP4_STARTS and _mp4_packets(file, n_bytes) > n_bytes + _SPARE_PACKETS:
                raise SoundError(path, "damaged", "its header states more packets than the file has bytes")
    except OSError as error:
        raise _system_error(path, error) from error


def _mp4_packets(file: BinaryIO, n_bytes: int) -> int:
    """Sum of the numbers of packets that the tables (stsz) and fragments (trun) of an MP4 state."""
    position = total = 0
    for _ in range(_MAX_BOXES):
        file.seek(position)
        head = file.read(20)
        if len(head) < 8:
            break
        size, name = int.from_bytes(head[:4], "big"), head[4:8]
        if name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"):
            position += 8  # and on with the boxes inside
            continue
        if name == b"stsz":
            total += int.from_bytes(head[16:20], "big")
        elif name == b"trun":
            total += int.from_bytes(head[12:16], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8 or position + size > n_bytes:
            break
        position += size
    return total


def choose_stream(path: Path, container: Any) -> Any:
    """Take the first sound stream that has a decoder; let the demuxer skip all others."""
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not streams:
        if container.streams.audio:
            raise SoundError(path, "damaged", "its sound is in a coding that no decoder knows, or encrypted")
        raise SoundError(path, "not_audio", f"there is no sound in this {format_name(container.format.name)} file")
    stream = streams[0]
    for other in container.streams:
        if other.index != stream.index and hasattr(other, "discard"):
            other.discard = 48  # AVDISCARD_ALL
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    return stream


def describe(path: Path, container: Any, stream: Any) -> SoundInfo:
    """Collect what the headers say."""
    context = stream.codec_context
    duration_s = 0.0
    if stream.duration and stream.time_base:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration:
        duration_s = container.duration / av.time_base
    return SoundInfo(
        path=path,
        container=container.format.name,
        codec=_codec_name(context),
        sample_rate=context.sample_rate,
        channels=context.channels,
        duration_s=max(duration_s, 0.0),
        bits_per_sample=_bits_per_sample(context),
        bit_rate=context.bit_rate or container.bit_rate or None,
    )


def _codec_name(context: Any) -> str:
    """Name of the coding, not of the decoder: "mp3" for "mp3float"."""
    codec = context.codec
    return str(getattr(codec, "canonical_name", codec.name.removesuffix("float")))  # PyAV 14 lacks it


def _bits_per_sample(context: Any) -> int | None:
    """Width of a sample in PCM and lossless codecs; None where the codec has none."""
    name = _codec_name(context)
    extra: bytes = context.extradata or b""
    if name.startswith("pcm_"):
        digits = "".join(filter(str.isdigit, name))
        return int(digits) if digits else 8  # A-law and mu-law: 8
    if name == "flac" and len(extra) >= 14:  # STREAMINFO
        return ((extra[12] & 1) << 4 | extra[13] >> 4) + 1
    if name == "alac" and len(extra) >= 18:  # ALACSpecificConfig
        return extra[17]
    if name in ("tta", "wavpack", "ape", "tak", "shorten") and context.format is not None:
        return int(context.format.bits) if context.format.bits <= 16 else None
    return None


def states_length(info: SoundInfo) -> bool:
    """Whether the format states its length; elsewhere FFmpeg estimates it from the bit rate."""
    return info.container.split(",")[0] in _STATES_LENGTH
