"""Fetch, unpack and decode freely licensed audio from distribution packages (see CORPUS.md).

The three stages share a work folder and can be stopped and run again. Files are known by the SHA-1 of their
bytes, which the manifest records: containers need no path logic, and what is found is what was meant.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import re
import shutil
import struct
import subprocess
import wave
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soxr

Row = dict[str, str]  # of the manifest
Packages = dict[str, list[Row]]  # the rows that may be trained on, by package
Line = dict[str, Any]  # of a JSON-lines file
Clip = tuple[npt.NDArray[np.int16], Line]  # samples and their entry in the index

RATE = 32_000  # Hz, of every clip
SHARD_SAMPLES = 16 * 60 * RATE  # 16 minutes, 61 MB as int16
CLIP_SECONDS, MUSIC_SECONDS, EXCERPT_SECONDS = 30.0, 60.0, 10.0
EXCERPT_POINTS = (0.2, 0.5, 0.8)  # of a piece of music of at least MUSIC_SECONDS
LARGEST_READ = 1 << 29  # bytes; larger files are opened only as zip
INSTRUMENT_PATH = re.compile(r"\.sf[23]/|freepats|drumkit|\.orgue/")
INSTRUMENT_CLASS = re.compile(
    r"accordion|bass|brass|choir|clap$|cymbal|drum|electric p|guitar|harp|hi-hat|mallet|organ|percussion|"
    r"piano|strings|synth|tabla|tom$|wood"
)
FETCH_COMMANDS = {
    "": ["apt-get", "download", "-qq"],
    "npm": ["npm", "pack", "--silent"],
    "pypi": ["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"],
}
# The judging data, by its names and by its file names (fold-source-take-class).
BENCHMARK = re.compile(r"(?<![a-z])esc[-_ ]?[15]0(?!\d)|(?<!\d)[1-5]-\d{4,6}-[a-z](-\d+)?\.(wav|ogg)", re.I)
# Hashes of files that other packages cut from the recordings of judging clips (see CORPUS.md).
JUDGED = re.compile("30047304b4|6305ada73b|6dd67e56cf|92491ef97f|b9ca7331a8|f50fc4f749")


def read_manifest(path: Path) -> Packages:
    """Return the usable rows; a package that holds one benchmark clip is left out whole."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    banned = {row["package"] for row in rows if BENCHMARK.search("{package} {path} {words}".format(**row))}
    packages: Packages = {}
    for row in rows:
        free = row["usable"] == "yes" and row["kind"] == "audio" and not row["dup_of"]
        if free and row["package"] not in banned and not JUDGED.match(row["sha1"]):
            packages.setdefault(row["package"], []).append(row)
    return packages


def group(row: Row) -> str:
    """Return music, speech, instruments or effects."""
    if row["class"] == "music track":
        return "music"
    if row["class"].startswith("speech"):
        return "speech"
    played = INSTRUMENT_PATH.search(row["path"]) or INSTRUMENT_CLASS.match(row["class"])
    return "instruments" if played else "effects"


def limit_speech(packages: Packages, per_package: int, total: int) -> Packages:
    """Keep the first speech clips of each package, English first, up to a total; keep everything else."""
    kept: Packages = {}
    for name, rows in packages.items():
        spoken = [row for row in rows if group(row) == "speech"]
        spoken.sort(key=lambda row: (not row["lang"].startswith("en"), row["sha1"]))
        del spoken[min(per_package, total) :]
        kept[name] = [row for row in rows if group(row) != "speech"] + spoken
        total -= len(spoken)
    return kept


def read_lines(path: Path) -> list[Line]:
    """Return the objects of a JSON-lines file; none if it is missing, and no torn last line."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def append_line(path: Path, record: Line) -> None:
    """Append one object to a JSON-lines file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


