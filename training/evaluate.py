"""The model against its starting point, on packages that neither has seen and on a folder of sounds per class.

    python training/evaluate.py --clips CLIPS --heard HEARD --copies COPIES.npz --teacher TEACHER.pt --labels LABELS.csv
        --minilm FOLDER --text TEXT.pt [--folder FOLDER] [--json OUT.json]

Held out: the space is fitted on one half of the corpus's packages and measured on clips with a plain class of the
other half, then the halves change places; figures are means over the two. The shipped space is fitted on both. The
starting point is the frozen backbone's hidden layer, centered, with text put into it through the label space:
MiniLM's similarity of the text to each of AudioSet's names, softmax at temperature 0.05, the weighted sum of the
classifier's centered rows. Definitions of the measures: benchmarks/quality.py.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn.functional import normalize

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from calibrate import half_of, labelled
from networks import Backbone, TextTower, load_minilm, load_teacher, load_text
from quality import plain, probe, retrieval, zero_shot
from soundalike import audio
from soundalike.folders import find_sounds
from soundalike.models.cards import POCKET
from space import Config, fit_classes, fit_sounds, forgive_copies, unit_rows, worded_rows
from teacher import Clips, hear, load_heard
from train_text import sentences

TEMPERATURE = 0.05  # of the label space
Sounds = np.ndarray  # (n, 896): pooled features and hidden layer
Side = Callable[[Sounds, list[str], "Fitted", "Parts"], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What both sides are made of."""

    head: torch.nn.Linear  # of the teacher, hidden layer to logits
    names: list[str]  # of AudioSet's classes
    minilm: TextTower
    text: TextTower
    tokenizer: Tokenizer


@dataclass(frozen=True, slots=True)
class Fitted:
    """Statistics of the sounds that a side was fitted on."""

    matrix: np.ndarray  # (896, dim)
    mean: np.ndarray  # (896,)
    classes: np.ndarray  # (527, dim)


def fit(features: Sounds, worded: dict[int, np.ndarray], differences: np.ndarray, parts: Parts) -> Fitted:
    """Fit the space as space.py does."""
    config = Config()
    matrix, mean = fit_sounds(features[:, :384], features[:, 384:], config)
    matrix = forgive_copies(matrix, features, mean, differences, config)
    weight, bias = (p.detach().numpy() for p in (parts.head.weight, parts.head.bias))
    logits = features[:, 384:] @ weight.T + bias
    return Fitted(matrix, mean, fit_classes(unit_rows((features - mean) @ matrix), logits, worded, config))


@torch.no_grad()
def model_side(features: Sounds, lines: list[str], fitted: Fitted, parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of sounds and of words, of the model."""
    mixtures = parts.text.project(sentences(parts.text, parts.tokenizer, lines)).softmax(1).numpy()
    return unit_rows((features - fitted.mean) @ fitted.matrix), unit_rows(mixtures @ fitted.classes)


@torch.no_grad()
def starting_point(features: Sounds, lines: list[str], fitted: Fitted, parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of sounds and of words, of the frozen backbone with the label space."""
    said, names = (sentences(parts.minilm, parts.tokenizer, texts) for texts in (lines, parts.names))
    shares = (said @ names.T / TEMPERATURE).softmax(1)
    rows = normalize(parts.head.weight - parts.head.weight.mean(0), dim=1)
    return unit_rows(features[:, 384:] - fitted.mean[384:]), normalize(shares @ rows, dim=1).numpy()


def measures(sounds: np.ndarray, texts: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Zero-shot, retrieval and probe."""
    return zero_shot(sounds, labels, texts) | retrieval(sounds, labels) | {"probe_6": probe(sounds, labels)}


def held_out(args: argparse.Namespace, parts: Parts, sides: dict[str, Side]) -> dict[str, dict[str, float]]:
    """Both sides on packages that they were not fitted on."""
    clips, differences = Clips(args.clips), np.load(args.copies)["differences"]
    heard = load_heard(clips, args.heard)
    features = np.concatenate([heard["pooled"], heard["hidden"]], 1)
    rows, names, halves = labelled(clips, heard["ids"])
    package_of = {row["id"]: row["package"] for row in clips.rows}
    half_of_clip = np.array([half_of(package_of[i]) for i in heard["ids"]])
    classes, found = np.array(names), {name: [] for name in sides}
    for half in (0, 1):
        seen = half_of_clip != half
        worded = worded_rows(clips, heard["ids"][seen], parts.names, Config())
        fitted = fit(features[seen], worded, differences, parts)
        present = sorted(set(classes[halves == half]))
        labels = np.array([present.index(name) for name in classes[halves == half]])
        for name, side in sides.items():
            found[name].append(measures(*side(features[rows[halves == half]], present, fitted, parts), labels))
    return {name: {k: float(np.mean([one[k] for one in both])) for k in both[0]} for name, both in found.items()}


def on_folder(args: argparse.Namespace, parts: Parts, sides: dict[str, Side]) -> dict[str, dict[str, float]]:
    """Both sides, fitted on all of the corpus, on a folder per class."""
    clips = Clips(args.clips)
    heard, backbone = load_heard(clips, args.heard), load_teacher(args.teacher)
    features = np.concatenate([heard["pooled"], heard["hidden"]], 1)
    worded = worded_rows(clips, heard["ids"], parts.names, Config())
    fitted = fit(features, worded, np.load(args.copies)["differences"], parts)
    found = [(sound.name.parts[0], features_of_file(backbone, sound.path)) for sound in find_sounds([args.folder])]
    names = sorted({name for name, _ in found})
    labels = np.array([names.index(name) for name, _ in found])
    sounds = np.array([one for _, one in found])
    return {name: measures(*side(sounds, plain(names), fitted, parts), labels) for name, side in sides.items()}


def features_of_file(backbone: Backbone, path: Path) -> np.ndarray:
    """Pooled features and hidden layer (896,) of a sound file, mean over segments."""
    with audio.read(path, POCKET.sample_rate) as sound:
        outputs = hear(backbone, np.concatenate(list(sound)))
    assert outputs is not None, f"{path} is silent"
    return np.concatenate(outputs[:2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("clips", "heard", "copies", "teacher", "labels", "minilm", "text"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="also measure on this folder of sounds per class")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(args.minilm / "tokenizer.json"))
    tokenizer.enable_padding()
    text = load_text(args.text)
    with args.labels.open() as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    head = load_teacher(args.teacher).classifier[5]
    parts = Parts(head, names, load_minilm(args.minilm / "model.safetensors").eval(), text, tokenizer)
    sides: dict[str, Side] = {"model": model_side, "starting point": starting_point}
    report = {"held out": held_out(args, parts, sides)}
    if args.folder:
        report[args.folder.name] = on_folder(args, parts, sides)
    for where, both in report.items():
        for name, scores in both.items():
            print(f"{where}, {name}:", "  ".join(f"{k} {v:.4f}" for k, v in scores.items()))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
