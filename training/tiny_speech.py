"""A speech recognizer of ten words, trained from nothing in under two minutes: proof of the path from training to text.

It has wav2vec 2.0's architecture and the alphabet of wav2vec2-base-960h in small, learns digits as eSpeak NG says
them, and is saved as the published model is, so that `soundalike models convert` and `soundalike transcribe` take
it as they take that one. tests/live/test_speech_live.py trains it; tests/fixtures/tiny_speech holds one.

    python training/tiny_speech.py tests/fixtures/tiny_speech      # the recognizer, and phrases that it never heard
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

from soundalike.models.cards import CARDS
from soundalike.models.convert import convert
from soundalike.models.speech import LIBRISPEECH
from soundalike.types import F32

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Config:
    """Every knob of a run."""

    seed: int = 0
    n_phrases: int = 800
    n_steps: int = 750
    batch: int = 12
    rate: float = 3e-3  # peak of the learning rate, after warm-up and before it falls to nothing
    warm_up: int = 40  # steps
    noise: float = 0.003  # deviation of the noise that is added, full scale 1
    spread: float = 0.1  # deviation of the first weights; with the usual 0.02 so small a network stays silent
    sizes: tuple[int, int, int] = (32, 64, 2)  # convolutions, transformer, its layers


@dataclass(frozen=True)
class Phrase:
    """Something said."""

    text: str
    samples: F32  # (n_samples,) at 16 kHz


def say(text: str, rng: random.Random) -> Phrase:
    """Speak with eSpeak NG, at a speed, pitch and in a voice that ``rng`` draws."""
    voice = rng.choice(["en-us", "en-us+m3", "en-us+f2"])
    settings = ["-v", voice, "-s", str(rng.randint(150, 210)), "-p", str(rng.randint(35, 65))]
    said = subprocess.run(["espeak-ng", *settings, "--stdout", text], capture_output=True, check=True).stdout
    samples = np.frombuffer(said[44:], np.int16).astype(np.float32) / 32_768  # 22,050 Hz behind a WAV header
    return Phrase(text.upper(), soxr.resample(samples, 22_050, SAMPLE_RATE))


def phrases(n: int, seed: int) -> list[Phrase]:
    """Phrases of one to four digits; other seeds say other phrases."""
    rng = random.Random(seed)
    return [say(" ".join(rng.choices(WORDS, k=rng.randint(1, 4))), rng) for _ in range(n)]


def unheard(n: int, seed: int, said: list[Phrase]) -> list[Phrase]:
    """Other phrases, without any whose words stand among those that were said."""
    texts = {phrase.text for phrase in said}
    return [phrase for phrase in phrases(n, seed) if phrase.text not in texts]


def untrained(config: Config) -> torch.nn.Module:
    """wav2vec 2.0 in small, with random weights."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    narrow, wide, n_layers = config.sizes
    return Wav2Vec2ForCTC(
        Wav2Vec2Config(
            vocab_size=len(LIBRISPEECH.characters), conv_dim=[narrow] * 7, hidden_size=wide, num_hidden_layers=n_layers,
            num_attention_heads=wide // 64, intermediate_size=2 * wide, num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4, hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0,
            feat_proj_dropout=0.0, final_dropout=0.0, layerdrop=0.0, mask_time_prob=0.0, ctc_loss_reduction="mean",
            ctc_zero_infinity=True, initializer_range=config.spread,
        )
    )  # fmt: skip


def batch_of(chosen: list[Phrase], config: Config, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Normalized samples (n, n_samples), the shorter ones somewhere in faint noise; and labels (n, n_characters)."""
    longest = max(phrase.samples.size for phrase in chosen)
    samples = rng.normal(0, config.noise, (len(chosen), longest)).astype(np.float32)
    labels = np.full((len(chosen), max(len(phrase.text) for phrase in chosen) + 2), -100)
    for row, phrase in enumerate(chosen):
        start = rng.integers(longest - phrase.samples.size + 1)
        samples[row, start : start + phrase.samples.size] += phrase.samples
        spelt = f" {phrase.text} ".replace(" ", LIBRISPEECH.delimiter)
        ids = [LIBRISPEECH.characters.index(letter) for letter in spelt]
        labels[row, : len(ids)] = ids
    samples -= samples.mean(1, keepdims=True)
    samples /= np.sqrt(samples.var(1, keepdims=True) + 1e-7)
    return torch.from_numpy(samples), torch.from_numpy(labels)


def train(said: list[Phrase], config: Config) -> torch.nn.Module:
    """Fit to phrases; each batch holds phrases of about one length."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    model = untrained(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.rate, total_steps=config.n_steps, pct_start=config.warm_up / config.n_steps
    )
    said = sorted(said, key=lambda phrase: phrase.samples.size)
    started = time.process_time()
    for step in range(config.n_steps):
        first = rng.integers(len(said) - config.batch + 1)
        samples, labels = batch_of(said[first : first + config.batch], config, rng)
        loss = model(samples, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 24:
            print(f"step {step + 1}: loss {loss.item():.3f}, {time.process_time() - started:.0f} s of CPU", flush=True)
    return model.eval()


def n_wrong(found: list[str], said: list[str]) -> int:
    """Words to put in, take out or replace to get from what is found to what was said (Levenshtein)."""
    row = list(range(len(said) + 1))
    for i, word in enumerate(found, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(said, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != other))
    return row[-1]


def main(out: Path) -> None:
    torch.set_num_threads(1)
    config = Config()
    print(config)
    said = phrases(config.n_phrases, config.seed)
    with tempfile.TemporaryDirectory() as folder:
        train(said, config).save_pretrained(folder)
        convert(CARDS["wav2vec2-base-960h"], Path(folder), out / "wav2vec2-base-960h")
    for phrase in [phrase for phrase in unheard(60, 2026, said) if phrase.text.count(" ") == 2][:4]:
        soundfile.write(out / f"{phrase.text.lower().replace(' ', '-')}.flac", phrase.samples, SAMPLE_RATE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
