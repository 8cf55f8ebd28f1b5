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
    MissingExtra,
    ModelError,
    PipelineMismatch,
    SoundalikeError,
    SoundError,
)

if TYPE_CHECKING:
    from soundalike.embed import Model, load_model
    from soundalike.export import Embeddings, read_embeddings
    from soundalike.types import Embedding, Failure, Segment, SoundInfo

__version__ = "0.1.0"

_LATER = {  # imported at first use, so that `import soundalike` costs next to nothing
    "Embedding": "soundalike.types",
    "Embeddings": "soundalike.export",
    "Failure": "soundalike.types",
    "Model": "soundalike.embed",
    "Segment": "soundalike.types",
    "SoundInfo": "soundalike.types",
    "load_model": "soundalike.embed",
    "read_embeddings": "soundalike.export",
}

__all__ = [
    "DeviceError",
    "Embedding",
    "Embeddings",
    "ExportError",
    "Failure",
    "MissingExtra",
    "Model",
    "ModelError",
    "PipelineMismatch",
    "Segment",
    "SoundError",
    "SoundInfo",
    "SoundalikeError",
    "load_model",
    "read_embeddings",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
