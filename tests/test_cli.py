from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import orjson
import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))
from conftest import band_model
from make_sounds import tone, write_sound
from soundalike import __version__, embed, selftest
from soundalike.cli import COMMANDS, main
from soundalike.cli.common import clock, progress_bar, shown
from soundalike.embed import Model
from soundalike.export import read_embeddings
from soundalike.types import LevelRule

RATE = 8000


@pytest.fixture(autouse=True)
def fast_model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, no settings of the one who runs the tests, and a folder of its own to stand in."""
    for name in [name for name in os.environ if name.startswith("SOUNDALIKE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    if "pocket" not in request.fixturenames:
        monkeypatch.setattr(embed, "load_model", load_bands)


def load_bands(name: str = "pocket", device: str = "auto", level: LevelRule | None = None) -> Model:
    model = band_model("pocket")
    model.card = model.card.with_level(level) if level else model.card
    return model


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for i in range(3):
        (folder / "sub").mkdir(parents=True, exist_ok=True)
        write_sound(folder / "sub" / f"{i}.wav", tone(200 * (i + 1), 0.3, RATE), RATE)
    return folder


def call(*arguments: object, env: dict[str, str] | None = None) -> Result:
    result = CliRunner().invoke(main, [os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments], env=env)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def lines(result: Result) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def commands(group: click.Group, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        yield (*above, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


VERBS = dict(commands(main))


# What every verb has.


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_and_so_has_each_of_its_options(verb: tuple[str, ...]) -> None:
    result = call(*verb, "--help")
    assert result.exit_code == 0
    assert result.stderr == ""
    command = VERBS[verb]
    assert command.help
    assert command.help.split("\n\n")[0].endswith(".")
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_option_is_an_environment_variable_of_its_own_name(verb: tuple[str, ...]) -> None:
    for option in VERBS[verb].params:
        if isinstance(option, click.Option):
            name = max(option.opts, key=len).removeprefix("--").upper().replace("-", "_")
            assert option.envvar in (f"SOUNDALIKE_{name}", f"SOUNDALIKE_{verb[-1].upper()}_{name}")


def test_a_variable_of_one_verb_does_not_trip_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDALIKE_FORMAT", "parquet")
    monkeypatch.setenv("SOUNDALIKE_MODEL", "elsewhere")
    for verb in ("transcribe", "pull", "search", "speakers"):
        result = call(verb, "no such file")
        assert "parquet" not in result.stderr
        assert "elsewhere" not in result.stderr


def test_the_verbs_are_those_of_the_table() -> None:
    assert {verb[0] for verb in VERBS} == set(COMMANDS)
    assert call("--help").stdout.count("\n  ") >= len(COMMANDS)


@pytest.mark.parametrize("group", [(), ("models",), ("labels",)], ids=" ".join)
def test_what_each_verb_does_is_said_to_the_end(group: tuple[str, ...]) -> None:
    assert "..." not in call(*group, "--help").stdout.partition("Commands:")[2]


def test_version() -> None:
    assert call("--version").stdout == f"soundalike, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"], ["embed"], ["embed", "in"], ["embed", "in", "-o", "out", "-f", "xml"],
        ["embed", "in", "-o", "out", "--workers", "0"], ["embed", "in", "-o", "out", "--level", "high"],
        ["compare", "a.wav"], ["compare", "a.wav", "b.wav", "--text", "rain"], ["compare", "a.wav", "--text", " "],
        ["query", "lance:x", "--text", ""], ["models", "nonsense"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_exits_with_2(arguments: list[str], sounds: Path) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "gone", "-o", "out"], "gone: no such file or folder"),
        (["retry", "in"], "in: soundalike embed has not written here"),
        (["embed", "in", "-o", "in/sub/0.wav"], "0.wav: this folder cannot be made"),
        (["models", "show", "nonsense"], "There is no model called 'nonsense'"),
        (["info", "in/sub/0.wav", "--model", "nonsense"], "There is no model called 'nonsense'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_at_all_is_one_line_and_exits_with_2(
    arguments: list[str], message: str, sounds: Path
) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("soundalike: ")
    assert message in line


def test_a_folder_without_sounds_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "empty\x1b[31m").mkdir()
    result = call("embed", tmp_path / "empty\x1b[31m", "-o", "out")
    assert result.exit_code == 2
    assert r"no sounds found under" in result.stderr
    assert "\x1b" not in result.stderr


# embed and retry.


def test_embed_writes_a_tree_says_so_and_leaves_stdout_alone(sounds: Path) -> None:
    result = call("embed", "in", "-o", "out")
    assert result.exit_code == 0
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("3 embedded (0.90 s of sound in ")
    assert line.endswith("0 unchanged, 0 failed. Results: out")
    assert [record["path"] for record in read_embeddings(Path("out")).records] == [f"sub/{i}.wav" for i in range(3)]
    assert "0 embedded" in (second := call("embed", "in", "-o", "out")).stderr
    assert "3 unchanged" in second.stderr
    assert "3 embedded" in call("embed", "in", "-o", "out", "--force").stderr


def test_embed_with_json_prints_a_line_per_sound_on_stdout(sounds: Path) -> None:
    (sounds / "bad.mp3").write_text("words")
    result = call("embed", "in", "-o", "out", "--json", "--workers", "1")
    assert result.exit_code == 1
    events = {event["path"]: event for event in lines(result)}
    bad = events.pop(str(sounds / "bad.mp3"))
    assert bad == {"path": bad["path"], "error": "not_audio", "reason": "no sound format is recognized in it"}
    assert sorted(events) == [str(sounds / "sub" / f"{i}.wav") for i in range(3)]
    for event in events.values():
        assert event == {"path": event["path"], "duration_seconds": 0.3, "segments": 1, "warnings": []}
    assert lines(call("embed", "in", "-o", "out", "--json")) == []


def test_commands_that_are_advised_can_be_typed_as_they_stand(sounds: Path) -> None:
    (sounds / "bad.mp3").write_text("words")
    assert call("embed", "in", "-o", "my vectors").stderr.endswith('soundalike retry "my vectors"\n')
    advice = call("add", "in", "-l", "my library").stderr.splitlines()[-1]
    assert advice.endswith(f'soundalike retry -l "{Path("my library").absolute()}"')
    usual = call("sync", "--retry", env={"SOUNDALIKE_LIBRARY": "my library"})
    assert usual.stderr.endswith("soundalike retry\n")


def test_an_interrupt_that_an_extension_made_an_import_error_of_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr("soundalike.models.cards.card_of", broken)
    result = call("info", "a.wav")
    assert (result.exit_code, result.stderr) == (130, "soundalike: interrupted; what was finished is kept\n")


def test_words_in_the_place_of_a_sound_are_told_where_they_belong() -> None:
    result = call("search", "rain on a roof")
    assert result.exit_code == 2
    assert "--text 'rain on a roof'" in result.stderr


def test_failures_are_named_exit_with_1_and_can_be_tried_again(sounds: Path) -> None:
    (sounds / "bad.mp3").write_text("words")
    result = call("embed", "in", "-o", "out")
    assert result.exit_code == 1
    named, counts, advice = result.stderr.splitlines()
    assert named == f"failed: {sounds / 'bad.mp3'}: no sound format is recognized in it"
    assert "3 embedded" in counts
    assert advice.endswith(f"{Path('out', 'failures.csv')}. To try those again: soundalike retry out")
    again = call("embed", "in", "-o", "out")
    assert again.exit_code == 1
    assert "1 failed before and not tried again" in again.stderr
    assert call("retry", "out").exit_code == 1
    assert call("embed", "in", "-o", "out", "--retry").stderr.startswith("failed: ")
    write_sound(sounds / "bad.mp3", tone(440, 0.3, 44_100), 44_100)
    mended = call("retry", "out")
    assert mended.exit_code == 0
    assert "1 embedded" in mended.stderr
    nothing = call("retry", "out")
    assert (nothing.exit_code, nothing.stderr) == (0, "Nothing failed here.\n")
    assert len(read_embeddings(Path("out"))) == 4


def test_retry_keeps_the_settings_of_the_folder(sounds: Path) -> None:
    (sounds / "bad.mp3").write_text("words")
    call("embed", "in", "-o", "out", "-f", "parquet", "--level", "rms", "--segments")
    write_sound(sounds / "bad.mp3", tone(440, 0.3, 44_100), 44_100)
    assert call("retry", "out").exit_code == 0
    found = read_embeddings(Path("out"))
    assert len(found) == 4
    assert found.pipeline == load_bands(level="rms").pipeline
    assert not list(Path("out").rglob("*.json"))


def test_another_level_rule_in_the_same_folder_is_refused(sounds: Path) -> None:
    call("embed", "in", "-o", "out")
    result = call("embed", "in", "-o", "out", "--level", "none")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert load_bands().pipeline in line
    assert load_bands(level="none").pipeline in line
    assert "--model pocket --level peak" in line


def test_formats_and_segments_are_what_was_asked_for(sounds: Path) -> None:
    call("embed", "in", "-o", "out", "-f", "jsonl", "-f", "numpy", "--segments")
    names = sorted(path.name for path in Path("out").iterdir() if not path.name.startswith("."))
    assert names == ["embeddings.csv", "embeddings.jsonl", "embeddings.npy"]
    first = orjson.loads(Path("out", "embeddings.jsonl").read_bytes().splitlines()[0])
    assert [*first][:3] == ["filename", "duration_seconds", "embedding"]
    assert len(first["segments"]) == 1


def test_options_come_from_the_environment_and_the_command_line_wins(sounds: Path) -> None:
    env = {
        "SOUNDALIKE_OUT": "from-env",
        "SOUNDALIKE_FORMAT": "jsonl",
        "SOUNDALIKE_JSON": "1",
        "SOUNDALIKE_LEVEL": "rms",
    }
    result = call("embed", "in", env=env)
    assert len(lines(result)) == 3
    found = read_embeddings(Path("from-env", "embeddings.jsonl"))
    assert found.pipeline == load_bands(level="rms").pipeline
    call("embed", "in", "-o", "other", "-f", "parquet", env=env)
    assert [path.name for path in Path("other").glob("emb*")] == ["embeddings.parquet"]
    assert call("embed", "in", "-o", "x", env={"SOUNDALIKE_WORKERS": "none"}).exit_code == 2


def test_odd_names_are_printed_safely(sounds: Path) -> None:
    for name in ("new\nline.mp3", "\x1b[31mred.mp3", "\udcff.mp3"):
        (sounds / name).write_bytes(b"bad")
    result = call("embed", "in", "-o", "out")
    assert result.exit_code == 1
    named = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    assert sorted(line.split("/")[-1].split(":")[0] for line in named) == [
        r"\x1b[31mred.mp3", r"\xff.mp3", r"new\nline.mp3",
    ]  # fmt: skip
    assert "\x1b" not in result.stderr
    assert len(lines(call("retry", "out", "--json"))) == 3


def test_an_interrupt_exits_with_130_and_keeps_what_is_finished(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = 0

    def interrupted(event: object) -> dict[str, object]:
        nonlocal done
        done += 1
        if done == 2:
            raise KeyboardInterrupt
        return {}

    from soundalike.cli import embed as verb

    monkeypatch.setattr(verb, "result_record", interrupted)
    result = call("embed", "in", "-o", "out", "--json")
    assert result.exit_code == 130
    assert result.stderr == "soundalike: interrupted; what was finished is kept\n"
    monkeypatch.undo()
    monkeypatch.setattr(embed, "load_model", load_bands)
    assert len(read_embeddings(sounds.parent / "out")) == 2


# info, compare, models, verify, demo.


def test_info_says_what_is_inside_and_how_it_will_be_cut(sounds: Path) -> None:
    write_sound(sounds / "long.flac", np.tile(tone(440, 13.0, RATE), (1, 2)), RATE)
    write_sound(sounds / "silent.wav", np.zeros((RATE, 1), np.float32), RATE)
    result = call("info", "in/long.flac", "in/silent.wav", "in/sub/0.wav")
    assert result.exit_code == 0
    assert result.stderr == ""
    out = result.stdout
    assert "flac in flac, 8000 Hz, stereo, 16 bit" in out
    assert "2 segments: 0.00 to 10.00, 3.00 to 13.00 s" in out
    assert "silent: it will have no vector" in out
    assert "1 segment: 0.00 to 0.30 s" in out


def test_info_with_json_and_bad_files(sounds: Path) -> None:
    (sounds / "bad.mp3").write_text("words")
    result = call("info", "in/sub/0.wav", "in/bad.mp3", "in/gone.wav", "--json")
    assert result.exit_code == 1
    good, bad, gone = lines(result)
    assert (good["codec"], good["duration_s"], good["channels"]) == ("pcm_s16le", 0.3, 1)
    assert [round(cut["end_s"], 2) for cut in good["segments"]] == [0.3]
    assert (bad["error"], gone["error"]) == ("not_audio", "missing")
    assert len(result.stderr.splitlines()) == 2


def test_compare_gives_a_score_and_words(sounds: Path) -> None:
    same = call("compare", "in/sub/0.wav", "in/sub/0.wav")
    assert (same.exit_code, same.stdout) == (0, "1.0000  very much alike\n")
    write_sound(sounds / "high.wav", tone(3000, 0.3, RATE), RATE)
    (record,) = lines(call("compare", "in/sub/0.wav", "in/high.wav", "--json"))
    assert record["score"] < 0.5
    assert 0 <= record["probability"] < 0.97
    assert record["a"] == "in/sub/0.wav"


def test_words_that_are_no_text_do_no_harm(sounds: Path, pocket: Model) -> None:
    (record,) = lines(call("compare", "in/sub/0.wav", "--text", "stray \udcff byte", "--json"))
    assert record["b"] == r"stray \xff byte"


def test_compare_with_words_of_the_bundled_model(sounds: Path, pocket: Model) -> None:
    (record,) = lines(call("compare", "in/sub/0.wav", "--text", "a beep", "--json"))
    assert -1 <= record["score"] <= 1
    assert record["b"] == "a beep"


def test_compare_with_a_bad_file_is_one_line_and_exits_with_1(sounds: Path) -> None:
    result = call("compare", "in/sub/0.wav", "in/gone\n.wav")
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line == r"soundalike: in/gone\n.wav: there is no such file"


def test_models_are_listed_and_shown() -> None:
    listed = call("models", "list")
    assert listed.stdout.startswith("pocket\t512-d\tsounds and words\t")
    (card, *_) = lines(call("models", "list", "--json"))
    assert (card["name"], card["dim"], card["text"]) == ("pocket", 512, True)
    shown_card = call("models", "show", "pocket").stdout
    for word in ("pipeline", card["pipeline"], "licence", "32000 Hz"):
        assert word in shown_card


def test_verify_names_what_is_wrong(sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from soundalike.models import cards

    monkeypatch.setattr(selftest, "EXAMPLES", sounds)
    monkeypatch.setattr(cards, "BUNDLED", tmp_path)
    (tmp_path / "pocket").mkdir()
    missing = call("verify")
    assert missing.exit_code == 2
    assert "no golden vectors" in missing.stderr
    selftest.write_golden(load_bands())
    right = call("verify")
    assert (right.exit_code, right.stdout) == (0, "")
    assert right.stderr.startswith("3 of 3 examples right")
    write_sound(sounds / "sub" / "1.wav", tone(3000, 0.3, RATE), RATE)
    wrong = call("verify")
    assert wrong.exit_code == 1
    assert wrong.stdout.startswith("wrong: sub/1.wav: cosine 0.")
    assert [check["passed"] for check in lines(call("verify", "--json"))] == [True, False, True]


def test_demo_embeds_the_examples_and_searches_them(tmp_path: Path, pocket: Model) -> None:
    result = call("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.stderr
    assert "example sounds embedded" in result.stderr
    assert result.stdout.count("Sounds like ") == 3
    assert result.stdout.count("Words: ") == 5
    assert len(list((tmp_path / "demo").rglob("*.json"))) == len(read_embeddings(tmp_path / "demo")) >= 30


# As a process of its own.


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    code = "from soundalike.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_a_process_gives_json_on_stdout_and_exit_codes(sounds: Path) -> None:
    (sounds / "\udcff.mp3").write_bytes(b"bad")
    process = start("embed", "in", "-o", "out", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert len([orjson.loads(line) for line in out.splitlines()]) == 4
    assert "Traceback" not in err
    assert "%" not in err  # no progress bar where nobody looks


def test_ctrl_c_ends_a_process_soon_with_130_and_the_next_run_goes_on(sounds: Path) -> None:
    """In the middle of a sound of an hour."""
    for i in range(3):
        shutil.copy(sounds / "sub" / f"{i}.wav", sounds / f"{i}.wav")
    (sounds / "z").mkdir()
    long = write_sound(sounds / "z" / "long.wav", np.tile(tone(440, 10, RATE), (360, 1)), RATE)
    process = start("embed", "in", "-o", "out", "--json", "--workers", "1")
    assert process.stdout is not None
    for _ in range(6):
        assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    killer = threading.Timer(60, process.kill)
    killer.start()
    _, err = process.communicate()
    killer.cancel()
    assert process.returncode == 130, err
    assert err == "soundalike: interrupted; what was finished is kept\n"
    assert len(read_embeddings(Path("out"))) == 6
    long.unlink()
    process = start("embed", "in", "-o", "out")
    _, err = process.communicate(timeout=120)
    assert "0 embedded" in err
    assert "6 unchanged" in err


def test_a_reader_that_goes_away_is_no_traceback(sounds: Path) -> None:
    process = start("embed", "in", "-o", "out", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(60) != 0


# Small things.


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.731, "0.73 s"), (12.44, "12.4 s"), (187, "3:07 min"), (7387, "2:03:07 h"), (59.96, "60.0 s"), (0, "0.00 s")],
)
def test_durations_are_written_as_people_read_them(seconds: float, words: str) -> None:
    assert clock(seconds) == words


def test_paths_are_made_printable() -> None:
    assert shown("plain/é/日本.wav") == "plain/é/日本.wav"
    assert shown("a\n\x1b\udcff\u202e") == r"a\n\x1b\xff\u202e"


def test_progress_is_silent_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(10, "embedding") as show:
        show(5, "3 x real time")
    assert capsys.readouterr() == ("", "")
