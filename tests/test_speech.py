from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from conftest import band_model
from make_sounds import tone, write_sound
from soundalike import audio, embed, transcribe, transcribe_files
from soundalike.cli import main
from soundalike.errors import ModelError, SoundError
from soundalike.models.speech import LIBRISPEECH, CtcSpec
from soundalike.speech import Transcript, Word, compare_voices
from soundalike.speech.ctc import Frame, frames_of, spell
from soundalike.speech.windows import windows
from soundalike.speech.writing import LONGEST_S, N_LINES, WIDTH, cues, record, srt, vtt
from soundalike.types import F32, Failure
from speech_model import RATE, tone_model, tones

LOAD_MODEL = embed.load_model
GOLDEN = Path(__file__).parent / "golden" / "ctc" / "transformers.json"
TEXT = "HELLO WORLD AGAIN"
FRAME_S = 0.02


def sure(ids: list[int]) -> list[Frame]:
    return [(number, 1.0) for number in ids]


def words_of(ids: list[int]) -> list[Word]:
    return list(spell(sure(ids), LIBRISPEECH, RATE))


def ids_of(text: str) -> list[int]:
    """Numbers of the characters of a text in which ``_`` is the blank."""
    return [LIBRISPEECH.characters.index({"_": "<pad>"}.get(letter, letter)) for letter in text]


# Decoding


@pytest.mark.parametrize("case", orjson.loads(GOLDEN.read_bytes()), ids=lambda case: str(len(case["words"])))
def test_words_and_frames_are_those_of_transformers(case: Any) -> None:
    found = [[word.text, round(word.start_s / FRAME_S), round(word.end_s / FRAME_S)] for word in words_of(case["ids"])]
    assert found == case["words"]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ("", []),
        ("____", []),
        ("||_||", []),
        ("AAA", ["A"]),
        ("A_A", ["AA"]),
        ("AA__AB", ["AAB"]),
        ("HHE_LL_L_O|||WO", ["HELLO", "WO"]),
        ("|A|_|B|", ["A", "B"]),
    ],
)
def test_repeats_become_one_and_blanks_fall_out(frames: str, expected: list[str]) -> None:
    assert [word.text for word in words_of(ids_of(frames))] == expected


ids = st.lists(st.sampled_from(range(8)), max_size=60)


@given(ids, st.lists(st.integers(1, 4), min_size=60, max_size=60))
def test_holding_a_character_longer_changes_no_word(some: list[int], times: list[int]) -> None:
    held = [number for number, n in zip(some, times, strict=False) for _ in range(n)]
    assert [word.text for word in words_of(held)] == [word.text for word in words_of(some)]


@given(ids)
def test_blanks_between_different_characters_change_no_word(some: list[int]) -> None:
    runs = [number for number, _ in groupby(some)]
    spaced = [number for run in runs for number in (run, 0)]
    assert [word.text for word in words_of(spaced)] == [word.text for word in words_of(runs)]


