"""Do aspects say what they are called, and what do they cost? On synthesised sounds, in numbers.

    python benchmarks/aspects.py

The last table is of a library: the same sounds as files, added with the model "pocket", searched with `weigh`.

One aspect at a time is weighed, and the nearest of many sounds is asked for. Of the candidates none shares
two properties with the query, so a hit on the weighed one cannot come from another.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import soundfile

from soundalike.aspects import ASPECTS, measure, similarities
from soundalike.library import Library

F32 = npt.NDArray[np.float32]
SAMPLE_RATE = 22_050
PROPERTIES = ("pitch_hz", "cutoff_hz", "tempo_bpm", "noise", "level_db", "length_s")
ASPECT_OF = dict(
    zip(PROPERTIES, ("pitch", "brightness", "rhythm", "noisiness", "loudness", "length"), strict=True)
)
VALUES = {
    "pitch_hz": (196.0, 220.0, 261.6, 311.1, 370.0),
    "cutoff_hz": (700.0, 1800.0, 5000.0),
    "tempo_bpm": (78.0, 100.0, 126.0, 172.0),
    "noise": (0.0, 0.03, 0.3),
    "level_db": (-40.0, -24.0, -8.0),
    "length_s": (2.0, 3.5, 6.0),
}


@dataclass(frozen=True)
class Recipe:
    """What a synthesised sound is made of."""

    pitch_hz: float = 220.0
    cutoff_hz: float = 1800.0
    tempo_bpm: float = 100.0
    noise: float = 0.0  # of the sound's amplitude
    level_db: float = -16.0  # peak
    length_s: float = 4.0


def synthesise(recipe: Recipe, seed: int = 0) -> F32:
    """Make notes that repeat at a tempo: harmonics below a cutoff, decaying, with noise of the same color."""
    seconds = np.arange(round(recipe.length_s * SAMPLE_RATE)) / SAMPLE_RATE
    partials = np.arange(1, int(9000 / recipe.pitch_hz))
    gains = 1 / partials / np.sqrt(1 + (partials * recipe.pitch_hz / recipe.cutoff_hz) ** 8)
    period = np.fft.irfft(np.concatenate([[0], -1j * gains]), 4096)
    signal = np.interp(
        np.mod(recipe.pitch_hz * seconds, 1) * 4096, np.arange(4097), np.append(period, period[0])
    )
    signal = signal / np.std(signal) + 4 * recipe.noise * _noise(seconds.size, recipe.cutoff_hz, seed)
    beat = np.mod(seconds, 60 / recipe.tempo_bpm)
    signal = signal * np.exp(-5 * beat) * np.minimum(beat / 0.004, 1)
    return np.asarray(signal / np.abs(signal).max() * 10 ** (recipe.level_db / 20), np.float32)


def _noise(size: int, cutoff_hz: float, seed: int) -> npt.NDArray[np.float64]:
    """White noise behind the filter of the notes, unit power."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(size))
    spectrum /= np.sqrt(1 + (np.fft.rfftfreq(size, 1 / SAMPLE_RATE) / cutoff_hz) ** 8)
    noise = np.fft.irfft(spectrum, size)
    return np.asarray(noise / noise.std())


def recipes(names: Sequence[str], most: int) -> list[Recipe]:
    """Every combination of the values of some properties; of the others, a fixed one."""
    return [
        Recipe(**dict(zip(names, values, strict=True)))
        for values in product(*(VALUES[name][:most] for name in names))
    ]


