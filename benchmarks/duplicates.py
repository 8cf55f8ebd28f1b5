"""Whether duplicates come out, with their kinds and numbers, and nothing else.

    python benchmarks/duplicates.py FOLDER [--sounds 300] [--distractors 3000] [--copies 5] [--seed 0]

Sounds of the folder are drawn by lot. Of the first ones copies are made with the public tools ffmpeg, sox and
rubberband, each in several of the ways of `WAYS`; the others, among them neighbors from the same packages, must not be
taken for copies of anything. All files go into a library; then `Library.duplicates` is asked, and beside it Chromaprint
(fpcalc; bits that differ at the best offset) and plain cosine of the vectors: of the same proposals, and each at the
threshold that is best for it on these files. Chromaprint is made for sounds longer than 3 s: it has a row for those.

Recall counts pairs of original and copy. Precision counts all pairs that are reported; two copies of one original are
right. The collection may hold duplicates of its own: two sounds are taken for one recording too if subtracting one of
a reported pair from the other, filtered, in step and at its speed, leaves less than a tenth; then so are their
copies. All pairs that nobody planted are listed, and the first figure for precision counts them as wrong.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy import signal

from soundalike import audio
from soundalike.duplicates.align import in_step
from soundalike.duplicates.changes import changes
from soundalike.duplicates.finding import LEAST_SURE, N_NEAREST
from soundalike.duplicates.prints import RATE
from soundalike.folders import find_sounds
from soundalike.library import Library
from soundalike.library.duplicates import Duplicate

Rng = np.random.Generator
Truth = dict[str, float]


@dataclass(frozen=True, slots=True)
class Job:
    """A sound to copy."""

    source: Path
    duration_s: float
    filler: Path  # another sound, to lay around a piece


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def ffmpeg(source: Path, out: Path, *options: object) -> None:
    run("ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", source, *options, out)


def coded(suffix: str, *options: object) -> Callable[[Job, Path, Rng], tuple[Path, Truth]]:
    def make(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
        out = stem.with_suffix(suffix)
        ffmpeg(job.source, out, *options)
        return out, {}

    return make


def same_bytes(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
    return Path(shutil.copyfile(job.source, stem.with_suffix(job.source.suffix))), {}


def gain(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
    out, db = stem.with_suffix(".wav"), float(rng.uniform(-15, -3))
    run("sox", job.source, out, "gain", db)
    return out, {"gain_db": db}


def trimmed(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
    out, start = stem.with_suffix(".wav"), float(rng.uniform(0.05, 0.25)) * job.duration_s
    run("sox", job.source, out, "trim", start, job.duration_s * float(rng.uniform(0.5, 0.7)))
    return out, {"start_s": start}


def padded(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
    out, before = stem.with_suffix(".wav"), float(rng.uniform(0.2, 2))
    run("sox", job.source, out, "pad", before, float(rng.uniform(0.2, 2)))
    return out, {"start_s": -before}


def pitched(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
    out, semitones = stem.with_suffix(".wav"), float(rng.choice([-6, -4, -3, -2, -1, 1, 2, 3, 4, 6]))
    run("rubberband", "-q", "--pitch", semitones, job.source, out)
    return out, {"semitones": semitones, "speed": 1.0}


def stretched(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
    out, speed = stem.with_suffix(".wav"), float(rng.choice([0.85, 0.9, 0.95, 1.05, 1.1, 1.15]))
    run("rubberband", "-q", "--tempo", speed, job.source, out)
    return out, {"semitones": 0.0, "speed": speed}


def sped(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
    out, speed = stem.with_suffix(".wav"), float(rng.choice([0.85, 0.9, 0.95, 1.05, 1.1, 1.15]))
    run("sox", job.source, out, "speed", speed)
    return out, {"semitones": 12 * float(np.log2(speed)), "speed": speed}


def sox(*effect: object) -> Callable[[Job, Path, Rng], tuple[Path, Truth]]:
    def make(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
        out = stem.with_suffix(".wav")
        run("sox", "-G", job.source, out, *effect)
        return out, {}

    return make


def noisy(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
    samples, rate = soundfile.read(job.source)
    level = np.sqrt(np.mean(samples**2)) * 10 ** (-rng.uniform(15, 25) / 20)
    noise = level * rng.standard_normal(samples.shape)
    soundfile.write(stem.with_suffix(".wav"), np.clip(samples + noise, -1, 1), rate)
    return stem.with_suffix(".wav"), {}


def contained(job: Job, stem: Path, rng: Rng) -> tuple[Path, Truth]:
    """Lay the sound between parts of another one."""
    out = stem.with_suffix(".wav")
    (inner, rate), (outer, _) = soundfile.read(job.source), soundfile.read(job.filler)
    outer = np.resize(outer, round((2 * job.duration_s + 2) * rate))
    cut = int(rng.uniform(0.3, 0.7) * outer.size)
    soundfile.write(out, np.concatenate([outer[:cut], inner, outer[cut:]]), rate)
    return out, {"start_s": -cut / rate}


WAYS: dict[str, Callable[[Job, Path, Rng], tuple[Path, Truth]]] = {
    "same bytes": same_bytes,
    "FLAC": coded(".flac"),
    "MP3 128 kbit/s": coded(".mp3", "-b:a", "128k"),
    "MP3 64 kbit/s": coded(".mp3", "-b:a", "64k"),
    "AAC 96 kbit/s": coded(".m4a", "-b:a", "96k"),
    "Opus 64 kbit/s": coded(".opus", "-b:a", "64k"),
    "gain": gain,
    "22.05 kHz": coded(".wav", "-ar", 22_050),
    "stereo": coded(".wav", "-ac", 2),
    "trimmed": trimmed,
    "padded": padded,
    "pitch": pitched,
    "tempo": stretched,
    "speed": sped,
    "low-pass 2 kHz": sox("lowpass", 2000),
    "high-pass 400 Hz": sox("highpass", 400),
    "noise": noisy,
    "reverb": sox("reverb", 50),
    "contained": contained,
}
KIND = {  # what a way is called; the others by their first word
    "same bytes": "identical", "FLAC": "same samples", "22.05 kHz": "resampled", "stereo": "channels",
    "low-pass 2 kHz": "filtered", "high-pass 400 Hz": "filtered", "MP3 128 kbit/s": "re-encoded",
    "MP3 64 kbit/s": "re-encoded", "AAC 96 kbit/s": "re-encoded", "Opus 64 kbit/s": "re-encoded",
}  # fmt: skip
WITHIN = {"semitones": 0.1, "speed": 0.005, "start_s": 0.02, "gain_db": 0.3}  # speed: as a share
LEAST_S, LEAST_PEAK = 0.08, 0.01
SPEED_STEPS = np.linspace(-0.004, 0.004, 41)


@dataclass(frozen=True, slots=True)
class Planted:
    """A copy that was made."""

    original: Path
    copy: Path
    way: str
    truth: Truth
    duration_s: float


def is_sound(path: Path) -> bool:
    samples, rate = soundfile.read(path)
    return len(samples) / rate > LEAST_S and bool(np.abs(samples).max() > LEAST_PEAK)


def plant(folder: Path, out: Path, args: argparse.Namespace) -> list[Planted]:
    """Copy the sounds that were drawn, and make the duplicates."""
    rng = np.random.default_rng(args.seed)
    files = [sound.path for sound in find_sounds([folder])]
    drawn = [path for path in (files[i] for i in rng.permutation(len(files))) if is_sound(path)]
    n, fillers, drawn = args.sounds, drawn[: args.sounds], drawn[args.sounds :]
    for i, path in enumerate(drawn[: n + args.distractors]):
        shutil.copyfile(path, out / (f"b{i:04}.wav" if i < n else f"d{i:04}.wav"))
    names = list(WAYS)
    jobs = [(i, (i * args.copies + k) % len(names)) for i in range(n) for k in range(args.copies)]

    def make(job: tuple[int, int]) -> Planted | None:
        i, way = job
        original = out / f"b{i:04}.wav"
        duration_s = soundfile.info(original).duration
        one = Job(original, duration_s, fillers[i])
        try:
            copy, truth = WAYS[names[way]](one, out / f"b{i:04}-{way:02}", np.random.default_rng([args.seed, i, way]))
        except subprocess.CalledProcessError:  # some tools refuse some of the shortest sounds
            return None
        return Planted(original, copy, names[way], truth, duration_s)

    with ThreadPoolExecutor(2) as pool:
        return [planted for planted in pool.map(make, jobs) if planted is not None]


def is_right(planted: Planted, found: Duplicate) -> dict[str, bool]:
    """Whether each parameter of a copy was found, from the original's side."""
    is_turned = found.first.path == planted.copy
    said = {**found.relation.parameters, "start_s": found.relation.start_s}
    right = {}
    for name, true in planted.truth.items():
        value = said.get(name, 1.0 if name == "speed" else 0.0)
        if name == "speed":
            right[name] = abs((1 / value if is_turned else value) / true - 1) <= WITHIN[name]
        else:
            right[name] = abs((-value if is_turned else value) - true) <= WITHIN[name]
    return right


