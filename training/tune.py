"""Teach the audio network not to mind lossy coding, and else to hear as before.

    python training/tune.py prepare CLIPS TEACHER.pt SPACE.npz PAIRS [--part 0/2]
    python training/tune.py train PAIRS TEACHER.pt SPACE.npz TUNED.pt

The teacher leaves digital silence and quiet bands at the floor of its log-mel, and coders fill both with noise that it
hears. So the network starts at the teacher's weights and is distilled from it: of an excerpt as of its copies it has to
give the vector that the teacher gives of the excerpt. No label has a part in it. Statistics of the batch norms and the
matrix into the space stay as they are. One package in eight is only looked at, never learnt from.

Both commands go on where they were broken off.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from copies import coded
from export import audio_tower
from networks import AudioTower
from soundalike.encoder import features_of
from soundalike.models.cards import POCKET
from soundalike.segments import split
from teacher import Clips, Row

RATE = POCKET.sample_rate
CODERS = {  # suffix: sample rate in Hz, bit rates of a mono file
    ".mp3": (44_100, (48_000, 64_000, 96_000, 128_000, 160_000)),
    ".m4a": (44_100, (48_000, 64_000, 96_000, 128_000, 160_000)),
    ".opus": (48_000, (32_000, 48_000, 64_000, 96_000, 128_000)),
}
HELD_OUT = 8  # one package in so many
PART = 250


@dataclass(frozen=True, slots=True)
class Config:
    """Every knob."""

    seed: int = 5
    n_clips: int = 7000
    longest_s: float = 5.0  # of an excerpt
    noise_db: tuple[float, float] = (-85.0, -55.0)  # of one copy in place of a coder's, beside its peak
    noise_share: float = 0.2
    batch: int = 16  # excerpts, each with one copy
    steps: int = 4000
    rate: float = 3e-4
    warm_steps: int = 100
    copy_weight: float = 2.0  # of a copy's distance beside the excerpt's own
    minutes: float = 2.0  # between checkpoints


def is_held_out(package: str) -> bool:
    """Whether clips of a package are kept for looking only."""
    return zlib.crc32(f"tune {package}".encode()) % HELD_OUT == 0


def excerpt(samples: np.ndarray, rng: np.random.Generator, config: Config) -> np.ndarray:
    """At most so many seconds of a clip, at a peak of -6 dBFS."""
    n = round(config.longest_s * RATE)
    start = int(rng.integers(0, max(samples.size - n, 0) + 1))
    part = samples[start : start + n]
    return part * np.float32(0.5 / max(float(np.abs(part).max()), 1e-9))


def copies(samples: np.ndarray, rng: np.random.Generator, config: Config, folder: Path) -> Iterator[np.ndarray]:
    """One copy by each coder, at a bit rate drawn for it; some have faint noise instead."""
    for suffix, (rate, bit_rates) in CODERS.items():
        bit_rate = int(rng.choice(bit_rates))
        if rng.random() < config.noise_share:
            level = np.float32(0.5 * 10 ** (rng.uniform(*config.noise_db) / 20))
            yield samples + level * rng.standard_normal(samples.size).astype(np.float32)
            continue
        decoded = coded(samples, suffix, rate, bit_rate, folder)[: samples.size]
        yield np.pad(decoded, (0, samples.size - decoded.size))


def mel_of(samples: np.ndarray) -> np.ndarray | None:
    """Log-mel (128, t) of a sound of one segment, as the model gets it."""
    segment = next(split([samples], POCKET.segments, RATE), None)
    return None if segment is None else features_of(segment.samples, POCKET).astype(np.float16)


def pair(samples: np.ndarray, rng: np.random.Generator, config: Config) -> np.ndarray | None:
    """An excerpt and its copies: (1 + n, 128, t) of one length."""
    part = excerpt(samples, rng, config)
    with tempfile.TemporaryDirectory() as folder:
        mels = [mel_of(part), *(mel_of(copy) for copy in copies(part, rng, config, Path(folder)))]
    found = [mel for mel in mels if mel is not None]
    if len(found) < len(mels):
        return None
    n_frames = min(mel.shape[1] for mel in found)
    return np.stack([mel[:, :n_frames] for mel in found])


def drawn(clips: Clips, config: Config) -> list[Row]:
    """Clips in an order drawn by lot."""
    order = np.random.default_rng(config.seed).permutation(len(clips.rows))
    return [clips.rows[row] for row in order[: config.n_clips]]


def prepare(args: argparse.Namespace) -> None:
    """Write the excerpts, their copies and the teacher's vectors, `PART` clips a file."""
    config, clips = Config(), Clips(args.clips)
    teacher = audio_tower(args.teacher, args.space)
    args.pairs.mkdir(parents=True, exist_ok=True)
    rows, (mine, n_workers) = drawn(clips, config), map(int, args.part.split("/"))
    for number, start in enumerate(range(0, len(rows), PART)):
        path = args.pairs / f"pairs-{number:04}.npz"
        if number % n_workers != mine or path.exists():
            continue
        found, held_out = [], []
        for offset, row in enumerate(rows[start : start + PART]):
            mels = pair(clips.samples(row), np.random.default_rng([config.seed, start + offset]), config)
            if mels is not None:
                found.append(mels)
                held_out.append(is_held_out(row["package"]))
        with torch.no_grad():
            wanted = [teacher(torch.from_numpy(mels[:1].astype(np.float32)))[0].numpy() for mels in found]
        ends = np.cumsum([mels.shape[2] for mels in found])
        partial = path.with_suffix(".partial.npz")
        np.savez(
            partial, mels=np.concatenate(found, 2), ends=ends, wanted=np.array(wanted), held_out=np.array(held_out),
            config=str(asdict(config)),
        )  # fmt: skip
        partial.rename(path)
        print(f"{path}: {len(found)} excerpts", flush=True)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Excerpts with their copies, the shortest first."""

    mels: list[np.ndarray]  # each (1 + n_copies, 128, t) float16
    wanted: np.ndarray  # (n, dim): the teacher's vectors


def load_pairs(folder: Path, held_out: bool) -> Pairs:
    """What was prepared, of the packages to learn from or of the others."""
    mels, wanted = [], []
    for path in sorted(folder.glob("pairs-????.npz")):
        part = np.load(path)
        pieces = np.split(part["mels"], part["ends"][:-1], axis=2)
        kept = np.flatnonzero(part["held_out"] == held_out)
        mels += [np.ascontiguousarray(pieces[i]) for i in kept]
        wanted.append(part["wanted"][kept])
    order = np.argsort([one.shape[2] for one in mels], kind="stable")
    return Pairs([mels[i] for i in order], np.concatenate(wanted)[order])


def batches(pairs: Pairs, config: Config, first_step: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield log-mels (2n, 128, t), excerpts then a copy of each, and vectors (n, dim): neighbors in length."""
    for step in range(first_step, config.steps):
        rng = np.random.default_rng([config.seed, step])
        start = int(rng.integers(0, len(pairs.mels) - config.batch))
        n_frames = pairs.mels[start].shape[2]
        drawn = pairs.mels[start : start + config.batch]
        both = [mels[0, :, :n_frames] for mels in drawn]
        both += [mels[rng.integers(1, len(mels)), :, :n_frames] for mels in drawn]
        wanted = pairs.wanted[start : start + config.batch]
        yield torch.from_numpy(np.stack(both).astype(np.float32)), torch.from_numpy(wanted)


