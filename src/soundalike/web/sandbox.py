"""A child process that decodes what strangers made: with little time and memory, and nobody minds if it dies.

It turns a dropped file into plain WAV, and nothing else ever opens the file. One child waits in reserve, so that a
drop does not wait for a process to start; each decodes one file and ends.
"""

from __future__ import annotations

import multiprocessing
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import orjson

from soundalike.errors import ExportError, SoundError

LONGEST_S = 1200.0  # of a dropped sound
TIME_S = 60.0  # for decoding it
MEMORY = 1 << 30  # bytes beyond what the child has when it begins
_LONGEST_ANSWER = 1 << 16  # bytes
WRITES = 1 << 30  # bytes of what comes out: 20 minutes of stereo at 96 kHz


class Sandbox:
    """Decodes files in children."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spare: tuple[BaseProcess, Connection] | None = None
        self._closed = False

    def prepare(self) -> None:
        """Have a child in reserve."""
        with self._lock:
            if self._spare is None and not self._closed:
                self._spare = _child()

    def decode(self, path: Path, out: Path) -> float:
        """Decode a file to WAV; the length of the sound in seconds.

        Raises
        ------
        SoundError
            if it is no sound, is damaged, or asks for too much
        """
        with self._lock:
            (process, pipe), self._spare = self._spare or _child(), None
        try:
            pipe.send((path, out))
            if not pipe.poll(TIME_S):
                raise SoundError(path, "damaged", f"decoding it takes more than {TIME_S:.0f} s")
            answer = orjson.loads(pipe.recv_bytes(_LONGEST_ANSWER))
        except (EOFError, OSError, ValueError) as error:
            raise SoundError(path, "damaged", "decoding it fails badly: it is damaged, or made to do harm") from error
        finally:
            _end(process, pipe)
        if "code" in answer:
            raise SoundError(path, answer["code"], answer["reason"])
        return float(answer["duration_s"])

    def close(self) -> None:
        """End the child in reserve."""
        with self._lock:
            self._closed, spare, self._spare = True, self._spare, None
        if spare is not None:
            _end(*spare)


def _child() -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_decode, args=(there,), name="soundalike decode", daemon=True)
    process.start()
    there.close()
    return process, here


def _end(process: BaseProcess, pipe: Connection) -> None:
    pipe.close()
    process.kill()
    process.join()
    process.close()


def _decode(pipe: Connection) -> None:
    """Body of the child."""
    import signal

    from soundalike.transcode import write_float_wav

    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        path, out = pipe.recv()
        _limit()
        try:
            answer: dict[str, object] = {"duration_s": write_float_wav(path, out, longest_s=LONGEST_S)}
        except SoundError as error:
            answer = {"code": error.code, "reason": error.reason}
        except (MemoryError, OSError, ExportError):
            answer = {"code": "damaged", "reason": "decoding it takes too much room"}
        pipe.send_bytes(orjson.dumps(answer))  # not a pickle: whoever takes over this process must not get further


def _limit() -> None:
    """Limit memory, time and disk, where the system can."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock is the limit
        return
    used = _virtual_bytes()
    limits = {"RLIMIT_CPU": int(TIME_S), "RLIMIT_FSIZE": WRITES, "RLIMIT_CORE": 0}
    if used:
        limits["RLIMIT_AS"] = used + MEMORY
    for name, value in limits.items():
        with suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (value, value))


def _virtual_bytes() -> int:
    """Address space of this process; 0 where the system does not say (macOS)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * 4096
    except OSError:
        return 0
