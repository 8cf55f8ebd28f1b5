"""Features: librosa's numbers, known sounds, broken ones, and the command."""

from __future__ import annotations

import json
import runpy
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from soundalike.canvas import Canvas
from soundalike.cli import main
from soundalike.errors import SoundError
from soundalike.features import COLUMNS, Features, measure, measure_file
from soundalike.features.analysis import Analysis, Thinned
from soundalike.features.picture import draw
from soundalike.features.pitch import yin
from soundalike.features.report import note_name, record
from soundalike.features.rhythm import tempogram
from soundalike.features.spectral import batches
from soundalike.features.tonal import estimate_key
from soundalike.loudness import Meter, loudness_of_file
from soundalike.types import F32

GOLDEN = Path(__file__).parent / "golden"
SAMPLE_RATE = 22_050


def tone(hz: float, duration_s: float = 1.0, sample_rate: int = SAMPLE_RATE, level: float = 0.5) -> F32:
    time = np.arange(round(duration_s * sample_rate)) / sample_rate
    return np.asarray(level * np.sin(2 * np.pi * hz * time), np.float32)


def clicks(bpm: float, duration_s: float = 12.0) -> F32:
    out = np.zeros(round(duration_s * SAMPLE_RATE), np.float32)
    burst = tone(1000, 0.02) * np.linspace(1, 0, 441, dtype=np.float32)
    for start in (np.arange(0.1, duration_s - 0.1, 60 / bpm) * SAMPLE_RATE).astype(int):
        out[start : start + burst.size] += burst
    return out


@pytest.fixture(scope="module")
def signal() -> F32:
    made: F32 = runpy.run_path(str(GOLDEN / "make_features.py"))["make_signal"]()
    return made


@pytest.fixture(scope="module")
def found(signal: F32) -> Features:
    return measure(signal, SAMPLE_RATE)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    with np.load(GOLDEN / "features" / "librosa.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", sorted(set(COLUMNS) - {"f0_hz", "aperiodicity"}))
def test_frames_are_librosas(name: str, found: Features, golden: dict[str, Any]) -> None:
    difference = np.abs(found.frames[name] - golden[name]).max()
    assert found.frames[name].shape == golden[name].shape
    assert difference <= 3e-6 * np.abs(golden[name]).max()


def test_pitch_is_librosas(signal: F32, found: Features, golden: dict[str, Any]) -> None:
    frames = np.concatenate([batch.frames for batch in batches([signal])])
    f0, aperiodicity = yin(frames, SAMPLE_RATE)
    sounding = frames.any(axis=1)
    cents = 1200 * np.abs(np.log2(f0 / golden["f0_hz"]))[sounding]
    assert np.mean(cents < 1) > 0.99  # two troughs of the same depth may change places
    voiced = np.isfinite(found.frames["f0_hz"])
    np.testing.assert_array_equal(found.frames["f0_hz"][voiced], f0[voiced])
    assert aperiodicity[~sounding].min() == 1


def test_onsets_and_tempo_are_librosas(found: Features, golden: dict[str, Any]) -> None:
    np.testing.assert_allclose(found.onsets_s, golden["onsets_s"], atol=1e-6)
    np.testing.assert_allclose(
        tempogram(found.frames["onset_strength"], SAMPLE_RATE / 512), golden["tempogram"], atol=2e-6
    )
    assert found.tempo is not None
    assert abs(60 / found.tempo.bpm - 60 / golden["tempo_bpm"]) <= 0.5 * 512 / SAMPLE_RATE + 1e-9
    assert abs(found.tempo.bpm - 97) < 1


@pytest.mark.parametrize("n_blocks", [2, 7, 300])
def test_blocks_do_not_matter(n_blocks: int, signal: F32, found: Features) -> None:
    analysis = Analysis()
    analysis.take(np.array_split(signal, n_blocks))
    again = analysis.result(found.duration_s, found.loudness)
    for name in COLUMNS:
        np.testing.assert_array_equal(again.frames[name], found.frames[name])
    np.testing.assert_array_equal(again.mel_db, found.mel_db)


@pytest.mark.parametrize(("hz", "cents"), [(41.2, 25), (110.0, 8), (440.0, 4), (1000.0, 6), (2000.0, 12)])
def test_tones_have_their_pitch(hz: float, cents: float) -> None:
    frames = measure(tone(hz), SAMPLE_RATE).frames
    middle = frames["f0_hz"][5:-5]
    assert np.abs(1200 * np.log2(middle / hz)).max() < cents


def test_noise_has_no_pitch_and_is_flat() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    found = measure(noise, SAMPLE_RATE)
    assert np.isnan(found.frames["f0_hz"]).all()
    assert 0.5 < found.frames["flatness"].mean() < 0.65  # exp(-Euler's gamma) = 0.56 for a periodogram
    assert found.tempo is None or found.tempo.strength < 0.1
    assert measure(tone(440), SAMPLE_RATE).frames["flatness"].mean() < 0.01


