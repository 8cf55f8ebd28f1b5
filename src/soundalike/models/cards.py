"""Model cards: what is known of each model, as data.

A new model is one literal here, its files, and a golden vector; there is no subclass to write.
"""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from soundalike.errors import ModelError
from soundalike.frontend import MelSpec
from soundalike.models.frontends import EFFICIENTAT, RESEMBLYZER
from soundalike.models.speech import LIBRISPEECH, CtcSpec
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
    graph: ModelFile  # ONNX: (n, n_mels, n_frames) or (n, n_samples) to (n, dim)
    frontend: MelSpec | None  # None: the graph takes samples
    segments: SegmentSpec
    level: LevelRule
    text: TextSpec | None = None
    calibration: Calibration | None = None
    ctc: CtcSpec | None = None  # of a speech recognizer: how the graph's second output, logits, spells words
    same_speaker: float | None = None  # of a speaker model: score of two voices from which on they count as one
    weights: str = ""  # of a model that is converted on this machine: what to get, and where
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
    licence="Apache-2.0; made from EfficientAT mn04_as (MIT) and all-MiniLM-L6-v2 (Apache-2.0)",
    sample_rate=32_000,
    graph=ModelFile("audio.onnx", "4f1f4e08cde01059b48fefe34ecb00b808f192ae989006a2820ed0022023c0ef", 4_724_270),
    frontend=EFFICIENTAT,
    segments=SegmentSpec(length_s=10.0, hop_s=5.0, shortest_s=0.3, margin_s=0.64),
    level="peak",
    text=TextSpec(
        graph=ModelFile("text.onnx", "82bab1f54d519cf638287401212547bb57ae3696051b9bc5ebd563117d149832", 23_984_159),
        tokenizer=ModelFile(
            "tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247
        ),
        max_tokens=64,
    ),
    calibration=Calibration(
        sound_slope=7.457, sound_offset=-0.530, text_slope=14.305, text_offset=-1.331, nothing_below=0.25
    ),
    n_parameters=24_769_327,
    trained_on="AudioSet, through EfficientAT mn04_as; 18,202 free clips for the space; 13,653 phrases of ours",
    limits="what is said, who speaks, taste in music, rare sounds; nearly deaf to order in time; see docs/pocket.md",
)

MADE_HERE = ModelFile("audio.onnx", "", 0)  # stands for what `convert` writes; its manifest says what that is
_SPEECH_SEGMENTS = SegmentSpec(length_s=10.0, hop_s=5.0, shortest_s=1.0)

WAV2VEC2_960H = ModelCard(
    name="wav2vec2-base-960h",
    summary="English speech to words: soundalike transcribe. Its vectors: the mean of the last layer.",
    dim=768,
    licence="Apache-2.0",
    sample_rate=16_000,
    graph=MADE_HERE,
    frontend=None,
    segments=_SPEECH_SEGMENTS,
    level="none",
    ctc=LIBRISPEECH,
    weights="model.safetensors of huggingface.co/facebook/wav2vec2-base-960h (378 MB)",
    n_parameters=94_396_320,
    trained_on="LibriSpeech: 960 hours of read English",
    limits="any language but English, music behind the voice, several voices at once, telephone sound",
)

WAVLM_SV = ModelCard(
    name="wavlm-base-plus-sv",
    summary="Who speaks: soundalike speakers.",
    dim=512,
    licence="not stated on its page; the code is MIT",
    sample_rate=16_000,
    graph=MADE_HERE,
    frontend=None,
    segments=_SPEECH_SEGMENTS,
    level="none",
    same_speaker=0.86,  # its page on the hub
    weights="pytorch_model.bin of huggingface.co/microsoft/wavlm-base-plus-sv (405 MB)",
    n_parameters=100_229_465,
    trained_on="94,000 hours of unlabelled English; VoxCeleb1 for speakers",
    limits="what is said; sounds without a voice; several voices at once",
)

VOICE = ModelCard(
    name="resemblyzer",
    summary="Who speaks, small and quick: soundalike speakers --model resemblyzer.",
    dim=256,
    licence="Apache-2.0",
    sample_rate=16_000,
    graph=MADE_HERE,
    frontend=RESEMBLYZER,
    segments=SegmentSpec(length_s=1.59, hop_s=0.77, shortest_s=1.59),  # 160 frames every 77
    level="raised",
    same_speaker=0.75,  # "confident" in demo_utils.py of resemble-ai/Resemblyzer
    weights="pretrained.pt inside the wheel: pip download --no-deps Resemblyzer==0.1.4, and unzip it (17 MB)",
    n_parameters=1_423_616,
    trained_on="LibriSpeech-other, VoxCeleb1 and VoxCeleb2",
    limits="what is said; sounds without a voice; several voices at once; long pauses",
)

CARDS: dict[str, ModelCard] = {card.name: card for card in (POCKET, WAV2VEC2_960H, WAVLM_SV, VOICE)}
BUNDLED = Path(__file__).parent / "bundled"
MANIFEST = "converted.json"


def card_of(name: str) -> ModelCard:
    """Card of a model by its name; of one that was converted here, with the file that was made."""
    if name not in CARDS:
        raise ModelError(f"There is no model called {name!r}. Models: {', '.join(sorted(CARDS))}")
    card = CARDS[name]
    return card if card.graph != MADE_HERE or not is_here(card) else replace(card, graph=_made(card))


def folder_of(card: ModelCard) -> Path:
    """Folder of a model's files: in the package, or in ``SOUNDALIKE_MODELS``, by default ~/.cache/soundalike/models."""
    if not card.weights:
        return BUNDLED / card.name
    home = os.environ.get("SOUNDALIKE_MODELS") or Path.home() / ".cache" / "soundalike" / "models"
    return Path(home) / card.name


def is_here(card: ModelCard) -> bool:
    """Whether a model can be used on this machine as it is."""
    return not card.weights or (folder_of(card) / MANIFEST).is_file()


def _made(card: ModelCard) -> ModelFile:
    path = folder_of(card) / MANIFEST
    try:
        files = {file["name"]: ModelFile(**file) for file in orjson.loads(path.read_bytes())["files"]}
        return files[MADE_HERE.name]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged: convert the model again (soundalike models show {card.name})") from error
