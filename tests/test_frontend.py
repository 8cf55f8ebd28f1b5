"""Spectrograms: agreement with the reference implementations, and what holds for any front end."""

from __future__ import annotations

import json
import runpy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soundalike.frontend import MelSpec, hz_to_mel, log_mel, mel_bank, mel_to_hz
from soundalike.models.cards import POCKET
from soundalike.models.frontends import EFFICIENTAT, FRONT_ENDS, LAION_CLAP, VGGISH
from soundalike.types import F32

GOLDEN = Path(__file__).parent / "golden"
REFERENCES: dict[str, Any] = runpy.run_path(str(GOLDEN / "make_frontend.py"))["REFERENCES"]
SILENCE = {
    "efficientat": (np.log(1e-5) + 4.5) / 5,
    "laion_clap": -100.0,
    "laion_clap_fused": -100.0,
    "msclap_2022": -100.0,
    "msclap_2023": -100.0,
    "panns_32k": -100.0,
    "panns_16k": -100.0,
    "vggish": np.log(0.01),
    "yamnet": np.log(0.001),
    "aisfx": 0.0,
    "musicnn": 0.0,
    "resemblyzer": 0.0,
}
each_front_end = pytest.mark.parametrize("name", FRONT_ENDS)


def noise(n_samples: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, n_samples).astype(np.float32)


@each_front_end
def test_agrees_with_the_reference(name: str) -> None:
    reference, golden = REFERENCES[name], np.load(GOLDEN / "frontend" / f"{name}.npz")
    mel = log_mel(reference.signal(), FRONT_ENDS[name])
    assert mel.shape == (FRONT_ENDS[name].n_mels, golden["n_frames"])
    np.testing.assert_allclose(mel[:, golden["frames"]], golden["mel"], rtol=0, atol=reference.tolerance)


def test_every_front_end_has_its_provenance() -> None:
    provenance = json.loads((GOLDEN / "frontend" / "provenance.json").read_text())
    assert set(provenance) == set(FRONT_ENDS) == set(REFERENCES)


def test_the_bundled_model_has_the_front_end_it_was_tuned_from() -> None:
    assert POCKET.frontend == replace(EFFICIENTAT, frames_multiple=32)


@each_front_end
def test_silence_has_a_stated_value(name: str) -> None:
    mel = log_mel(np.zeros(20_000, np.float32), FRONT_ENDS[name])
    np.testing.assert_allclose(mel, SILENCE[name], rtol=1e-6, atol=1e-6)


@each_front_end
@pytest.mark.parametrize("level", [1e-30, 1e-6, 1.0, 32_768.0])
def test_finite_at_any_level(name: str, level: float) -> None:
    mel = log_mel(noise(5_000) * np.float32(level), FRONT_ENDS[name])
    assert np.isfinite(mel).all()