@pytest.mark.parametrize("bpm", [72, 90, 120, 128, 150])
def test_clicks_have_their_tempo(bpm: float) -> None:
    tempo = measure(clicks(bpm), SAMPLE_RATE).tempo
    assert tempo is not None
    assert tempo.bpm == pytest.approx(bpm, rel=0.003)
    assert tempo.strength > 0.6
    assert tempo.alternative_bpm in (pytest.approx(tempo.bpm * 2), pytest.approx(tempo.bpm / 2))


def test_click_times_are_found() -> None:
    onsets = measure(clicks(100, 6.0), SAMPLE_RATE).onsets_s
    expected = np.arange(0.1, 5.9, 0.6)
    assert np.abs(onsets[:, None] - expected).min(axis=0).max() < 0.07


@pytest.mark.parametrize(("tonic", "mode"), [(0, "major"), (9, "minor"), (6, "major"), (3, "minor")])
def test_scales_have_their_key(tonic: int, mode: str) -> None:
    steps = (0, 4, 7, 0, 2, 4, 5, 7, 9, 11, 0) if mode == "major" else (0, 3, 7, 0, 2, 3, 5, 7, 8, 10, 0)
    notes = [tone(261.626 * 2 ** ((tonic + step) / 12), 0.4) for step in (*steps, 0, 7, 0)]
    key = measure(np.concatenate(notes), SAMPLE_RATE).key
    assert key is not None
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    assert str(key) == f"{names[tonic]} {mode}"
    assert key.correlation > 0.7
    assert estimate_key(np.ones(12)) is None


# EBU Tech 3341 (2016), table 1: level and seconds of stereo sines of 1 kHz, and what a meter must show.
@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-23, 20)], -23.0),
        ([(-33, 20)], -33.0),
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),
    ],
)
def test_loudness_meets_ebu_3341(parts: list[tuple[float, float]], expected: float) -> None:
    rate = 48_000
    meter = Meter()
    for level, seconds in parts:
        mono = tone(1000, seconds, rate, 10 ** (level / 20))
        meter.push(np.stack([mono, mono], axis=1), rate)
    assert meter.result().integrated_lufs == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("sample_rate", [11_025, 44_100, 192_000])
def test_loudness_of_a_full_scale_tone(sample_rate: int) -> None:
    meter = Meter()
    for block in np.array_split(tone(997, 3, sample_rate, 1.0)[:, None], 13):
        meter.push(block, sample_rate)
    found = meter.result()
    assert found.integrated_lufs == pytest.approx(-3.01, abs=0.03)
    assert found.peak_db == pytest.approx(0, abs=0.01)


def test_surround_channels_weigh_more_and_the_low_one_nothing() -> None:
    def loudness(channel: int) -> float | None:
        samples = np.zeros((48_000, 6), np.float32)
        samples[:, channel] = tone(997, 1, 48_000)
        meter = Meter()
        meter.push(samples, 48_000)
        return meter.result().integrated_lufs

    front, low, surround = loudness(0), loudness(3), loudness(5)
    assert low is None
    assert front is not None
    assert surround == pytest.approx(front + 1.49, abs=0.01)


@pytest.mark.parametrize(
    "samples", [np.zeros(22_050), np.zeros(1), np.ones(1), np.full(3, -1e12), np.ones(100)]
)
@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 192_000])
def test_the_least_of_sounds(samples: F32, sample_rate: int) -> None:
    found = measure(samples.astype(np.float32), sample_rate)
    finite = {name: np.isfinite(values).all() for name, values in found.frames.items() if name != "f0_hz"}
    assert all(finite.values())
    assert found.times_s.size == len(found.frames["rms"]) >= 1
    assert found.onsets_s.size == 0
    assert draw(found, "least")[:8] == b"\x89PNG\r\n\x1a\n"
    assert json.dumps(record(found))


def test_silence_has_nothing() -> None:
    found = measure(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)
    assert found.tempo is None
    assert found.key is None
    assert found.loudness.integrated_lufs is None
    assert np.isnan(found.frames["f0_hz"]).all()
    assert not found.frames["chroma"].any()


@pytest.mark.parametrize("samples", [np.empty(0), np.full(9, np.nan), np.full(9, np.inf), np.ones((2, 2, 2))])
def test_what_is_not_sound_is_refused(samples: F32) -> None:
    with pytest.raises(ValueError, match="samples"):
        measure(samples, SAMPLE_RATE)


