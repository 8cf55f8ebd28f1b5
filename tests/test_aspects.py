"""Aspects: each says what it is called, rows keep their meaning, and sounds of any kind get one."""

from __future__ import annotations

import runpy
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from soundalike.aspects import (
    ASPECTS,
    SIZE,
    VERSION,
    Aspects,
    measure,
    measure_file,
    similarities,
    similarity,
    weigh,
)
from soundalike.aspects.measuring import LAYOUT, measure_blocks
from soundalike.types import F32

BENCHMARK = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "aspects.py"))
SAMPLE_RATE = 22_050


def sound(**properties: float) -> F32:
    made: F32 = BENCHMARK["synthesise"](BENCHMARK["Recipe"](**properties))
    return made


@pytest.fixture(scope="module")
def plain() -> Aspects:
    return measure(sound(), SAMPLE_RATE)


@pytest.mark.parametrize(
    "names",
    [("pitch_hz", "cutoff_hz", "tempo_bpm"), ("noise", "level_db"), ("length_s", "level_db")],
    ids="-".join,
)
def test_a_weighed_aspect_finds_its_property(names: tuple[str, ...]) -> None:
    rates = BENCHMARK["hit_rates"](names, most=3)
    for name in names:
        aspect = BENCHMARK["ASPECT_OF"][name]
        assert rates[aspect][name] >= 0.9
        assert rates["chance"][name] <= 0.5


def vowel(formants_hz: tuple[float, ...], hz: float) -> F32:
    partials = hz * np.arange(1, int(5000 / hz))
    gains = np.zeros(partials.size)
    for number, formant in enumerate(formants_hz, 1):
        gains += 1 / (1 + ((partials - formant) / 90) ** 2) / number
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    waves = gains[:, None] * np.sin(2 * np.pi * partials[:, None] * time)
    return np.asarray(0.1 * waves.sum(axis=0), np.float32)


def test_timbre_finds_the_vowel() -> None:
    vowels = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240)}
    made = [(name, hz) for name in vowels for hz in (110.0, 139.0, 175.0)]
    rows = np.stack([measure(vowel(vowels[name], hz), SAMPLE_RATE).to_array() for name, hz in made])
    for (name, hz), row in zip(made, rows, strict=True):
        score = similarities(row, rows)[:, ASPECTS.index("timbre")]
        others = [i for i, (_, other_hz) in enumerate(made) if other_hz != hz]
        assert made[max(others, key=lambda i: score[i])][0] == name


def test_a_sound_is_as_like_itself_as_can_be(plain: Aspects) -> None:
    assert similarity(plain, plain) == pytest.approx(dict.fromkeys(ASPECTS, 1.0))


