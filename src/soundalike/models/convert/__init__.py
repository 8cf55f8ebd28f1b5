"""From published weights to ONNX files: torch state dict in, `audio.onnx` and `text.onnx` out.

This is the only room that imports torch, and only when `convert` is called. Sizes (widths, depths, heads) are
read off the weights themselves, so no configuration file has to agree with them. Every graph takes what the
encoder hands it: ``(n, n_mels, n_frames)`` or ``(n, n_samples)`` for sounds, ``(n, n_tokens)`` token ids for
words, with n free; and gives ``(n, dim)``, the reference's vector before any normalization. A speech
recognizer's graph has a second output, ``logits`` (n, n_frames, n_characters).

A file is kept only if ONNX Runtime agrees with torch on seeded input; otherwise nothing is written and the
error says by how much they differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from soundalike.errors import MissingExtra
from soundalike.models.cards import ModelCard, ModelFile

Precision = Literal["fp32", "int8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What a conversion wrote; the same facts stand in `model.json` beside the files."""

    name: str  # of the model
    precision: Precision
    files: tuple[ModelFile, ...]  # audio.onnx; and audio_long.onnx, text.onnx, tokenizer.json where there are such
    sources: tuple[ModelFile, ...]  # the weight files that were read
    cosines: dict[str, float]  # graph to smallest cosine between torch and the file, over the checked input


def convert(card: ModelCard, source: Path, out: Path, precision: Precision = "fp32") -> Converted:
    """Write a model's ONNX files from its published weights.

    Parameters
    ----------
    card : the model
    source : folder that holds the published files under their own names
    out : folder to write into; made if it is not there. Files appear whole or not at all.
    precision : "int8" rounds the weights of matrix products to 8 bits: a quarter of the size, other vectors

    Raises
    ------
    ModelError
        if the model is not converted from weights, a file is missing or is not what the model needs, or the
        written network disagrees with torch
    MissingExtra
        if torch or onnx is not installed
    """
    for package in ("torch", "onnx"):
        if find_spec(package) is None:
            raise MissingExtra(package, "convert")
    from soundalike.models.convert.run import run

    return run(card, source, out, precision)
