"""How good are a model's vectors? Zero-shot, retrieval, few-shot probe and properties, on any folder per class.

    python benchmarks/quality.py FOLDER [--model pocket] [--prompt "{}"] [--json OUT.json]
    python benchmarks/quality.py --properties

FOLDER holds one folder per class; a number in front of its name ("001 - Dog bark") is not part of the class. Nothing
here is used to train or to tune the bundled model's weights.

Definitions. Zero-shot: the class whose name's vector is nearest. Retrieval: each sound asks for the others; mAP is
the mean of average precision over all queries, P@1 the share whose nearest neighbour is of the same class. Probe:
logistic regression on 6 sounds a class, accuracy on the rest, mean of 10 seeded draws. Text retrieval: mAP of the
sounds of a class asked for by its name.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import soundalike
from soundalike.embed import Model
from soundalike.folders import find_sounds
from soundalike.types import F32

SHOTS, DRAWS, RATE = 6, 10, 32_000
Labels = np.ndarray


def embed_folder(model: Model, folder: Path) -> tuple[F32, Labels, list[str]]:
    """Vectors (n, dim), class numbers (n,) and class names of a folder per class."""
    paths = {sound.path: sound.name.parts[0] for sound in find_sounds([folder]) if len(sound.name.parts) > 1}
    names = sorted(set(paths.values()))
    vectors, labels = [], []
    for result in model.embed_files(paths):
        if isinstance(result, soundalike.Failure):
            print(f"left out: {result.path}: {result.reason}")
            continue
        vectors.append((str(result.path), result.vector))
        labels.append((str(result.path), names.index(paths[result.path])))
    return (
        np.stack([v for _, v in sorted(vectors, key=lambda x: x[0])]),
        np.array([c for _, c in sorted(labels)]),
        plain(names),
    )


def plain(folders: list[str]) -> list[str]:
    """Names of classes as words, without the number in front."""
    return [re.sub(r"^\d+\s*-\s*", "", name).replace("_", " ").lower() for name in folders]


def zero_shot(vectors: F32, labels: Labels, texts: F32) -> dict[str, float]:
    """Accuracy of the nearest class name, and mAP of sounds asked for by the name."""
    scores = vectors @ texts.T
    ranked = [average_precision(labels[np.argsort(-scores[:, c], kind="stable")] == c) for c in np.unique(labels)]
    return {"zero_shot": float((scores.argmax(1) == labels).mean()), "text_map": float(np.mean(ranked))}


def retrieval(vectors: F32, labels: Labels) -> dict[str, float]:
    """MAP and P@1 of sounds asked for by sounds."""
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :-1]
    same = labels[order] == labels[:, None]
    asked = same.any(1)
    return {
        "map": float(np.mean([average_precision(row) for row in same[asked]])),
        "p_at_1": float(same[asked, 0].mean()),
    }


def average_precision(relevant: np.ndarray) -> float:
    """Average precision of one ranking, best first."""
    precision = np.cumsum(relevant) / np.arange(1, relevant.size + 1)
    return float((precision * relevant).sum() / relevant.sum())


def probe(vectors: F32, labels: Labels, shots: int = SHOTS) -> float:
    """Accuracy of logistic regression on a few sounds a class."""
    from sklearn.linear_model import LogisticRegression

    scores = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        train = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:shots] for c in np.unique(labels)])
        test = np.setdiff1d(np.arange(labels.size), train)
        fitted = LogisticRegression(C=10.0, max_iter=1000).fit(vectors[train], labels[train])
        scores.append(fitted.score(vectors[test], labels[test]))
    return float(np.mean(scores))


# Properties: what a linear probe reads from the vectors of synthesised sounds. Tested on other pitches, seeds and
# timbres than it was trained on.


def tone(f0_hz: float, seconds: float, slope: float, rng: np.random.Generator, attack_s: float = 0.01) -> F32:
    """Harmonic tone; the n-th partial has the amplitude n ** -slope."""
    t = np.arange(int(seconds * RATE)) / RATE
    n = np.arange(1, max(2, int(14_000 / f0_hz)))
    waves = np.sin(2 * np.pi * f0_hz * n[:, None] * t + rng.uniform(0, 2 * np.pi, (n.size, 1)))
    shape = np.minimum(t / attack_s, 1.0) * np.exp(-t * rng.uniform(0.3, 2.0))
    return ((n**-slope) @ waves * shape).astype(np.float32)


def pitch_sounds(rng: np.random.Generator) -> Iterator[tuple[F32, int]]:
    for _ in range(40):
        for pitch in range(12):
            f0 = 440 * 2 ** ((pitch - 9 + 12 * rng.integers(-2, 2)) / 12 + rng.uniform(-0.01, 0.01))
            yield tone(f0, 1.5, rng.uniform(0.6, 2.2), rng), pitch


def chord_sounds(rng: np.random.Generator) -> Iterator[tuple[F32, int]]:
    for _ in range(200):
        root, slope = 130 * 2 ** (rng.integers(0, 24) / 12), rng.uniform(0.6, 2.2)
        for minor in (0, 1):
            steps = (0, 3 if minor else 4, 7)
            yield sum((tone(root * 2 ** (s / 12), 1.5, slope, rng) for s in steps), np.float32(0)), minor


def tempo_sounds(rng: np.random.Generator) -> Iterator[tuple[F32, int]]:
    for _ in range(60):
        decay, colour = rng.uniform(15, 60), rng.uniform(0.0, 0.95)
        for fast, bpm in enumerate((80, 120)):
            sound, gap = np.zeros(6 * RATE, np.float32), int(RATE * 60 / bpm)
            t = np.arange(RATE // 4) / RATE
            for start in range(rng.integers(0, gap), sound.size - t.size, gap):
                hit = rng.standard_normal(t.size) * np.exp(-t * decay)
                sound[start : start + t.size] += np.convolve(hit, [1, colour], "same").astype(np.float32)
            yield sound, fast


def brightness_sounds(rng: np.random.Generator) -> Iterator[tuple[F32, int]]:
    for _ in range(80):
        for level, cutoff in enumerate((500, 1500, 4500)):
            noise = np.fft.rfft(rng.standard_normal(2 * RATE))
            f = np.fft.rfftfreq(2 * RATE, 1 / RATE)
            tilt = 1 / (1 + (f / (cutoff * rng.uniform(0.7, 1.4))) ** 4)
            yield np.fft.irfft(noise * tilt).astype(np.float32), level


def family_sounds(rng: np.random.Generator) -> Iterator[tuple[F32, int]]:
    """Plucked, struck bar, blown, bowed: models of four families of instruments."""
    for _ in range(60):
        f0 = 110 * 2 ** (rng.integers(0, 30) / 12)
        t = np.arange(int(1.5 * RATE)) / RATE
        n = np.arange(1, 12)[:, None]
        plucked = (np.sin(2 * np.pi * f0 * n * t) / n * np.exp(-t * n * rng.uniform(1, 3))).sum(0)
        ratios = np.array([1, 2.756, 5.404, 8.933])[:, None]
        struck = (np.sin(2 * np.pi * f0 * ratios * t) * np.exp(-t * ratios * rng.uniform(2, 5))).sum(0)
        rise = np.minimum(t / 0.08, 1)
        breath = rng.standard_normal(t.size) * 0.1
        blown = rise * ((np.sin(2 * np.pi * f0 * n[::2] * t) / n[::2] ** 1.5).sum(0) + breath)
        vibrato = f0 * t + 0.004 * f0 / 5.5 * np.sin(2 * np.pi * 5.5 * t)
        bowed = np.minimum(t / 0.15, 1) * (np.sin(2 * np.pi * n * vibrato) / n).sum(0)
        yield from ((np.asarray(x, np.float32), c) for c, x in enumerate((plucked, struck, blown, bowed)))


PROPERTIES: dict[str, tuple[Callable[[np.random.Generator], Iterator[tuple[F32, int]]], float]] = {
    "pitch class (12)": (pitch_sounds, 1 / 12),
    "major or minor": (chord_sounds, 1 / 2),
    "instrument family (4)": (family_sounds, 1 / 4),
    "80 or 120 BPM": (tempo_sounds, 1 / 2),
    "brightness (3)": (brightness_sounds, 1 / 3),
}


def properties(model: Model) -> dict[str, dict[str, float]]:
    """Accuracy of linear probes on synthesised sounds: first half trains, second half tests."""
    from sklearn.linear_model import LogisticRegression

    found = {}
    for name, (make, chance) in PROPERTIES.items():
        sounds = list(make(np.random.default_rng(1)))
        vectors = np.stack([model.embed_audio(sound, RATE).vector for sound, _ in sounds])
        labels = np.array([label for _, label in sounds])
        half = labels.size // 2
        fitted = LogisticRegression(C=100.0, max_iter=3000).fit(vectors[:half], labels[:half])
        found[name] = {"accuracy": float(fitted.score(vectors[half:], labels[half:])), "chance": chance}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--prompt", default="{}", help="how a class is asked for, e.g. 'the sound of {}'")
    parser.add_argument("--properties", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    model = soundalike.load_model(args.model)
    report: dict[str, object] = {"model": args.model, "pipeline": model.pipeline}
    if args.folder:
        started = time.monotonic()
        vectors, labels, names = embed_folder(model, args.folder)
        scores = {"sounds": len(labels), "classes": len(names), "seconds": time.monotonic() - started}
        if model.card.text:
            scores |= zero_shot(vectors, labels, model.embed_text([args.prompt.format(name) for name in names]))
        scores |= retrieval(vectors, labels) | {"probe_6": probe(vectors, labels)}
        report |= scores
        for name, value in scores.items():
            print(f"{name:<12}{value:10.4f}" if isinstance(value, float) else f"{name:<12}{value:>10}")
    if args.properties:
        report["properties"] = found = properties(model)
        for name, scores in found.items():
            print(f"{name:<24}{scores['accuracy']:6.3f}   chance {scores['chance']:.3f}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