def family(path: Path) -> str:
    """Original and copies have one."""
    return path.name[:5]


def is_same_recording(found: Duplicate) -> bool:
    """Whether subtracting one from the other, filtered, in step and at its speed, leaves less than a tenth."""
    one, other = (np.concatenate(list(audio.read(sound.path, RATE))) for sound in (found.first, found.second))
    if "speed" not in found.relation.kinds:
        return left_db(one, other, round(found.relation.start_s * RATE)) < -10
    for speed in found.relation.parameters["speed"] * (1 + SPEED_STEPS):
        slowed = soxr.resample(other, RATE, RATE * speed)
        if left_db(one, slowed, best_lag(one, slowed, found.relation.start_s)) < -10:
            return True
    return False


def best_lag(one: np.ndarray, other: np.ndarray, start_s: float) -> int:
    """The lag within a twentieth of a second at which two signals correlate best."""
    products = np.abs(signal.correlate(one, other, method="fft"))
    lags = np.arange(1 - len(other), len(one))
    return int(lags[np.argmax(products * (np.abs(lags - start_s * RATE) <= RATE / 20))])


def left_db(one: np.ndarray, other: np.ndarray, lag: int) -> float:
    """What subtraction leaves where they overlap."""
    n = min(len(one) - max(lag, 0), len(other) - max(-lag, 0))
    if n < RATE // 50:
        return 0.0
    one, other = one[max(lag, 0) :][:n], other[max(-lag, 0) :][:n]
    return min(change.left_db for change in changes(one, in_step(one, other)))