def test_eight_channels_at_192_khz_with_nan(tmp_path: Path) -> None:
    samples = np.repeat(tone(440, 0.5, 192_000)[:, None], 8, axis=1)
    samples[1000:1010, 3] = np.nan
    soundfile.write(tmp_path / "eight.wav", samples, 192_000, subtype="FLOAT")
    found = measure_file(tmp_path / "eight.wav")
    assert found.duration_s == pytest.approx(0.5)
    assert np.nanmedian(found.frames["f0_hz"]) == pytest.approx(440, rel=0.003)
    assert "not usable numbers" in found.warnings[0]
    assert np.isfinite(found.loudness.momentary_lufs).all()


def test_broken_files_raise(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is no sound")
    for name in ("text.wav", "absent.wav"):
        with pytest.raises(SoundError):
            measure_file(tmp_path / name)
        with pytest.raises(SoundError):
            loudness_of_file(tmp_path / name)


def test_a_file_gives_what_its_samples_give(tmp_path: Path, signal: F32, found: Features) -> None:
    soundfile.write(tmp_path / "a.wav", signal, SAMPLE_RATE, subtype="FLOAT")
    again = measure_file(tmp_path / "a.wav")
    np.testing.assert_array_equal(again.frames["mfcc"], found.frames["mfcc"])
    assert found.loudness.integrated_lufs is not None
    assert again.loudness.integrated_lufs == pytest.approx(found.loudness.integrated_lufs, abs=1e-4)
    assert again.duration_s == pytest.approx(found.duration_s)


@pytest.mark.parametrize("average", [False, True])
def test_thinned_rows_stay_few_and_even(average: bool) -> None:
    thinned = Thinned(100, average=average)
    everything = np.arange(1234, dtype=np.float32)[:, None]
    for part in np.array_split(everything, 37):
        thinned.add(part)
    rows = thinned.rows[:, 0]
    assert thinned.step == 16
    assert len(rows) == 78
    np.testing.assert_allclose(rows[:-1], np.arange(77) * 16 + (7.5 if average else 0))


def test_notes_have_names() -> None:
    assert note_name(440.0) == "A4 +0 cents"
    assert note_name(27.5 * 2 ** (0.25 / 12)) == "A0 +25 cents"
    assert note_name(261.626) == "C4 +0 cents"


def test_picture_is_a_png_of_its_pixels() -> None:
    canvas = Canvas(40, 20, (255, 255, 255))
    canvas.box(-5, 2, 10, 3, (255, 0, 0))
    canvas.text(35, 15, "Agé", (0, 0, 0))  # beyond both edges, and a letter that has no glyph
    data = canvas.png()
    lines = np.frombuffer(zlib.decompress(data[data.index(b"IDAT") + 4 : -16]), np.uint8).reshape(20, 121)
    np.testing.assert_array_equal(lines[:, 1:].reshape(20, 40, 3), canvas.pixels)
    assert canvas.pixels[3, 4].tolist() == [255, 0, 0]
    assert canvas.pixels[3, 5].tolist() == [255, 255, 255]


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["features", *map(str, arguments)])


def test_command_prints_tables_json_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440), SAMPLE_RATE)
    table = run(path).stdout
    assert "A4 +" in table
    assert "centroid_hz" in table
    answer = json.loads(run(path, "--json").stdout)
    assert answer["duration_s"] == 1.0
    assert answer["summary"]["f0_hz"]["median"] == pytest.approx(440, rel=1e-3)
    assert "frames" not in answer
    frames = json.loads(run(path, "--json", "--per-frame").stdout)["frames"]
    assert len(frames["time_s"]) == len(frames["mfcc"]) == 44
    lines = run(path, "--per-frame").stdout.splitlines()
    assert len(lines) == 45
    assert len(lines[1].split("\t")) == len(lines[0].split("\t")) == 2 + sum(COLUMNS.values())


def test_command_writes_arrays_and_pictures(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, tone(440), SAMPLE_RATE)
    assert (
        run(tmp_path / "a.wav", "--npz", tmp_path / "a.npz", "--picture", tmp_path / "a.png").exit_code == 0
    )
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["mfcc"].shape == (44, 20)
        assert arrays["tempo_bpm"].shape == ()
    assert (tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
    assert run(tmp_path / "a.wav", tmp_path / "b.wav", "--picture", tmp_path / "out").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav.png", "b.wav.png"]


def test_command_names_what_failed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440), SAMPLE_RATE)
    done = run(tmp_path / "absent.wav", tmp_path / "a.wav", "--json")
    assert done.exit_code == 1
    assert [json.loads(line).get("error") for line in done.stdout.splitlines()] == ["missing", None]
    assert "absent.wav" in done.stderr
    assert run(tmp_path / "a.wav", "--npz", tmp_path / "no" / "where.npz").exit_code == 2
    assert run(tmp_path / "a.wav", tmp_path / "x" / "a.wav", "--npz", tmp_path / "out").exit_code == 2
