"""Files that are made from sounds for the page, kept until there are too many: playable copies, waveforms, pictures."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soundalike.errors import LibraryError
from soundalike.export import atomic
from soundalike.features.spectrogram import draw_spectrogram
from soundalike.library import Library, Sound
from soundalike.parallel import n_cores
from soundalike.transcode import write_opus, write_wav
from soundalike.waveform import fewer, peaks_of

LIMIT = 1 << 30  # bytes that are kept
N_PEAKS = 2048  # stretches of a waveform that are kept; fewer are made of them
LONG_S = 600.0  # sounds beyond are transcoded to Opus, shorter ones to WAV
_YOUNG_S = 120.0  # a file used so recently is not thrown away
_SWEEP_EVERY = 50  # new files

_PLAYABLE = {  # container and codec that all browsers play, and what to call it
    ("wav", "pcm_s16le"): "audio/wav", ("wav", "pcm_u8"): "audio/wav", ("mp3", "mp3"): "audio/mpeg",
    ("flac", "flac"): "audio/flac", ("ogg", "vorbis"): "audio/ogg", ("ogg", "opus"): "audio/ogg",
    ("mov", "aac"): "audio/mp4", ("aac", "aac"): "audio/aac",
}  # fmt: skip
_NOT_AS_IT_IS = (".mov", ".qt", ".3gp", ".3g2")  # of the container "mov": those that browsers refuse


@dataclass(frozen=True, slots=True)
class Source:
    """A sound that can be heard and looked at: one of the library, or one that was dropped."""

    path: Path
    key: str  # of its content
    container: str
    codec: str
    duration_s: float


def source_of(library: Library, sound: Sound) -> Source:
    """Find the file of a sound.

    A link that leads out of the folders of the library is followed only if it leads to what was embedded.

    Raises
    ------
    LibraryError
        if the file is gone, or is not what it was
    """
    try:
        real = sound.path.resolve(strict=True)
        is_file = stat.S_ISREG(real.stat().st_mode)
    except (OSError, RuntimeError) as error:
        reason = "the file is not there any more: run sync, or connect the drive that it is on"
        raise LibraryError(sound.path, reason) from error
    roots = [root.resolve() for root in library.roots()]
    inside = real == sound.path or any(real.is_relative_to(root) for root in roots)
    if not is_file or not (inside or library.is_unchanged(sound)):
        raise LibraryError(sound.path, "this is not the file any more that was added: run sync")
    return Source(real, sound.sha256, sound.container.split(",")[0], sound.codec, sound.duration_s)


class Media:
    """The files in one folder; it may be deleted at any time."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder, self._limit = folder, limit
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}
        self._places = threading.Semaphore(n_cores())
        self._n_made = 0

    def playable(self, source: Source) -> tuple[Path, str]:
        """Give a file that browsers play, and its media type: the sound itself if it is one."""
        media_type = _PLAYABLE.get((source.container, source.codec))
        if media_type and source.path.suffix.lower() not in _NOT_AS_IT_IS:
            return source.path, media_type
        if source.duration_s > LONG_S:
            return self._kept(source, "play.opus", lambda out: write_opus(source.path, out)), "audio/ogg"
        return self._kept(source, "play.wav", lambda out: write_wav(source.path, out)), "audio/wav"

    def peaks(self, source: Source, n: int) -> bytes:
        """Lowest and highest sample of ``n`` stretches, as pairs of int8."""
        path = self._kept(source, "peaks", lambda out: _write_peaks(source, out))
        peaks = np.frombuffer(path.read_bytes(), np.int8).reshape(-1, 2)
        return fewer(peaks, min(n, len(peaks))).tobytes()

    def spectrogram(self, source: Source) -> Path:
        """Give a PNG file."""
        return self._kept(source, "png", lambda out: _write(out, draw_spectrogram(source.path)))

    def _kept(self, source: Source, kind: str, make: Callable[[Path], object]) -> Path:
        path = self._folder / source.key[:2] / f"{source.key}.{kind}"
        with self._lock:
            lock = self._making.setdefault(path.name, threading.Lock())
        try:
            with lock:
                if not _touch(path):
                    with self._places:
                        make(path)
                    self._sweep_sometimes()
        finally:
            with self._lock:
                self._making.pop(path.name, None)
        return path

    def _sweep_sometimes(self) -> None:
        with self._lock:
            self._n_made += 1
            due = self._n_made % _SWEEP_EVERY == 1
        if due:
            self.sweep()

    def sweep(self) -> None:
        """Throw away what was not used for longest, until the rest is below the limit."""
        files = []
        for path in self._folder.rglob("*"):
            with suppress(OSError):
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    files.append((status.st_mtime, status.st_size, path))
        whole, young = sum(size for _, size, _ in files), time.time() - _YOUNG_S
        for used, size, path in sorted(files):
            if whole <= self._limit or used > young:
                return
            with suppress(OSError):
                path.unlink()
                whole -= size


def _touch(path: Path) -> bool:
    """Note that a file is used; False if it is not there."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def _write_peaks(source: Source, out: Path) -> None:
    _write(out, peaks_of(source.path, N_PEAKS, source.duration_s).tobytes())


def _write(out: Path, content: bytes) -> None:
    with atomic(out) as file:
        file.write(content)
