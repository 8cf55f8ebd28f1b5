"""Teach the text tower where descriptions of sounds lie.

    python training/train_text.py --minilm FOLDER --labels LABELS.csv --space SPACE.npz --out CHECKPOINT.pt

Each phrase of words/ has a mixture of AudioSet classes; its target is the same mixture of the classes' directions
(space.py). The loss has two parts: the cosine to the target, and a contrast that asks each phrase to find its own target
among those of the batch, softened by how alike the targets are. The tower starts from all-MiniLM-L6-v2; its token
embeddings stay as they are, so that words which the phrases lack keep their neighbours. First the projection learns
alone, then the layers with it. Checkpoints after each epoch; a second start goes on.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from networks import TextTower, load_minilm
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from words import mixture_matrix, read_phrases

PROMPTS = (
    "{}", "{}", "{}", "{}", "the sound of {}", "sound of {}", "{} sound", "{} sounds", "a recording of {}", "{} sfx",
    "this is a sound of {}", "{} sound effect", "I can hear {}", "{}.", "audio of {}", "someone recorded {}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Config:
    """Every knob."""

    seed: int = 7
    held_out: int = 600  # phrases that are only measured on
    batch: int = 128
    head_epochs: int = 6
    epochs: int = 10  # with the layers
    head_rate: float = 2e-3
    rate: float = 1e-4  # of the layers; the projection gets `projection_factor` times that
    projection_factor: float = 5.0
    temperature: float = 0.07  # of the contrast
    contrast: float = 0.5  # weight of the contrast beside the cosine
    weight_decay: float = 0.01


def tokenize(tokenizer: Tokenizer, lines: list[str]) -> tuple[Tensor, Tensor]:
    """Ids and mask, padded to the longest."""
    encoded = tokenizer.encode_batch(lines)
    return torch.tensor([e.ids for e in encoded]), torch.tensor([e.attention_mask for e in encoded], dtype=torch.float32)


def loss_of(vectors: Tensor, targets: Tensor, config: Config) -> Tensor:
    """Cosine to the own target, and contrast with the others."""
    cosine = 1 - (vectors * targets).sum(1).mean()
    wanted = (targets @ targets.T / config.temperature).softmax(1)
    found = (vectors @ targets.T / config.temperature).log_softmax(1)
    return cosine + config.contrast * functional.kl_div(found, wanted, reduction="batchmean")


@torch.no_grad()
def measure(tower: TextTower, tokenizer: Tokenizer, lines: list[str], targets: Tensor, classes: Tensor, top: Tensor) -> str:
    """Cosine to the targets and how often the nearest class is the phrase's first."""
    tower.eval()
    vectors = torch.cat([tower(*tokenize(tokenizer, lines[i : i + 200])) for i in range(0, len(lines), 200)])
    right = (vectors @ classes.T).argmax(1) == top
    return f"held out: cosine {(vectors * targets).sum(1).mean():.4f}, first class right {right.float().mean():.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("minilm", "labels", "space", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    config = Config()
    print(config, flush=True)
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)

    with args.labels.open() as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    phrases = read_phrases()
    mixtures = mixture_matrix(phrases, names)
    classes = torch.from_numpy(np.load(args.space)["classes"].astype(np.float32))
    targets = functional.normalize(torch.from_numpy(mixtures) @ classes, dim=1)
    order = rng.permutation(len(phrases))
    held, kept = order[: config.held_out], order[config.held_out :]
    lines = [phrase.text for phrase in phrases]

    tokenizer = Tokenizer.from_file(str(args.minilm / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(64)
    tower = load_minilm(args.minilm / "model.safetensors")
    tower.tokens.requires_grad_(False)
    tower.positions.requires_grad_(False)
    first = 0
    if args.out.exists():
        saved = torch.load(args.out, weights_only=True)
        tower.load_state_dict(saved["tower"])
        first = saved["epoch"] + 1

    held_targets, held_top = targets[held], torch.from_numpy(mixtures[held].argmax(1))
    body = [p for name, p in tower.named_parameters() if p.requires_grad and not name.startswith("project")]
    n_steps = len(kept) // config.batch
    for epoch in range(first, config.head_epochs + config.epochs):
        whole = epoch >= config.head_epochs
        if epoch in (first, config.head_epochs):
            head = {"params": tower.project.parameters(), "lr": config.rate * config.projection_factor if whole else config.head_rate}
            groups = [head, {"params": body, "lr": config.rate}] if whole else [head]
            optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
            begin, end = (config.head_epochs, config.epochs) if whole else (0, config.head_epochs)
            rates = [group["lr"] for group in optimizer.param_groups]
        tower.train()
        total = 0.0
        for step, rows in enumerate(np.array_split(rng.permutation(kept), n_steps)):
            share = (epoch - begin + step / n_steps) / end  # linear warm-up, then cosine
            factor = min(1.0, share * end * 3) * 0.5 * (1 + np.cos(np.pi * share))
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            said = [PROMPTS[rng.integers(len(PROMPTS))].format(lines[row]) for row in rows]
            with torch.set_grad_enabled(whole):
                sentence = tower.sentence(*tokenize(tokenizer, said))
            vectors = functional.normalize(tower.project(functional.normalize(sentence, dim=1)), dim=1)
            loss = loss_of(vectors, targets[rows], config)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
        report = measure(tower, tokenizer, [lines[row] for row in held], held_targets, classes, held_top)
        print(f"epoch {epoch}: loss {total / n_steps:.4f}, {report}", flush=True)
        state = {"tower": tower.state_dict(), "epoch": epoch, "config": asdict(config), "phrases": len(phrases)}
        torch.save(state, args.out.with_suffix(".tmp"))
        args.out.with_suffix(".tmp").replace(args.out)


if __name__ == "__main__":
    main()