@given(ids)
def test_times_are_in_order_and_in_the_sound(some: list[int]) -> None:
    edges = [time for word in words_of(some) for time in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert all(0 <= time <= len(some) * FRAME_S + 1e-9 for time in edges)


def test_confidence_is_the_mean_probability_of_the_characters_without_blanks() -> None:
    frames = [(7, 0.9), (7, 0.7), (0, 0.1), (6, 0.5), (4, 0.2)]
    (word,) = spell(frames, LIBRISPEECH, RATE)
    assert word.confidence == pytest.approx(0.7)


def test_probability_is_that_of_softmax() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (40, 32)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = frames_of(logits)
    assert [number for number, _ in found] == logits.argmax(1).tolist()
    np.testing.assert_allclose([probability for _, probability in found], shares.max(1), rtol=1e-5)
    assert frames_of(np.full((1, 32), 1e4, np.float32)) == [(0, 1 / 32)]


# Windows


def blocks_of(samples: F32, size: int) -> Iterator[F32]:
    for start in range(0, samples.size, size):
        yield samples[start : start + size]


@given(st.integers(0, 4000), st.integers(1, 700), st.integers(5, 12), st.integers(1, 2))
def test_kept_frames_follow_each_other_to_the_end(n: int, block: int, length: int, margin: int) -> None:
    spec = replace(LIBRISPEECH, hop_length=10, shortest=15, window_s=length * 10 / 1000, margin_s=margin * 10 / 1000)
    kept: list[float] = []
    for window in windows(blocks_of(np.arange(n, dtype=np.float32), block), spec, 1000):
        starts = window.samples[: max(window.samples.size - spec.shortest + 1, 0) : spec.hop_length]
        assert window.samples.size <= length * spec.hop_length
        kept += starts[window.kept].tolist()
    assert kept == list(range(0, max(n - spec.shortest + 1, 0), spec.hop_length))


@given(st.text("AB ", max_size=30), st.integers(0, 4), st.integers(1, 20_000), st.floats(0.5, 2))
def test_windows_that_hear_enough_give_what_the_whole_sound_gives(
    text: str, context: int, block: int, window_s: float
) -> None:
    samples = tones(text)
    spec = replace(LIBRISPEECH, window_s=window_s, margin_s=(context + 1) * FRAME_S)
    encoder = tone_model(spec, context).encoder
    pieces = windows(blocks_of(samples, block), spec, RATE)
    windowed = [frame for window in pieces for frame in frames_of(encoder.logits(window.samples))[window.kept]]
    assert windowed == frames_of(encoder.logits(samples))


def test_margins_are_needed() -> None:
    """What the property above shows could be shown of any cut, were the margins of no use."""
    samples, context = tones(TEXT), 4
    spec = replace(LIBRISPEECH, window_s=0.5, margin_s=FRAME_S)
    encoder = tone_model(spec, context).encoder
    pieces = windows([samples], spec, RATE)
    windowed = [frame for window in pieces for frame in frames_of(encoder.logits(window.samples))[window.kept]]
    assert windowed != frames_of(encoder.logits(samples))


# Files


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    path = tmp_path / "spoken.wav"
    write_sound(path, tones(TEXT), RATE)
    return path


def test_a_file_is_written_down(spoken: Path) -> None:
    found = transcribe(spoken, tone_model())
    assert found.text == TEXT
    assert [word.text for word in found.words] == TEXT.split()
    assert found.duration_s == tones(TEXT).size / RATE
    assert found.words[0].start_s == pytest.approx(3 * FRAME_S, abs=FRAME_S)
    assert found.words[1].start_s == pytest.approx((3 + 6 * 8) * FRAME_S, abs=FRAME_S)
    assert all(0.5 < word.confidence <= 1 for word in found.words)


def test_the_file_rate_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "spoken.flac"
    write_sound(path, audio.resample(tones(TEXT), RATE, 44_100), 44_100)
    assert transcribe(path, tone_model()).text == TEXT


@pytest.mark.parametrize("workers", [1, 3])
def test_a_long_file_in_windows_and_files_side_by_side(spoken: Path, tmp_path: Path, workers: int) -> None:
    long = tmp_path / "long.wav"
    write_sound(long, tones(" ".join([TEXT] * 12)), RATE)
    model = tone_model(replace(LIBRISPEECH, window_s=1.0, margin_s=0.2))
    heard: list[float] = []
    results = list(transcribe_files([spoken, long, spoken], model, workers, on_progress=heard.append))
    assert [result.path for result in results] == [spoken, long, spoken]
    assert [result.text for result in results if isinstance(result, Transcript)] == [TEXT, " ".join([TEXT] * 12), TEXT]
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(sum(r.duration_s for r in results if isinstance(r, Transcript)), abs=0.1)


def test_windows_are_not_taken_far_ahead(monkeypatch: pytest.MonkeyPatch, spoken: Path) -> None:
    """Memory is that of a few windows, however long the sound."""
    from soundalike.speech import flow

    taken, heard, ahead = [0], [0], [0]

    def counted(*arguments: Any) -> Iterator[Any]:
        for window in windows(*arguments):
            taken[0] += 1
            ahead.append(taken[0] - heard[0])
            yield window

    monkeypatch.setattr(flow, "windows", counted)
    model = tone_model(replace(LIBRISPEECH, window_s=0.2, margin_s=0.04))
    for _ in transcribe_files([spoken], model, 1, on_progress=lambda _: heard.append(heard.pop() + 1)):
        pass
    assert taken[0] > 15
    assert max(ahead) <= 4


def test_one_bad_file_costs_one_file(spoken: Path, tmp_path: Path) -> None:
    bad, absent = tmp_path / "bad.wav", tmp_path / "absent.wav"
    bad.write_bytes(b"no sound at all")
    first, second, third, last = transcribe_files([spoken, bad, absent, spoken], tone_model())
    assert isinstance(first, Transcript)
    assert isinstance(last, Transcript)
    assert first.words == last.words
    assert isinstance(second, Failure)
    assert second.code == "not_audio"
    assert isinstance(third, Failure)
    assert third.code == "missing"
    with pytest.raises(SoundError, match=r"bad\.wav"):
        transcribe(bad, tone_model())


def test_an_error_that_nobody_foresaw_costs_one_file_too(spoken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tone_model()
    monkeypatch.setattr(model.encoder, "logits", lambda samples: 1 / 0)
    (failure,) = transcribe_files([spoken], model)
    assert isinstance(failure, Failure)
    assert "ZeroDivisionError" in failure.reason


def test_run_left_early_ends(spoken: Path) -> None:
    results = transcribe_files(iter([spoken] * 10_000), tone_model(), 2)
    next(results)
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("n", [100, 399, 400, 5000])
def test_in_silence_and_in_next_to_nothing_no_word_is_said(tmp_path: Path, n: int) -> None:
    write_sound(tmp_path / "silent.wav", np.zeros(n, np.float32), RATE)
    assert transcribe(tmp_path / "silent.wav", tone_model()).words == ()


def test_the_pocket_model_recognizes_no_speech(spoken: Path, bands: embed.Model) -> None:
    with pytest.raises(ModelError, match="recognizes no speech"):
        transcribe(spoken, bands)


# Subtitles


def said(*words: tuple[str, float, float], duration_s: float = 100.0) -> Transcript:
    return Transcript(Path("a.wav"), tuple(Word(*word, 0.9) for word in words), duration_s, "tones")


def test_cues_break_at_pauses() -> None:
    transcript = said(("ONE", 0.5, 0.9), ("TWO", 1.2, 1.6), ("THREE", 3.0, 3.4), duration_s=3.5)
    assert srt(transcript) == (
        "1\n00:00:00,500 --> 00:00:01,600\nONE TWO\n\n2\n00:00:03,000 --> 00:00:03,500\nTHREE\n"
    )
    assert vtt(transcript) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.600\nONE TWO\n\n00:00:03.000 --> 00:00:03.500\nTHREE\n"
    )


def test_special_characters_and_hours() -> None:
    transcript = said(("<unk>", 3661.0, 3662.0015), duration_s=4000)
    assert "&lt;unk&gt;" in vtt(transcript)
    assert "01:01:01.000 --> 01:01:02.002" in vtt(transcript)
    assert "<unk>" in srt(transcript)


def test_nothing_said_makes_no_cue() -> None:
    assert srt(said()) == ""
    assert vtt(said()) == "WEBVTT\n"


words = st.lists(st.tuples(st.text("ABCDEFG'", min_size=1, max_size=12), st.floats(0, 1.5), st.floats(0.02, 1)))


@given(words)
def test_cues_hold_every_word_once_fit_and_do_not_overlap(some: list[tuple[str, float, float]]) -> None:
    at, made = 0.0, []
    for text, gap, length in some:
        made.append((text, at + gap, at + gap + length))
        at = made[-1][2]
    found = cues(said(*made, duration_s=at))
    assert " ".join(cue.text for cue in found).split() == [text for text, _, _ in made]
    edges = [time for cue in found for time in (cue.start_s, cue.end_s)]
    assert edges == sorted(edges)
    assert all(edge <= at for edge in edges)
    for cue in found:
        assert cue.end_s - cue.start_s <= LONGEST_S + 1e-9
        assert all(len(line) <= WIDTH for line in cue.text.split("\n"))
        assert len(cue.text.split("\n")) <= N_LINES


def test_record_reads_back() -> None:
    transcript = said(("ONE", 0.5, 0.9))
    assert orjson.loads(orjson.dumps(record(transcript))) == {
        "path": "a.wav", "duration_seconds": 100.0, "text": "ONE", "model": "tones", "warnings": [],
        "words": [{"word": "ONE", "start_s": 0.5, "end_s": 0.9, "confidence": 0.9}],
    }  # fmt: skip


# Speakers


@pytest.fixture
def voices() -> embed.Model:
    model = band_model("voices")
    model.card = model.encoder.card = replace(model.card, same_speaker=0.9)
    return model


@pytest.fixture
def takes(tmp_path: Path) -> list[Path]:
    """Two takes each of a low and of a high voice, one of them louder."""
    paths = []
    for name, pitch, gain in [("low1", 300, 1.0), ("high1", 3000, 1.0), ("low2", 300, 0.3), ("high2", 3000, 0.5)]:
        paths.append(tmp_path / f"{name}.wav")
        write_sound(paths[-1], np.float32(gain) * tone(pitch, 1.0, RATE), RATE)
    return paths


def test_speakers_are_grouped_by_the_score_that_the_card_names(voices: embed.Model, takes: list[Path]) -> None:
    found = compare_voices(takes, voices)
    assert found.speakers == (1, 2, 1, 2)
    assert found.same(0, 2)
    assert not found.same(0, 1)
    np.testing.assert_allclose(found.scores, found.scores.T)
    np.testing.assert_allclose(np.diag(found.scores), 1, rtol=1e-6)
    assert compare_voices(takes, voices, same_speaker=-1).speakers == (1, 1, 1, 1)
    assert compare_voices(takes[:1], voices).speakers == (1,)


@given(st.integers(2, 8), st.floats(-0.5, 0.99), st.integers(0, 1000))
def test_in_a_group_every_two_are_the_same_speaker(n: int, threshold: float, seed: int) -> None:
    from soundalike.speech.speakers import _group

    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = (vectors @ vectors.T).astype(np.float32)
    groups = _group(scores, threshold)
    assert groups[0] == 1
    for a in range(n):
        for b in range(n):
            assert groups[a] != groups[b] or a == b or scores[a, b] >= threshold - 1e-6


def test_a_bad_take_costs_one_take(voices: embed.Model, takes: list[Path], tmp_path: Path) -> None:
    found = compare_voices([takes[0], tmp_path / "absent.wav", takes[2]], voices)
    assert found.paths == (takes[0], takes[2])
    assert [failure.code for failure in found.failures] == ["missing"]


def test_models_of_sounds_tell_no_speakers_apart(takes: list[Path], bands: embed.Model) -> None:
    with pytest.raises(ModelError, match="does not tell speakers apart"):
        compare_voices(takes, bands)


# The command line


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, voices: embed.Model) -> None:
    def load(name: str, device: str = "auto") -> embed.Model:
        return {"wav2vec2-base-960h": tone_model(), "wavlm-base-plus-sv": voices}[name]

    monkeypatch.setattr(embed, "load_model", load)


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_transcribe_prints_the_words_alone(spoken: Path) -> None:
    result = call("transcribe", spoken)
    assert result.exit_code == 0
    assert result.stdout == f"{TEXT}\n"
    assert result.stderr == ""


