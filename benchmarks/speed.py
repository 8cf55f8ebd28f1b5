"""How fast, and in how much memory, as ratios measured in the same run.

    python benchmarks/speed.py [--json OUT.json] [--hours 10] [--files 24]

Prints: each stage on one core as a multiple of real time; end to end on one worker beside what the stages allow
together; two workers against one; ten times the files against one time; start-up; peak memory on a very long file.
Measure on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np

import soundalike
from soundalike import audio
from soundalike.embed import Model, sha256_of
from soundalike.encoder import features_of
from soundalike.segments import split

SECONDS, RATE = 30, 44_100
CODECS = {"mp3": "libmp3lame", "wav": "pcm_s16le", "flac": "flac", "m4a": "aac", "opus": "libopus"}
WHOLE = "end to end"
STARTS = {"soundalike --help": ["--help"], "soundalike models list": ["models", "list"]}


def music(seconds: float, rate: int, seed: int) -> np.ndarray:
    """Stereo test sound with notes, noise and silences between: (n, 2) float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    sound = 0.02 * rng.standard_normal((t.size, 2))
    for start in np.arange(0, seconds, 0.5):
        on = t >= start
        f0, decay = 110 * 2 ** rng.uniform(0, 4), rng.uniform(2, 12)
        partials = sum(np.sin(2 * np.pi * f0 * n * (t[on] - start)) / n for n in range(1, 6))
        sound[on] += (0.1 * partials * np.exp(-decay * (t[on] - start)))[:, None]
    return sound.astype(np.float32)


