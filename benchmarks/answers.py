"""How good are clusters, labels and recommendations? On a library of sounds in a folder for each class, or with tags.

    soundalike add FOLDER -l classes.library        # a folder for each class, such as ESC-10 or drum kits
    soundalike add MUSIC -l music.library           # music with the tags artist and album
    python benchmarks/answers.py --classes classes.library --music music.library [--json OUT.json]

Clusters: adjusted mutual information of what each method finds with the folders (0 by chance, 1 the same), over the
sounds that it puts into clusters and over all, those left out being one cluster more; and the names, to be read.
Labels: zero-shot with the folders' names; accuracy against shots, on folds: the fold that a file's name begins with
(ESC-10's own), else five seeded ones. Recommendations: for each sound whose artist (album) has two others or more, the
share of ten recommended that have the same, and how often at least one has; the library's vectors against the mean and
deviation of 20 MFCCs (standardized) and against sounds drawn by chance.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from soundalike import audio
from soundalike.classify import NONE, label_vectors, train, zero_shot
from soundalike.clusters import METHODS, cluster
from soundalike.features import spectral
from soundalike.features.analysis import RANGE_DB, mfcc, to_db
from soundalike.library import Library
from soundalike.library.calibration import calibration_of
from soundalike.recommend import recommend

SHOTS, DRAWS, N_PLAYED = (1, 2, 4, 8, 16), 10, 10
F32 = np.ndarray


def load(library: Library) -> tuple[list[Any], F32]:
    ids, vectors = library.vectors()
    known = {sound.id: sound for sound in library.sounds()}
    return [known[i] for i in ids.tolist()], vectors


def measure_clusters(library: Library, labels: Sequence[str], vectors: F32) -> list[dict[str, Any]]:
    from sklearn.metrics import adjusted_mutual_info_score

    rows = []
    settings: list[tuple[str, Any, int | None]] = [(method, method, None) for method in METHODS]
    for name, method, k in [*settings, ("kmeans, k told", "kmeans", len(set(labels)))]:
        cpu = time.process_time()
        found = cluster(vectors, method, k=k)
        cpu, inside = time.process_time() - cpu, found.labels >= 0
        chosen = [label for label, is_in in zip(labels, inside, strict=True) if is_in]
        rows.append({
            "method": name, "n_clusters": len(found.clusters), "left_out": float(1 - inside.mean()),
            "ami": float(adjusted_mutual_info_score(labels, found.labels)),
            "ami_inside": float(adjusted_mutual_info_score(chosen, found.labels[inside])),
            "silhouette": found.silhouette, "rule": found.rule, "cpu_s": cpu,
        })  # fmt: skip
    named = library.clusters().clusters
    plain = {sound.path: label for sound, label in zip(load(library)[0], labels, strict=True)}
    for one in named:
        inside_one = Counter(plain[match.path] for match in one.matches).most_common(3)
        rows.append({"name": one.name, "words": one.words, "n": len(one.matches), "folders": dict(inside_one)})
    return rows


def measure_labels(library: Library, labels: Sequence[str], vectors: F32, folds: np.ndarray) -> list[dict[str, Any]]:
    texts, names = np.array(labels), sorted(set(labels))
    rows = []
    calibration = calibration_of(library.status().model)
    if calibration is not None:
        answers = zero_shot(vectors, names, label_vectors(names, library.model.embed_text), calibration)
        said = np.array(answers.names)
        forced = np.array(names)[answers.probabilities[:, :-1].argmax(axis=1)]
        rows.append({
            "what": "zero-shot", "accuracy": float((said == texts).mean()), "none": float((said == NONE).mean()),
            "accuracy_without_none": float((forced == texts).mean()),
        })  # fmt: skip
    for n_shots in SHOTS:
        right = []
        for fold in np.unique(folds):
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            for draw in range(DRAWS):
                order = np.random.default_rng(draw).permutation(inside)
                picked = np.concatenate([order[texts[order] == name][:n_shots] for name in names])
                made = train(vectors[picked], texts[picked].tolist(), pipeline="")
                right.append(float((np.array(made.answer(vectors[outside], "").names) == texts[outside]).mean()))
        rows.append({"what": f"{n_shots} shots", "accuracy": float(np.mean(right)), "spread": float(np.std(right))})
    return rows


def measure_training() -> dict[str, float]:
    rng = np.random.default_rng(0)
    numbers = np.arange(1000) % 10
    vectors = np.eye(10, 512)[numbers] + rng.normal(size=(1000, 512)) / 10
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    train(vectors[:50], numbers[:50].astype(str).tolist(), pipeline="")  # scikit-learn is imported
    wall, cpu = time.perf_counter(), time.process_time()
    train(vectors, numbers.astype(str).tolist(), pipeline="")
    return {"train_1000_wall_s": time.perf_counter() - wall, "train_1000_cpu_s": time.process_time() - cpu}


def mfcc_vectors(paths: Sequence[Path]) -> F32:
    """Mean and deviation of 20 MFCCs over the whole of each sound, standardized over the sounds, unit norm."""
    rows = []
    for path in paths:
        with audio.read(path, spectral.SAMPLE_RATE) as sound:
            mels = [spectral.mel_and_chroma(spectral.power_spectrum(b.frames))[0] for b in spectral.batches(sound)]
        mel_db = to_db(np.concatenate(mels))
        frames = mfcc(np.maximum(mel_db, mel_db.max() - RANGE_DB))
        rows.append(np.concatenate([frames.mean(axis=0), frames.std(axis=0)]))
    points = np.stack(rows)
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def measure_recommendations(library: Library) -> list[dict[str, Any]]:
    sounds, vectors = load(library)
    ways: dict[str, Callable[[int], np.ndarray]] = {
        "recommend": lambda i: recommend(vectors, vectors[i : i + 1], N_PLAYED, left_out=np.array([i])).rows,
        "recommend, diversity 0": lambda i: recommend(
            vectors, vectors[i : i + 1], N_PLAYED, diversity=0, left_out=np.array([i])
        ).rows,
    }
    cepstra = mfcc_vectors([sound.path for sound in sounds])
    ways["MFCC"] = lambda i: [j for j in np.argsort(-(cepstra @ cepstra[i]), kind="stable") if j != i][:N_PLAYED]
    ways["chance"] = lambda i: np.random.default_rng(i).permutation(np.delete(np.arange(len(sounds)), i))[:N_PLAYED]
    rows = []
    for tag in ("artist", "album"):
        groups = [sound.tags.get(tag, "").casefold() for sound in sounds]
        sizes = Counter(groups)
        asked = [i for i, group in enumerate(groups) if group and sizes[group] >= 3]
        for name, way in ways.items():
            same = [[groups[j] == groups[i] for j in way(i)] for i in asked]
            most = [min(N_PLAYED, sizes[groups[i]] - 1) for i in asked]
            rows.append({
                "tag": tag, "by": name, "n_asked": len(asked), "n_groups": len({groups[i] for i in asked}),
                "same_of_10": float(np.mean([sum(one) / N_PLAYED for one in same])),
                "of_those_there_are": float(np.mean([sum(one) / m for one, m in zip(same, most, strict=True)])),
                "at_least_one": float(np.mean([any(one) for one in same])),
            })  # fmt: skip
    return rows


def folds_of(paths: Sequence[Path], labels: Sequence[str]) -> np.ndarray:
    """ESC's folds, by the number that a name begins with; else five seeded ones."""
    found = [re.match(r"([1-5])-", path.name) for path in paths]
    if all(found):
        return np.array([int(match[1]) for match in found if match])
    return np.random.default_rng(0).permutation(np.arange(len(labels)) % 5)


def show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print("  " + "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=Path, action="append", default=[], help="library of a folder for each class")
    parser.add_argument("--music", type=Path, help="library of tagged music")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    everything: dict[str, Any] = {"training": measure_training()}
    show([everything["training"]])
    for path in args.classes:
        with Library.open(path) as library:
            sounds, vectors = load(library)
            labels = [re.sub(r"^\d+ - ", "", sound.path.parent.name).lower() for sound in sounds]
            folds = folds_of([sound.path for sound in sounds], labels)
            found = {
                "clusters": measure_clusters(library, labels, vectors),
                "labels": measure_labels(library, labels, vectors, folds),
            }
        everything[path.name] = found
        print(f"\n{path.name}: {len(sounds)} sounds, {len(set(labels))} folders")
        for rows in found.values():
            show(rows)
    if args.music:
        with Library.open(args.music) as library:
            everything["recommendations"] = measure_recommendations(library)
        print(f"\n{args.music.name}")
        show(everything["recommendations"])
    if args.json:
        args.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