def each(names: Iterable[str], journal: Path, action: Callable[[str], Line]) -> None:
    """Run `action` on the packages that the journal does not hold yet; record results and failures."""
    done = {line["package"] for line in read_lines(journal) if "error" not in line}
    for name in [name for name in names if name not in done]:
        try:
            record = {"package": name, **action(name)}
        except Exception as error:  # one package must never stop the others
            record = {"package": name, "error": f"{type(error).__name__}: {error}"}
        append_line(journal, record)
        print(json.dumps(record, ensure_ascii=False), flush=True)


def fetch(packages: Packages, work: Path, cap_mb: float) -> None:
    """Download packages as long as less than `cap_mb` megabytes are held."""
    journal = work / "fetched.jsonl"

    def action(name: str) -> Line:
        if sum(line.get("bytes", 0) for line in read_lines(journal)) > cap_mb * 1e6:
            raise RuntimeError(f"{cap_mb:.0f} MB are held")
        folder = work / "packages" / name.replace(":", "_")
        folder.mkdir(parents=True, exist_ok=True)
        kind, _, bare = name.rpartition(":")
        subprocess.run([*FETCH_COMMANDS[kind], bare], cwd=folder, check=True, timeout=900)
        file = next(path for path in folder.iterdir() if path.suffix in (".deb", ".tgz", ".whl"))
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"file": file.name, "bytes": file.stat().st_size, "sha256": digest}

    each(packages, journal, action)


