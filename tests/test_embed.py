from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from conftest import band_model
from make_sounds import noise, on_16_bits, tone, write_sound
from soundalike import audio
from soundalike.embed import Model, load_model, pool_vectors
from soundalike.errors import ModelError, SoundError
from soundalike.folders import find_sounds
from soundalike.selftest import EXAMPLES
from soundalike.types import F32, Embedding, Failure

RATE = 44_100


def scene(seconds: float, rate: int = RATE, seed: int = 0) -> F32:
    """Make something like music, soft noise below it, loud bits in it: ``(n, 1)``, what 16 bits hold."""
    draw = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    sound = np.zeros(time_s.size)
    for start in np.arange(0, seconds, 0.4):
        frequency_hz, level = draw.uniform(100, 5000), draw.uniform(0.05, 0.3)
        since = np.clip(time_s - start, 0, None)
        sound += (time_s >= start) * level * np.sin(2 * np.pi * frequency_hz * since) * np.exp(-5 * since)
    sound += 0.003 * draw.standard_normal(time_s.size)
    return on_16_bits(np.asarray(0.7 * sound / np.abs(sound).max(), np.float32)[:, None])


def cosine(a: Embedding, b: Embedding) -> float:
    return float(a.vector.astype(np.float64) @ b.vector)


def same(a: Embedding, b: Embedding) -> bool:
    return a.vector.tobytes() == b.vector.tobytes() and a.segments.tobytes() == b.segments.tobytes()


