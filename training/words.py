"""How people describe sounds: phrases, and which AudioSet classes each one means.

The files in words/ were written by hand for this project. A line is a phrase, alone (it means the class of the heading
above it) or with a mixture: ``heavy rain on metal => Rain on surface 0.5 | Rain 0.4 | Raindrop 0.1``. Headings that
begin with '@' are topics; there every phrase has a mixture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "words"
_ITEM = re.compile(r"\s*(.+?)\s+([0-9.]+)\s*")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words for a sound, and the share of each class in it."""

    text: str
    mixture: dict[str, float]  # class name to weight; weights sum to 1
    heading: str


def read_phrases(folder: Path = FOLDER) -> list[Phrase]:
    """All phrases, in file order; one that several files have keeps the mean of its mixtures."""
    found: dict[str, list[Phrase]] = {}
    for path in sorted(folder.glob("*.txt")):
        heading = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            line = line.strip()
            if line.startswith("#"):
                heading = line[1:].strip()
            elif line:
                phrase = _parse(line, heading)
                found.setdefault(phrase.text.lower(), []).append(phrase)
    return [_merge(same) for same in found.values()]


def _parse(line: str, heading: str) -> Phrase:
    text, _, mixture = (part.strip() for part in line.partition("=>"))
    if not mixture:
        return Phrase(text, {heading: 1.0}, heading)
    weights: dict[str, float] = {}
    for item in mixture.split("|"):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"not a class and a weight: {item!r} in {line!r}")
        weights[match[1]] = weights.get(match[1], 0.0) + float(match[2])
    total = sum(weights.values())
    return Phrase(text, {name: weight / total for name, weight in weights.items()}, heading)


def _merge(same: list[Phrase]) -> Phrase:
    mixture: dict[str, float] = {}
    for phrase in same:
        for name, weight in phrase.mixture.items():
            mixture[name] = mixture.get(name, 0.0) + weight / len(same)
    return Phrase(same[0].text, mixture, same[0].heading)


def mixture_matrix(phrases: list[Phrase], classes: list[str]) -> np.ndarray:
    """Mixtures as rows: (n_phrases, n_classes) float32."""
    column = {name: i for i, name in enumerate(classes)}
    matrix = np.zeros((len(phrases), len(classes)), np.float32)
    for row, phrase in enumerate(phrases):
        for name, weight in phrase.mixture.items():
            matrix[row, column[name]] = weight
    return matrix
