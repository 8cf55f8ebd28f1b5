"""The joint space: where sounds lie, and where each AudioSet class points.

    python training/space.py TEACHER.pt LABELS.csv CLIPS HEARD COPIES.npz SPACE.npz

Sounds. Pooled features and hidden layer of the teacher, centred by the corpus mean, each scaled to a share of the
variance, rotated to their 512 principal directions and mildly whitened. Mild whitening keeps the geometry that makes
neighbours sound alike and takes a little weight from the few directions that dominate everything. Then the directions
in which lossy copies stray from their originals (copies.py) are shrunk: within-class covariance normalization (Hatch,
Kajarekar and Stolcke, Interspeech 2006), softened, with a recording and its copies as a class.

Classes. Under a Gaussian model the mean of the sounds that a class fires on lies along the covariance of its logit
with the sound vectors; the direction that tells them from all other sounds is that pattern behind the inverse of the
regularised covariance (linear discriminant analysis). The teacher's logits over the corpus are enough for that;
where file names of the corpus say plainly what a clip is (`WORDED`), the mean of those clips has a share in the
pattern, for the teacher knows recordings of whole scenes better than the one-shots of sample packs.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from networks import load_teacher
from teacher import Clips, load_heard

F32 = np.ndarray
WORDED = {  # class of the manifest: AudioSet's name for it
    "accordion/harmonica": "Accordion", "aircraft": "Fixed-wing aircraft, airplane", "alarm": "Alarm",
    "applause/cheer": "Applause", "bass": "Bass guitar", "bell/chime/gong": "Bell", "bird": "Bird",
    "boat/ship": "Boat, Water vehicle", "bow/projectile": "Arrow", "brass": "Brass instrument",
    "bubbles": "Gurgling", "camera": "Camera", "cat": "Cat", "chicken/rooster": "Chicken, rooster",
    "choir": "Choir", "clap": "Clapping", "clock tick": "Tick", "coins/cash": "Coin (dropping)", "cow": "Moo",
    "crowd": "Crowd", "cymbal": "Cymbal", "dog": "Bark", "door/gate/chest": "Door", "drum kick": "Bass drum",
    "drum snare": "Snare drum", "duck/goose": "Duck", "eat/drink": "Chewing, mastication",
    "electric piano": "Electric piano", "engine": "Engine", "explosion": "Explosion", "fire": "Fire",
    "footsteps": "Walk, footsteps", "frog": "Frog", "glass": "Glass", "guitar/plucked": "Guitar",
    "gunshot/firearm": "Gunshot, gunfire", "hammer/construction": "Hammer", "harp": "Harp",
    "harpsichord/celesta": "Harpsichord", "helicopter": "Helicopter", "hi-hat": "Hi-hat",
    "horn": "Vehicle horn, car horn, honking", "horse/camel": "Horse", "insect": "Insect",
    "keyboard typing": "Computer keyboard", "laser/sci-fi weapon": "Zing", "laugh": "Laughter",
    "mallet/bells": "Mallet percussion", "organ": "Organ", "paper/book": "Crumpling, crinkling", "piano": "Piano",
    "pig": "Oink", "rain": "Rain", "saw/drill/chop": "Sawing", "scream": "Screaming", "sheep/goat": "Bleat",
    "skid/brake": "Skidding", "splash/drip": "Splash, splatter", "strings": "String section",
    "sword/melee/whoosh": "Whoosh, swoosh, swish", "tabla": "Tabla", "telephone/ringtone": "Ringtone",
    "thunder/storm": "Thunder", "tom": "Drum", "train": "Train", "truck/tank": "Truck", "ui click": "Clicking",
    "ui notification/beep": "Beep, bleep", "water": "Water", "whistle": "Whistle", "wind": "Wind",
    "woodwind/sax": "Wind instrument, woodwind instrument",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Config:
    """Every knob; chosen on ESC-10 retrieval and on class words of the corpus (see the model card)."""

    dim: int = 512
    hidden_share: float = 0.6  # standard deviation of the hidden layer beside that of the pooled features, 1
    whiten: float = 0.15  # power of the variance that each direction is divided by
    whiten_floor: float = 0.01  # of the mean variance
    copies_weight: float = 3.0  # of the copies' covariance, whose trace counts in units of the sounds' mean variance
    copies_floor: float = 0.05  # of a sound's length: a copy that strays less counts as if it did so
    ridge: float = 0.3  # of the mean variance, for the classes' directions
    worded_share: float = 0.35  # of a class's pattern, from clips whose names say what they are
    worded_shrink: float = 8.0  # clips; with that many the share is half of it
    worded_fewest: int = 5
    worded_most: int = 150


def fit_sounds(pooled: F32, hidden: F32, config: Config) -> tuple[F32, F32]:
    """Matrix (896, dim) and mean (896,) that take features into the space."""
    features = np.concatenate([pooled, hidden], 1)
    mean = features.mean(0)
    scale = np.concatenate(
        [
            np.full(pooled.shape[1], 1 / np.sqrt(pooled.var(0).sum())),
            np.full(hidden.shape[1], config.hidden_share / np.sqrt(hidden.var(0).sum())),
        ]
    )
    centred = (features - mean) * scale
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    variance, axes = np.maximum(variance[::-1][: config.dim], 0), axes[:, ::-1][:, : config.dim]
    weight = (variance + config.whiten_floor * variance.mean()) ** -config.whiten
    return scale[:, None] * axes * weight, mean


def forgive_copies(matrix: F32, features: F32, mean: F32, differences: F32, config: Config) -> F32:
    """Matrix (896, dim) that shrinks what lossy copies change; ``differences`` (n, 896) are copy minus original."""
    sounds = (features - mean) @ matrix
    strayed = differences @ matrix / np.linalg.norm(sounds, axis=1).mean()
    strayed /= np.sqrt(np.maximum(np.linalg.norm(strayed, axis=1, keepdims=True), config.copies_floor))
    variance, axes = np.linalg.eigh(strayed.T @ strayed / len(strayed))
    weight = (1 + config.copies_weight * len(axes) * variance) ** -0.5
    return matrix @ (axes * weight) @ axes.T


def fit_classes(vectors: F32, logits: F32, worded: dict[int, np.ndarray], config: Config) -> F32:
    """Unit direction of each class (527, dim) among the unit vectors (n, dim) of the corpus.

    ``worded`` has rows of clips for some classes, by class number.
    """
    z = (logits - logits.mean(0)) / logits.std(0)
    mean = vectors.mean(0)
    patterns = unit_rows(z.T @ (vectors - mean) / len(vectors))
    for number, rows in worded.items():
        share = config.worded_share * rows.size / (rows.size + config.worded_shrink)
        patterns[number] = (1 - share) * patterns[number] + share * unit_rows(
            vectors[rows].mean(0, keepdims=True) - mean
        )[0]
    patterns = unit_rows(patterns)
    covariance = vectors.T @ vectors / len(vectors)
    ridge = config.ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return unit_rows(np.linalg.solve(covariance + ridge, patterns.T).T)


def worded_rows(clips: Clips, ids: np.ndarray, names: list[str], config: Config) -> dict[int, np.ndarray]:
    """Rows of the clips whose file names say plainly what they are, by class number."""
    by_id = {row["id"]: row["class"] for row in clips.rows}
    said = np.array([by_id[i] for i in ids])
    rng, found = np.random.default_rng(0), {}
    for class_of_manifest, name in WORDED.items():
        rows = rng.permutation(np.flatnonzero(said == class_of_manifest))[: config.worded_most]
        if rows.size >= config.worded_fewest:
            found[names.index(name)] = rows
    return found


def unit_rows(rows: F32) -> F32:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("teacher", "labels", "clips", "heard", "copies", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    config, clips = Config(), Clips(args.clips)
    heard = load_heard(clips, args.heard)
    matrix, mean = fit_sounds(heard["pooled"], heard["hidden"], config)
    features = np.concatenate([heard["pooled"], heard["hidden"]], 1)
    matrix = forgive_copies(matrix, features, mean, np.load(args.copies)["differences"], config)
    vectors = unit_rows((features - mean) @ matrix)
    head = load_teacher(args.teacher).classifier[5]
    logits = heard["hidden"] @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    with args.labels.open() as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    classes = fit_classes(vectors, logits, worded_rows(clips, heard["ids"], names, config), config)
    np.savez(args.out, matrix=matrix, mean=mean, classes=classes, config=str(asdict(config)), n_clips=len(vectors))
    print(f"space of {len(vectors)} clips: {args.out}")


if __name__ == "__main__":
    main()