def embedded(results: Iterator[Embedding | Failure]) -> dict[str, Embedding]:
    return {result.path.name: result for result in results if isinstance(result, Embedding)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for i in range(5):
        write_sound(folder / f"{i}.wav", scene(1 + 2.7 * i, seed=i), RATE)
    return folder


# What an embedding says.


def test_an_embedding_says_where_it_came_from(pocket: Model, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", np.hstack([scene(12.5), scene(12.5, seed=1)]), RATE)
    found = pocket.embed_file(str(path))
    assert (found.path, found.duration_s, found.sample_rate, found.channels) == (path, 12.5, RATE, 2)
    assert (found.model, found.pipeline, found.warnings) == ("pocket", pocket.pipeline, ())
    np.testing.assert_allclose(found.times_s, np.array([[0, 10], [2.5, 12.5]]), atol=0.02)
    assert found.vector.shape == (512,)
    assert found.segments.shape == (2, 512)
    norms = np.linalg.norm([found.vector, *found.segments], axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-6)
    np.testing.assert_array_equal(found.vector, pool_vectors(found.segments))


@given(st.integers(1, 5), st.integers(0, 1000))
def test_the_pooled_vector_is_the_direction_of_the_mean(n: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 6))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    pooled = pool_vectors(vectors)
    mean = vectors.mean(axis=0)
    np.testing.assert_allclose(pooled, mean / np.linalg.norm(mean), atol=1e-5)


def test_opposite_segments_have_no_mean_direction() -> None:
    with pytest.raises(ModelError, match="length 0"):
        pool_vectors(np.array([[1, 0], [-1, 0]], np.float32))


def test_damage_that_was_survived_is_told(bands: Model, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", scene(2.0), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (warning,) = [note for note in bands.embed_file(path).warnings if "2.00 s" in note]
    assert "ends after" in warning


# Same file, same vector.


def test_the_same_file_gives_the_same_bits_whatever_the_workers_and_the_order(pocket: Model, folder: Path) -> None:
    paths = sorted(folder.iterdir())
    alone = {path.name: pocket.embed_file(path) for path in paths}
    fresh = load_model()
    for results in (
        pocket.embed_files(paths, workers=1),
        pocket.embed_files(paths[::-1], workers=4),
        fresh.embed_files(paths[2:] + paths[:2], workers=2),
    ):
        found = embedded(results)
        assert found.keys() == alone.keys()
        assert all(same(found[name], alone[name]) for name in alone)


def test_different_files_give_different_vectors(pocket: Model, folder: Path) -> None:
    vectors = [found.vector for found in embedded(pocket.embed_files(folder.iterdir())).values()]
    assert len(np.unique(vectors, axis=0)) == 5


@pytest.mark.parametrize("rate", [8000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_in_memory_give_the_bits_of_the_file(bands: Model, tmp_path: Path, rate: int, channels: int) -> None:
    samples = np.hstack([scene(10.7, rate, seed) for seed in range(channels)])
    if channels == 2:  # in the middle, the channels cancel
        samples[4 * rate : 6 * rate, 1] = -samples[4 * rate : 6 * rate, 0]
    from_file = bands.embed_file(write_sound(tmp_path / "a.wav", samples, rate))
    in_memory = bands.embed_audio(samples if channels == 2 else samples[:, 0], rate)
    assert same(in_memory, from_file)
    np.testing.assert_array_equal(in_memory.times_s, from_file.times_s)
    assert (in_memory.duration_s, in_memory.channels) == (from_file.duration_s, channels)


def test_a_long_file_and_its_beginning_agree_segment_by_segment(pocket: Model, tmp_path: Path) -> None:
    samples = scene(31.7)
    whole = pocket.embed_file(write_sound(tmp_path / "whole.wav", samples, RATE))
    head = pocket.embed_file(write_sound(tmp_path / "head.flac", samples[: 23 * RATE], RATE))
    n = len(head.segments) - 1  # but for the last one, which is aligned to the end
    assert n == 3
    np.testing.assert_array_equal(head.times_s[:n], whole.times_s[:n])
    np.testing.assert_array_equal(head.segments[:n], whole.segments[:n])


# Nearly the same sound, nearly the same vector.


@pytest.mark.parametrize("gain_db", [-40, -20, -6, 1, 6])
def test_a_quieter_or_louder_copy(pocket: Model, tmp_path: Path, gain_db: int) -> None:
    original = scene(6.0) * np.float32(0.5)
    copy = original * np.float32(10 ** (gain_db / 20))
    want = pocket.embed_file(write_sound(tmp_path / "a.wav", original, RATE))
    assert cosine(pocket.embed_file(write_sound(tmp_path / "b.wav", copy, RATE, "pcm_f32le")), want) >= 0.9999


@pytest.mark.parametrize(("suffix", "codec"), [(".flac", None), (".aiff", None), (".m4a", "alac"), (".caf", None)])
def test_a_lossless_copy_is_the_same_to_the_bit(bands: Model, tmp_path: Path, suffix: str, codec: str | None) -> None:
    original = scene(3.0)
    want = bands.embed_file(write_sound(tmp_path / "a.wav", original, RATE))
    assert same(bands.embed_file(write_sound(tmp_path / f"b{suffix}", original, RATE, codec)), want)


def examples() -> list[tuple[F32, int]]:
    """Give some real sounds, mono, with their rates; of long ones the beginning."""
    found = []
    for sound in list(find_sounds([EXAMPLES]))[::9]:
        rate = audio.probe(sound.path).sample_rate
        with audio.read(sound.path, rate) as blocks:
            samples = np.concatenate(list(blocks))[: 6 * rate]
        found.append((on_16_bits(samples * np.float32(0.5 / np.abs(samples).max())), rate))
    assert len(found) >= 5
    return found


@pytest.mark.parametrize(("suffix", "rate", "kbps"), [(".mp3", RATE, 128), (".m4a", RATE, 128), (".opus", 48_000, 96)])
def test_lossy_copies_of_real_sounds(pocket: Model, tmp_path: Path, suffix: str, rate: int, kbps: int) -> None:
    """In the middle; how far a single sound strays is in docs/embedding.md."""
    scores = []
    for samples, own_rate in examples():
        master = audio.resample(samples, own_rate, rate)
        want = pocket.embed_audio(master, rate)
        copy = write_sound(tmp_path / f"copy{suffix}", master, rate, bit_rate=kbps * 1000)
        scores.append(cosine(pocket.embed_file(copy), want))
    assert np.median(scores) >= 0.98


def test_masters_of_real_sounds_at_other_rates(pocket: Model) -> None:
    for samples, own_rate in examples():
        want = pocket.embed_audio(samples, own_rate)
        for rate in (44_100, 48_000, 96_000, 192_000):
            master = audio.resample(samples, own_rate, rate)
            assert cosine(pocket.embed_audio(master, rate), want) >= 0.995


def test_silence_in_front_of_real_sounds(pocket: Model) -> None:
    for samples, rate in examples():
        want = pocket.embed_audio(samples, rate)
        later = pocket.embed_audio(np.pad(samples, (round(1.2 * rate), 0)), rate)
        assert cosine(later, want) >= 0.97
        assert later.times_s[0, 0] == pytest.approx(want.times_s[0, 0] + 1.2, abs=0.01)


# One bad file costs one file.


def test_bad_files_are_failures_and_their_neighbours_are_embedded(bands: Model, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp3").write_text("words")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    write_sound(tmp_path / "silent.wav", np.zeros((RATE, 1), np.float32), RATE)
    bad = {"text.mp3": "not_audio", "empty.wav": "empty", "folder.wav": "unreadable", "silent.wav": "silent"}
    bad["gone.wav"] = "missing"
    paths = [*sorted(folder.iterdir()), *(tmp_path / name for name in bad)]
    results = list(bands.embed_files(paths[::2] + paths[1::2]))
    assert {r.path.name: r.code for r in results if isinstance(r, Failure)} == bad
    assert {r.path for r in results} == set(paths)


def test_embed_file_raises_what_embed_files_tells(bands: Model, tmp_path: Path) -> None:
    with pytest.raises(SoundError, match=r"gone\.wav") as caught:
        bands.embed_file(tmp_path / "gone.wav")
    (failure,) = bands.embed_files([tmp_path / "gone.wav"])
    assert failure == Failure(caught.value.path, caught.value.code, caught.value.reason)


@pytest.mark.parametrize("name", ["nul\0byte.wav", "", "x" * 300 + ".wav"])
def test_a_path_that_cannot_be_is_a_failure(bands: Model, name: str) -> None:
    (result,) = bands.embed_files([name])
    assert isinstance(result, Failure)


def test_no_paths_give_no_results(bands: Model) -> None:
    assert list(bands.embed_files([])) == []


def test_paths_are_taken_as_they_are_needed(bands: Model, folder: Path) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield folder / "0.wav"

    with closing(cast("Generator[Embedding | Failure]", bands.embed_files(endless(), workers=2))) as results:
        for _ in range(5):
            assert isinstance(next(results), Embedding)
    assert taken <= 5 + 2 * 2


def test_an_error_of_the_paths_comes_through(bands: Model, folder: Path) -> None:
    def broken() -> Iterator[Path]:
        yield folder / "0.wav"
        raise RuntimeError("the list broke")

    with pytest.raises(RuntimeError, match="the list broke"):
        list(bands.embed_files(broken()))


def test_closing_early_breaks_off_what_is_under_way_and_leaves_no_thread(folder: Path, tmp_path: Path) -> None:
    """The long sound would take hundreds of segments; it is broken off after the block at which it is."""
    long = write_sound(tmp_path / "long.wav", noise(1500, 8000, seed=1), 8000)
    model, n_segments = band_model(), 0
    encode, started, closing_now = model.encoder.encode_segment, threading.Event(), threading.Event()

    def slow(samples: F32) -> F32:
        nonlocal n_segments
        if threading.current_thread().name.endswith("_1") or samples.size > 9 * 32_000:
            n_segments += 1
            if n_segments == 3:
                started.set()
                closing_now.wait(30)
        return encode(samples)

    model.encoder.encode_segment = slow  # type: ignore[method-assign]
    results = cast("Generator[Embedding | Failure]", model.embed_files([long, folder / "0.wav"], workers=2))
    assert next(results).path == folder / "0.wav"
    assert started.wait(30)
    threading.Timer(0.2, closing_now.set).start()
    results.close()
    assert n_segments < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("embed")]


# Sound in memory, and small things.


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((0,)),
        np.zeros((0, 2)),
        np.zeros((2, 2, 2)),
        np.array([0, np.nan]),
        np.array([np.inf]),
    ],
    ids=range(5),
)
def test_samples_that_are_no_sound_are_a_value_error(bands: Model, samples: F32) -> None:
    with pytest.raises(ValueError, match="samples must be finite"):
        bands.embed_audio(samples, RATE)


@pytest.mark.parametrize("rate", [0, -44_100])
def test_a_rate_that_is_none_is_a_value_error(bands: Model, rate: int) -> None:
    with pytest.raises(ValueError, match="sample rate"):
        bands.embed_audio(tone(440, 0.1, RATE), rate)


def test_silence_in_memory_is_a_sound_error(bands: Model) -> None:
    with pytest.raises(SoundError, match="only silence") as caught:
        bands.embed_audio(np.zeros(RATE, np.float32), RATE)
    assert caught.value.code == "silent"


def test_the_hash_in_memory_is_that_of_the_samples(bands: Model) -> None:
    samples = tone(440, 0.3, RATE)
    found = bands.embed_audio(samples, RATE)
    assert found.sha256 == bands.embed_audio(samples.astype(np.float64), RATE).sha256
    assert found.sha256 != bands.embed_audio(samples * np.float32(0.5), RATE).sha256
    assert len(found.sha256) == 64


@pytest.mark.parametrize("level", ["none", "rms", "loudness"])
def test_another_level_rule_is_another_pipeline(pocket: Model, level: str) -> None:
    other = load_model(level=level)  # type: ignore[arg-type]
    assert other.pipeline != pocket.pipeline
    assert load_model(level="peak").pipeline == pocket.pipeline
    assert other.card.level == level


def test_an_unknown_model_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="no model called 'none'"):
        load_model("none")
