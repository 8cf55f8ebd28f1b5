"""All model cards by name, and where the files of each lie on this machine.

A new model is one literal, here or in `published`, its files, and a golden vector; there is no subclass to write.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import orjson

from soundalike.errors import ModelError
from soundalike.models.card import MADE_HERE, Calibration, ModelCard, ModelFile, TextSpec
from soundalike.models.frontends import EFFICIENTAT
from soundalike.models.published import CLAPS, SPEECH, TAGGERS
from soundalike.segments import SegmentSpec

__all__ = [
    "ALIASES", "CARDS", "MADE_HERE", "MANIFEST", "POCKET", "Calibration", "ModelCard", "ModelFile", "TextSpec",
    "card_of", "folder_of", "is_here",
]  # fmt: skip

POCKET = ModelCard(
    name="pocket",
    summary="Sounds and words in one space; comes inside the package.",
    dim=512,
    licence="Apache-2.0; made from EfficientAT mn04_as (MIT) and all-MiniLM-L6-v2 (Apache-2.0)",
    sample_rate=32_000,
    graph=ModelFile("audio.onnx", "de57eb32c3d1b80417b6b581e9b5fce11a066ac1c9f5fa250bf1a379c0145192", 4_724_270),
    frontend=replace(EFFICIENTAT, frames_multiple=32),  # five of its layers halve the time
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
        sound_slope=7.280, sound_offset=-0.701, text_slope=13.123, text_offset=-1.120, nothing_below=0.25
    ),
    n_parameters=24_769_327,
    trained_on="AudioSet, through EfficientAT mn04_as; 18,202 free clips, lossy copies of 2,387; 13,653 phrases",
    limits="what is said, who speaks, taste in music, rare sounds; nearly deaf to order in time; see docs/pocket.md",
)

CARDS: dict[str, ModelCard] = {card.name: card for card in (POCKET, *CLAPS, *TAGGERS, *SPEECH)}
ALIASES = {"clap": "clap-htsat-unfused"}
BUNDLED = Path(__file__).parent / "bundled"
MANIFEST = "model.json"  # which files were fetched or made, beside them


def card_of(name: str) -> ModelCard:
    """Card of a model by its name; of one that was fetched or converted here, with the files that there are.

    Raises
    ------
    ModelError
        if there is none, or its files are damaged
    """
    name = ALIASES.get(name, name)
    if name not in CARDS:
        raise _unknown(name)
    card = CARDS[name]
    return _with_files(card) if card.source is not None and is_here(card) else card


def _unknown(name: str) -> ModelError:
    from difflib import get_close_matches

    names = sorted([*CARDS, *ALIASES])
    near = get_close_matches(name.lower(), names, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return ModelError(f"There is no model called {name!r}.{hint} Models: {', '.join(names)}")


def folder_of(card: ModelCard) -> Path:
    """Folder of a model's files: in the package, or in ``SOUNDALIKE_MODELS``, by default ~/.cache/soundalike/models."""
    if card.source is None:
        return BUNDLED / card.name
    home = os.environ.get("SOUNDALIKE_MODELS") or Path.home() / ".cache" / "soundalike" / "models"
    return Path(home) / card.name


def is_here(card: ModelCard) -> bool:
    """Whether a model can be used on this machine as it is."""
    return card.source is None or (folder_of(card) / MANIFEST).is_file()


def _with_files(card: ModelCard) -> ModelCard:
    path = folder_of(card) / MANIFEST
    try:
        found = orjson.loads(path.read_bytes())
        files = {file["name"]: ModelFile(**file) for file in found["files"]}
        text = card.text and replace(
            card.text, graph=files[card.text.graph.name], tokenizer=files[card.text.tokenizer.name]
        )
        long = card.long_graph and files[card.long_graph.name]
        layout = "mels" if "cosines" in found else card.layout  # what `convert` makes takes mels
        return replace(card, graph=files[card.graph.name], text=text, long_graph=long, layout=layout)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: damaged: get the model again (soundalike models remove {card.name}, then pull)"
        ) from error
