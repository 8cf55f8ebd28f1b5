"""Teach the audio network that a lossy copy is the same sound, and else to hear as before.

    python training/tune.py PAIRS TEACHER.pt SPACE.npz TUNED.pt [--steps N]

The network starts as the teacher with the space's matrix. Of an excerpt it has to keep the vector that this start gives
(so words, calibration and neighbors stay what they are), and of each copy it has to give that vector and the one
that it gives of the excerpt itself. No label has a part in it. Statistics of the batch norms stay; all else learns.
Excerpts whose copies strayed far when they last came up come up more often. What is saved is a running average of
the weights. Excerpts that pairs.py holds out are only looked at.

It goes on where it was broken off, and takes in what pairs.py has added meanwhile.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from export import audio_tower
from networks import AudioTower
from pairs import KINDS
from soundalike.models.convert.efficientat import ConvNorm
from soundalike.models.frontends import EFFICIENTAT


@dataclass(frozen=True, slots=True)
class Config:
    """Every knob."""

    seed: int = 5
    batch: int = 8  # excerpts, ...
    n_copies: int = 2  # ... each with so many of its copies
    kinds: tuple[float, ...] = (0.3, 0.15, 0.35, 0.2)  # how often each kind of copy comes up: what strays most, most
    steps: int = 2000
    rate: float = 3e-4
    warm_steps: int = 100
    keep_weight: float = 2.0  # of an excerpt's distance to the teacher's vector
    copy_weight: float = 1.0  # of a copy's distance to the same
    apart_weight: float = 2.0  # of a copy's distance to the excerpt
    gain_db: float = 3.0  # at most, louder or softer, of a copy: coders move the peak that sets the level
    ease: float = 0.003  # added to how far copies strayed; the chance to come up is the root of that
    average: float = 0.998  # of the running weights that stays, each step
    minutes: float = 4.0  # between checkpoints


@dataclass(frozen=True, slots=True)
class Pairs:
    """Excerpts with their copies; log-mels stay on disk until they are drawn."""

    mels: list[np.ndarray]  # each (n_kinds, ) of (t, 128) float16
    n_frames: np.ndarray  # (n, n_kinds)
    wanted: np.ndarray  # (n, dim): the teacher's vectors

    def tensor(self, rows: np.ndarray, kinds: np.ndarray) -> Tensor:
        """Log-mels (n, 128, t) of these excerpts' versions, which are of one length."""
        return torch.from_numpy(np.stack([self.mels[r][k].T for r, k in zip(rows, kinds, strict=True)]).astype("f4"))


def load_pairs(folder: Path, held_out: bool) -> Pairs:
    """What is there by now, of the packages to learn from or of the others."""
    mels, n_frames, wanted = [], [], []
    for path in sorted(folder.glob("pairs-????.npz")):
        part = np.load(path)
        if not part["n_frames"].size:
            continue
        flat = np.load(path.with_suffix(".npy"), mmap_mode="r")
        ends = part["n_frames"].cumsum().reshape(part["n_frames"].shape)
        for row in np.flatnonzero(part["held_out"] == held_out):
            lengths = part["n_frames"][row]
            mels.append([flat[end - n : end] for end, n in zip(ends[row], lengths, strict=True)])
            n_frames.append(lengths)
            wanted.append(part["wanted"][row])
    return Pairs(mels, np.array(n_frames), np.array(wanted))


def fold(tower: AudioTower) -> AudioTower:
    """Let batch norms, whose statistics are fixed, act on the weights of their convolutions: half the time."""

    def forward(self: ConvNorm, x: Tensor) -> Tensor:
        conv, norm = self[0], self[1]
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        weight, bias = conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
        y = functional.conv2d(x, weight, bias, conv.stride, conv.padding, groups=conv.groups)
        return self[2](y) if len(self) > 2 else y

    for module in tower.modules():
        if isinstance(module, ConvNorm):
            module.forward = forward.__get__(module)
    return tower.to(memory_format=torch.channels_last)


def at_gain(mels: Tensor, gains_db: Tensor) -> Tensor:
    """Log-mels (n, 128, t) of the same sounds louder by so many decibels (n,)."""
    spec = EFFICIENTAT
    power = (mels / spec.scale - spec.shift).exp() - spec.offset
    louder = power.clamp(min=0) * 10 ** (gains_db / 10)[:, None, None]
    return ((louder + spec.offset).log() + spec.shift) * spec.scale


def vectors_of(tower: AudioTower, pairs: Pairs, rows: np.ndarray, kinds: np.ndarray, gains_db: np.ndarray) -> Tensor:
    """Vectors (n, dim) of these versions of excerpts, run together where they are of one length."""
    lengths, order, found = pairs.n_frames[rows, kinds], [], []
    for length in np.unique(lengths):
        mine = np.flatnonzero(lengths == length)
        order.append(mine)
        gains = torch.from_numpy(gains_db[mine].astype("f4"))
        found.append(tower(at_gain(pairs.tensor(rows[mine], kinds[mine]), gains)))
    return torch.cat(found)[torch.from_numpy(np.argsort(np.concatenate(order)))]


