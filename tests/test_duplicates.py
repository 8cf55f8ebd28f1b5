"""Duplicates: every relation on real sounds, near-alikes left alone, files moved away and back."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import click
import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

sys.path.insert(0, str(Path(__file__).parent))
import soundalike
from make_sounds import write_sound
from soundalike import audio
from soundalike.cli import duplicates as verb
from soundalike.cli import main
from soundalike.duplicates import (
    KINDS,
    LEAST_SURE,
    Kind,
    Pair,
    Recording,
    Relation,
    apart,
    find,
    finding,
    groups_of,
    in_words,
    last_moved,
    move_to_trash,
    put_back,
)  # fmt: skip
from soundalike.duplicates.align import correlation, in_step, score_at
from soundalike.duplicates.apart import Question, answer, answering
from soundalike.duplicates.changes import coherence
from soundalike.duplicates.lookup import sharing
from soundalike.duplicates.prints import RATE, Store, log_bands, spectra
from soundalike.duplicates.relation import Side, relate
from soundalike.duplicates.texture import details, texture
from soundalike.duplicates.warp import warp
from soundalike.errors import LibraryBusy, LibraryError, SoundalikeError
from soundalike.library import Library
from soundalike.library.database import writer_lock
from soundalike.types import F32
from soundalike.web.copies import keep_groups, kept_groups

EXAMPLES = Path(soundalike.__file__).parent / "examples"
WHOLE = 44_100


def recording(path: Path) -> Recording:
    info = audio.probe(path)
    content = path.read_bytes()
    with audio.read(path, info.sample_rate) as sound:
        for _ in sound:
            pass
    return Recording(
        path, sound.duration_s, info.sample_rate, info.channels, info.codec, info.bits_per_sample, len(content),
        hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


def compared(first: Path, second: Path) -> Relation | None:
    with Store() as store:
        sides = [Side(recording(path), store.add(path)) for path in (first, second)]
        store.finish()
        return relate(store, *sides, may_fit=True, may_be_warped=True)


def samples_of(path: Path, rate: int = WHOLE) -> F32:
    with audio.read(path, rate) as sound:
        whole: F32 = np.concatenate(list(sound))
    return whole


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, F32]:
    """Two seconds of a real loop, as WAV."""
    samples = samples_of(EXAMPLES / "drums" / "drum-loop-acoustic-120bpm.ogg")[: 2 * WHOLE]
    samples = samples * np.float32(0.5 / np.abs(samples).max())
    return write_sound(tmp_path_factory.mktemp("source") / "loop.wav", samples[:, None], WHOLE), samples


def made(kind: str, samples: F32, folder: Path) -> Path:
    """Make a copy by the simplest means."""
    rng = np.random.default_rng(0)
    path, rate = folder / f"{kind}.wav", WHOLE
    changed = samples[:, None]
    match kind:
        case "same samples":
            path = folder / "copy.flac"
        case "re-encoded":
            path = folder / "copy.mp3"
        case "gain":
            changed = changed * np.float32(0.5)
        case "resampled":
            changed, rate = audio.resample(samples, WHOLE, 22_050)[:, None], 22_050
        case "channels":
            changed = np.repeat(changed, 2, axis=1)
        case "trimmed":
            changed = changed[WHOLE // 4 : -WHOLE // 4]
        case "padded":
            changed = np.pad(changed, ((WHOLE // 2, WHOLE // 3), (0, 0)))
        case "contained":
            around = samples_of(EXAMPLES / "nature" / sorted(p.name for p in (EXAMPLES / "nature").iterdir())[0])
            around = np.resize(around, 6 * WHOLE)[:, None]
            changed = np.concatenate([around[: 3 * WHOLE], changed, around[3 * WHOLE :]])
        case "speed":
            changed = audio.resample(samples, 106, 100)[:, None]
        case "filtered":
            changed = signal.sosfilt(signal.butter(2, 1500, fs=WHOLE, output="sos"), samples)[:, None]
        case "noise":
            changed = changed + 0.1 * np.std(samples) * rng.standard_normal(changed.shape)
        case "reverb":
            tail = rng.standard_normal(WHOLE // 2) * np.exp(-np.arange(WHOLE // 2) / (0.12 * WHOLE))
            wet = signal.fftconvolve(samples, tail)[: len(samples)]
            changed = (samples + 0.4 * wet * np.std(samples) / np.std(wet))[:, None] * 0.7
    return write_sound(path, changed.astype(np.float32), rate)


@pytest.mark.parametrize(
    ("kind", "parameters", "start_s"),
    [
        ("same samples", {}, 0.0), ("re-encoded", {}, 0.0), ("gain", {"gain_db": -6.02}, 0.0), ("resampled", {}, 0.0),
        ("channels", {}, 0.0), ("trimmed", {}, 0.25), ("padded", {}, -0.5), ("contained", {}, -3.0),
        ("speed", {"speed": 1.06, "semitones": 1.01}, 0.0), ("filtered", {"low_pass_hz": 1500}, 0.0),
        ("noise", {"noise_db": -24}, 0.0), ("reverb", {}, 0.0),
    ],
)  # fmt: skip
def test_each_relation_is_found_with_its_figures(
    source: tuple[Path, F32], tmp_path: Path, kind: Kind, parameters: dict[str, float], start_s: float
) -> None:
    found = compared(source[0], made(kind, source[1], tmp_path))
    assert found is not None
    assert kind in found.kinds
    assert found.sure > 0.8
    assert found.start_s == pytest.approx(start_s, abs=0.02)
    within = {"gain_db": 0.1, "speed": 0.005, "semitones": 0.1, "low_pass_hz": 700, "noise_db": 2}
    for name, value in parameters.items():
        assert found.parameters[name] == pytest.approx(value, abs=within[name])


def test_the_other_way_round_says_the_opposite(source: tuple[Path, F32], tmp_path: Path) -> None:
    for kind, name, value in (("gain", "gain_db", 6.02), ("speed", "speed", 1 / 1.06)):
        found = compared(made(kind, source[1], tmp_path), source[0])
        assert found is not None
        assert found.parameters[name] == pytest.approx(value, abs=0.1 if kind == "gain" else 0.006)
    found = compared(made("padded", source[1], tmp_path), source[0])
    assert found is not None
    assert found.start_s == pytest.approx(0.5, abs=0.02)


def kick(seed: int, pitch_hz: float = 55.0) -> F32:
    """A drum as a synthesizer makes it: each hit is alike, none is the same."""
    time_s = np.arange(WHOLE // 2) / WHOLE
    rng = np.random.default_rng(seed)
    body = np.sin(2 * np.pi * (pitch_hz * time_s + 8 * (1 - np.exp(-30 * time_s)))) * np.exp(-6 * time_s)
    click = rng.standard_normal(time_s.size) * np.exp(-40 * time_s)
    hit: F32 = (0.4 * body + 0.2 * click).astype(np.float32)[:, None]
    return hit


def test_two_hits_of_one_drum_are_not_one_recording(tmp_path: Path) -> None:
    one, other, higher = (
        write_sound(tmp_path / f"{i}.wav", kick(i, hz), WHOLE) for i, hz in enumerate((55.0, 55.0, 61.7))
    )
    for second in (other, higher):
        found = compared(one, second)
        assert found is None or found.sure < 0.5


def test_notes_of_one_instrument_are_not_one_recording(tmp_path: Path) -> None:
    def tone(seed: int, pitch_hz: float) -> F32:
        rng, time_s = np.random.default_rng(seed), np.arange(WHOLE) / WHOLE
        partials = [np.sin(2 * np.pi * (k * pitch_hz * time_s + rng.random())) / k for k in range(1, 7)]
        note: F32 = (0.1 * np.sum(partials, axis=0) * np.exp(-3 * time_s)).astype(np.float32)[:, None]
        return note + 0.0005 * rng.standard_normal(note.shape).astype(np.float32)

    files = [write_sound(tmp_path / f"{i}.wav", tone(i, 220 * 2 ** (i / 6)), WHOLE) for i in range(4)]
    for i, one in enumerate(files):
        for other in files[i + 1 :]:
            found = compared(one, other)
            assert found is None or found.sure < 0.5, found


def test_different_examples_are_not_one_recording() -> None:
    files = sorted((EXAMPLES / "drums").iterdir()) + sorted((EXAMPLES / "animals").iterdir())
    with Store() as store:
        sides = [Side(recording(path), store.add(path)) for path in files]
        store.finish()
        for i, first in enumerate(sides):
            for second in sides[i + 1 :]:
                found = relate(store, first, second, may_fit=True, may_be_warped=True)
                assert found is None or found.sure < 0.5, (first.recording.path, second.recording.path, found)


def test_silence_matches_nothing(tmp_path: Path, source: tuple[Path, F32]) -> None:
    silent = write_sound(tmp_path / "silent.wav", np.zeros((WHOLE, 1), np.float32), WHOLE)
    other = write_sound(tmp_path / "other.wav", np.zeros((2 * WHOLE, 1), np.float32), WHOLE)
    assert compared(silent, other) is None
    assert compared(silent, source[0]) is None


def test_a_piece_is_found_far_into_a_long_file(tmp_path: Path, source: tuple[Path, F32]) -> None:
    rng = np.random.default_rng(3)
    long = (0.05 * rng.standard_normal(150 * RATE)).astype(np.float32)
    piece = audio.resample(source[1], WHOLE, RATE)
    long[120 * RATE : 120 * RATE + piece.size] = piece
    found = compared(write_sound(tmp_path / "long.wav", long[:, None], RATE), source[0])
    assert found is not None
    assert "contained" in found.kinds
    assert found.start_s == pytest.approx(120, abs=0.02)


# Parts


@given(lag=st.integers(-400, 1400), seed=st.integers(0, 99), gain=st.floats(-4, 4).filter(lambda x: abs(x) > 0.1))
def test_correlation_finds_where_a_template_lies(lag: int, seed: int, gain: float) -> None:
    rng = np.random.default_rng(seed)
    template = rng.standard_normal(800).astype(np.float32)
    wave = np.zeros(2000, np.float32)
    first, last = max(lag, 0), min(lag + 800, 2000)
    wave[first:last] = np.float32(gain) * template[first - lag : last - lag]
    scores = np.abs(correlation(wave, template))
    assert len(scores) == 2000 + 800 - 1
    assert int(np.argmax(scores)) - 799 == lag
    score, n_overlap = score_at(wave, template, lag)
    assert n_overlap == last - first
    assert abs(score) == pytest.approx(1, abs=1e-3)
    assert (score > 0) == (gain > 0)
    assert scores.max() <= abs(score) + 1e-3


@given(part=st.floats(-0.95, 0.95), seed=st.integers(0, 99))
def test_parts_of_a_sample_are_taken_back(part: float, seed: int) -> None:
    wave = np.random.default_rng(seed).standard_normal(1000)
    turned = np.fft.irfft(np.fft.rfft(wave) * np.exp(-2j * np.pi * np.fft.rfftfreq(1000) * part), 1000)
    one, other = wave.astype(np.float32), turned.astype(np.float32)
    back = in_step(one, other)
    assert np.corrcoef(one, back)[0, 1] > 0.99


@given(seed=st.integers(0, 99), n=st.integers(2000, 20_000))
def test_a_filter_leaves_coherence_and_another_take_does_not(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.standard_normal((2, n)).astype(np.float32)
    low_pass = signal.butter(1, 3000, fs=RATE, output="sos")
    assert coherence(one, signal.sosfilt(low_pass, one).astype(np.float32)) > 0.9
    assert coherence(one, other) < 0.25
    assert coherence(one[:90], other[:90]) == 0.0  # too few frames to tell


@settings(max_examples=15)
@given(steps=st.integers(-12, 12).filter(lambda n: abs(n) > 1))
def test_bands_that_are_moved_are_found_at_their_pitch(steps: int) -> None:
    bands = log_bands(spectra(samples_of(EXAMPLES / "drums" / "drum-loop-acoustic-120bpm.ogg", RATE)[: 3 * RATE])).T
    found = warp(bands, np.roll(bands, steps, axis=0), (1.0, 1.0))
    assert found is not None
    assert found.family == "pitch"
    assert found.semitones == pytest.approx(steps / 2, abs=0.1)
    assert found.detail > 0.5


@pytest.mark.parametrize("speed", [0.85, 0.9, 1.05, 1.15])
def test_bands_that_are_drawn_out_are_found_at_their_tempo(speed: float) -> None:
    samples = samples_of(EXAMPLES / "drums" / "drum-loop-acoustic-120bpm.ogg", RATE)[: 3 * RATE]
    magnitudes = spectra(samples)
    rows = np.minimum((np.arange(round(len(magnitudes) / speed)) * speed).astype(int), len(magnitudes) - 1)
    found = warp(log_bands(magnitudes).T, log_bands(magnitudes[rows]).T, (speed, speed))
    assert found is not None
    assert found.family == "tempo"
    assert found.speed == pytest.approx(speed, rel=0.005)
    assert warp(log_bands(magnitudes).T, log_bands(magnitudes[rows]).T, (2.0, 2.0)) is None


# Groups


@pytest.mark.parametrize(("semitones", "speed"), [(2.0, 2 ** (2 / 12)), (-0.5, 2 ** (-0.5 / 12))])
def test_texture_stays_at_another_speed_and_is_another_in_another_take(semitones: float, speed: float) -> None:
    one, other = (
        signal.lfilter([1.0], [1.0, -0.9], np.random.default_rng(seed).standard_normal(RATE)).astype(np.float32)
        for seed in (0, 1)
    )
    faster = audio.resample(one, round(RATE * speed), RATE)
    same = texture(details(one), details(faster, semitones, speed), 0.0)
    another = texture(details(other), details(faster, semitones, speed), 0.0)
    assert same is not None
    assert same.mean > 0.9
    assert same.least > 0.9
    assert abs(same.by_chance) < 0.2
    assert another is not None
    assert another.mean < 0.2
    assert texture(details(one), details(faster, semitones, speed), 2.0) is None


def test_an_onset_that_stays_is_not_taken_for_a_cut(source: tuple[Path, F32], tmp_path: Path) -> None:
    """The first moment fits as it is, as after a vocoder that holds onsets; the rest is drawn out."""
    held = 3000
    slower = vocoded(source[1][held:], 0.9)
    copy = np.concatenate([source[1][:held], slower])[:, None].astype(np.float32)
    found = compared(source[0], write_sound(tmp_path / "slower.wav", copy, WHOLE))
    assert found is not None
    assert found.kinds == ("tempo",)
    assert found.parameters["speed"] == pytest.approx(0.9, abs=0.02)


def vocoded(samples: F32, speed: float) -> F32:
    """A plain phase vocoder (Flanagan and Golden, 1966), at another tempo."""
    n_fft, hop = 2048, 256
    window = np.hanning(n_fft)
    padded = np.pad(samples, n_fft)
    starts = np.arange(0, len(padded) - n_fft - hop, hop * speed)
    phase, out = np.zeros(n_fft // 2 + 1), np.zeros(len(starts) * hop + n_fft)
    for i, start in enumerate(starts.astype(int)):
        before, here = (np.fft.rfft(window * padded[at : at + n_fft]) for at in (start, start + hop))
        phase = np.angle(before) if i == 0 else phase + np.angle(here) - np.angle(before)
        out[i * hop : i * hop + n_fft] += window * np.fft.irfft(np.abs(here) * np.exp(1j * phase))
    n = round(len(samples) / speed)
    stretched: F32 = (out[round(n_fft / speed) :][:n] / 3).astype(np.float32)
    return stretched


def of(name: str, **changes: object) -> Recording:
    values: dict[str, object] = {
        "path": Path(name), "duration_s": 2.0, "sample_rate": 44_100, "channels": 1, "codec": "pcm_s16le",
        "bits_per_sample": 16, "size": 176_400, "sha256": name,
    }  # fmt: skip
    return Recording(**{**values, **changes})  # type: ignore[arg-type]


def pair(first: int, second: int, *kinds: Kind) -> Pair:
    return Pair(first, second, Relation(kinds or ("gain",), 0.9, 0.0, {}))


def test_the_best_of_a_group_is_kept_and_it_is_said_why() -> None:
    lossy = of("a.mp3", codec="mp3", bits_per_sample=None, size=20_000)
    recordings = [lossy, of("b.wav"), of("longer.wav", duration_s=3.0)]
    group = groups_of([pair(0, 1), pair(1, 2)], recordings)[0]
    assert group.rows == (2, 1, 0)
    assert group.why == "the longest, lossless, the most bits"
    alike = groups_of([pair(0, 1)], [of("a/deep/x.wav"), of("x.wav")])[0]
    assert alike.rows == (1, 0)
    assert "shortest path" in alike.why


def test_what_lies_in_one_mix_is_not_one_recording() -> None:
    recordings = [of("mix.wav", duration_s=60.0), of("one.wav"), of("other.wav")]
    groups = groups_of([pair(0, 1, "contained"), pair(0, 2, "contained")], recordings)
    assert [group.rows for group in groups] == [(0, 1), (0, 2)]


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(lambda p: p[0] != p[1]), max_size=12))
def test_groups_are_what_pairs_connect(links: list[tuple[int, int]]) -> None:
    groups = groups_of([pair(*link) for link in links], [of(f"{i}.wav") for i in range(9)])
    rows = [row for group in groups for row in group.rows]
    assert len(rows) == len(set(rows))
    for group in groups:
        inside = set(group.rows)
        assert all({one.first, one.second} <= inside for one in group.pairs)
    assert sum(len(group.pairs) for group in groups) == len(links)


def test_every_kind_has_words() -> None:
    parameters = {"gain_db": -6.0, "semitones": 2.0, "speed": 1.06, "noise_db": -20.0, "low_pass_hz": 2000.0}
    lossy = of("b.mp3", codec="mp3", channels=2, sample_rate=48_000, size=32_000)
    for kind in KINDS:
        assert in_words(of("a.wav"), lossy, Relation((kind,), 1.0, 3.42, parameters))
    assert in_words(of("a.wav"), lossy, Relation(("re-encoded", "pitch"), 1.0, 0.0, parameters)) == (
        "pcm_s16le → mp3 128 kbit/s, pitch +2.0 st"
    )
    assert tuple(verb._KINDS) == KINDS
    said = verb.duplicates.get_help(click.Context(verb.duplicates))
    assert f"[default: {LEAST_SURE}]" in said


# The trash


def test_files_go_to_the_trash_and_back(tmp_path: Path) -> None:
    files = [tmp_path / "a" / "x.wav", tmp_path / "b" / "x.wav", tmp_path / "b" / "\udcff.wav"]
    for number, path in enumerate(files):
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(number))
    folder = move_to_trash(files, tmp_path / "trash")
    assert not any(path.exists() for path in files)
    assert last_moved(tmp_path / "trash") == folder
    (tmp_path / "b").rmdir()
    assert put_back(folder) == files
    assert [path.read_text() for path in files] == ["0", "1", "2"]
    assert last_moved(tmp_path / "trash") is None


def test_what_broke_off_can_be_put_back(tmp_path: Path) -> None:
    one, gone = tmp_path / "one.wav", tmp_path / "gone.wav"
    one.write_text("1")
    with pytest.raises(SoundalikeError, match=r"gone\.wav"):
        move_to_trash([one, gone], tmp_path / "trash")
    folder = last_moved(tmp_path / "trash")
    assert folder is not None
    assert put_back(folder) == [one]
    assert one.read_text() == "1"


def test_a_place_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    free, path = tmp_path / "0.wav", tmp_path / "a.wav"
    free.write_text("free")
    path.write_text("old")
    folder = move_to_trash([free, path], tmp_path / "trash")
    path.write_text("new")
    with pytest.raises(SoundalikeError, match="another file is there"):
        put_back(folder)
    assert path.read_text() == "new"
    assert not free.exists()  # all or none: what is back is indexed again
    path.unlink()
    assert put_back(folder) == [free, path]
    with pytest.raises(SoundalikeError, match="no folder of moved duplicates"):
        put_back(tmp_path)


# A library


@pytest.fixture
def library(tmp_path: Path, source: tuple[Path, F32]) -> Iterator[Library]:
    sounds = tmp_path / "sounds"
    shutil.copytree(EXAMPLES / "drums", sounds / "drums")
    copies = sounds / "copies"
    copies.mkdir()
    shutil.copy(source[0], copies / "loop.wav")
    for kind in ("re-encoded", "gain", "padded"):
        made(kind, source[1], copies)
    shutil.copy(sounds / "drums" / "kick-808.wav", copies / "kick again.wav")
    with Library.create(tmp_path / "library") as opened:
        opened.add([sounds])
        yield opened


def run(library: Library, *arguments: str, code: int = 0) -> list[str]:
    done = CliRunner().invoke(main, ["duplicates", "--library", str(library.path), *arguments])
    assert done.exit_code == code, done.output
    return done.stdout.splitlines()


def test_a_library_from_end_to_end(library: Library, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    groups, failures = library.duplicates(on_progress=lambda *step: steps.append(step))
    assert not failures
    assert {step for step, _, _ in steps} == {"read", "compare"}
    names = {tuple(sorted(sound.path.name for sound in group.sounds)) for group in groups}
    assert ("kick again.wav", "kick-808.wav") in names
    loops = next(group for group in groups if len(group.sounds) > 2)
    assert {"loop.wav", "copy.mp3", "gain.wav", "padded.wav"} <= {sound.path.name for sound in loops.sounds}
    lines = [orjson.loads(line) for line in run(library, "--json", "--kind", "identical")]
    assert len(lines) == 1
    assert lines[0]["pairs"][0]["kinds"] == ["identical"]
    sounds = tmp_path / "sounds"
    assert run(library, "--across", str(sounds / "drums"), str(sounds / "drums")) == []
    across = run(library, "--across", str(sounds / "drums"), str(sounds / "copies"), "--kind", "identical")
    assert "the same bytes" in across[1]


def test_copies_are_moved_away_and_put_back(library: Library, tmp_path: Path) -> None:
    n_sounds = library.n_sounds()
    run(library, "--apply", code=2)
    run(library, "--undo", code=2)
    kick_808, again = tmp_path / "sounds" / "drums" / "kick-808.wav", tmp_path / "sounds" / "copies" / "kick again.wav"
    run(library, "--apply", "--kind", "identical")
    assert kick_808.exists() != again.exists()
    assert library.n_sounds() == n_sounds - 1
    assert run(library, "--kind", "identical") == []
    run(library, "--undo")
    assert kick_808.exists()
    assert again.exists()
    assert library.n_sounds() == n_sounds
    with pytest.raises(LibraryError, match="this trash is empty"):
        library.undo_trash()


def test_an_empty_trash_is_not_taken_for_the_own_one(library: Library, tmp_path: Path) -> None:
    run(library, "--apply", "--kind", "identical", "--trash", str(tmp_path / "one"))
    library.trash_duplicates(library.duplicates(kinds=["gain"])[0])
    n_sounds = library.n_sounds()
    assert len(run(library, "--undo", "--trash", str(tmp_path / "one"))) == 1
    assert library.n_sounds() == n_sounds + 1
    run(library, "--undo", "--trash", str(tmp_path / "one"), code=2)
    assert library.n_sounds() == n_sounds + 1  # what lies in the library's own trash stays there
    assert library.undo_trash()


def test_nothing_moves_while_another_process_writes(library: Library) -> None:
    groups = library.duplicates(kinds=["identical"])[0]
    files = [sound.path for group in groups for sound in group.sounds]
    with writer_lock(library.path, "add"), pytest.raises(LibraryBusy):
        library.trash_duplicates(groups)
    assert all(path.exists() for path in files)
    library.trash_duplicates(groups)
    with writer_lock(library.path, "add"), pytest.raises(LibraryBusy):
        library.undo_trash()
    assert not all(path.exists() for path in files)


def test_the_page_and_the_command_line_give_the_same_figures(library: Library) -> None:
    groups = library.duplicates()[0]
    keep_groups(library, groups)
    printed = [orjson.loads(line)["pairs"] for line in run(library, "--json")]
    kept = kept_groups(library)
    assert kept is not None
    assert [group["pairs"] for group in kept] == printed
    library.remove([groups[0].sounds[1].path])
    left = kept_groups(library)
    assert left is not None
    assert sum(len(group["sounds"]) for group in left) < sum(len(group["sounds"]) for group in kept)


def test_a_file_that_has_gone_costs_itself_only(source: tuple[Path, F32], tmp_path: Path) -> None:
    copy = made("gain", source[1], tmp_path)
    recordings = [recording(source[0]), recording(copy), of(str(tmp_path / "gone.wav"))]
    vectors = np.eye(3, 8, dtype=np.float32) + np.float32(1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs, failures = find(recordings, vectors, workers=1)
    assert [(one.first, one.second) for one in pairs] == [(0, 1)]
    assert [failure.code for failure in failures] == ["missing"]
    assert find([], np.zeros((0, 8), np.float32)) == ([], [])
    assert find(recordings[:1], vectors[:1]) == ([], [])


def test_a_sound_that_is_everywhere_is_found_everywhere(source: tuple[Path, F32], tmp_path: Path) -> None:
    """Its landmarks are in too many files to tell anything."""
    gains = np.linspace(0.5, 0.9, 26, dtype=np.float32)
    files = [write_sound(tmp_path / f"{i}.wav", gain * source[1][:WHOLE, None], WHOLE) for i, gain in enumerate(gains)]
    vectors = np.ones((26, 8), np.float32) / np.float32(np.sqrt(8))
    pairs, _ = find([recording(path) for path in files], vectors)
    assert {row for pair in pairs for row in (pair.first, pair.second)} == set(range(26))


def test_landmarks_say_who_may_fit_whom(source: tuple[Path, F32], tmp_path: Path) -> None:
    noise = (0.1 * np.random.default_rng(5).standard_normal((2 * WHOLE, 1))).astype(np.float32)
    piece = write_sound(tmp_path / "piece.wav", source[1][WHOLE:, None], WHOLE)
    with Store() as store:
        prints = [store.add(path) for path in (source[0], piece, write_sound(tmp_path / "noise.wav", noise, WHOLE))]
        store.finish()
        shared = sharing(store, prints)
    assert shared.pairs.tolist() == [[0, 1]]
    assert min(shared.n_rare) > 0


@pytest.fixture
def questions(source: tuple[Path, F32], tmp_path: Path) -> Iterator[tuple[Store, list[Question]]]:
    files = [source[0], *(made(kind, source[1], tmp_path) for kind in ("gain", "pitch", "trimmed"))]
    with Store() as store:
        sides = [Side(recording(path), store.add(path)) for path in files]
        store.finish()
        yield store, [Question(sides[0], other, True, True) for other in sides[1:]]


def test_another_process_answers_the_same(questions: tuple[Store, list[Question]]) -> None:
    store, asked = questions
    with answering(store, 1) as ask:
        assert ask(asked) == answer(store, asked)
    assert None not in answer(store, asked)


def test_a_process_that_has_gone_is_not_missed(
    questions: tuple[Store, list[Question]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, asked = questions
    monkeypatch.setattr(apart, "__name__", "soundalike.nowhere")  # what it is to run
    with answering(store, 1) as ask:
        assert ask(asked) == answer(store, asked)
        assert ask(asked) == answer(store, asked)


def test_many_pairs_are_compared_in_processes(
    source: tuple[Path, F32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = [recording(source[0]), *(recording(made(kind, source[1], tmp_path)) for kind in ("gain", "trimmed"))]
    vectors = np.ones((3, 8), np.float32) / np.float32(np.sqrt(8))
    expected = find(recordings, vectors, workers=2)
    begun: list[int] = []

    def counted(store: Store, n_processes: int) -> AbstractContextManager[apart.Answer]:
        begun.append(n_processes)
        return answering(store, n_processes)

    monkeypatch.setattr(finding, "_MANY", 1)
    monkeypatch.setattr(finding, "answering", counted)
    assert find(recordings, vectors, workers=2) == expected
    assert begun == [2]
