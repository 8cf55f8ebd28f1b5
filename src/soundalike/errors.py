"""The errors of soundalike.

SoundalikeError              anything a caller may want to catch
├── SoundError               one sound cannot be embedded          (.path, .code)
├── ModelError               unknown model, damaged or missing file, wrong shapes
├── DeviceError              the engine or device asked for is not there
├── PipelineMismatch         vectors of two pipelines were about to meet
├── ExportError              a folder or file of embeddings cannot be written or read
├── LibraryError             not a library, full disk, newer schema        (.path)
│   └── LibraryBusy          another process is writing to it
├── StoreError               a vector database refuses, cannot be reached, or holds something else
└── MissingExtra             an optional package is absent         (says what to install)

A message says what happened, to which file, and what to do. A `SoundError` costs one sound only: whoever walks
many files turns it into a `soundalike.types.Failure` and goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

SoundErrorCode = Literal["missing", "unreadable", "not_audio", "damaged", "empty", "silent"]
"""Why a sound has no vector.

missing     the file is not there (any more)
unreadable  the system refuses to read it: permission, a directory, a device error
not_audio   nothing in it is recognised as sound
damaged     recognised, but not one block of it can be decoded
empty       no samples
silent      only digital silence: there is nothing to compare
"""


class SoundalikeError(Exception):
    """Base of every error that this package raises on purpose."""


class SoundError(SoundalikeError):
    """One sound cannot be embedded; its neighbours are not affected."""

    def __init__(self, path: Path | str, code: SoundErrorCode, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = Path(path)
        self.code: SoundErrorCode = code
        self.reason = reason


class ModelError(SoundalikeError):
    """A model is unknown, damaged, or was given arrays of the wrong shape."""


class DeviceError(SoundalikeError):
    """The engine or device that was asked for is not available here."""


class PipelineMismatch(SoundalikeError):
    """Vectors that were made in different ways were about to be compared."""

    def __init__(self, what: str, expected: str, found: str) -> None:
        super().__init__(
            f"{what}: made with pipeline {found}, but this needs pipeline {expected}. "
            "Vectors of different pipelines cannot be compared: make both with one model and level rule."
        )
        self.expected = expected
        self.found = found


class ExportError(SoundalikeError):
    """Embeddings cannot be written to, or read back from, a place."""


class LibraryError(SoundalikeError):
    """A library cannot be opened, written or searched as asked."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = Path(path)
        self.reason = reason


class LibraryBusy(LibraryError):
    """Another process is writing to the library; searching works meanwhile."""


class StoreError(SoundalikeError):
    """A vector database cannot be reached, refuses what it is asked, or holds something else."""


class MissingExtra(SoundalikeError):
    """An optional package is absent."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"This needs the package {package}: pip install 'soundalike[{extra}]'")
