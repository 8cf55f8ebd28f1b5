"""How lossy copies move what the teacher hears.

    python training/copies.py CLIPS TEACHER.pt COPIES.npz

A draw of the corpus is coded as MP3, AAC and Opus; the difference of the teacher's features (pooled and hidden, 896
numbers) between each copy and its original is what `space.py` makes the space care less about.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from make_sounds import write_sound
from networks import Backbone, load_teacher
from soundalike import audio
from soundalike.models.cards import POCKET
from teacher import Clips, hear

CODERS = ((".mp3", 44_100, 128_000), (".mp3", 44_100, 64_000), (".m4a", 44_100, 128_000), (".opus", 48_000, 96_000))


@dataclass(frozen=True, slots=True)
class Config:
    """Every knob."""

    seed: int = 11
    n_clips: int = 500
    longest_s: float = 10.0


def copies(samples: np.ndarray, folder: Path) -> Iterator[np.ndarray]:
    """Lossy copies of a clip, decoded again."""
    for suffix, rate, bit_rate in CODERS:
        yield coded(samples, suffix, rate, bit_rate, folder)


def coded(samples: np.ndarray, suffix: str, rate: int, bit_rate: int, folder: Path) -> np.ndarray:
    """A lossy copy of a clip, decoded again; its length may differ."""
    master = audio.resample(samples, POCKET.sample_rate, rate)
    path = write_sound(folder / f"copy{suffix}", master, rate, bit_rate=bit_rate)
    with audio.read(path, POCKET.sample_rate) as sound:
        return np.concatenate(list(sound))


def features(model: Backbone, samples: np.ndarray) -> np.ndarray | None:
    """Pooled features and hidden layer (896,), mean over segments; None for silence."""
    outputs = hear(model, samples)
    return np.concatenate(outputs[:2]) if outputs else None


def differences(model: Backbone, samples: np.ndarray) -> Iterator[np.ndarray]:
    """What each lossy copy of a clip does to its features (896,)."""
    original = features(model, samples)
    if original is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        for copy in copies(samples * np.float32(0.5 / np.abs(samples).max()), Path(folder)):
            found = features(model, copy)
            if found is not None:
                yield found - original


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("clips", "teacher", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    config, clips, model = Config(), Clips(args.clips), load_teacher(args.teacher)
    rows = np.random.default_rng(config.seed).permutation(len(clips.rows))[: config.n_clips]
    longest = round(config.longest_s * POCKET.sample_rate)
    found = [d for row in rows for d in differences(model, clips.samples(clips.rows[row])[:longest])]
    np.savez(args.out, differences=np.array(found, np.float32), config=str(asdict(config)))
    print(f"{len(found)} copies of {len(rows)} clips: {args.out}")


if __name__ == "__main__":
    main()