def hit_rates(names: Sequence[str], most: int = 9) -> dict[str, dict[str, float]]:
    """Weigh one aspect and see how often the nearest sound shares each property with the query.

    Parameters
    ----------
    names : of the properties that differ
    most : values of each

    Returns
    -------
    per weighed aspect, per property, the part of the queries; chance under the key ``chance``
    """
    made = recipes(names, most)
    rows = np.stack(
        [measure(synthesise(recipe, seed), SAMPLE_RATE).to_array() for seed, recipe in enumerate(made)]
    )
    table = np.array([[getattr(recipe, name) for name in names] for recipe in made])
    same = table[:, None] == table[None]
    allowed = same.sum(axis=2) <= 1  # shares one property with the query, or none
    chance = {name: float((same[..., i] & allowed).sum() / allowed.sum()) for i, name in enumerate(names)}
    rates = {"chance": chance}
    scores = np.stack([similarities(row, rows) for row in rows])
    for name in names:
        score = np.where(allowed, scores[..., ASPECTS.index(ASPECT_OF[name])], -1.0)
        nearest = score.argmax(axis=1)
        hits = same[np.arange(len(made)), nearest].mean(axis=0)
        rates[ASPECT_OF[name]] = dict(zip(names, hits.tolist(), strict=True))
    return rates


def library_rates(folder: Path, weighings: Sequence[dict[str, float]], most: int = 9) -> list[dict[str, float]]:
    """Search a library of synthesised sounds by each of them.

    Parameters
    ----------
    folder : an empty one
    weighings : what is given as ``weigh``; none weighs nothing, and only the model decides
    most : values of each of pitch, cutoff and tempo

    Returns
    -------
    per weighing, per property, the part of the first results that shares it with the query: as many results as
    there are sounds that share it
    """
    names = ("pitch_hz", "cutoff_hz", "tempo_bpm")
    made = {folder / "sounds" / f"{i:03}.wav": recipe for i, recipe in enumerate(recipes(names, most))}
    (folder / "sounds").mkdir()
    for path, recipe in made.items():
        soundfile.write(path, synthesise(recipe), SAMPLE_RATE, subtype="FLOAT")
    rates = []
    with Library.create(folder / "library") as library:
        library.add([folder / "sounds"])
        for weigh in weighings:
            shares = dict.fromkeys(names, 0.0)
            for path, recipe in made.items():
                answer = library.search(path, n=len(made), weigh=weigh or None)
                for name in names:
                    same = [getattr(made[match.path], name) == getattr(recipe, name) for match in answer]
                    shares[name] += float(np.mean(same[: sum(same)])) / len(made)
            rates.append(shares)
    return rates


def main() -> None:
    """Print the tables."""
    for names in (
        ("pitch_hz", "cutoff_hz", "tempo_bpm"),
        ("pitch_hz", "noise", "level_db"),
        ("tempo_bpm", "length_s", "level_db"),
    ):
        print("\nnearest sound shares ...", *(f"{name:>12}" for name in names))
        for weighed, rates in hit_rates(names).items():
            print(f"{weighed:24}", *(f"{100 * rate:11.0f} %" for rate in rates.values()))
    alone: list[dict[str, float]] = [{aspect: 1, "meaning": 0} for aspect in ("pitch", "brightness", "rhythm")]
    mixed: list[dict[str, float]] = [{"pitch": 2, "brightness": 1}, {"rhythm": 4, "brightness": 1, "meaning": 0.5}]
    with TemporaryDirectory() as folder:
        weighings = [{}, *alone, *mixed]
        print("\nof the first results, so many share ...", *(f"{name:>12}" for name in list(PROPERTIES)[:3]))
        for weigh, rates in zip(weighings, library_rates(Path(folder), weighings), strict=True):
            said = ",".join(f"{name}={weight:g}" for name, weight in weigh.items()) or "(nothing)"
            print(f"  --weigh {said:<31}", *(f"{100 * rate:10.0f} %" for rate in rates.values()))
    samples = synthesise(Recipe(length_s=10.0))
    times = []
    for _ in range(20):
        start = time.process_time()
        measure(samples, SAMPLE_RATE)
        times.append(time.process_time() - start)
    least, median = 1e3 * min(times), 1e3 * float(np.median(times))
    print(f"\n10 s of sound measured in {least:.1f} ms of one core (least of 20), {median:.1f} ms (median)")


if __name__ == "__main__":
    main()
