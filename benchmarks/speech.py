"""How fast is speech written down, and in how much memory? The same sound short and long, each in a process of its own.

    python benchmarks/speech.py [--minutes 1 30] [--workers 1] [--json OUT.json]

With SOUNDALIKE_MODELS=tests/fixtures/tiny_speech it is the recognizer of the tests (0.5 MB), and shows what all but the
network costs; the sound is that recognizer's phrases again and again. CPU time is that of the process.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from soundalike import audio, load_model, transcribe_files
from soundalike.speech import Transcript

PHRASES = sorted((Path(__file__).parents[1] / "tests" / "fixtures" / "tiny_speech").glob("*.flac"))
RATE = 16_000


def write(path: Path, minutes: float) -> None:
    phrases = np.concatenate([block for phrase in PHRASES for block in audio.read(phrase, RATE)])
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(round(minutes * 60 * RATE / phrases.size)):
            file.write(phrases)


def measure(path: Path, workers: int) -> dict[str, float]:
    """In this process: CPU seconds, peak memory when loaded and at the end."""
    model = load_model("wav2vec2-base-960h")
    loaded_mb, cpu, started = peak_mb(), time.process_time(), time.monotonic()
    (found,) = transcribe_files([path], model, workers)
    assert isinstance(found, Transcript)
    cpu, took = time.process_time() - cpu, time.monotonic() - started
    return {
        "minutes": found.duration_s / 60, "n_words": len(found.words), "loaded_mb": loaded_mb, "peak_mb": peak_mb(),
        "cpu_s": cpu, "times_real_time_per_core": found.duration_s / cpu, "times_real_time": found.duration_s / took,
    }  # fmt: skip


def peak_mb() -> float:
    """Largest resident memory of this process so far (Linux: kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 30])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(measure(asked.child, asked.workers)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in asked.minutes:
            path = Path(folder) / f"{minutes:g}.wav"
            write(path, minutes)
            command = [sys.executable, __file__, "--child", path, "--workers", str(asked.workers)]
            rows.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
            print("  ".join(f"{name} {value:.4g}" for name, value in rows[-1].items()), flush=True)
    print(f"memory of the longest beside the shortest: {rows[-1]['peak_mb'] / rows[0]['peak_mb']:.2f} times")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
