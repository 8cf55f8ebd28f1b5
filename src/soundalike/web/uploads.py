"""Sounds that are dropped on the page: decoded in a sandbox, embedded, kept for a while, never part of the library."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from soundalike.aspects import measure_file
from soundalike.embed import sha256_of
from soundalike.errors import SoundError
from soundalike.library.values import Embedder
from soundalike.types import F32
from soundalike.web.media import Source
from soundalike.web.sandbox import Sandbox

KEPT = 20  # uploads; the oldest go
MAX_KEPT = 2 << 30  # bytes of all
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A dropped sound."""

    id: str
    name: str  # as the browser calls it: shown, and nothing else
    vector: F32 = field(repr=False)  # (dim,), unit norm
    pipeline: str  # that made the vector
    aspects: F32 = field(repr=False)  # a row of `soundalike.aspects`
    source: Source  # plain WAV
    n_bytes: int


class Uploads:
    """What was dropped in this start of the server; in a temporary folder."""

    def __init__(self, model: Callable[[], Embedder]) -> None:
        self._model = model
        self.folder = Path(tempfile.mkdtemp(prefix="soundalike-"))
        self.sandbox = Sandbox()
        self._lock = threading.Lock()
        self._kept: dict[str, Upload] = {}

    def new_file(self) -> Path:
        """Give the path of a file to write what comes in to."""
        return self.folder / f"{secrets.token_hex(8)}.incoming"

    def take(self, incoming: Path, name: str) -> Upload:
        """Decode and embed what came in.

        Raises
        ------
        SoundError
            if it is no sound, is damaged, silent, or asks for too much
        """
        upload_id = "u" + secrets.token_hex(8)
        wav = self.folder / f"{upload_id}.wav"
        name = name[:_LONGEST_NAME] or "a sound without a name"
        try:
            duration_s = self.sandbox.decode(incoming, wav)
            model = self._model()
            vector = model.embed_file(wav).vector
            aspects = measure_file(wav).to_array()
        except SoundError as error:
            wav.unlink(missing_ok=True)
            raise SoundError(name, error.code, error.reason) from error
        finally:
            incoming.unlink(missing_ok=True)
        source = Source(wav, sha256_of(wav), "wav", "pcm_f32le", duration_s)
        upload = Upload(upload_id, name, vector, model.pipeline, aspects, source, wav.stat().st_size)
        with self._lock:
            self._kept[upload_id] = upload
            self._forget()
        return upload

    def get(self, upload_id: str) -> Upload | None:
        """Look one up; None if it was never there, or is gone."""
        with self._lock:
            return self._kept.get(upload_id)

    def embedded(self, upload_id: str) -> Upload | None:
        """Look one up, with its vector as the library's model makes it now."""
        upload, model = self.get(upload_id), self._model()
        if upload is None or upload.pipeline == model.pipeline:
            return upload
        upload = replace(upload, vector=model.embed_file(upload.source.path).vector, pipeline=model.pipeline)
        with self._lock:
            if upload_id in self._kept:
                self._kept[upload_id] = upload
        return upload

    def close(self) -> None:
        """Forget all."""
        self.sandbox.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _forget(self) -> None:
        while len(self._kept) > 1 and (
            len(self._kept) > KEPT or sum(one.n_bytes for one in self._kept.values()) > MAX_KEPT
        ):
            oldest = self._kept.pop(next(iter(self._kept)))
            oldest.source.path.unlink(missing_ok=True)
