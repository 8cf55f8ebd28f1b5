"""Excerpts of the corpus and lossy copies of them, as the log-mels that the audio network gets.

    python training/pairs.py CLIPS TEACHER.pt SPACE.npz EXAMPLES PAIRS

Of each clip an excerpt, coded at four bit rates drawn by lot: MP3 below 96 kbit/s, MP3 above or Vorbis, AAC, Opus;
each is decoded, cut, leveled and transformed as the product does it with a file. With them comes the teacher's vector
of the excerpt, which `tune.py` wants of all five. Packages take turns, large ones more often, so that any number of
parts is a fair draw.

Packages that an example sound of EXAMPLES is cut from (its CREDITS.tsv names them) are only looked at, never learned
from, and clips that the teacher cannot tell from an example are left out: other packages may have the same recording.
A second run does what is missing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from copies import coded
from export import audio_tower
from networks import AudioTower
from soundalike import audio
from soundalike.encoder import features_of
from soundalike.errors import SoundError
from soundalike.folders import find_sounds
from soundalike.models.cards import POCKET
from soundalike.segments import split
from teacher import Clips, Row

RATE = POCKET.sample_rate
PART = 200
KINDS = ("excerpt", "MP3 low", "MP3 or Vorbis", "AAC", "Opus")


@dataclass(frozen=True, slots=True)
class Config:
    """Every knob."""

    seed: int = 7
    longest_s: float = 4.0  # of an excerpt, ...
    long_s: float = 10.0  # ... but of some
    long_share: float = 0.12
    peaks: tuple[float, float] = (0.25, 0.9)  # of what is coded
    mp3_low: tuple[int, ...] = (48_000, 64_000, 64_000, 80_000)  # bit rates of a mono file
    mp3_high: tuple[int, ...] = (96_000, 128_000, 160_000)
    aac: tuple[int, ...] = (64_000, 96_000, 128_000, 160_000)
    opus: tuple[int, ...] = (48_000, 64_000, 96_000, 128_000)
    vorbis_share: float = 0.33  # in place of the second MP3
    too_near: float = 0.97  # cosine to an example


def in_turn(rows: list[Row], config: Config) -> list[Row]:
    """Clips in an order in which every stretch has of each package as the root of its size."""
    rng = np.random.default_rng(config.seed)
    by_package: dict[str, list[Row]] = defaultdict(list)
    for number in rng.permutation(len(rows)):
        by_package[rows[number]["package"]].append(rows[number])
    ranked = [(i / len(own) ** 0.5, row["id"], row) for own in by_package.values() for i, row in enumerate(own)]
    return [row for _, _, row in sorted(ranked, key=lambda one: one[:2])]


def excerpt(samples: np.ndarray, rng: np.random.Generator, config: Config) -> np.ndarray:
    """A stretch of a clip, at a peak drawn by lot."""
    n = round((config.long_s if rng.random() < config.long_share else config.longest_s) * RATE)
    start = int(rng.integers(0, max(samples.size - n, 0) + 1))
    part = samples[start : start + n]
    return part * np.float32(rng.uniform(*config.peaks) / max(float(np.abs(part).max(initial=0)), 1e-9))


def copies(part: np.ndarray, rng: np.random.Generator, config: Config, folder: Path) -> Iterator[np.ndarray]:
    """Lossy copies of an excerpt, decoded again, in the order of `KINDS`."""
    yield coded(part, ".mp3", 44_100, int(rng.choice(config.mp3_low)), folder)
    if rng.random() < config.vorbis_share:
        yield vorbis(part, float(rng.uniform(0.3, 0.9)), folder)
    else:
        yield coded(part, ".mp3", 44_100, int(rng.choice(config.mp3_high)), folder)
    yield coded(part, ".m4a", 44_100, int(rng.choice(config.aac)), folder)
    yield coded(part, ".opus", 48_000, int(rng.choice(config.opus)), folder)


def vorbis(part: np.ndarray, compression: float, folder: Path) -> np.ndarray:
    """A Vorbis copy, decoded again; 0 compresses least, 1 most."""
    path = folder / "copy.ogg"
    with soundfile.SoundFile(path, "w", 44_100, 1, "VORBIS", compression_level=compression) as file:
        file.write(audio.resample(part, RATE, 44_100))
    with audio.read(path, RATE) as sound:
        return np.concatenate(list(sound))


def mel_of(samples: np.ndarray) -> np.ndarray | None:
    """Log-mel (t, 128) of the first segment of a sound; None for silence."""
    segment = next(split([samples], POCKET.segments, RATE), None)
    return None if segment is None else features_of(segment.samples, POCKET).T.astype(np.float16)


def mels_of(samples: np.ndarray, rng: np.random.Generator, config: Config) -> list[np.ndarray] | None:
    """An excerpt's log-mel and those of its copies, each (t, 128); None if one is silent, or too short for a coder."""
    part = excerpt(samples, rng, config)
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = [mel_of(part), *(mel_of(copy) for copy in copies(part, rng, config, Path(folder)))]
    except SoundError:
        return None
    whole = [mel for mel in found if mel is not None]
    return whole if len(whole) == len(found) else None


