"""Teach the text tower which sounds a description means.

    python training/train_text.py --minilm FOLDER --labels LABELS.csv --space SPACE.npz --out CHECKPOINT.pt

Each phrase of words/ has a mixture of AudioSet classes. The tower learns to say the mixture (cross-entropy); its
vector is then the same mixture of the classes' directions (space.py), so that words land where such sounds lie. It
starts from all-MiniLM-L6-v2. First the projection learns alone, on stored sentence vectors, which takes a minute;
then the layers learn with it. Token embeddings stay as they are, so that words which no phrase has keep their
neighbours. Checkpoints after each epoch; a second start goes on.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from networks import TextTower, load_minilm
from words import mixture_matrix, read_phrases

PROMPTS = (
    "{}", "{}", "{}", "the sound of {}", "{} sound", "a recording of {}", "{} sfx", "this is a sound of {}",
    "sound of {}", "{} sounds", "{} sound effect", "I can hear {}", "{}.", "audio of {}", "someone recorded {}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Config:
    """Every knob."""

    seed: int = 7
    held_out: int = 600  # phrases that are only measured on
    batch: int = 128
    head_prompts: int = 4  # of PROMPTS, for the stored sentence vectors
    head_epochs: int = 12
    head_rate: float = 2e-3
    epochs: int = 6  # with the layers
    rate: float = 1e-4  # of the layers
    projection_rate: float = 4e-4  # beside them
    smoothing: float = 0.05  # of the mixtures, over all classes
    weight_decay: float = 0.01


@dataclass(frozen=True, slots=True)
class Words:
    """Phrases as tensors."""

    lines: list[str]
    mixtures: Tensor  # (n, n_classes)
    kept: np.ndarray
    held: np.ndarray


def tokenize(tokenizer: Tokenizer, lines: list[str]) -> tuple[Tensor, Tensor]:
    """Ids and mask, padded to the longest."""
    encoded = tokenizer.encode_batch(lines)
    return torch.tensor([e.ids for e in encoded]), torch.tensor(
        [e.attention_mask for e in encoded], dtype=torch.float32
    )


@torch.no_grad()
def sentences(tower: TextTower, tokenizer: Tokenizer, lines: list[str]) -> Tensor:
    """Sentence vectors of many lines, like lengths together."""
    order = sorted(range(len(lines)), key=lambda i: len(lines[i]))
    found = torch.empty(len(lines), 384)
    for i in range(0, len(lines), 256):
        rows = order[i : i + 256]
        found[rows] = tower.sentence(*tokenize(tokenizer, [lines[row] for row in rows]))
    return found


def loss_of(logits: Tensor, mixtures: Tensor, config: Config) -> Tensor:
    """Cross-entropy to smoothed mixtures."""
    wanted = (1 - config.smoothing) * mixtures + config.smoothing / mixtures.shape[1]
    return -(wanted * logits.log_softmax(1)).sum(1).mean()


@torch.no_grad()
def measure(tower: TextTower, vectors: Tensor, mixtures: Tensor) -> str:
    """How near held-out phrases come to where their mixtures lie."""
    tower.eval()
    logits = tower.project(vectors)
    wanted = torch.nn.functional.normalize(mixtures @ tower.classes, dim=1)
    right = (logits.argmax(1) == mixtures.argmax(1)).float().mean()
    cosine = (tower.place(logits) * wanted).sum(1).mean()
    return f"held out: first class right {right:.4f}, cosine to the target {cosine:.4f}"


def train_head(tower: TextTower, tokenizer: Tokenizer, words: Words, config: Config) -> None:
    """The projection alone."""
    tower.eval()
    said = [
        sentences(tower, tokenizer, [p.format(line) for line in words.lines])
        for p in PROMPTS[2 : 2 + config.head_prompts]
    ]
    steps = len(words.kept) // config.batch * config.head_epochs
    optimizer = torch.optim.AdamW(tower.project.parameters(), config.head_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.head_rate, total_steps=steps)
    rng = np.random.default_rng(config.seed)
    tower.project.train()
    for _ in range(steps):
        rows = rng.choice(words.kept, config.batch)
        loss = loss_of(tower.project(said[rng.integers(len(said))][rows]), words.mixtures[rows], config)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print("projection:", measure(tower, said[0][words.held], words.mixtures[words.held]), flush=True)


def train_epoch(tower: TextTower, tokenizer: Tokenizer, words: Words, epoch: int, config: Config) -> float:
    """The layers with the projection, once over the phrases; mean loss."""
    rng = np.random.default_rng([config.seed, epoch])
    body = [p for name, p in tower.named_parameters() if p.requires_grad and not name.startswith("project")]
    optimizer = torch.optim.AdamW(
        [{"params": body, "lr": config.rate}, {"params": tower.project.parameters(), "lr": config.projection_rate}],
        weight_decay=config.weight_decay,
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    batches = np.array_split(rng.permutation(words.kept), len(words.kept) // config.batch)
    tower.train()
    total = 0.0
    for step, rows in enumerate(batches):
        share = (epoch + step / len(batches)) / config.epochs  # cosine to zero, and a warm-up each epoch
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * 0.5 * (1 + np.cos(np.pi * share)) * min(1.0, (step + 1) / 20)
        said = [PROMPTS[rng.integers(len(PROMPTS))].format(words.lines[row]) for row in rows]
        loss = loss_of(tower.project(tower.sentence(*tokenize(tokenizer, said))), words.mixtures[rows], config)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += float(loss.detach())
    return total / len(batches)


def save(tower: TextTower, epoch: int, config: Config, out: Path) -> None:
    """Checkpoint, whole or not at all."""
    torch.save({"tower": tower.state_dict(), "epoch": epoch, "config": asdict(config)}, out.with_suffix(".tmp"))
    out.with_suffix(".tmp").replace(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("minilm", "labels", "space", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    config = Config()
    print(config, flush=True)
    torch.manual_seed(config.seed)
    with args.labels.open() as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    phrases = read_phrases()
    order = np.random.default_rng(config.seed).permutation(len(phrases))
    mixtures = torch.from_numpy(mixture_matrix(phrases, names))
    words = Words([p.text for p in phrases], mixtures, order[config.held_out :], order[: config.held_out])

    tokenizer = Tokenizer.from_file(str(args.minilm / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(64)
    tower = load_minilm(args.minilm / "model.safetensors")
    tower.tokens.requires_grad_(False)
    tower.positions.requires_grad_(False)
    first, fresh = 0, not args.out.exists()
    if not fresh:
        saved = torch.load(args.out, weights_only=True)
        tower.load_state_dict(saved["tower"])
        first = saved["epoch"] + 1
    tower.classes.data = torch.from_numpy(np.load(args.space)["classes"].astype(np.float32))
    if fresh:
        train_head(tower, tokenizer, words, config)
        save(tower, -1, config, args.out)
    for epoch in range(first, config.epochs):
        loss = train_epoch(tower, tokenizer, words, epoch, config)
        tower.eval()
        held = sentences(tower, tokenizer, [words.lines[row] for row in words.held])
        print(f"epoch {epoch}: loss {loss:.4f},", measure(tower, held, mixtures[words.held]), flush=True)
        save(tower, epoch, config, args.out)


if __name__ == "__main__":
    main()
