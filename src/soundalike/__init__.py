"""Soundalike: sounds to vectors, vectors to answers.

Examples
--------
>>> import soundalike
>>> model = soundalike.load_model()
>>> model.embed_text(["a dog barking", "rain on a tin roof"]).shape
(2, 512)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundalike.errors import (
    DeviceError,
    ExportError,
    LibraryBusy,
    LibraryError,
    MissingExtra,
    ModelError,
    PipelineMismatch,
    SoundalikeError,
    SoundError,
)

if TYPE_CHECKING:
    from soundalike.embed import Model, load_model
    from soundalike.export import Embeddings, read_embeddings
    from soundalike.library import Answer, Filters, Library, Match, Query
    from soundalike.speech import Transcript, Word, compare_voices, transcribe, transcribe_files
    from soundalike.types import Embedding, Failure, Segment, SoundInfo

__version__ = "0.1.0"

_LATER = {  # imported at first use, so that `import soundalike` costs next to nothing
    "Answer": "soundalike.library",
    "Embedding": "soundalike.types",
    "Embeddings": "soundalike.export",
    "Failure": "soundalike.types",
    "Filters": "soundalike.library",
    "Library": "soundalike.library",
    "Match": "soundalike.library",
    "Model": "soundalike.embed",
    "Query": "soundalike.library",
    "Segment": "soundalike.types",
    "SoundInfo": "soundalike.types",
    "Transcript": "soundalike.speech",
    "Word": "soundalike.speech",
    "compare_voices": "soundalike.speech",
    "load_model": "soundalike.embed",
    "read_embeddings": "soundalike.export",
    "transcribe": "soundalike.speech",
    "transcribe_files": "soundalike.speech",
}

__all__ = [
    "Answer",
    "DeviceError",
    "Embedding",
    "Embeddings",
    "ExportError",
    "Failure",
    "Filters",
    "Library",
    "LibraryBusy",
    "LibraryError",
    "Match",
    "MissingExtra",
    "Model",
    "ModelError",
    "PipelineMismatch",
    "Query",
    "Segment",
    "SoundError",
    "SoundInfo",
    "SoundalikeError",
    "Transcript",
    "Word",
    "compare_voices",
    "load_model",
    "read_embeddings",
    "transcribe",
    "transcribe_files",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
