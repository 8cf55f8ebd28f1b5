from __future__ import annotations

import os
import struct
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

sys.path.insert(0, str(Path(__file__).parent))  # for pytest's importlib mode
from make_sounds import id3_with_picture, noise, on_16_bits, png, tone, wav_bytes, write_sound
from soundalike import _decode, audio
from soundalike.errors import SoundError
from soundalike.types import F32

RATE = 44_100
quickly = settings(max_examples=40, deadline=None)

LOSSLESS = [
    *((".wav", f"pcm_{kind}") for kind in ("s16le", "s24le", "s32le", "s64le", "f32le", "f64le")),
    *((".aiff", f"pcm_{kind}") for kind in ("s16be", "s24be", "s32be", "f32be", "f64be")),
    *((".caf", f"pcm_{kind}") for kind in ("s16le", "s24be", "f32be")),
    (".aif", None),
    (".au", None),
    (".w64", None),
    (".flac", None),
    (".m4a", "alac"),
    (".caf", "alac"),
    (".mov", "pcm_s24le"),
    (".mka", None),
    (".mkv", "pcm_s16le"),
    (".wv", None),
    (".tta", None),
]
LOSSY = [  # suffix, codec, sample rate, whether the length is kept to the sample
    (".mp3", None, RATE, True),
    (".m4a", None, RATE, True),
    (".mp4", None, RATE, True),
    (".mov", "aac", RATE, True),
    (".ogg", None, RATE, True),
    (".opus", None, 48_000, True),
    (".webm", None, 48_000, True),
    (".mp4", "libopus", 48_000, True),
    (".aac", None, RATE, False),
    (".mp2", None, RATE, False),
    (".wma", None, RATE, False),
    (".ac3", None, RATE, False),
    (".mkv", "aac", RATE, False),
    (".ts", None, RATE, False),
    (".mpg", None, RATE, False),
    (".avi", None, RATE, False),
    (".flv", None, RATE, False),
    (".wav", "adpcm_ms", RATE, False),
    (".wav", "adpcm_ima_wav", RATE, False),
    (".wav", "pcm_alaw", RATE, True),
    (".au", "pcm_mulaw", RATE, True),
]


def read_all(path: Path, sample_rate: int = RATE) -> tuple[F32, audio.Sound]:
    """Read a whole sound, and check what every block promises."""
    with audio.read(path, sample_rate) as sound:
        blocks = list(sound)
    assert all(block.dtype == np.float32 and block.ndim == 1 for block in blocks)
    assert all(0 < len(block) <= sample_rate for block in blocks)
    samples = np.concatenate(blocks)
    assert np.isfinite(samples).all()
    return samples, sound


def save(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def level_db(samples: F32) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64))) + 1e-12))


def failure(path: Path) -> SoundError:
    with pytest.raises(SoundError) as caught:
        read_all(path)
    assert str(path) in str(caught.value)
    assert caught.value.path == path
    return caught.value


# Formats


@pytest.mark.parametrize(("suffix", "codec"), LOSSLESS)
def test_lossless_copies_are_identical(tmp_path: Path, suffix: str, codec: str | None) -> None:
    original = on_16_bits(noise(1.3, RATE, channels=2))
    samples, sound = read_all(write_sound(tmp_path / f"a{suffix}", original, RATE, codec))
    np.testing.assert_array_equal(samples, original.mean(axis=1, dtype=np.float64).astype(np.float32))
    assert sound.duration_s == pytest.approx(len(original) / RATE, abs=1e-9)
    assert sound.warnings == ()


@pytest.mark.parametrize("container", ["RF64", "WAVEX", "W64"])
def test_other_writers_of_wav(tmp_path: Path, container: str) -> None:
    original = on_16_bits(noise(0.7, RATE, channels=2))
    expected, _ = read_all(write_sound(tmp_path / "a.wav", original, RATE))
    samples, _ = read_all(write_sound(tmp_path / "b.wav", original, RATE, "PCM_24", container=container))
    np.testing.assert_array_equal(samples, expected)