def test_gain_and_silence_around_change_only_loudness_and_length(plain: Aspects) -> None:
    samples = np.pad(0.1 * sound(), (SAMPLE_RATE // 2, SAMPLE_RATE))
    scores = similarity(plain, measure(samples, SAMPLE_RATE))
    for name in ("pitch", "noisiness", "timbre", "brightness", "rhythm"):
        assert scores[name] > 0.8, name
    assert scores["loudness"] < 0.2


def test_the_octave_counts_half(plain: Aspects) -> None:
    def pitch(hz: float) -> float:
        return similarity(plain, measure(sound(pitch_hz=hz), SAMPLE_RATE))["pitch"]

    assert pitch(220 * 2 ** (0.1 / 12)) > pitch(440) > pitch(220 * 2 ** (1 / 12)) > pitch(220 * 2 ** (6 / 12))


def test_half_tempo_counts_in_part(plain: Aspects) -> None:
    def rhythm(bpm: float) -> float:
        return similarity(plain, measure(sound(tempo_bpm=bpm, length_s=8), SAMPLE_RATE))["rhythm"]

    assert rhythm(100) > rhythm(101) > rhythm(50) > rhythm(137)


def test_rows_come_back(plain: Aspects) -> None:
    row = plain.to_array()
    assert row.shape == (SIZE,)
    assert row.dtype == np.float32
    np.testing.assert_array_equal(Aspects.from_array(row).to_array(), row)
    assert Aspects.from_array(row.tolist()).f0 == pytest.approx(plain.f0)


def test_layout_of_version_1_stays() -> None:
    assert VERSION == 1
    assert SIZE == 45
    assert list(LAYOUT) == ["version", *(item.name for item in fields(Aspects))]
    starts = {name: place.start for name, place in LAYOUT.items()}
    assert starts == {
        "version": 0, "voiced": 1, "f0": 2, "f0_spread": 3, "chroma": 4, "flatness": 16, "aperiodicity": 17,
        "mfcc_mean": 18, "mfcc_spread": 30, "centroid": 36, "rolloff": 37, "tempo": 38, "pulse": 39,
        "onset_rate": 40, "loudness": 41, "crest": 42, "range": 43, "length": 44,
    }  # fmt: skip


def test_rows_of_another_kind_are_refused(plain: Aspects) -> None:
    row = plain.to_array()
    with pytest.raises(ValueError, match="45 numbers"):
        Aspects.from_array(row[:-1])
    with pytest.raises(ValueError, match="version"):
        similarities(row, np.stack([row, row + 1]))


def test_weights_choose(plain: Aspects) -> None:
    scores = np.array([[1, 0, 0, 0.5, 0, 0, 0]], np.float32)
    assert weigh(scores, {"pitch": 2, "brightness": 1}) == pytest.approx((2 + 0.5) / 3)
    with pytest.raises(ValueError, match="no aspect 'colour'"):
        weigh(scores, {"colour": 1.0})
    for wrong in ({"pitch": -1.0}, {}, {"pitch": 0.0}, {"pitch": float("nan")}):
        with pytest.raises(ValueError, match="weights"):
            weigh(scores, wrong)


@given(st.lists(st.floats(-50, 50, width=32), min_size=2 * SIZE, max_size=2 * SIZE))
def test_similarities_are_symmetric_and_bounded(values: list[float]) -> None:
    rows = np.array(values, np.float32).reshape(2, SIZE)
    rows[:, 0] = VERSION
    for name in ("voiced", "aperiodicity", "pulse"):
        rows[:, LAYOUT[name]] = np.abs(rows[:, LAYOUT[name]]) / 50
    both = similarities(rows[0], rows[1:]), similarities(rows[1], rows[:1])
    np.testing.assert_allclose(both[0], both[1], rtol=1e-5, atol=1e-6)
    assert both[0].min() >= 0
    assert both[0].max() <= 1 + 1e-6


@pytest.mark.parametrize(
    "samples", [np.zeros(1), np.zeros(50_000), np.ones(1), np.full(3, 1e12), np.ones((9, 8))]
)
@pytest.mark.parametrize("sample_rate", [8_000, 192_000])
def test_any_sound_gets_finite_aspects(samples: F32, sample_rate: int, plain: Aspects) -> None:
    row = measure(samples.astype(np.float32), sample_rate).to_array()
    assert np.isfinite(row).all()
    assert np.isfinite(similarities(plain.to_array(), row[None])).all()


def test_long_sounds_are_measured_in_excerpts(plain: Aspects) -> None:
    one = sound(length_s=19.2)  # 32 beats
    blocks = [one] * 20
    found = measure_blocks(blocks)
    scores = similarity(plain, found)
    assert found.length == pytest.approx(np.log2(20 * 19.2))
    for name in ("pitch", "timbre", "brightness", "rhythm"):
        assert scores[name] > 0.9, name


def test_a_file_gives_what_its_samples_give(tmp_path: Path, plain: Aspects) -> None:
    soundfile.write(tmp_path / "a.wav", sound(), SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_allclose(measure_file(tmp_path / "a.wav").to_array(), plain.to_array(), atol=2e-3)