def report(planted: Sequence[Planted], found: dict[tuple[Path, Path], Duplicate]) -> None:
    rows: defaultdict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    for one in planted:
        pair = found.get(key(one.original, one.copy))
        kind = KIND.get(one.way, one.way)
        right = pair is not None and all(is_right(one, pair).values())
        rows[one.way].append((pair is not None, pair is not None and kind in pair.relation.kinds, right))
    print(f"{'what was done':18}{'pairs':>7}{'found':>8}{'kind':>8}{'figures':>8}")
    for way, some in rows.items():
        n_found, n_kind, n_right = np.sum(some, axis=0)
        shares = n_found / len(some), n_kind / len(some), n_right / max(n_found, 1)
        print(f"{way:18}{len(some):7}" + "".join(f"{share:8.3f}" for share in shares))
    strange = [pair for (one, other), pair in found.items() if family(one) != family(other)]
    own = of_the_collection(strange)
    for pair in strange:
        mark = "own " if pair in own else "    "
        print(f"  {mark}{pair.first.path.name} {pair.second.path.name}: {pair.words}, {pair.relation.sure:.2f}")
    print(f"{'at least so sure':18}{'pairs':>7}{'recall':>8}{'precision':>11}{'its own left out':>18}")
    for least in (LEAST_SURE, *(step for step in (0.6, 0.7, 0.8, 0.9, 0.95) if step > LEAST_SURE)):
        some = {name: pair for name, pair in found.items() if pair.relation.sure >= least}
        recall = np.mean([key(one.original, one.copy) in some for one in planted])
        n_strange, n_own = (sum(pair.relation.sure >= least for pair in pairs) for pairs in (strange, own))
        right, of_others = 1 - n_strange / len(some), 1 - (n_strange - n_own) / (len(some) - n_own)
        print(f"{least:<18}{len(some):7}{recall:8.3f}{right:11.4f}{of_others:18.4f}")


