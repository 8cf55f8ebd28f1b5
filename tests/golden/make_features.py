"""Make the golden features of tests/test_features.py with librosa 0.11.

    pip install librosa==0.11.0
    python tests/golden/make_features.py

This writes tests/golden/features/librosa.npz and provenance.json beside it. Nothing of librosa is kept but
its numbers.
"""

from __future__ import annotations

import json
import platform
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
FOLDER = Path(__file__).parent / "features"
SAMPLE_RATE = 22_050


def make_signal(n_samples: int = 6 * SAMPLE_RATE + 137) -> F32:
    """Plucked notes, 97 per minute, over a soft chord and softer noise; then silence: all from formulas."""
    time = np.arange(n_samples) / SAMPLE_RATE
    signal = 0.02 * sum(np.sin(2 * np.pi * hz * time) for hz in (220.0, 277.18, 329.63))
    signal += 0.002 * _noise(n_samples)
    for number, start in enumerate(np.arange(0.3, time[-1], 60 / 97)):
        since = np.clip(time - start, 0, None)
        hz = 196.0 * 2 ** (number % 5 / 5)
        pluck = sum(np.sin(2 * np.pi * hz * partial * since) / partial for partial in range(1, 9))
        signal += 0.25 * (time >= start) * np.exp(-6 * since) * pluck
    signal[-SAMPLE_RATE // 4 :] = 0.0
    return np.asarray(signal, np.float32)


def _noise(n_samples: int) -> npt.NDArray[np.float64]:
    """White noise in [-1, 1): the mixing steps of splitmix64, the same on every machine."""
    state = np.arange(1, n_samples + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state >> np.uint64(40)).astype(np.float64) / 2**23 - 1.0


def reference(y: F32) -> dict[str, Any]:
    """What librosa says, frames first, by the names that soundalike.features uses."""
    librosa = import_module("librosa")
    feature, sr = librosa.feature, SAMPLE_RATE
    return {
        "mfcc": feature.mfcc(y=y, sr=sr).T,
        "chroma": feature.chroma_stft(y=y, sr=sr, tuning=0.0).T,
        "centroid_hz": feature.spectral_centroid(y=y, sr=sr)[0],
        "bandwidth_hz": feature.spectral_bandwidth(y=y, sr=sr)[0],
        "rolloff_hz": feature.spectral_rolloff(y=y, sr=sr)[0],
        "flatness": feature.spectral_flatness(y=y)[0],
        "zero_crossing_rate": feature.zero_crossing_rate(y)[0],
        "rms": feature.rms(y=y)[0],
        "f0_hz": librosa.yin(y, fmin=40.0, fmax=2093.0, sr=sr),
        "onset_strength": librosa.onset.onset_strength(y=y, sr=sr),
        "onsets_s": librosa.onset.onset_detect(y=y, sr=sr, units="time"),
        "tempo_bpm": feature.tempo(y=y, sr=sr)[0],
        "tempogram": feature.tempogram(y=y, sr=sr, win_length=344).mean(axis=1),
    }


def main() -> None:
    """Write the golden file and where it came from."""
    values: dict[str, Any] = {
        name: np.asarray(value, np.float32) for name, value in reference(make_signal()).items()
    }
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / "librosa.npz", **values)
    versions = {name: metadata.version(name) for name in ("librosa", "numpy", "scipy")}
    provenance = {
        "command": "python tests/golden/make_features.py",
        "python": platform.python_version(),
        **versions,
    }
    (FOLDER / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n")


if __name__ == "__main__":
    main()
