"""What is known of a model, as data: the fields of a card."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from typing import Literal

import orjson

from soundalike.frontend import MelSpec
from soundalike.models.speech import CtcSpec
from soundalike.segments import SegmentSpec
from soundalike.types import LevelRule

FLOW_VERSION = 1  # raised when decoding, downmix, resampling, splitting or pooling change what comes out


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that a model needs."""

    name: str  # inside the model's folder
    sha256: str
    n_bytes: int


MADE_HERE = ModelFile("audio.onnx", "", 0)  # stands for a file that is fetched or made on this machine
LONG_MADE_HERE = ModelFile("audio_long.onnx", "", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A published file."""

    address: str  # https://…, or pypi:NAME==VERSION for what lies in a wheel
    name: str  # what it is called in the model's folder; in a wheel, its path
    n_bytes: int  # about, before it is asked for
    sha256: str = ""  # all of it, or the first digits that are known; "": what its server says
    md5: str = ""  # where that is all that its publisher says


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a published model comes from."""

    files: tuple[Download, ...]
    ready: bool = False  # networks that run as they are; otherwise weights, which `convert` turns into networks


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpec:
    """The side of a model that reads words."""

    graph: ModelFile = ModelFile("text.onnx", "", 0)
    tokenizer: ModelFile = ModelFile("tokenizer.json", "", 0)
    max_tokens: int
    suffix: str = ""  # put behind every line


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """From score to probability: 1 / (1 + exp(-(slope * score + offset))).

    The probability is that of a match in a draw where half of the pairs match; training/calibrate.py fits it.
    """

    sound_slope: float  # between two sounds
    sound_offset: float
    text_slope: float  # between words and a sound
    text_offset: float
    nothing_below: float  # score of the best answer to words under which nothing matches

    def probability(self, score: float, *, text: bool) -> float:
        """Probability that a score (cosine) is a match; ``text`` if one side is words."""
        slope, offset = (self.text_slope, self.text_offset) if text else (self.sound_slope, self.sound_offset)
        return 1 / (1 + math.exp(-(slope * score + offset)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Facts about a model, and everything that decides its vectors."""

    name: str
    summary: str
    dim: int
    licence: str
    sample_rate: int  # Hz, of the samples it takes
    graph: ModelFile = MADE_HERE  # ONNX: (n, n_mels, n_frames) or (n, n_samples) to (n, dim)
    frontend: MelSpec | None  # None: the graph takes samples
    layout: Literal["mels", "frames"] = "mels"  # "frames": the graph takes (n, 1, n_frames, n_mels)
    long_graph: ModelFile | None = None  # for segments of more than `long_s`
    long_s: float = 10.0
    segments: SegmentSpec
    level: LevelRule
    text: TextSpec | None = None
    calibration: Calibration | None = None
    ctc: CtcSpec | None = None  # of a speech recognizer: how the graph's second output, logits, spells words
    same_speaker: float | None = None  # of a speaker model: score of two voices from which on they count as one
    source: Source | None = None  # None: it comes with the package
    precision: Literal["fp32", "bf16"] = "fp32"  # in which the networks compute
    n_parameters: int
    trained_on: str
    limits: str

    @property
    def files(self) -> tuple[ModelFile, ...]:
        """Every file the model needs."""
        long = (self.long_graph,) if self.long_graph else ()
        words = (self.text.graph, self.text.tokenizer) if self.text else ()
        return (self.graph, *long, *words)

    @property
    def n_bytes(self) -> int:
        """Size of its files: of those that are here, or of those that are published."""
        here = sum(file.n_bytes for file in self.files)
        return here or sum(file.n_bytes for file in (self.source.files if self.source else ()))

    @property
    def pipeline(self) -> str:
        """Short hash of everything that decides a vector; vectors of two pipelines are never compared."""
        parts = {
            "flow": FLOW_VERSION,
            "graph": self.graph.sha256,
            "frontend": _decisive(self.frontend, frames_multiple=1) if self.frontend else None,
            "segments": _decisive(self.segments, around_s=None),
            "sample_rate": self.sample_rate,
            "level": self.level,
            "precision": self.precision,
        }
        if self.long_graph:
            parts["long_graph"] = self.long_graph.sha256
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def with_precision(self, precision: Literal["fp32", "bf16"]) -> ModelCard:
        """The same model computed in other numbers: another pipeline."""
        return replace(self, precision=precision)

    def with_level(self, level: LevelRule) -> ModelCard:
        """The same model behind another level rule: another pipeline."""
        return replace(self, level=level)


def _decisive(spec: MelSpec | SegmentSpec, **without: object) -> dict[str, object]:
    """Fields that count in a pipeline's hash; those that came later, and change nothing at a value, not at that one."""
    fields = asdict(spec)
    return {name: value for name, value in fields.items() if name not in without or value != without[name]}