@each_front_end
@pytest.mark.parametrize("n_more", [0, 1, 159, 5_000, 50_001])
def test_shape_and_layout(name: str, n_more: int) -> None:
    spec = FRONT_ENDS[name]
    n_samples = spec.shortest + n_more
    mel = log_mel(noise(n_samples), spec)
    if spec.padding == "reflect":
        n_frames = 1 + (n_samples - bool(spec.pre_emphasis)) // spec.hop_length
    elif spec.padding == "none":
        n_frames = 1 + n_more // spec.hop_length
    else:
        n_frames = -(-(n_samples + spec.n_fft // 2) // spec.hop_length)
    assert mel.shape == (spec.n_mels, n_frames)
    assert mel.dtype == np.float32
    assert mel.flags.c_contiguous
    assert spec.n_frames(n_samples) == n_frames


@each_front_end
@pytest.mark.parametrize("multiple", [2, 7, 32])
@pytest.mark.parametrize("n_more", [0, 1, 9_000, 31_999])
def test_silence_behind_fills_the_frames_up(name: str, multiple: int, n_more: int) -> None:
    spec = FRONT_ENDS[name]
    samples = noise(spec.shortest + n_more)
    filled, n_frames = log_mel(samples, replace(spec, frames_multiple=multiple)), spec.n_frames(samples.size)
    assert filled.shape[1] == -(-n_frames // multiple) * multiple
    silence = np.zeros((filled.shape[1] - n_frames) * spec.hop_length, np.float32)
    np.testing.assert_array_equal(filled, log_mel(np.concatenate([samples, silence]), spec))


@each_front_end
def test_too_short_or_stereo_is_refused(name: str) -> None:
    spec = FRONT_ENDS[name]
    with pytest.raises(ValueError, match=f"n >= {spec.shortest}"):
        log_mel(noise(spec.shortest - 1), spec)
    with pytest.raises(ValueError, match="got shape"):
        log_mel(noise(20_000).reshape(2, -1), spec)


@each_front_end
def test_threads_do_not_change_a_bit(name: str) -> None:
    signals = [noise(40_000, seed) for seed in range(8)]
    alone = [log_mel(signal, FRONT_ENDS[name]).tobytes() for signal in signals]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda signal: log_mel(signal, FRONT_ENDS[name]).tobytes(), signals))
    assert together == alone


@each_front_end
def test_a_frame_does_not_depend_on_those_that_follow(name: str) -> None:
    spec = FRONT_ENDS[name]
    signal = noise(300 * spec.hop_length)
    mel = log_mel(signal, spec)
    start = log_mel(signal[: 150 * spec.hop_length], spec)
    np.testing.assert_allclose(start[:, :140], mel[:, :140], rtol=0, atol=1e-3)


def test_samples_are_read_and_left_alone() -> None:
    signal = noise(40_000)
    signal.flags.writeable = False
    expected = log_mel(signal, EFFICIENTAT)
    strided = np.stack([signal, signal], axis=1)[:, 0]
    assert np.array_equal(log_mel(strided, EFFICIENTAT), expected)
    assert np.array_equal(log_mel(signal.astype(np.float64), EFFICIENTAT), expected)


def test_twice_the_amplitude_is_six_decibels() -> None:
    signal = noise(48_000)
    gained = log_mel(2 * signal, LAION_CLAP) - log_mel(signal, LAION_CLAP)
    np.testing.assert_allclose(gained, 20 * np.log10(2), atol=1e-4)


def test_a_tone_is_loudest_in_the_filter_around_it() -> None:
    low, high = hz_to_mel(np.array([125.0, 7_500.0]), "htk")
    centers_hz = mel_to_hz(np.linspace(low, high, 66, dtype=np.float64), "htk")[1:-1]
    for filter_index in (10, 30, 60):
        tone = np.sin(2 * np.pi * centers_hz[filter_index] / 16_000 * np.arange(16_000)).astype(np.float32)
        assert (log_mel(tone, VGGISH).argmax(axis=0) == filter_index).all()


@each_front_end
def test_every_filter_hears_something(name: str) -> None:
    bank = mel_bank(FRONT_ENDS[name])
    assert (bank >= 0).all()
    assert bank.any(axis=0).all()


def test_norms_of_the_filters() -> None:
    spec = MelSpec(sample_rate=16_000, n_fft=4096, hop_length=256, n_mels=20, fmin_hz=0.0, fmax_hz=8_000.0)
    heights = mel_bank(spec).max(axis=0)
    np.testing.assert_allclose(heights, 1.0, atol=0.05)
    np.testing.assert_allclose(mel_bank(replace(spec, norm="sum")).sum(axis=0), 1.0)
    areas = mel_bank(replace(spec, norm="slaney")).sum(axis=0) * 16_000 / 4096
    np.testing.assert_allclose(areas, 1.0, rtol=1e-3)


def test_mel_scales_are_inverses() -> None:
    hz = np.linspace(0.0, 22_050.0, 1_000)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, "slaney"), "slaney"), hz, atol=1e-9)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, "htk"), "htk"), hz, atol=1e-9)
    assert hz_to_mel(np.array([1_000.0]), "slaney") == pytest.approx(15.0)
    assert hz_to_mel(np.array([1_000.0]), "htk") == pytest.approx(1_000.0, abs=0.02)
