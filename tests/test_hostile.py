"""Thousands of broken files in one folder: no crash, no hang, every good one embedded, every bad one named."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import band_model
from make_sounds import noise, tone, wav_bytes, write_sound
from soundalike.batch import Progress, embed_into
from soundalike.export import read_embeddings
from soundalike.folders import find_sounds

RATE = 8000
SUFFIXES = (
    ".wav",
    ".flac",
    ".mp3",
    ".m4a",
    ".ogg",
    ".opus",
    ".aiff",
    ".aac",
    ".wma",
    ".caf",
    ".mkv",
    ".w64",
    ".wv",
    ".mp4",
)
Mutation = Callable[[bytes, np.random.Generator], bytes]


def cut(data: bytes, draw: np.random.Generator) -> bytes:
    return data[: int(draw.integers(0, len(data)))]


def flip(data: bytes, draw: np.random.Generator) -> bytes:
    out = bytearray(data)
    for at in draw.integers(0, len(out), int(draw.integers(1, 50))):
        out[at] ^= 1 << int(draw.integers(8))
    return bytes(out)


def flip_header(data: bytes, draw: np.random.Generator) -> bytes:
    head = min(len(data), 200)
    return flip(data[:head], draw) + data[head:]


def blank(data: bytes, draw: np.random.Generator) -> bytes:
    start, n = int(draw.integers(0, len(data))), int(draw.integers(1, 2000))
    return data[:start] + bytes(min(n, len(data) - start)) + data[start + n :]


def random_bytes(data: bytes, draw: np.random.Generator) -> bytes:
    start, n = int(draw.integers(0, len(data))), int(draw.integers(1, 500))
    return data[:start] + draw.bytes(min(n, len(data) - start)) + data[start + n :]


def behead(data: bytes, draw: np.random.Generator) -> bytes:
    return data[int(draw.integers(1, min(len(data), 400))) :]


def double(data: bytes, draw: np.random.Generator) -> bytes:
    return data + data[int(draw.integers(0, len(data))) :]


def largest(data: bytes, draw: np.random.Generator) -> bytes:
    """Make some number in the header as large as can be."""
    at = int(draw.integers(4, min(len(data), 120)))
    return data[:at] + b"\xff\xff\xff\x7f" + data[at + 4 :]


MUTATIONS: tuple[Mutation, ...] = (cut, flip, flip_header, blank, random_bytes, behead, double, largest)


def good_files(folder: Path) -> dict[str, bytes]:
    """Make one good file of each format; give their bytes."""
    folder.mkdir(parents=True)
    samples = tone(440, 0.5, 48_000) + noise(0.5, 48_000, seed=1, level=0.02)
    return {suffix: write_sound(folder / f"good{suffix}", samples, 48_000).read_bytes() for suffix in SUFFIXES}


def mutated(folder: Path, n: int, seed: int) -> None:
    """Fill a folder with ``n`` broken files; some of them can still be read."""
    draw = np.random.default_rng(seed)
    files = good_files(folder / "good")
    folder = folder / "mutated"
    folder.mkdir()
    for i in range(n):
        suffix = SUFFIXES[i % len(SUFFIXES)]
        other = SUFFIXES[int(draw.integers(len(SUFFIXES)))]
        kind = i // len(SUFFIXES) % (len(MUTATIONS) + 1)
        if kind == len(MUTATIONS):  # the head of one format before the body of another, under a third name
            data = files[other][: int(draw.integers(4, 600))] + files[suffix][int(draw.integers(4, 600)) :]
        else:
            data = MUTATIONS[kind](files[suffix], draw)
        (folder / f"{i:04}{suffix if i % 5 else other}").write_bytes(data)


def special(folder: Path) -> dict[str, str | None]:
    """Make the odd files that people have; give the code that each must fail with, None if it must not."""
    folder.mkdir(parents=True)
    (folder / "text.mp3").write_text("Dear diary,\n" * 100)
    (folder / "zero.wav").touch()
    (folder / "zeros.wav").write_bytes(bytes(5000))
    (folder / "three.wav").write_bytes(wav_bytes(np.array([9000, -9000, 5000], "<i2").tobytes(), RATE))
    (folder / "header-only.wav").write_bytes(wav_bytes(b"", RATE))
    (folder / "no-rate.wav").write_bytes(wav_bytes(bytes(range(200)), 0))
    (folder / "silence.flac").write_bytes(
        write_sound(folder / "s.flac", np.zeros((RATE, 1), np.float32), RATE).read_bytes()
    )
    (folder / "s.flac").unlink()
    write_sound(folder / "eight.wav", np.tile(tone(440, 0.3, RATE), (1, 8)), RATE)
    write_sound(folder / "loud.wav", tone(440, 0.3, RATE, 1e6), RATE, "pcm_f32le")
    write_sound(folder / "nan.wav", np.full((RATE, 1), np.nan, np.float32), RATE, "pcm_f32le")
    (folder / "named-wrong.mp3").write_bytes(write_sound(folder / "x.flac", tone(440, 0.3, RATE), RATE).read_bytes())
    (folder / "vanishing-link.wav").symlink_to(folder / "nowhere.wav")
    (folder / "loop.wav").symlink_to(folder / "loop.wav")
    (folder / "page.html.wav").write_text("<html><body>404</body></html>")
    os.mkfifo(folder / "pipe.wav")
    return {
        "text.mp3": "not_audio", "zero.wav": "empty", "zeros.wav": "not_audio", "three.wav": None,
        "header-only.wav": "empty", "no-rate.wav": "damaged", "silence.flac": "silent", "eight.wav": None,
        "loud.wav": None, "nan.wav": "silent", "named-wrong.mp3": None, "x.flac": None,
        "vanishing-link.wav": "missing", "loop.wav": "unreadable", "page.html.wav": "not_audio",
        "pipe.wav": "unreadable",
    }  # fmt: skip


def failures_of(out: Path) -> dict[str, str]:
    with (out / "failures.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"]: row["code"] for row in csv.DictReader(file) if row["reason"]}


def embedded_of(out: Path) -> set[str]:
    return {record["path"] for record in read_embeddings(out).records}


def test_odd_files_are_embedded_or_named_with_the_right_cause(tmp_path: Path) -> None:
    want = special(tmp_path / "in")
    embed_into(tmp_path / "out", band_model(), find_sounds([tmp_path / "in"]))
    found: dict[str, str | None] = {**failures_of(tmp_path / "out"), **dict.fromkeys(embedded_of(tmp_path / "out"))}
    assert found == want


def test_a_folder_called_like_a_sound_is_walked(tmp_path: Path) -> None:
    good_files(tmp_path / "in" / "x.wav")
    embed_into(tmp_path / "out", band_model(), find_sounds([tmp_path / "in"]))
    assert embedded_of(tmp_path / "out") == {f"x.wav/good{suffix}" for suffix in SUFFIXES}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_sound(tmp_path / "in" / "a.wav", tone(440, 0.3, RATE), RATE).chmod(0)
    embed_into(tmp_path / "out", band_model(), find_sounds([tmp_path / "in"]))
    assert failures_of(tmp_path / "out") == {"a.wav": "unreadable"}


def test_files_that_vanish_or_shrink_during_the_run_cost_only_themselves(tmp_path: Path) -> None:
    names = [f"{i:02}.wav" for i in range(12)]
    (tmp_path / "in").mkdir()
    for name in names:
        write_sound(tmp_path / "in" / name, tone(440, 0.3, RATE), RATE)

    def meddle(progress: Progress) -> None:
        if progress.n_done == 2:
            (tmp_path / "in" / "10.wav").unlink(missing_ok=True)
            (tmp_path / "in" / "11.wav").write_bytes(b"RIFF")

    embed_into(tmp_path / "out", band_model(), find_sounds([tmp_path / "in"]), workers=1, on_progress=meddle)
    assert failures_of(tmp_path / "out") == {"10.wav": "missing", "11.wav": "not_audio"}
    assert embedded_of(tmp_path / "out") == set(names[:10])


def check(place: Path, n: int) -> Counter[str]:
    """Embed what `mutated` made; give the counts by outcome."""
    out, seen = place / "out", 0

    def on_progress(progress: Progress) -> None:
        nonlocal seen
        seen = progress.n_done + progress.n_failed

    end = embed_into(out, band_model(), find_sounds([place / "in"]), on_progress=on_progress)
    n_all = n + len(SUFFIXES)
    embedded, failed = embedded_of(out), failures_of(out)
    assert (end.n_total, seen, end.n_done + end.n_failed) == (n_all, n_all, n_all)
    assert len(embedded) == end.n_done
    assert len(failed) == end.n_failed
    assert not embedded & failed.keys()
    assert {f"good/good{suffix}" for suffix in SUFFIXES} <= embedded
    assert np.isfinite(read_embeddings(out).vectors).all()
    return Counter({**failed, **dict.fromkeys(embedded, "embedded")}.values())


def test_a_hundred_mutated_files(tmp_path: Path) -> None:
    mutated(tmp_path / "in", 126, seed=1)
    outcomes = check(tmp_path, 126)
    assert outcomes["embedded"] > 20
    assert outcomes["damaged"] + outcomes["not_audio"] > 10


@pytest.mark.slow
def test_two_thousand_mutated_files(tmp_path: Path) -> None:
    """In a process of its own, so that a crash or a hang of a decoder is a failure and no end of the tests."""
    mutated(tmp_path / "in", 2000, seed=2)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "import test_hostile; print(dict(test_hostile.check(Path(sys.argv[2]), 2000)))"
    )
    command = [
        sys.executable,
        "-W",
        "error",
        "-X",
        "faulthandler",
        "-c",
        code,
        str(Path(__file__).parent),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)
    assert "embedded" in done.stdout