def test_transcribe_prints_times(spoken: Path) -> None:
    lines = call("transcribe", spoken, "--times").stdout.splitlines()
    assert [line.split("\t")[3] for line in lines] == TEXT.split()
    assert 0 <= float(lines[0].split("\t")[0]) < float(lines[0].split("\t")[1])
    assert call("transcribe", spoken, "--times", "--json").exit_code == 2


def test_transcribe_goes_on_after_a_bad_file(spoken: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    result = call("transcribe", tmp_path / "bad.wav", tmp_path / "absent.wav", spoken, "--json")
    assert result.exit_code == 1
    by_name = {Path(line["path"]).name: line for line in map(orjson.loads, result.stdout.splitlines())}
    assert by_name["bad.wav"]["error"] == "not_audio"
    assert by_name["absent.wav"]["error"] == "missing"
    assert by_name["spoken.wav"]["text"] == TEXT
    assert "failed" in result.stderr


def test_transcribe_writes_subtitles_by_the_name_of_the_file(spoken: Path, tmp_path: Path) -> None:
    for kind, head in [("srt", "1\n00:00:00,"), ("vtt", "WEBVTT\n"), ("txt", "HELLO")]:
        out = tmp_path / f"out.{kind}"
        result = call("transcribe", spoken, "-o", out)
        assert result.exit_code == 0
        assert result.stdout == ""
        assert "3 words" in result.stderr
        assert out.read_text().startswith(head)


def test_transcribe_writes_a_folder_of_subtitles_that_players_find(spoken: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("one.wav", "two.wav", "two.flac", "deep/one.wav"):
        write_sound(tmp_path / "in" / name, tones("AB"), RATE)
    result = call("transcribe", tmp_path / "in", "-o", tmp_path / "out", "-f", "vtt")
    assert result.exit_code == 0
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.vtt"))
    assert found == ["deep/one.vtt", "one.vtt", "two.flac.vtt", "two.wav.vtt"]
    (tmp_path / "out" / "one.vtt").unlink()
    again = call("transcribe", tmp_path / "in", "-o", tmp_path / "out", "-f", "vtt")
    assert "3 unchanged" in again.stderr
    assert again.stderr.count("wrote") == 1
    forced = call("transcribe", tmp_path / "in", "-o", tmp_path / "out", "-f", "vtt", "--force")
    assert forced.stderr.count("wrote") == 4
    wrong = call("transcribe", tmp_path / "in", "-o", tmp_path / "all.srt")
    assert wrong.exit_code == 2
    assert "give a folder" in wrong.stderr


def test_transcribe_refuses_what_cannot_be_meant(spoken: Path, tmp_path: Path) -> None:
    assert call("transcribe", spoken, "-f", "srt").exit_code == 2
    (tmp_path / "empty").mkdir()
    assert call("transcribe", tmp_path / "empty").exit_code == 2


def test_speakers_says_who_is_who(takes: list[Path]) -> None:
    result = call("speakers", takes[0], takes[2])
    assert result.exit_code == 0
    assert "same speaker" in result.stdout
    lines = call("speakers", *takes).stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("speaker ")] == ["1", "2", "1", "2"]
    pairs = [orjson.loads(line) for line in call("speakers", *takes, "--json").stdout.splitlines()]
    assert [pair["same"] for pair in pairs] == [False, True, False, False, True, False]
    assert {pair["threshold"] for pair in pairs} == {0.9}


def test_speakers_needs_two_and_names_what_failed(takes: list[Path], tmp_path: Path) -> None:
    assert call("speakers", takes[0]).exit_code == 2
    result = call("speakers", takes[0], takes[2], tmp_path / "absent.wav")
    assert result.exit_code == 1
    assert "absent.wav" in result.stderr
    assert "same speaker" in result.stdout


# The recognizer of ten words that training/tiny_speech.py made


TINY = Path(__file__).parent / "fixtures" / "tiny_speech"
PHRASES = {path: path.stem.upper().replace("-", " ") for path in sorted(TINY.glob("*.flac"))}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "load_model", LOAD_MODEL)
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(TINY))


