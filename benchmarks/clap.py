"""CLAP's audio tower from files to vectors, against a plain loop with transformers on the same weights.

    python benchmarks/clap.py [--sounds 24] [--repeat 3] [--json out.json]

Needs torch, transformers and onnx (`make test-torch` installs them into .venv-torch), and OpenVINO for its rows. The
network has the size of laion/clap-htsat-unfused and seeded random weights. Each side goes from WAV files of ten seconds
to unit vectors, one thread, one sound after the other, in turns, and the median of the turns counts: decoding,
resampling, the log-mel front end and the network are all in it. The plain loop is what the model's page shows: a
processor and `get_audio_features`, with sounds that soundfile has read. "Cosine" is the smallest between the two sides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import transformers

from soundalike.embed import Model
from soundalike.models import cards
from soundalike.models.cards import card_of, folder_of
from soundalike.models.convert import convert

NAME = "clap-htsat-unfused"
SAMPLE_RATE = 48_000
SECONDS = 10
Way = Callable[[list[Path]], np.ndarray]
DEVICES = ("cpu", "openvino", "openvino-bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description="CLAP's audio tower against a plain loop.")
    parser.add_argument("--sounds", type=int, default=24)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["SOUNDALIKE_MODELS"] = str(folder / "models")
        sounds = write_sounds(folder / "sounds", arguments.sounds)
        reference = random_clap()
        ways = {"transformers": plain_loop(reference), **ours(reference, folder)}
        rows = measure(ways, sounds, arguments.repeat)
    print(f"{'':16}{'s per sound':>12}{'times':>8}{'cosine':>12}")
    for row in rows:
        print(f"{row['engine']:16}{row['s_per_sound']:12.3f}{row['times']:8.2f}{row['cosine']:12.7f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


def write_sounds(folder: Path, n: int) -> list[Path]:
    """Bursts of noise and tones, exactly as long as the model hears at once."""
    folder.mkdir(parents=True)
    paths = []
    for i in range(n):
        rng = np.random.default_rng(i)
        time_s = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
        tones = sum(np.sin(2 * np.pi * hz * time_s) for hz in rng.uniform(80, 8000, 5))
        loudness = 0.3 + np.sin(2 * np.pi * rng.uniform(0.3, 3) * time_s) ** 4
        samples = 0.05 * loudness * (tones + rng.normal(size=time_s.size))
        paths.append(folder / f"{i:03}.wav")
        soundfile.write(paths[-1], samples, SAMPLE_RATE, "FLOAT")
    return paths


def random_clap() -> Any:
    """A network of the published size with random weights, as lively as trained ones."""
    torch.manual_seed(0)
    model = transformers.ClapModel(transformers.ClapConfig()).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(-25, 3)
            module.running_var.uniform_(100, 200)
    return model


def plain_loop(model: Any) -> Way:
    """What the model's page shows, one sound after the other."""
    extractor = transformers.ClapFeatureExtractor(
        feature_size=64, sampling_rate=SAMPLE_RATE, hop_length=480, max_length_s=SECONDS, fft_window_size=1024,
        frequency_min=50, frequency_max=14_000, truncation="rand_trunc", padding="repeatpad",
    )  # fmt: skip

    def run(paths: list[Path]) -> np.ndarray:
        vectors = []
        for path in paths:
            samples, rate = soundfile.read(path, dtype="float32")
            with torch.no_grad():
                features = extractor(samples, sampling_rate=rate, return_tensors="pt")
                found = model.get_audio_features(**features)
            vectors.append(getattr(found, "pooler_output", found)[0].numpy())
        stack = np.stack(vectors)
        return stack / np.linalg.norm(stack, axis=1, keepdims=True)

    return run


def ours(reference: Any, folder: Path) -> dict[str, Way]:
    """The same weights through `convert`, and `Model.embed_file` on each engine that is here."""
    weights = folder / "weights"
    weights.mkdir()
    torch.save(reference.state_dict(), weights / "pytorch_model.bin")
    card = replace(card_of(NAME), text=None)
    cards.CARDS[NAME] = card
    from soundalike.models.convert.recipes import RECIPES

    RECIPES[NAME] = replace(RECIPES[NAME], text=None)
    convert(card, weights, folder_of(card))
    ways: dict[str, Way] = {}
    for device in DEVICES:
        try:
            model = Model(card_of(NAME), device)
        except Exception as error:
            print(f"{device}: left out: {error}")
            continue
        ways[device] = lambda paths, model=model: np.stack([model.embed_file(path).vector for path in paths])
    return ways


def measure(ways: dict[str, Way], sounds: list[Path], repeat: int) -> list[dict[str, Any]]:
    """All ways in turns, on the same sounds."""
    vectors = {name: run(sounds) for name, run in ways.items()}  # and warm
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat):
        for name, run in ways.items():
            start = time.perf_counter()
            run(sounds)
            took[name].append((time.perf_counter() - start) / len(sounds))
    plain = statistics.median(took["transformers"])
    return [
        {
            "engine": name, "s_per_sound": statistics.median(took[name]),
            "times": plain / statistics.median(took[name]),
            "cosine": float((vectors[name] * vectors["transformers"]).sum(1).min()),
        }
        for name in ways
    ]  # fmt: skip


if __name__ == "__main__":
    main()