def test_eight_bits_are_alike_signed_and_unsigned(tmp_path: Path) -> None:
    original = np.round(noise(0.7, RATE) * 128) / np.float32(128)
    for name, codec in [("a.wav", "pcm_u8"), ("a.aiff", "pcm_s8"), ("b.wav", "PCM_U8")]:
        samples, _ = read_all(write_sound(tmp_path / name, original, RATE, codec))
        np.testing.assert_array_equal(samples, original[:, 0])


@pytest.mark.parametrize(("suffix", "codec", "rate", "exact"), LOSSY)
def test_lossy_formats(tmp_path: Path, suffix: str, codec: str | None, rate: int, exact: bool) -> None:
    original = np.repeat(tone(500, 1.234, rate), 2, axis=1)
    samples, sound = read_all(write_sound(tmp_path / f"a{suffix}", original, rate, codec), rate)
    middle = samples[rate // 4 : rate]
    frequency_hz = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax() * rate / len(middle)
    assert frequency_hz == pytest.approx(500, abs=2)
    assert level_db(middle) == pytest.approx(level_db(original), abs=0.5)
    assert sound.duration_s == pytest.approx(len(original) / rate, abs=0.001 if exact else 0.06)
    if exact and suffix != ".webm":
        assert level_db(samples[: len(original)] - original[:, 0]) < level_db(original) - 20
    assert sound.warnings == ()


def test_speech_codec(tmp_path: Path) -> None:
    samples, sound = read_all(write_sound(tmp_path / "a.amr", tone(300, 1.0, 8000), 8000), 8000)
    assert sound.info.codec.startswith("amr")
    assert level_db(samples) > -20


def test_variable_bit_rate_mp3_has_its_exact_length(tmp_path: Path) -> None:
    original = np.concatenate([noise(0.5, RATE), tone(100, 1.0, RATE), noise(0.511, RATE)])
    samples, sound = read_all(write_sound(tmp_path / "a.mp3", original, RATE, "MPEG_LAYER_III"))
    assert len(samples) == len(original)
    assert sound.info.duration_s == pytest.approx(sound.duration_s, abs=1e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts", ".avi"])
def test_sound_of_videos(tmp_path: Path, suffix: str) -> None:
    path = write_sound(tmp_path / f"a{suffix}", tone(500, 1.0, RATE), RATE, "libmp3lame", video=True)
    samples, sound = read_all(path)
    assert sound.info.codec == "mp3"
    assert level_db(samples[4000:40_000]) == pytest.approx(-9, abs=0.5)


def test_cover_pictures_are_passed_over(tmp_path: Path) -> None:
    plain = write_sound(tmp_path / "a.mp3", tone(500, 1.0, RATE), RATE)
    covered = save(tmp_path / "b.mp3", id3_with_picture() + plain.read_bytes())
    np.testing.assert_array_equal(read_all(covered)[0], read_all(plain)[0])


def test_the_first_sound_stream_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mka"
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(2)]
        for value, stream in enumerate(streams):
            frame = av.AudioFrame.from_ndarray(
                np.full((1, 4000), 1000 * (value + 1), np.int16), "s16", "mono"
            )
            frame.sample_rate = 8000
            output.mux(stream.encode(frame))
    samples, _ = read_all(path, 8000)
    np.testing.assert_array_equal(samples, np.full(4000, 1000 / 32768, np.float32))


@pytest.mark.parametrize("name", ["A.WAV", "a.Mp3", "a.jpg", "a", "a.s16le", "a.g722", "ä 音 %d #?.flac"])
def test_names_do_not_matter(tmp_path: Path, name: str) -> None:
    original = on_16_bits(noise(0.6, RATE))
    write_sound(tmp_path / "x.flac", original, RATE).rename(tmp_path / name)
    np.testing.assert_array_equal(read_all(tmp_path / name)[0], original[:, 0])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems forbid such names")
@pytest.mark.parametrize("name", ["http:a.wav", "concat:a|b.wav", "file:a", "\udcff\udce9.wav", "a\nb.wav"])
def test_names_that_look_like_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    original = on_16_bits(noise(0.2, RATE))
    write_sound(Path("x.wav"), original, RATE).rename(name)
    assert len(read_all(Path(name))[0]) == len(original)


def test_extensions_for_walking_folders() -> None:
    assert audio.is_sound_file("a/b.WAV")
    assert audio.is_sound_file(Path("song.m4a"))
    assert not audio.is_sound_file("cover.jpg")
    assert not audio.is_sound_file("wav")
    assert all(extension == extension.lower().strip(".") for extension in audio.SOUND_EXTENSIONS)


# What the headers say


def test_probe(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(0.5, 48_000, channels=2), 48_000, "pcm_s24le")
    info = audio.probe(path)
    assert (info.path, info.container, info.codec, info.sample_rate, info.channels) == (
        path, "wav", "pcm_s24le", 48_000, 2,
    )  # fmt: skip
    assert (info.duration_s, info.bits_per_sample, info.bit_rate) == (0.5, 24, 2 * 24 * 48_000)
    assert audio.read(path, 8000).info == info


@pytest.mark.parametrize(
    ("suffix", "codec", "bits"),
    [(".flac", "flac", 16), (".m4a", "alac", 16), (".wv", "wavpack", 16), (".mp3", None, None),
     (".ogg", None, None), (".au", "pcm_mulaw", 8), (".wav", "pcm_f64le", 64)],
)  # fmt: skip
def test_bits_per_sample(tmp_path: Path, suffix: str, codec: str | None, bits: int | None) -> None:
    assert (
        audio.probe(write_sound(tmp_path / f"a{suffix}", noise(0.2, RATE), RATE, codec)).bits_per_sample
        == bits
    )


def test_tags_in_no_known_encoding_do_no_harm(tmp_path: Path) -> None:
    data = write_sound(tmp_path / "a.wav", noise(0.2, RATE), RATE).read_bytes()
    tags = b"INFOINAM\x06\0\0\0\xff\xfe\xe9\xc3 \0"
    data += b"LIST" + struct.pack("<I", len(tags)) + tags
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    assert read_all(save(tmp_path / "b.wav", data))[1].warnings == ()


# Sameness


def test_reading_again_gives_the_same_bits(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.ogg", noise(1.7, RATE, channels=2), RATE)
    first = [block.tobytes() for block in audio.read(path, 32_000)]
    assert [block.tobytes() for block in audio.read(path, 32_000)] == first


@quickly
@given(
    samples=arrays.arrays(np.int16, st.tuples(st.integers(1, 900), st.integers(1, 3))),
    cuts=st.lists(st.integers(0, 900)),
    planar=st.booleans(),
)
def test_frame_sizes_never_matter(samples: Any, cuts: list[int], planar: bool) -> None:
    layout = f"{samples.shape[1]} channels"
    kind = "s16p" if planar else "s16"
    grid = _decode._Grid((200, samples.shape[1], kind))
    blocks = []
    for part in np.split(samples, sorted(min(cut, len(samples)) for cut in cuts)):
        if len(part):
            array = np.ascontiguousarray(part.T) if planar else part.reshape(1, -1)
            if grid.push(av.AudioFrame.from_ndarray(array, kind, layout), len(part)):
                blocks += grid.full()
    blocks += grid.rest()
    assert [len(block) for block in blocks[:-1]] == [100] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate(blocks), samples / np.float32(32768))


def test_container_packets_never_matter_when_resampling(tmp_path: Path) -> None:
    original = on_16_bits(noise(2.3, RATE, channels=2))
    results = [
        [block.tobytes() for block in audio.read(write_sound(tmp_path / name, original, RATE), 16_000)]
        for name in ("a.wav", "a.flac", "a.aiff", "a.mka", "a.tta")
    ]
    assert all(result == results[0] for result in results)


def test_many_threads_read_as_one_does(tmp_path: Path) -> None:
    paths = [
        write_sound(tmp_path / f"{i}{suffix}", noise(1.0, RATE, seed=i), RATE)
        for i, suffix in enumerate((".mp3", ".flac", ".m4a", ".ogg"))
    ]
    expected = [read_all(path, 32_000)[0] for path in paths]
    wrong = []

    def work(first: int) -> None:
        for i in range(first, first + 8):
            if not np.array_equal(read_all(paths[i % 4], 32_000)[0], expected[i % 4]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Resampling


@pytest.mark.parametrize(
    ("from_rate", "to_rate"), [(44_100, 32_000), (48_000, 16_000), (8000, 48_000), (22_050, 44_100)]
)
def test_a_sine_stays_a_sine(from_rate: int, to_rate: int) -> None:
    resampled = audio.resample(tone(1000, 1.0, from_rate)[:, 0], from_rate, to_rate)
    expected = tone(1000, 1.0, to_rate)[:, 0]
    assert len(resampled) == to_rate
    inner = slice(to_rate // 10, -to_rate // 10)
    assert level_db(resampled[inner] - expected[inner]) < -90


def test_what_does_not_fit_the_new_rate_is_gone() -> None:
    resampled = audio.resample(tone(12_000, 1.0, 48_000)[:, 0], 48_000, 16_000)
    assert level_db(resampled[1600:-1600]) < -90


def test_blocks_and_one_shot_agree(tmp_path: Path) -> None:
    original = on_16_bits(noise(2.21, RATE))
    path = write_sound(tmp_path / "a.wav", original, RATE)
    for rate in (32_000, 48_000, 16_000, 8001):
        samples, _ = read_all(path, rate)
        np.testing.assert_array_equal(samples, audio.resample(original[:, 0], RATE, rate))
        assert len(samples) == round(len(original) * rate / RATE)


def test_nothing_is_resampled_to_its_own_rate() -> None:
    samples = noise(0.1, RATE)[:, 0]
    np.testing.assert_array_equal(audio.resample(samples, RATE, RATE), samples)


def test_a_sample_rate_is_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="positive"):
        audio.read(write_sound(tmp_path / "a.wav", noise(0.1, RATE), RATE), 0)


# One channel out of many


@quickly
@given(arrays.arrays(np.float32, st.integers(0, 300), elements=st.floats(-2, 2, width=32)), st.integers(1, 9))
def test_equal_channels_are_one(mono: F32, channels: int) -> None:
    np.testing.assert_array_equal(audio.downmix(np.repeat(mono[:, None], channels, axis=1)), mono)


@quickly
@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(1, 200), st.integers(1, 9)), elements=st.floats(-2, 2, width=32)
    )
)
def test_a_downmix_is_the_mean_or_a_channel(block: F32) -> None:
    mixed = audio.downmix(block)
    mean = block.mean(axis=1, dtype=np.float64).astype(np.float32)
    assert any(np.allclose(mixed, one, atol=1e-6) for one in [mean, *block.T])