def distances(tower: AudioTower, mels: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """1 - cosine to the teacher's vectors: of the excerpts, and of their copies."""
    vectors = tower(mels).unflatten(0, (2, -1))
    excerpts, copied = 1 - (vectors * wanted).sum(2)
    return excerpts, copied


def look(tower: AudioTower, pairs: Pairs) -> str:
    """How near excerpts and copies come to the teacher's vector of the excerpt, and copies to their excerpt."""
    own, copied, apart = [], [], []
    with torch.no_grad():
        for mels, wanted in zip(pairs.mels, pairs.wanted, strict=True):
            vectors = tower(torch.from_numpy(mels.astype(np.float32))).numpy()
            own.append(vectors[0] @ wanted)
            copied += list(vectors[1:] @ wanted)
            apart += list(vectors[1:] @ vectors[0])
    named = {"excerpt to teacher": own, "copy to teacher": copied, "copy to excerpt": apart}
    shown = (f"{n} {np.mean(v):.4f}, 5 % below {np.percentile(v, 5):.4f}" for n, v in named.items())
    return "; ".join(shown)


def train(args: argparse.Namespace) -> None:
    """Distil, with a checkpoint every few minutes beside ``out``."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    config = Config(steps=args.steps)
    pairs, unseen = load_pairs(args.pairs, held_out=False), load_pairs(args.pairs, held_out=True)
    tower = audio_tower(args.teacher, args.space)
    tower.project.requires_grad_(False)
    learning = [parameter for parameter in tower.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=config.rate, weight_decay=0.0)

    def share(step: int) -> float:
        return min(1.0, (step + 1) / config.warm_steps) * 0.5 * (1 + math.cos(math.pi * step / config.steps))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    checkpoint, step = args.out.with_suffix(".checkpoint.pt"), 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        tower.load_state_dict(state["tower"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        step = state["step"]
    print(f"{len(pairs.mels)} excerpts, {len(unseen.mels)} held out; step {step}: {look(tower, unseen)}", flush=True)
    saved, seen = time.monotonic(), []
    for mels, wanted in batches(pairs, config, step):
        excerpts, copied = distances(tower, mels, wanted)
        loss = excerpts.mean() + config.copy_weight * copied.mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        schedule.step()
        step += 1
        seen.append((excerpts.mean().item(), copied.mean().item()))
        if time.monotonic() - saved > 60 * config.minutes or step == config.steps:
            saved = time.monotonic()
            state = {"tower": tower.state_dict(), "optimizer": optimizer.state_dict()}
            state |= {"schedule": schedule.state_dict(), "step": step, "config": str(asdict(config))}
            torch.save(state, checkpoint)
            print(f"step {step}: distances {np.mean(seen, 0).round(5)}; held out: {look(tower, unseen)}", flush=True)
            seen = []
    torch.save(tower.backbone.state_dict(), args.out)
    print(f"{args.out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run, paths in (
        ("prepare", prepare, ("clips", "teacher", "space", "pairs")),
        ("train", train, ("pairs", "teacher", "space", "out")),
    ):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        for path in paths:
            command.add_argument(path, type=Path)
    commands.choices["prepare"].add_argument("--part", default="0/1", help="this worker's, of so many")
    commands.choices["train"].add_argument("--threads", type=int, default=1)
    commands.choices["train"].add_argument("--steps", type=int, default=Config().steps)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
