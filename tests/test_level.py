from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundalike.level import SILENCE_PEAK, is_silent, loudness_db, normalize_level
from soundalike.types import F32, LevelRule

RATE = 8000
RULES: list[LevelRule] = ["peak", "rms", "loudness"]


def noisy(n: int = 4000, level: float = 0.2, seed: int = 0) -> F32:
    return (level * np.random.default_rng(seed).uniform(-1, 1, n)).astype(np.float32)


def sine(frequency_hz: float, n: int, rate: int, level: float = 1.0) -> F32:
    return (level * np.sin(2 * np.pi * frequency_hz * np.arange(n) / rate)).astype(np.float32)


def test_peak_brings_the_largest_sample_to_one() -> None:
    assert np.abs(normalize_level(noisy(), "peak", RATE)).max() == pytest.approx(1.0, abs=1e-6)


def test_rms_brings_the_power_to_minus_20_db_whatever_the_offset() -> None:
    levelled = normalize_level(noisy() + np.float32(0.1), "rms", RATE)
    assert 20 * np.log10(levelled.std(dtype=np.float64)) == pytest.approx(-20.0, abs=1e-3)


def test_loudness_brings_the_loudness_to_minus_20_lufs() -> None:
    assert loudness_db(normalize_level(noisy(), "loudness", RATE), RATE) == pytest.approx(-20.0, abs=1e-3)


def test_raised_brings_quiet_sounds_to_minus_30_db_and_leaves_loud_ones() -> None:
    raised = normalize_level(noisy(level=0.001), "raised", RATE)
    assert 20 * np.log10(raised.std(dtype=np.float64)) == pytest.approx(-30.0, abs=1e-3)
    np.testing.assert_array_equal(normalize_level(noisy(), "raised", RATE), noisy())


def test_none_leaves_the_samples_alone() -> None:
    samples = noisy()
    assert normalize_level(samples, "none", RATE) is samples


@pytest.mark.parametrize("frequency_hz", [60.0, 100.0, 997.0, 2000.0, 10_000.0])
def test_loudness_of_sines_is_what_the_filters_of_the_standard_make_of_them(frequency_hz: float) -> None:
    """Coefficients: ITU-R BS.1770-4, tables 1 and 2, for 48 kHz; 997 Hz at full scale reads -3.01 LUFS."""
    z = np.exp(-2j * np.pi * frequency_hz / 48_000) ** np.arange(3)
    shelf = z @ [1.53512485958697, -2.69169618940638, 1.19839281085285]
    shelf /= z @ [1.0, -1.69065929318241, 0.73248077421585]
    high_pass = (z @ [1.0, -2.0, 1.0]) / (z @ [1.0, -1.99004745483398, 0.99007225036621])
    want = -0.691 + 20 * np.log10(abs(shelf * high_pass)) - 10 * np.log10(2)
    assert loudness_db(sine(frequency_hz, 48_000, 48_000), 48_000) == pytest.approx(want, abs=0.05)
    if frequency_hz == 997.0:
        assert want == pytest.approx(-3.01, abs=0.01)


def test_loudness_does_not_depend_on_an_odd_length() -> None:
    """The last bin of an odd transform counts twice, that of an even one once."""
    tone = sine(3999.0, 8001, RATE)
    assert loudness_db(tone, RATE) == pytest.approx(loudness_db(tone[:-1], RATE), abs=0.1)


@pytest.mark.parametrize("rule", RULES)
@given(gain_db=st.floats(-40, 6), seed=st.integers(0, 100))
def test_a_copy_at_another_gain_comes_out_the_same(rule: LevelRule, gain_db: float, seed: int) -> None:
    samples = noisy(1000, seed=seed)
    copy = samples * np.float32(10 ** (gain_db / 20))
    want, got = normalize_level(samples, rule, RATE), normalize_level(copy, rule, RATE)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)
    assert got.dtype == np.float32


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("samples", [np.zeros(100, np.float32), np.full(100, 1e-5, np.float32)])
def test_silence_stays_as_it_is(rule: LevelRule, samples: F32) -> None:
    assert normalize_level(samples, rule, RATE) is samples


@pytest.mark.parametrize("rule", ["rms", "loudness"])
@pytest.mark.parametrize("value", [1.0, 0.1, -0.3])
@pytest.mark.parametrize("n", [1, 2, 999, 1000])
def test_a_constant_has_no_level_and_stays_as_it_is(rule: LevelRule, value: float, n: int) -> None:
    samples = np.full(n, value, np.float32)
    assert normalize_level(samples, rule, RATE) is samples


def test_silence_is_what_stays_below_one_step_of_16_bits() -> None:
    edge = np.float32(SILENCE_PEAK)
    assert is_silent(np.zeros(0, np.float32))
    assert is_silent(np.full(5, 1 / 32768, np.float32))
    assert is_silent(np.array([np.nextafter(edge, np.float32(0))]))
    assert not is_silent(np.array([0, -edge]))
    assert not is_silent(np.array([0, 2 / 32768], np.float32))