@torch.no_grad()
def vector_of(tower: AudioTower, mel: np.ndarray) -> np.ndarray:
    """Vector (dim,) of a log-mel (t, 128)."""
    vector: np.ndarray = tower(torch.from_numpy(mel.T.astype(np.float32))[None])[0].numpy()
    return vector


@dataclass(frozen=True, slots=True)
class Examples:
    """What must not be learned from."""

    vectors: np.ndarray  # (n, dim), the teacher's, of all segments of the example sounds
    credits: str  # where they are from


def heard_examples(tower: AudioTower, folder: Path) -> Examples:
    """Hear all example sounds."""
    found = []
    for sound in find_sounds([folder]):
        with audio.read(sound.path, RATE) as blocks:
            for segment in split(blocks, POCKET.segments, RATE):
                found.append(vector_of(tower, features_of(segment.samples, POCKET).T))
    return Examples(np.array(found), (folder / "CREDITS.tsv").read_text())


def write_part(path: Path, rows: list[Row], first: int, clips: Clips, tower: AudioTower, examples: Examples) -> int:
    """Write one part, and beside it whose mels these are; give the number of excerpts."""
    config = Config()
    mels, wanted, ids, held_out = [], [], [], []
    for number, row in enumerate(rows, first):
        five = mels_of(clips.samples(row), np.random.default_rng([config.seed, number]), config)
        if five is None:
            continue
        vector = vector_of(tower, five[0])
        if (examples.vectors @ vector).max() < config.too_near:
            mels.append(five)
            wanted.append(vector)
            ids.append(row["id"])
            held_out.append(f"(Debian {row['package']})" in examples.credits)
    nothing = np.zeros((0, 128), np.float16)
    np.save(path, np.concatenate([nothing, *(mel for five in mels for mel in five)]))
    n_frames = np.array([[len(mel) for mel in five] for five in mels], int).reshape(-1, len(KINDS))
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial, n_frames=n_frames, wanted=np.array(wanted), ids=np.array(ids), held_out=np.array(held_out),
        config=str(asdict(config)),
    )  # fmt: skip
    partial.rename(path.with_suffix(".npz"))
    return len(mels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("clips", "teacher", "space", "examples", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    clips, tower = Clips(args.clips), audio_tower(args.teacher, args.space)
    rows, examples = in_turn(clips.rows, Config()), heard_examples(tower, args.examples)
    for first in range(0, len(rows), PART):
        path = args.out / f"pairs-{first // PART:04}.npy"
        if not path.with_suffix(".npz").exists():
            n = write_part(path, rows[first : first + PART], first, clips, tower, examples)
            print(f"{path}: {n} excerpts", flush=True)


if __name__ == "__main__":
    main()