def draw(pairs: Pairs, strayed: np.ndarray, rng: np.random.Generator, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,) of excerpts of one length, and kinds (n, n_copies) of their copies."""
    chance = np.sqrt(strayed + config.ease)
    first = rng.choice(chance.size, p=chance / chance.sum())
    alike = np.flatnonzero(pairs.n_frames[:, 0] == pairs.n_frames[first, 0])
    share = chance[alike] / chance[alike].sum()
    rows = rng.choice(alike, min(config.batch, alike.size), replace=False, p=share)
    some = (rng.choice(len(config.kinds), config.n_copies, replace=False, p=config.kinds) for _ in rows)
    kinds = 1 + np.array(list(some))
    return rows, kinds


def distances(
    tower: AudioTower, pairs: Pairs, rows: np.ndarray, kinds: np.ndarray, gains_db: np.ndarray | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """1 - cosine: excerpts to the teacher's (n,), copies to the teacher's and to the excerpts (n, n_copies).

    ``gains_db`` (n, n_copies) makes the copies louder or softer.
    """
    versions = np.pad(kinds, ((0, 0), (1, 0)))  # the excerpt, then its copies
    gains = np.zeros(versions.shape) if gains_db is None else np.pad(gains_db, ((0, 0), (1, 0)))
    flat = vectors_of(tower, pairs, np.repeat(rows, versions.shape[1]), versions.reshape(-1), gains.reshape(-1))
    vectors, wanted = flat.unflatten(0, versions.shape), torch.from_numpy(pairs.wanted[rows])[:, None]
    to_wanted = 1 - (vectors * wanted).sum(2)
    return to_wanted[:, 0], to_wanted[:, 1:], 1 - (vectors[:, 1:] * vectors[:, :1]).sum(2)


def look(tower: AudioTower, pairs: Pairs, most: int = 400) -> str:
    """Cosines of unseen excerpts to the teacher's vector, and of copies to their excerpts."""
    found = []
    for length in np.unique(pairs.n_frames[:most, 0]):
        rows = np.flatnonzero(pairs.n_frames[:most, 0] == length)
        for few in np.split(rows, range(16, rows.size, 16)):
            with torch.no_grad():
                kept, _, apart = distances(tower, pairs, few, np.tile(np.arange(1, len(KINDS)), (few.size, 1)))
            found.append(1 - torch.cat([kept[:, None], apart], 1).numpy())
    percentiles = np.percentile(np.concatenate(found), [5, 50], axis=0).T
    kinds = ("excerpt to teacher", *KINDS[1:])
    return "; ".join(f"{kind} {low:.4f} {mid:.4f}" for kind, (low, mid) in zip(kinds, percentiles, strict=True))


class Tuning:
    """A run of training that can be broken off and taken up."""

    def __init__(self, tower: AudioTower, config: Config, out: Path) -> None:
        self.tower, self.config, self.out, self.step = fold(tower), config, out, 0
        self.average = fold(copy.deepcopy(tower)).requires_grad_(False)
        self.strayed = np.zeros(0, np.float32)
        self.optimizer = torch.optim.Adam(tower.parameters(), lr=config.rate)
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, weights_only=True)
            self.tower.load_state_dict(state["tower"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.strayed = state["step"], state["strayed"].numpy()

    @property
    def checkpoint(self) -> Path:
        return self.out.with_suffix(".checkpoint.pt")

    def take_in(self, pairs: Pairs) -> None:
        """Excerpts that were added begin as strays of a middling kind."""
        new = len(pairs.mels) - self.strayed.size
        self.strayed = np.concatenate([self.strayed, np.full(new, 0.02, np.float32)])

    def advance(self, pairs: Pairs) -> tuple[float, float, float]:
        """One step; give the three mean distances."""
        config, rng = self.config, np.random.default_rng([self.config.seed, self.step])
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / config.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = config.rate * min(1.0, (self.step + 1) / config.warm_steps) * cosine
        rows, kinds = draw(pairs, self.strayed, rng, config)
        gains_db = rng.uniform(-config.gain_db, config.gain_db, kinds.shape)
        kept, copied, apart = distances(self.tower, pairs, rows, kinds, gains_db)
        loss = config.keep_weight * kept.mean() + config.copy_weight * copied.mean()
        self.optimizer.zero_grad()
        (loss + config.apart_weight * apart.mean()).backward()
        torch.nn.utils.clip_grad_norm_(self.tower.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self.strayed[rows] = 0.5 * (self.strayed[rows] + apart.detach().mean(1).clamp(min=0).numpy())
        stays = min(config.average, (1 + self.step) / (10 + self.step))
        for slow, fast in zip(self.average.parameters(), self.tower.parameters(), strict=True):
            slow.lerp_(fast.detach(), 1 - stays)
        return kept.mean().item(), copied.mean().item(), apart.mean().item()

    def save(self) -> None:
        """Write the checkpoint, then what `export.py` takes."""
        state = {"tower": self.tower.state_dict(), "average": self.average.state_dict(), "step": self.step}
        state |= {"optimizer": self.optimizer.state_dict(), "strayed": torch.from_numpy(self.strayed)}
        for path, content in ((self.checkpoint, state), (self.out, {"tower": state["average"]})):
            partial = path.with_suffix(".partial")
            torch.save(content | {"config": asdict(self.config)}, partial)
            partial.rename(path)


def rounds(tuning: Tuning, folder: Path) -> Iterator[str]:
    """Train to the last step; after every few minutes, save and say how it goes."""
    unseen = load_pairs(folder, held_out=True)
    yield f"step {tuning.step}: {look(tuning.average, unseen)}"
    while tuning.step < tuning.config.steps:
        pairs, began, seen = load_pairs(folder, held_out=False), time.monotonic(), []
        tuning.take_in(pairs)
        while tuning.step < tuning.config.steps and time.monotonic() - began < 60 * tuning.config.minutes:
            seen.append(tuning.advance(pairs))
        tuning.save()
        means = " ".join(f"{mean:.4f}" for mean in np.mean(seen, 0))
        yield f"step {tuning.step}, {len(pairs.mels)} excerpts: {means}; unseen: {look(tuning.average, unseen)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for path in ("pairs", "teacher", "space", "out"):
        parser.add_argument(path, type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=Config().steps)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tuning = Tuning(audio_tower(args.teacher, args.space), Config(steps=args.steps), args.out)
    for line in rounds(tuning, args.pairs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
