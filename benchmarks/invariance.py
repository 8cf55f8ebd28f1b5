"""How near a changed copy of a sound stays to the original: gain, format, sample rate, lead-in.

    python benchmarks/invariance.py FOLDER [--limit N] [--level RULE] [--json FILE]

Every sound of the folder is read (at most ``--seconds`` of it), brought to mono at its own rate and a peak of -6 dBFS,
and written as 16-bit WAV: the original. Copies are made from it and embedded, and the table shows the cosine of each
copy to the original over all sounds. Copies at another gain are float WAV, so that nothing is lost or clipped.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from make_sounds import on_16_bits, write_sound
from soundalike import Model, audio, load_model
from soundalike.folders import find_sounds
from soundalike.types import F32, Embedding, Failure, LevelRule

Copy = Callable[[Path, F32, int], Path]  # folder, original at its rate; the file


def gain(db: float) -> Copy:
    factor = np.float32(10 ** (db / 20))
    return lambda folder, x, rate: write_sound(folder / f"gain{db}.wav", x * factor, rate, "pcm_f32le")


def coded(suffix: str, codec: str | None = None, rate: int | None = None, **options: int) -> Copy:
    def write(folder: Path, x: F32, own_rate: int) -> Path:
        to = rate or own_rate
        samples = x if to == own_rate else audio.resample(x, own_rate, to)
        return write_sound(folder / f"coded{codec}{options.get('bit_rate', '')}{suffix}", samples, to, codec, **options)

    return write


def at_rate(rate: int) -> Copy:
    def write(folder: Path, x: F32, own_rate: int) -> Path:
        samples = audio.resample(x, own_rate, rate)
        return write_sound(folder / f"rate{rate}.wav", samples, rate, "pcm_f32le")

    return write


def padded(before_s: float, after_s: float) -> Copy:
    def write(folder: Path, x: F32, rate: int) -> Path:
        samples = np.pad(x, (round(before_s * rate), round(after_s * rate)))
        return write_sound(folder / f"padded{before_s}-{after_s}.wav", samples, rate)

    return write


COPIES: dict[str, Copy] = {
    "gain -40 dB": gain(-40),
    "gain -20 dB": gain(-20),
    "gain +6 dB": gain(6),
    "FLAC": coded(".flac"),
    "AIFF": coded(".aiff"),
    "ALAC": coded(".m4a", "alac"),
    "MP3 128 kbit/s": coded(".mp3", rate=44_100, bit_rate=128_000),
    "MP3 64 kbit/s": coded(".mp3", rate=44_100, bit_rate=64_000),
    "AAC 128 kbit/s": coded(".m4a", rate=44_100, bit_rate=128_000),
    "Opus 96 kbit/s": coded(".opus", rate=48_000, bit_rate=96_000),
    "48 kHz master": at_rate(48_000),
    "96 kHz master": at_rate(96_000),
    "192 kHz master": at_rate(192_000),
    "1.2 s of silence in front": padded(1.2, 0),
    "9 s of silence behind": padded(0, 9),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Cosine of changed copies to the original.")
    parser.add_argument("folder", type=Path, help="sounds to copy")
    parser.add_argument("--limit", type=int, default=100, help="sounds, evenly spread over the folder")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each sound")
    parser.add_argument("--level", choices=get_args(LevelRule), help="level rule in place of the model's own")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    sounds = [sound.path for sound in find_sounds([options.folder])]
    sounds = sounds[:: max(len(sounds) // options.limit, 1)][: options.limit]
    scores = measure(load_model(level=options.level), sounds, options.seconds)
    print(table(scores))
    if options.json:
        figures = {
            name: {"lowest": min(s), "median": float(np.median(s)), "n": len(s)} for name, s in scores.items()
        }
        options.json.write_text(json.dumps(figures, indent=1))


def measure(model: Model, sounds: list[Path], seconds: float) -> dict[str, list[float]]:
    """Cosines to the original by kind of copy."""
    scores: dict[str, list[float]] = {name: [] for name in COPIES}
    for path in sounds:
        rate = audio.probe(path).sample_rate
        with audio.read(path, rate) as sound:
            samples = np.concatenate([np.zeros(0, np.float32), *sound])[: round(seconds * rate)]
        peak = float(np.abs(samples).max(initial=0))
        if peak < 1e-3:
            continue
        samples = on_16_bits(samples * np.float32(0.5 / peak))
        with tempfile.TemporaryDirectory() as folder:
            original = write_sound(Path(folder) / "original.wav", samples, rate)
            files = {copy(Path(folder), samples, rate): name for name, copy in COPIES.items()}
            want = model.embed_file(original).vector.astype(np.float64)
            for result in model.embed_files(files):
                scores[files[result.path]].append(score(result, want))
    return scores


def score(result: Embedding | Failure, want: np.ndarray) -> float:
    if isinstance(result, Failure):
        raise SystemExit(f"{result.path}: {result.reason}")
    return float(result.vector.astype(np.float64) @ want)


def table(scores: dict[str, list[float]]) -> str:
    lines = ["| copy | lowest | 5 % below | median |", "|---|---|---|---|"]
    for name, values in scores.items():
        low, fifth, median = np.percentile(values, [0, 5, 50])
        lines.append(f"| {name} | {low:.5f} | {fifth:.5f} | {median:.5f} |")
    return "\n".join([*lines, "", f"{len(next(iter(scores.values())))} sounds"])


if __name__ == "__main__":
    main()
