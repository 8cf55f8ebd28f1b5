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


def stages(model: Model, path: Path) -> dict[str, float]:
    """Seconds that each stage takes for one file, alone."""
    card = model.card

    def read() -> list[np.ndarray]:
        with audio.read(path, card.sample_rate) as sound:
            return list(sound)

    blocks = read()
    cuts = [segment.samples for segment in split(blocks, card.segments, card.sample_rate)]
    mels = [features_of(cut, card) for cut in cuts]
    return {
        "decode, downmix, resample": best_of(read),
        "split": best_of(lambda: list(split(blocks, card.segments, card.sample_rate))),
        "level, log-mel": best_of(lambda: [features_of(cut, card) for cut in cuts]),
        "network": best_of(lambda: [model.encoder._audio.run(mel[None]) for mel in mels]),
        "hash of the file": best_of(lambda: sha256_of(path)),
    }


def embed_all(model: Model, paths: list[Path], workers: int) -> None:
    for result in model.embed_files(paths, workers):
        assert isinstance(result, soundalike.Embedding), result


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
            whole = best_of(lambda suffix=suffix: model.embed_file(folder / f"a.{suffix}"))
            row = {name: SECONDS / took for name, took in found.items()}
            row |= {"all stages": SECONDS / sum(found.values()), "end to end": SECONDS / whole}
            row["end to end, share of the stages"] = sum(found.values()) / whole
            report[suffix] = row
            shown = [f"{n} {v:.0f}x" for n, v in row.items() if not n.endswith("stages") or n == "all stages"]
            print(
                f"{suffix:<5}"
                + ", ".join(shown)
                + f"; end to end is {row['end to end, share of the stages']:.3f} of all stages"
            )
        files = []
        for n in range(args.files):
            files.append(folder / f"f{n}.mp3")
            files[-1].write_bytes((folder / "a.mp3").read_bytes())
        one, two = (best_of(lambda w=w: embed_all(model, files, w), 3) for w in (1, 2))
        ten = best_of(lambda: embed_all(model, files * 10, 2), 1)
        seconds = SECONDS * args.files
        report["workers"] = {
            "one": seconds / one,
            "two": seconds / two,
            "ratio": one / two,
            "ten times the files": ten / two / 10,
        }
        print(
            f"mp3 x {args.files}: one worker {seconds / one:.0f}x, two {seconds / two:.0f}x: {one / two:.3f};",
            end=" ",
        )
        print(f"ten times the files take {ten / two:.2f} times as long")
        report["start_up_s"] = found = start_up()
        print(", ".join(f"{n}: {v:.2f} s" for n, v in found.items()))
        report["peak_mb"] = peak_memory(args.hours, folder)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