def wav_bytes(pcm: bytes, rate: int, width: int = 2) -> bytes:
    """Return mono PCM as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, width, rate, 0, "NONE", ""))
        file.writeframes(pcm)
    return buffer.getvalue()


def embedded_files(data: bytes) -> Iterator[bytes]:
    """Yield the WAV files and Ogg streams that lie uncompressed in `data` (rcc, cat, RES, ...)."""
    for match in re.finditer(rb"RIFF(....)WAVE", data, re.S):
        yield data[match.start() : match.start() + 8 + int.from_bytes(match[1], "little")]
    for match in re.finditer(rb"OggS\x00\x02", data):
        end, last = match.start(), 0
        while not last and data[end : end + 4] == b"OggS":  # page by page
            last, segments = data[end + 5] & 4, data[end + 26]
            end += 27 + segments + sum(data[end + 27 : end + 27 + segments])
        yield data[match.start() : end]


def soundfont_samples(data: bytes) -> Iterator[bytes]:
    """Yield the samples of a SoundFont bank: PCM as WAV (version 2), Ogg Vorbis as it is (version 3)."""
    base = data.index(b"smpl") + 8
    headers = data.rindex(b"shdr") + 8
    size = int.from_bytes(data[headers - 4 : headers], "little")
    for offset in range(headers, headers + size - 46, 46):  # the last record is a terminator
        start, end, _, _, rate, _, _, _, kind = struct.unpack_from("<5IBbHH", data, offset + 20)
        if kind & 0x10:
            yield data[base + start : base + end]
        else:
            yield wav_bytes(data[base + 2 * start : base + 2 * end], rate)


def patch_samples(data: bytes) -> Iterator[bytes]:
    """Yield the samples of a Gravis Ultrasound patch as WAV files."""
    offset = 239  # file, instrument and layer header
    while offset + 96 <= len(data):
        size, _, _, rate = struct.unpack_from("<IIIH", data, offset + 8)
        wide, unsigned = data[offset + 55] & 1, data[offset + 55] & 2
        pcm = data[offset + 96 : offset + 96 + size]
        if wide and unsigned:
            pcm = (np.frombuffer(pcm, "<u2") ^ 0x8000).tobytes()
        yield wav_bytes(pcm, rate, 1 + wide)
        offset += 96 + size


def contents(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file and of the audio files it carries."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from map(archive.read, archive.namelist())
    elif path.stat().st_size <= LARGEST_READ:
        data = path.read_bytes()
        yield data
        if data[:2] in (b"\x1e\x8c", b"\x1f\x8b"):  # a Clonk group is gzip under another magic
            data = zlib.decompressobj(31).decompress(b"\x1f\x8b" + data[2:])
        if data[8:12] == b"sfbk":
            yield from soundfont_samples(data)
        elif data[:6] == b"GF1PAT":
            yield from patch_samples(data)
        else:
            yield from embedded_files(data)


def harvest(tree: Path, wanted: set[str], target: Path) -> set[str]:
    """Write every wanted file found in `tree` to `target`, named by its hash; return what was not found."""
    missing = set(wanted)
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()):
        try:
            for data in contents(path):
                digest = hashlib.sha1(data).hexdigest()[:16]
                if digest in missing:
                    (target / digest).write_bytes(data)
                    missing.remove(digest)
        except (ValueError, OSError, struct.error, zlib.error, zipfile.BadZipFile) as error:
            print(f"{path}: {error}", flush=True)
    return missing


def keep_licences(tree: Path, target: Path) -> int:
    """Copy the licence texts of a package under flat names; return their number."""
    target.mkdir(parents=True, exist_ok=True)
    for path in tree.rglob("*"):
        if path.is_file() and re.match(r"copyright$|licen[cs]e|copying", path.name, re.I):
            shutil.copyfile(path, target / str(path.relative_to(tree)).replace("/", "__"))
    return len(list(target.iterdir()))


def unpack(packages: Packages, work: Path) -> None:
    """Take licences and wanted files out of every fetched package."""
    archives = {line["package"]: line.get("file", "") for line in read_lines(work / "fetched.jsonl")}

    def action(name: str) -> Line:
        safe, rows = name.replace(":", "_"), packages[name]
        archive, tree = work / "packages" / safe / archives[name], work / f"tree-{safe}"
        if archive.suffix == ".deb":
            subprocess.run(["dpkg", "-x", str(archive), str(tree)], check=True)
        else:
            shutil.unpack_archive(archive, tree, "gztar" if archive.suffix == ".tgz" else "zip")
        licences = keep_licences(tree, work / "licences" / safe)
        missing = harvest(tree, {row["sha1"] for row in rows}, work / "files" / safe)
        shutil.rmtree(tree)
        where = Counter(row["path"].split("/")[0] for row in rows if row["sha1"] in missing)
        return {"rows": len(rows), "licences": licences, "missing": where}

    each(filter(archives.get, packages), work / "unpacked.jsonl", action)


def read_audio(path: Path, start: float, seconds: float) -> tuple[npt.NDArray[np.float32], int]:
    """Return (channels, samples) and the sample rate; damage ends the clip."""
    blocks: list[npt.NDArray[np.float32]] = []
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.audio[0]
        planar, wanted = av.AudioResampler(format="fltp"), int(seconds * stream.rate)
        if start:
            container.seek(int(start / stream.time_base), stream=stream)
        with suppress(av.FFmpegError):
            for frame in container.decode(stream):
                blocks += [block.to_ndarray() for block in planar.resample(frame)]
                if sum(block.shape[1] for block in blocks) >= wanted:
                    break
        return np.concatenate(blocks, axis=1)[:, :wanted], stream.rate


def to_clip(audio: npt.NDArray[np.float32], rate: int) -> npt.NDArray[np.int16]:
    """Mix (channels, samples) to mono int16 at 32 kHz; channels that would cancel out are not mixed."""
    mono, power = audio.mean(axis=0), np.square(audio).mean(axis=1)
    if np.square(mono).mean() < 0.01 * power.mean():
        mono = audio[power.argmax()]
    mono = soxr.resample(mono, rate, RATE, quality="HQ")
    peak = float(np.abs(mono).max(initial=0.0))
    if not 1e-4 < peak < np.inf:
        raise ValueError(f"silent or broken: peak {peak}")
    samples: npt.NDArray[np.int16] = np.round(mono * (32767 / max(peak, 1.0))).astype(np.int16)
    return samples


def write_shard(folder: Path, clips: list[Clip]) -> None:
    """Write clips as the next .npy file, then replace the index by one that names them too."""
    index = read_lines(folder / "index.jsonl")
    name, start = f"shard-{len(list(folder.glob('shard-*'))):05d}.npy", 0
    np.save(folder / name, np.concatenate([samples for samples, _ in clips]))
    for samples, line in clips:
        index.append({**line, "start": start, "n_samples": len(samples), "shard": name})
        start += len(samples)
    draft = folder / "index.jsonl.tmp"
    draft.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in index), encoding="utf-8")
    draft.replace(folder / "index.jsonl")


def load_clip(line: Line, folder: Path) -> npt.NDArray[np.float32]:
    """Return one clip of the index, 32 kHz mono in [-1, 1]."""
    shard: npt.NDArray[np.int16] = np.load(folder / line["shard"], mmap_mode="r")
    return shard[line["start"] : line["start"] + line["n_samples"]].astype(np.float32) / np.float32(32767)


def clips_of(row: Row, path: Path, skip: set[str]) -> Iterator[Clip]:
    """Yield the start of a file, or three excerpts of long music, unless the shards hold them."""
    seconds, parts = float(row["seconds"] or 0), [(row["sha1"], 0.0, CLIP_SECONDS)]
    if group(row) == "music" and seconds >= MUSIC_SECONDS:
        parts = [(f"{row['sha1']}-{n}", at * seconds, EXCERPT_SECONDS) for n, at in enumerate(EXCERPT_POINTS)]
    kept = {key: row[key] for key in ("package", "path", "words", "class", "lang", "licence")}
    for name, start, length in parts:
        if name not in skip:
            audio, rate = read_audio(path, start, length)
            yield to_clip(audio, rate), {"id": name, **kept, "group": group(row), "source_rate": rate}


def decode(packages: Packages, work: Path) -> None:
    """Decode the unpacked files; a file that fails is recorded and not tried again."""
    folder, failed, waiting = work / "clips", work / "failed.jsonl", list[Clip]()
    folder.mkdir(parents=True, exist_ok=True)
    skip = {line["id"] for line in (*read_lines(folder / "index.jsonl"), *read_lines(failed))}
    for row in (row for rows in packages.values() for row in rows):
        path = work / "files" / row["package"].replace(":", "_") / row["sha1"]
        if row["sha1"] in skip or not path.exists():
            continue
        try:
            waiting += clips_of(row, path, skip)
        except Exception as error:  # one file must never stop the others
            append_line(failed, {"id": row["sha1"], "package": row["package"], "error": str(error)})
        if sum(len(samples) for samples, _ in waiting) >= SHARD_SAMPLES:
            write_shard(folder, waiting)
            waiting = []
    if waiting:
        write_shard(folder, waiting)


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("fetch", "unpack", "decode"))
    parser.add_argument("--manifest", type=Path, required=True, help="gzipped TSV, one row per audio file")
    parser.add_argument("--work", type=Path, required=True, help="folder of everything that is written")
    parser.add_argument("--packages", type=Path, help="one package a line, in order; default all")
    parser.add_argument("--cap-mb", type=float, default=5000, help="fetch nothing more beyond this")
    parser.add_argument("--speech-per-package", type=int, default=150)
    parser.add_argument("--speech-cap", type=int, default=1500, help="over all packages, in order")
    options = parser.parse_args()
    packages = read_manifest(options.manifest)
    names = options.packages.read_text().split() if options.packages else sorted(packages)
    chosen = {name: packages[name] for name in names if name in packages}
    chosen = limit_speech(chosen, options.speech_per_package, options.speech_cap)
    if options.stage == "fetch":
        fetch(chosen, options.work, options.cap_mb)
    elif options.stage == "unpack":
        unpack(chosen, options.work)
    else:
        decode(chosen, options.work)


if __name__ == "__main__":
    main()