def write(path: Path, sound: np.ndarray, rate: int) -> None:
    """Encode with PyAV."""
    codec = CODECS[path.suffix[1:]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000 if codec == "libopus" else rate)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), format="fltp", layout="stereo")
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            stream.format, "stereo", stream.rate, frame_size=stream.codec_context.frame_size or 0
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def best_of(run: Callable[[], object], times: int = 5) -> float:
    """Least wall time of a few runs, in seconds."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return min(found)


def in_turn(runs: dict[str, Callable[[], object]], times: int = 5) -> dict[str, float]:
    """Least CPU seconds of each of several things, done in turn, so that what slows the machine slows all."""
    found = dict.fromkeys(runs, float("inf"))
    for _ in range(times):
        for name, run in runs.items():
            started = time.process_time()
            run()
            found[name] = min(found[name], time.process_time() - started)
    return found


def stages(model: Model, path: Path) -> dict[str, float]:
    """Seconds that each stage takes for one file, and the whole flow."""
    card = model.card

    def read() -> list[np.ndarray]:
        with audio.read(path, card.sample_rate) as sound:
            return list(sound)

    blocks = read()
    cuts = [segment.samples for segment in split(blocks, card.segments, card.sample_rate)]
    mels = [features_of(cut, card) for cut in cuts]
    return in_turn({
        "decode, downmix, resample": read,
        "split": lambda: list(split(blocks, card.segments, card.sample_rate)),
        "level, log-mel": lambda: [features_of(cut, card) for cut in cuts],
        "network": lambda: [model.encoder._audio.run(mel[None]) for mel in mels],
        "hash of the file": lambda: sha256_of(path),
        WHOLE: lambda: model.embed_file(path),
    })  # fmt: skip


def heard_per_second(model: Model, seconds: float = 10.0) -> float:
    """Seconds of sound that the network alone takes in a second, for a file of a single segment."""
    card = model.card
    samples = music(seconds, card.sample_rate, 0)[:, 0]
    mel = features_of(samples, card)
    return seconds / in_turn({"network": lambda: model.encoder._audio.run(mel[None])}, 20)["network"]


def embed_all(model: Model, paths: list[Path], workers: int) -> None:
    for result in model.embed_files(paths, workers):
        assert isinstance(result, soundalike.Embedding), result


def workers(model: Model, files: list[Path], rounds: int = 7) -> dict[str, float]:
    """One worker and two in turn, and two processes of one worker, which share nothing: what this machine allows."""
    pairs = []
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=_load) as processes:
        halves = [files[::2], files[1::2]]
        for _ in range(rounds):
            one, two = (best_of(lambda w=w: embed_all(model, files, w), 1) for w in (1, 2))
            apart = best_of(lambda: list(processes.map(_embed_here, halves)), 1)
            pairs.append((one, two, apart))
    ones, twos, aparts = np.array(pairs[1:]).T
    ten = best_of(lambda: embed_all(model, files * 10, 2), 1)
    found = {
        "two workers against one": float(np.median(ones / twos)),
        "two processes against one worker": float(np.median(ones / aparts)),
        "ten times the files": ten / float(np.median(twos)),
    }  # fmt: skip
    print(f"mp3 x {len(files)}, median of {rounds - 1}:", ", ".join(f"{n}: {v:.2f} times" for n, v in found.items()))
    return found


def _load() -> None:
    global _model
    _model = soundalike.load_model()


def _embed_here(paths: list[Path]) -> None:
    embed_all(_model, paths, 1)


def peak_memory(hours: float, folder: Path) -> dict[str, float]:
    """Peak resident memory of a process that embeds one sound of so many hours, and of one that embeds a minute."""
    code = (
        "import resource, sys, time, soundalike; m = soundalike.load_model(); t = time.time();"
        "e = m.embed_file(sys.argv[1]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.time() - t)"
    )
    found = {}
    for name, seconds in (("1 minute", 60), (f"{hours:g} hours", hours * 3600)):
        path = folder / "long.flac"
        _write_long(path, seconds)
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        memory, took = map(float, done.stdout.split())
        found[name] = memory
        print(f"{name:<12} peak {memory:6.0f} MB, {seconds / took:6.0f} x real time")
    return found


def _write_long(path: Path, seconds: float) -> None:
    minute = (music(60, 16_000, 1)[:, :1].T * 20_000).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=16_000)
        stream.layout, stream.format = "mono", "s16"
        for _ in range(round(seconds / 60)):
            frame = av.AudioFrame.from_ndarray(minute, format="s16", layout="mono")
            frame.sample_rate = 16_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def start_up() -> dict[str, float]:
    """Seconds that a command takes to answer, least of ten; and Python alone."""
    found = {"python -c pass": best_of(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), 10)}
    main = "from soundalike.cli import main; main()"
    for name, arguments in STARTS.items():
        command = [sys.executable, "-c", main, *arguments]
        found[name] = best_of(lambda command=command: subprocess.run(command, check=True, capture_output=True), 10)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--hours", type=float, default=10)
    parser.add_argument("--files", type=int, default=24)
    args = parser.parse_args()
    model = soundalike.load_model()
    report: dict[str, object] = {"cores": os.cpu_count(), "load": os.getloadavg()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for suffix in CODECS:
            write(folder / f"a.{suffix}", music(SECONDS, RATE, 0), RATE)
        for suffix in CODECS:
            found = stages(model, folder / f"a.{suffix}")
            parts = sum(took for name, took in found.items() if name != WHOLE)
            share = parts / found[WHOLE]
            report[suffix] = {n: SECONDS / took for n, took in found.items()} | {"share of the stages": share}
            shown = ", ".join(f"{n} {SECONDS / took:.0f}x" for n, took in found.items())
            print(f"{suffix:<5}{shown}; together {SECONDS / parts:.0f}x, of which end to end reaches {share:.2f}")
        report["network, one segment"] = alone = heard_per_second(model)
        print(f"the network alone, a file of one segment: {alone:.0f}x")
        files = []
        for n in range(args.files):
            files.append(folder / f"f{n}.mp3")
            files[-1].write_bytes((folder / "a.mp3").read_bytes())
        report["workers"] = workers(model, files)
        report["start_up_s"] = found = start_up()
        print(", ".join(f"{n}: {v:.2f} s" for n, v in found.items()))
        report["peak_mb"] = peak_memory(args.hours, folder)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
