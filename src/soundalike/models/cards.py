"""Model cards: what is known of each model, as data.

A new model is one literal here, its files, and a golden vector; there is no subclass to write.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from soundalike.errors import ModelError
from soundalike.frontend import MelSpec
from soundalike.segments import SegmentSpec
from soundalike.types import LevelRule

FLOW_VERSION = 1  # raised when decoding, downmix, resampling, splitting or pooling change what comes out


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that a model needs."""

    name: str  # inside the model's folder
    sha256: str
    n_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpec:
    """The side of a model that reads words."""

    graph: ModelFile
    tokenizer: ModelFile
    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Facts about a model, and everything that decides its vectors."""

    name: str
    summary: str
    dim: int
    licence: str
    sample_rate: int  # Hz, of the samples it takes
    graph: ModelFile  # ONNX: (n, n_mels, n_frames) or (n, n_samples) to (n, dim)
    frontend: MelSpec | None  # None: the graph takes samples
    segments: SegmentSpec
    level: LevelRule
    text: TextSpec | None = None
    n_parameters: int
    trained_on: str
    limits: str

    @property
    def files(self) -> tuple[ModelFile, ...]:
        """Every file the model needs."""
        return (self.graph, self.text.graph, self.text.tokenizer) if self.text else (self.graph,)

    @property
    def pipeline(self) -> str:
        """Short hash of everything that decides a vector; vectors of two pipelines are never compared."""
        parts = {
            "flow": FLOW_VERSION,
            "graph": self.graph.sha256,
            "frontend": asdict(self.frontend) if self.frontend else None,
            "segments": asdict(self.segments),
            "sample_rate": self.sample_rate,
            "level": self.level,
            "precision": "fp32",
        }
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def with_level(self, level: LevelRule) -> ModelCard:
        """The same model behind another level rule: another pipeline."""
        return replace(self, level=level)


POCKET = ModelCard(
    name="pocket",
    summary="Sounds and words in one space; comes inside the package.",
    dim=512,
    licence="Apache-2.0; audio tower fine-tuned from EfficientAT mn04_as (MIT), text tower from all-MiniLM-L6-v2 (Apache-2.0)",
    sample_rate=32_000,
    graph=ModelFile("audio.onnx", "b16822ce42d62a2dfad28d2493c0a0f88067e773a3eadb82f48608f34a351c7e", 4_724_270),
    frontend=MelSpec(
        sample_rate=32_000,
        n_fft=1024,
        win_length=800,
        hop_length=320,
        n_mels=128,
        fmin_hz=0.0,
        fmax_hz=15_000.0,
        window="hann_symmetric",
        pre_emphasis=0.97,
        mel_scale="htk",
        triangles="mel",
        drop_nyquist=True,
        log="ln",
        offset=1e-5,
        shift=4.5,
        scale=0.2,
    ),
    segments=SegmentSpec(length_s=10.0, hop_s=5.0, shortest_s=1.0),
    level="peak",
    text=TextSpec(
        graph=ModelFile("text.onnx", "05cf5415b6b3ad783115ecef3d395ddc62aab378844d58f58a43b254a7dbd151", 23_696_513),
        tokenizer=ModelFile("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247),
        max_tokens=64,
    ),
    n_parameters=24_484_128,
    trained_on="",
    limits="",
)

CARDS: dict[str, ModelCard] = {POCKET.name: POCKET}
BUNDLED = Path(__file__).parent / "bundled"


def card_of(name: str) -> ModelCard:
    """Card of a model by its name."""
    if name not in CARDS:
        raise ModelError(f"There is no model called {name!r}. Models: {', '.join(sorted(CARDS))}")
    return CARDS[name]


def folder_of(card: ModelCard) -> Path:
    """Folder that holds a model's files."""
    return BUNDLED / card.name