def test_a_pair_that_cancels_falls_back_to_the_louder_channel() -> None:
    left = noise(0.5, RATE)
    block = np.concatenate([left, -0.95 * left], axis=1)
    np.testing.assert_array_equal(audio.downmix(block), left[:, 0])
    block = np.concatenate([left, -0.5 * left], axis=1)  # 12 dB down is no cancellation
    np.testing.assert_allclose(audio.downmix(block), left[:, 0] / 4, atol=1e-6)


def test_one_channel_of_many_is_no_cancellation() -> None:
    block = np.zeros((1000, 16), np.float32)
    block[:, 3] = noise(1.0, 1000)[:, 0]
    np.testing.assert_allclose(audio.downmix(block), block[:, 3] / 16, rtol=1e-6)


def test_cancellation_is_decided_for_each_half_second(tmp_path: Path) -> None:
    left = on_16_bits(noise(2.0, RATE))
    right = np.concatenate([left[:RATE], -left[RATE:]])
    original = np.concatenate([left, right], axis=1)
    samples, _ = read_all(write_sound(tmp_path / "a.wav", original, RATE))
    np.testing.assert_array_equal(samples, left[:, 0])
    excerpt, _ = read_all(write_sound(tmp_path / "b.wav", original[RATE // 2 :], RATE))
    np.testing.assert_array_equal(excerpt, samples[RATE // 2 :])


@pytest.mark.parametrize(("suffix", "channels"), [(".wav", 8), (".flac", 8), (".wav", 64), (".mka", 6)])
def test_many_channels(tmp_path: Path, suffix: str, channels: int) -> None:
    original = on_16_bits(noise(0.7, 8000, channels))
    codec = "PCM_16" if channels > 8 else None
    samples, sound = read_all(write_sound(tmp_path / f"a{suffix}", original, 8000, codec), 8000)
    assert sound.info.channels == channels
    np.testing.assert_array_equal(samples, original.mean(axis=1, dtype=np.float64).astype(np.float32))


def test_more_planes_than_pyav_finds(tmp_path: Path) -> None:
    original = np.concatenate([tone(200 * (i + 1), 0.5, 48_000, 0.1) for i in range(12)], axis=1)
    samples, sound = read_all(write_sound(tmp_path / "a.ogg", original, 48_000), 48_000)
    assert sound.info.channels == 12
    assert level_db(samples - original.mean(axis=1)) < level_db(samples) - 20


# Values


def test_broken_numbers_become_silence(tmp_path: Path) -> None:
    samples = np.full(1000, 0.25, "<f4")
    samples[[3, 5, 500, 700]] = [np.nan, np.inf, -np.inf, 1e30]
    wide = samples.astype("<f8")
    wide[9] = 1e200
    for data, n in [
        (wav_bytes(samples.tobytes(), 8000, 1, 32, 3), 4),
        (wav_bytes(wide.tobytes(), 8000, 1, 64, 3), 5),
    ]:
        read, sound = read_all(save(tmp_path / "a.wav", data), 8000)
        assert np.count_nonzero(read == 0) == n
        assert np.count_nonzero(read == 0.25) == 1000 - n
        assert [f"{n} samples" in warning for warning in sound.warnings] == [True]


def test_denormals_are_flushed_and_loud_values_kept(tmp_path: Path) -> None:
    samples = np.array([1e-39, -1e-42, 3.5, -200.0, 1e-37, 32768.0], "<f4")
    read, sound = read_all(save(tmp_path / "a.wav", wav_bytes(samples.tobytes(), 8000, 1, 32, 3)), 8000)
    np.testing.assert_array_equal(read, np.where(np.abs(samples) < 1e-38, 0, samples))
    assert sound.warnings == ()


# Lengths and memory


def test_memory_is_bounded_by_a_block_not_by_the_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", wav_bytes(bytes(range(256)) * 4000, 8000, 1, 8))
    tracemalloc.start()
    n = sum(len(block) for block in audio.read(path, 16_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 2 * 256 * 4000
    assert peak < 1_000_000  # the whole is 8 MB


def test_blocks_stay_short_at_the_lowest_rates(tmp_path: Path) -> None:
    path = save(tmp_path / "a.wav", wav_bytes(bytes(range(256)) * 4, 100, 1, 8))
    samples, sound = read_all(path, 48_000)
    assert sound.duration_s == 10.24
    assert len(samples) == 10.24 * 48_000


# Errors


def test_missing(tmp_path: Path) -> None:
    assert failure(tmp_path / "a.wav").code == "missing"
    assert failure(save(tmp_path / "b.wav", b"x") / "a.wav").code == "missing"
    with pytest.raises(SoundError):
        audio.probe("a\0b.wav")


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failure(tmp_path).code == "unreadable"
    path = write_sound(tmp_path / "a.wav", noise(0.1, RATE), RATE)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    error = failure(path)
    assert error.code == "unreadable"
    assert "permission denied" in error.reason


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    assert failure(tmp_path / "a.wav").code == "unreadable"


def test_empty(tmp_path: Path) -> None:
    assert failure(save(tmp_path / "a.wav", b"")).code == "empty"
    assert failure(save(tmp_path / "b.wav", wav_bytes(b"", 8000))).code == "empty"
    assert failure(save(tmp_path / "c.wav", wav_bytes(b"", 8000, stated=0xFFFFFFFF))).code == "empty"


@pytest.mark.parametrize(
    "data",
    [b"hello world\n" * 1000, "\ufeffHello world\n".encode("utf-16") * 1000, png(), bytes(100_000),
     b"\xff" * 999, b"R", b"%PDF-1.4\n" + noise(0.3, RATE).tobytes(),
     b"PK\3\4" + noise(0.2, RATE).tobytes()],
    ids=["text", "utf-16", "picture", "zeros", "ones", "letter", "pdf", "zip"],
)  # fmt: skip
def test_not_audio(tmp_path: Path, data: bytes) -> None:
    assert failure(save(tmp_path / "a.wav", data)).code == "not_audio"


def test_a_video_without_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        stream: Any = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        output.mux(stream.encode(None))
    error = failure(tmp_path / "a.mp4")
    assert error.code == "not_audio"
    assert error.reason == "there is no sound in this mp4 file"


def test_damaged(tmp_path: Path) -> None:
    flac = write_sound(tmp_path / "a.flac", noise(0.5, RATE), RATE).read_bytes()
    assert failure(save(tmp_path / "b.flac", flac[:8])).code == "damaged"
    assert failure(save(tmp_path / "c.flac", flac[:100])).code == "damaged"
    assert failure(save(tmp_path / "d.wav", b"RIFF\0\0\0\0WAVE")).code == "damaged"
    mp4 = write_sound(tmp_path / "a.m4a", noise(0.5, RATE), RATE).read_bytes()
    assert failure(save(tmp_path / "b.m4a", mp4[: len(mp4) // 2])).code == "damaged"


@pytest.mark.parametrize(
    ("rate", "channels"),
    [(1, 1), (10_000_000, 1), (2**32 - 1, 2), (8000, 300), (8000, 65_535), (0, 1), (8000, 0)],
)
def test_absurd_headers(tmp_path: Path, rate: int, channels: int) -> None:
    data = wav_bytes(bytes(200_000), rate, channels, 16)
    assert failure(save(tmp_path / "a.wav", data)).code == "damaged"


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def looping_mov(n_samples: int, n_chunks: int) -> bytes:
    """Make a MOV whose every chunk is the same 4 kB."""
    sound = b"\0" * 6 + struct.pack(">H8xHHHHI", 1, 2, 16, 0, 0, RATE << 16)
    tables = [
        box(b"stsd", struct.pack(">II", 0, 1), box(b"sowt", sound)),
        box(b"stts", struct.pack(">IIII", 0, 1, n_samples, 1)),
        box(b"stsc", struct.pack(">IIIII", 0, 1, 1, n_samples // n_chunks, 1)),
        box(b"stsz", struct.pack(">III", 0, 4, n_samples)),
        box(b"stco", struct.pack(">II", 0, n_chunks), struct.pack(">I", 28) * n_chunks),
    ]
    media = box(b"minf", box(b"smhd", bytes(8)), box(b"stbl", *tables))
    header = box(b"mdhd", struct.pack(">IIIIII", 0, 0, 0, RATE, n_samples, 0))
    handler = box(b"hdlr", bytes(8), b"soun", bytes(13))
    track = box(
        b"trak",
        box(b"tkhd", struct.pack(">IIII", 0, 0, 0, 1), bytes(68)),
        box(b"mdia", header, handler, media),
    )
    movie = box(b"moov", box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, RATE, n_samples), bytes(80)), track)
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"mdat", noise(0.0464, RATE).tobytes()[:4096]) + movie


def test_a_file_that_repeats_itself_without_end_is_stopped(tmp_path: Path) -> None:
    _, sound = read_all(save(tmp_path / "a.mov", looping_mov(1_000_000, 1000)))
    assert "again and again" in sound.warnings[-1]
    assert sound.duration_s < 5


def test_a_packet_bomb_is_refused(tmp_path: Path) -> None:
    error = failure(save(tmp_path / "a.mov", looping_mov(2**28, 1)))
    assert error.code == "damaged"
    assert "packets" in error.reason


def test_a_decoder_that_gives_nothing_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sound(tmp_path / "a.mp3", noise(2.0, RATE), RATE)
    monkeypatch.setattr(_decode, "_MAX_BARREN", 20)
    monkeypatch.setattr(_decode.Decoder, "_decode", lambda self, packet: [])
    assert failure(path).code == "damaged"


@pytest.mark.parametrize("name", ["a.m3u8", "a.wav", "a.sdp"])
@pytest.mark.parametrize("playlist", ["hls", "concat", "sdp"])
def test_playlists_are_never_followed(tmp_path: Path, name: str, playlist: str) -> None:
    target = write_sound(tmp_path / "target.aac", noise(0.5, RATE), RATE)
    text = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{target}'\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    }[playlist]
    assert failure(save(tmp_path / name, text.encode())).code == "not_audio"


# Damage that is survived


def test_a_cut_file_gives_what_is_there(tmp_path: Path) -> None:
    original = on_16_bits(noise(2.0, RATE))
    whole = write_sound(tmp_path / "a.mp3", original, RATE)
    part, sound = read_all(save(tmp_path / "b.mp3", whole.read_bytes()[: whole.stat().st_size // 2]))
    assert sound.duration_s == pytest.approx(1.0, abs=0.06)
    np.testing.assert_array_equal(part[: RATE // 2], read_all(whole)[0][: RATE // 2])
    flac = write_sound(tmp_path / "a.flac", original, RATE).read_bytes()
    part, sound = read_all(save(tmp_path / "b.flac", flac[: len(flac) // 2]))
    np.testing.assert_array_equal(part[: RATE // 2], original[: RATE // 2, 0])
    assert "2.00 s that it declares" in sound.warnings[-1]


def test_damaged_packets_are_counted_and_left_out(tmp_path: Path) -> None:
    data = bytearray(write_sound(tmp_path / "a.m4a", noise(2.0, RATE), RATE).read_bytes())
    start = data.index(b"mdat")
    data[start + 3000 : start + 4500] = bytes(1500)
    samples, sound = read_all(save(tmp_path / "b.m4a", bytes(data)))
    assert "packets were damaged" in sound.warnings[0]
    assert 0.5 < sound.duration_s <= 2.0
    assert len(samples) == round(sound.duration_s * RATE)


def test_rate_and_channels_may_change_on_the_way(tmp_path: Path) -> None:
    first = write_sound(tmp_path / "a.aac", np.repeat(tone(500, 1.0, RATE), 2, axis=1), RATE)
    second = write_sound(tmp_path / "b.aac", tone(500, 1.0, 16_000), 16_000)
    path = save(tmp_path / "c.aac", first.read_bytes() + second.read_bytes())
    samples, sound = read_all(path, 32_000)
    parts = [read_all(part, 32_000)[1].duration_s for part in (first, second)]
    assert sound.duration_s == pytest.approx(sum(parts), abs=1e-6)
    assert "change within the file" in sound.warnings[0]
    late = samples[-16_000:-3200]
    frequency_hz = np.abs(np.fft.rfft(late * np.hanning(len(late)))).argmax() * 32_000 / len(late)
    assert frequency_hz == pytest.approx(500, abs=5)


def test_ffmpeg_says_nothing_on_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(write_sound(tmp_path / "a.mp3", noise(1.0, RATE), RATE).read_bytes())
    data[3000:5000] = bytes(2000)
    read_all(save(tmp_path / "b.mp3", bytes(data)))
    failure(save(tmp_path / "c.mp3", b"ID3\3\0\0\0\0\0\0"))
    assert capfd.readouterr() == ("", "")


def mutations(data: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """Cut it, flip bits, spoil the header, put in noise, take a piece out, claim absurd numbers."""
    yield data[: rng.integers(1, len(data))]
    flipped = bytearray(data)
    for at in rng.integers(0, len(data), 20):
        flipped[at] ^= 1 << int(rng.integers(8))
    yield bytes(flipped)
    header = bytearray(data)
    for at in rng.integers(0, min(len(data), 300), 8):
        header[at] = rng.integers(256)
    yield bytes(header)
    at, n = int(rng.integers(len(data))), int(rng.integers(1, 2000))
    yield data[:at] + rng.bytes(n) + data[at + n :]
    yield data[:at] + data[at + n :]
    at = int(rng.integers(min(len(data), 400)))
    yield data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]


@pytest.mark.parametrize(
    "suffix",
    [".wav", ".w64", ".flac", ".aiff", ".caf", ".au", ".mp3", ".m4a", ".mp4", ".aac", ".ogg", ".opus",
     ".webm", ".wma", ".mka", ".mov", ".ac3", ".wv", ".tta", ".ts", ".avi", ".flv"],
)  # fmt: skip
def test_spoiled_files_give_blocks_or_a_sound_error(tmp_path: Path, suffix: str) -> None:
    rate = 48_000
    rng = np.random.default_rng(sum(suffix.encode()))
    whole = write_sound(tmp_path / f"a{suffix}", noise(0.4, rate, channels=2), rate).read_bytes()
    for _ in range(2):
        for data in mutations(whole, rng):
            outcome = outcome_of(save(tmp_path / "b", data))
            assert outcome in ("damaged", "not_audio", "empty") or 0 < float(outcome) < 600


def outcome_of(path: Path) -> str:
    """Give the duration or the code of the error."""
    try:
        return str(read_all(path, 16_000)[1].duration_s)
    except SoundError as error:
        return error.code


# Files that change, and files left open


def test_a_file_that_vanishes_before_it_is_read(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(0.1, RATE), RATE)
    path.unlink()
    assert failure(path).code == "missing"


class FailingContainer:
    """A container whose disk goes away after a few packets."""

    def __init__(self, container: Any, then: Callable[[], object]) -> None:
        self.container, self.then = container, then
        self.close, self.format = container.close, container.format

    def demux(self, stream: Any) -> Iterator[Any]:
        for packet, _ in zip(self.container.demux(stream), range(5), strict=False):
            yield packet
        self.then()
        raise av.error.OSError(5, "Input/output error")


def test_a_file_that_vanishes_while_it_is_read(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", noise(2.0, RATE), RATE)
    with audio.read(path, RATE) as sound:
        decoder = sound._decoder
        decoder._container = FailingContainer(decoder._container, path.unlink)
        with pytest.raises(SoundError) as caught:
            list(sound)
    assert caught.value.code == "missing"


def test_a_reading_error_of_ffmpeg_ends_the_sound(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", noise(2.0, RATE), RATE)
    with audio.read(path, RATE) as sound:
        decoder = sound._decoder
        decoder._container = FailingContainer(decoder._container, lambda: None)
        assert sum(map(len, sound)) == 5 * 4608
    assert sound.warnings == ("stopped after 0.52 s: input/output error",)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_file_stays_open(tmp_path: Path) -> None:
    def n_open() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    path = write_sound(tmp_path / "a.mp3", noise(2.0, RATE), RATE)
    spoiled = save(
        tmp_path / "b.m4a", write_sound(tmp_path / "a.m4a", noise(0.5, RATE), RATE).read_bytes()[:999]
    )
    before = n_open()
    sounds = []
    for _ in range(5):
        audio.probe(path)
        list(audio.read(path, 8000))
        with audio.read(path, 8000) as sound:
            next(iter(sound))
        sounds.append(sound)
        sounds.append(audio.read(path, 8000))
        sounds[-1].close()
        with pytest.raises(SoundError):
            audio.read(spoiled, 8000)
    assert n_open() == before
    assert [list(sound) for sound in sounds] == [[]] * 10