def of_the_collection(strange: Sequence[Duplicate]) -> list[Duplicate]:
    """Pairs of sounds that were one recording before any copy was made, and of their copies."""
    recordings: dict[str, str] = {}

    def recording(name: str) -> str:
        while recordings.setdefault(name, name) != name:
            name = recordings[name]
        return name

    for pair in strange:
        if is_same_recording(pair):
            recordings[recording(family(pair.first.path))] = recording(family(pair.second.path))
    return [
        pair for pair in strange if recording(family(pair.first.path)) == recording(family(pair.second.path))
    ]  # fmt: skip


def key(one: Path, other: Path) -> tuple[Path, Path]:
    return min(one, other), max(one, other)


# Rivals


def fingerprint(path: Path) -> np.ndarray:
    done = subprocess.run(["fpcalc", "-raw", "-json", str(path)], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["fingerprint"] if done.returncode == 0 and done.stdout else []
    return np.array(found, np.uint32)


def bits_alike(one: np.ndarray, other: np.ndarray) -> float:
    """Share of equal bits at the best offset with at least half of the shorter overlapping."""
    if len(one) < len(other):
        one, other = other, one
    if not len(other):
        return 0.0
    best, half = 0.0, (len(other) + 1) // 2
    for lag in range(half - len(other), len(one) - half + 1):
        a = one[max(lag, 0) : lag + len(other)]
        b = other[max(-lag, 0) :][: len(a)]
        best = max(best, 1 - float(np.bitwise_count(a ^ b).mean()) / 32)
    return best


def proposals(library: Library) -> list[tuple[Path, Path, float]]:
    """Pairs of nearest sounds, with their cosine."""
    ids, vectors = library.vectors()
    paths = library.paths()
    pairs: dict[tuple[Path, Path], float] = {}
    for row, vector in enumerate(vectors):
        scores = vectors @ vector
        scores[row] = -2
        for other in np.argpartition(-scores, N_NEAREST)[:N_NEAREST].tolist():
            pairs[key(paths[int(ids[row])], paths[int(ids[other])])] = float(scores[other])
    return [(*pair, score) for pair, score in pairs.items()]


def best_threshold(name: str, planted: Sequence[Planted], scored: Sequence[tuple[Path, Path, float]]) -> None:
    """Print recall and precision where their harmonic mean is best, and recall where precision is 0.99."""
    true = {key(one.original, one.copy) for one in planted}
    order = sorted(scored, key=lambda one: -one[2])
    right = np.cumsum([family(one) == family(other) for one, other, _ in order])
    hits = np.cumsum([(one, other) in true for one, other, _ in order])
    precision, recall = right / np.arange(1, len(order) + 1), hits / max(len(true), 1)
    best = int(np.argmax(2 * precision * recall / np.maximum(precision + recall, 1e-9)))
    strict = np.flatnonzero(precision >= 0.99)
    at_strict = recall[strict[-1]] if len(strict) else 0.0
    print(f"{name:28} recall {recall[best]:.3f}, precision {precision[best]:.3f}; at precision 0.99: {at_strict:.3f}")


def rivals(library: Library, planted: Sequence[Planted]) -> None:
    pairs = proposals(library)
    best_threshold("cosine", planted, pairs)
    paths = sorted({path for one, other, _ in pairs for path in (one, other)})
    with ThreadPoolExecutor(2) as pool:
        prints = dict(zip(paths, pool.map(fingerprint, paths), strict=True))
    scored = [(one, other, bits_alike(prints[one], prints[other])) for one, other, _ in pairs]
    best_threshold("Chromaprint", planted, scored)
    long = {path for path in paths if soundfile_s(path) >= 3}
    some = [one for one in planted if one.duration_s >= 3 and one.copy in long]
    best_threshold("Chromaprint, 3 s and more", some, [one for one in scored if one[0] in long and one[1] in long])


def soundfile_s(path: Path) -> float:
    return audio.probe(path).duration_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, default in (("sounds", 300), ("distractors", 3000), ("copies", 5), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        sounds = Path(temporary, "sounds")
        sounds.mkdir()
        planted = plant(args.folder, sounds, args)
        with Library.create(Path(temporary, "library")) as library:
            library.add([sounds])
            start = time.monotonic()
            groups, failures = library.duplicates()
            took_s = time.monotonic() - start
            found = {key(one.first.path, one.second.path): one for group in groups for one in group.pairs}
            report(planted, found)
            print(f"{library.n_sounds()} files in {took_s:.0f} s, {len(failures)} failures")
            rivals(library, planted)


if __name__ == "__main__":
    main()
