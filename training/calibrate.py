"""From score to probability, and when to say that nothing matches.

    python training/calibrate.py CLIPS HEARD TUNED.pt

HEARD is what the tuned network hears in the clips (teacher.py, with TUNED.pt in the teacher's place). Pairs are drawn
from the corpus clips whose words name one class (never from a judging set): half of them match (two sounds of a
class; a class's name and a sound of it), half do not. Probability = 1 / (1 + exp(-(slope * score + offset))), fitted
on one half of the packages, measured on the other: expected calibration error over ten equal bins of probability.
Words come from file and folder names, about one in ten is wrong, and so a probability near 1 is rare.
"""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import soundalike
from networks import load_tuned
from space import unit_rows
from teacher import Clips, load_heard

N_PAIRS = 20_000
FEWEST, MOST = 8, 60  # clips of a class
VAGUE = {  # classes of the manifest that are moods or game events, not something that one hears
    "", "(none)", "machine", "impact/hit", "jingle/game event", "monster/creature", "pain/grunt",
    "pickup/powerup", "ambience", "robot/sci-fi", "magic/teleport", "music track", "speech", "speech male",
    "speech female", "other animal", "ui click", "jump",
}  # fmt: skip


def labelled(clips: Clips, ids: np.ndarray) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Rows of ``ids`` with a clear class, that class of each, and which half its package is in."""
    by_id = {row["id"]: row for row in clips.rows}
    rng = np.random.default_rng(0)
    rows, names, halves = [], [], []
    classes = np.array([by_id[i]["class"] if by_id[i]["group"] == "effects" else "" for i in ids])
    for name in sorted(set(classes) - VAGUE):
        found = rng.permutation(np.flatnonzero(classes == name))[:MOST]
        if found.size >= FEWEST:
            rows += found.tolist()
            names += [name.replace("/", " or ")] * found.size
            halves += [half_of(by_id[ids[row]]["package"]) for row in found]
    return np.array(rows), names, np.array(halves)


def half_of(package: str) -> int:
    """Which half of the corpus a package is in."""
    return zlib.crc32(package.encode()) % 2


def draw(
    labels: np.ndarray, rng: np.random.Generator, others: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (first, second, whether they match), balanced; with ``others`` the second is a class number."""
    first, second, match = [], [], []
    while len(match) < N_PAIRS:
        a, want = int(rng.integers(labels.size)), len(match) % 2 == 0
        if others is not None:
            b = int(labels[a]) if want else int(rng.choice(others[others != labels[a]]))
        else:
            pool = np.flatnonzero((labels == labels[a]) == want)
            pool = pool[pool != a]
            if not pool.size:
                continue
            b = int(rng.choice(pool))
        first.append(a)
        second.append(b)
        match.append(want)
    return np.array(first), np.array(second), np.array(match)


def calibration_error(probability: np.ndarray, match: np.ndarray) -> float:
    """Expected calibration error, ten bins."""
    bins = np.minimum((probability * 10).astype(int), 9)
    gaps = [
        abs(probability[bins == b].mean() - match[bins == b].mean()) * (bins == b).mean() for b in set(bins.tolist())
    ]
    return float(sum(gaps))


def fit(scores: np.ndarray, match: np.ndarray) -> tuple[float, float]:
    """Slope and offset."""
    model = LogisticRegression(C=1e6).fit(scores[:, None], match)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("clips", "heard", "tuned"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    clips, project = Clips(args.clips), load_tuned(args.tuned).project
    heard = load_heard(clips, args.heard)
    rows, names, halves = labelled(clips, heard["ids"])
    features = np.concatenate([heard["pooled"], heard["hidden"]], 1)[rows]
    sounds = unit_rows(features @ project.weight.detach().numpy().T + project.bias.detach().numpy())
    classes = sorted(set(names))
    labels = np.array([classes.index(name) for name in names])
    texts = soundalike.load_model().embed_text(classes)
    print(f"{labels.size} clips, {len(classes)} classes")
    for kind in ("sound", "text"):
        found = {}
        for half in (0, 1):
            z, y = sounds[halves == half], labels[halves == half]
            others = np.unique(y) if kind == "text" else None
            a, b, match = draw(y, np.random.default_rng(half), others)
            found[half] = ((z[a] * (texts[b] if kind == "text" else z[b])).sum(1), match)
        slope, offset = fit(*found[0])
        probability = 1 / (1 + np.exp(-(slope * found[1][0] + offset)))
        error, right = calibration_error(probability, found[1][1]), ((probability > 0.5) == found[1][1]).mean()
        print(f"{kind}: slope {slope:.3f}, offset {offset:.3f}")
        print(f"   on other packages: calibration error {error:.4f}, accuracy at 0.5 {right:.3f}")
        if kind == "text":
            nothing(sounds[halves == 1], labels[halves == 1], texts, slope, offset)


def nothing(sounds: np.ndarray, labels: np.ndarray, texts: np.ndarray, slope: float, offset: float) -> None:
    """For some limits on the best score: how often a query is refused with and without a sound of its class."""
    scores = sounds @ texts.T
    present = np.unique(labels)
    best = np.array([scores[:, c].max() for c in present])
    without = np.array([scores[labels != c, c].max() for c in present])
    for limit in (0.2, 0.25, 0.3, 0.35, 0.4, 0.45):
        probability = 1 / (1 + np.exp(-(slope * limit + offset)))
        print(
            f"   best score below {limit:.2f} (p {probability:.2f}): nothing matches, it says, for "
            f"{(without < limit).mean():.2f} of the queries whose class is not there, "
            f"and falsely for {(best < limit).mean():.2f} of those whose class is"
        )


if __name__ == "__main__":
    main()