@pytest.mark.usefixtures("tiny")
def test_a_trained_recognizer_writes_down_what_it_never_heard() -> None:
    result = call("transcribe", TINY, "--json")
    assert result.exit_code == 0
    found = [orjson.loads(line) for line in result.stdout.splitlines()]
    assert len(PHRASES) == 4
    assert {Path(line["path"]): line["text"] for line in found} == PHRASES
    assert all(word["confidence"] > 0.5 for line in found for word in line["words"])


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("window_s", "margin_s"), [(2.4, 0.6), (18.0, 3.0), (100.0, 5.0)])
def test_where_windows_meet_no_word_is_lost(window_s: float, margin_s: float, tmp_path: Path) -> None:
    parts = [np.concatenate(list(audio.read(path, RATE))) for path in PHRASES] * 12
    write_sound(tmp_path / "long.wav", np.concatenate(parts), RATE)
    model = LOAD_MODEL("wav2vec2-base-960h")
    model.card = replace(model.card, ctc=replace(LIBRISPEECH, window_s=window_s, margin_s=margin_s))
    long = transcribe(tmp_path / "long.wav", model)
    assert long.duration_s > 45
    assert long.text == " ".join([*PHRASES.values()] * 12)
    ends = np.cumsum([part.size / RATE for part in parts])
    for i, end_s in enumerate(ends):  # three words a phrase
        start_s = ends[i - 1] if i else 0.0
        assert start_s - 0.1 <= long.words[3 * i].start_s < long.words[3 * i + 2].end_s <= end_s + 0.1


def test_a_recognizer_that_is_not_here_says_how_to_get_it(
    spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "load_model", LOAD_MODEL)
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(tmp_path))
    result = call("transcribe", spoken)
    assert result.exit_code == 2
    assert "models pull wav2vec2-base-960h" in result.stderr
    (tmp_path / "wav2vec2-base-960h").mkdir()
    (tmp_path / "wav2vec2-base-960h" / "model.json").write_text("{}")
    assert "damaged" in call("transcribe", spoken).stderr


def test_a_card_says_how_a_recognizer_spells() -> None:
    assert len(LIBRISPEECH.characters) == len(set(LIBRISPEECH.characters)) == 32
    assert isinstance(LIBRISPEECH, CtcSpec)
    assert LIBRISPEECH.characters[4] == LIBRISPEECH.delimiter
