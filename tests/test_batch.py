from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import band_model
from make_sounds import tone, write_sound
from soundalike.batch import Progress, embed_into
from soundalike.embed import Model
from soundalike.errors import ExportError, PipelineMismatch
from soundalike.export import read_embeddings
from soundalike.folders import find_sounds
from soundalike.journal import read_failures
from soundalike.types import Failure

ALL = ["json", "jsonl", "parquet", "numpy"]
N = 6


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    (folder / "sub").mkdir()
    for i in range(N):
        write_sound(folder / ("sub" if i % 2 else "") / f"{i}.wav", tone(200 * (i + 1), 0.3, 8000), 8000)
    (folder / "bad.mp3").write_text("not a sound at all")
    return folder


@pytest.fixture
def sounds(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "in"))


def run(sounds: Path, out: Path, model: Model | None = None, **options: Any) -> Progress:
    return embed_into(out, model or band_model(), find_sounds([sounds]), **options)


def counts(progress: Progress) -> tuple[int, int, int, int]:
    return progress.n_done, progress.n_unchanged, progress.n_failed, progress.n_failed_before


def json_files(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.json")}


def paths_in(place: Path) -> list[str]:
    return sorted(record["path"] for record in read_embeddings(place).records)


def failures_in(out: Path) -> list[list[str]]:
    with (out / "failures.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_a_folder_becomes_a_folder_of_json_files_that_mirrors_it(
    sounds: Path, tmp_path: Path, bands: Model
) -> None:
    assert counts(run(sounds, tmp_path / "out")) == (N, 0, 1, 0)
    assert sorted(json_files(tmp_path / "out")) == [
        "0.wav.json", "2.wav.json", "4.wav.json", "sub/1.wav.json", "sub/3.wav.json", "sub/5.wav.json",
    ]  # fmt: skip
    record = orjson.loads((tmp_path / "out" / "sub" / "1.wav.json").read_bytes())
    direct = bands.embed_file(sounds / "sub" / "1.wav")
    assert np.array(record["embedding"], np.float32).tobytes() == direct.vector.tobytes()
    assert (record["duration_seconds"], record["sample_rate"], record["channels"]) == (0.3, 8000, 1)
    assert failures_in(tmp_path / "out") == [
        ["path", "code", "reason"], ["bad.mp3", "not_audio", "no sound format is recognized in it"],
    ]  # fmt: skip


def test_a_second_run_does_only_what_is_new_or_has_changed(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(sounds, out)
    before = json_files(out)
    assert counts(run(sounds, out)) == (0, N, 0, 1)
    assert json_files(out) == before
    write_sound(sounds / "new.wav", tone(50, 0.2, 8000), 8000)
    write_sound(sounds / "0.wav", tone(3000, 0.3, 8000), 8000)
    assert counts(run(sounds, out)) == (2, N - 1, 0, 1)
    after = json_files(out)
    assert {name for name in after if after[name] != before.get(name)} == {"new.wav.json", "0.wav.json"}


def test_a_sound_elsewhere_with_the_same_name_size_and_time_is_another(sounds: Path, tmp_path: Path) -> None:
    run(sounds, tmp_path / "out")
    other = tmp_path / "other"
    other.mkdir()
    write_sound(other / "0.wav", tone(3000, 0.3, 8000), 8000)
    status = (sounds / "0.wav").stat()
    os.utime(other / "0.wav", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (other / "0.wav").stat().st_size == status.st_size
    assert counts(run(other, tmp_path / "out")) == (1, 0, 0, 0)


def test_force_does_all_again(sounds: Path, tmp_path: Path) -> None:
    run(sounds, tmp_path / "out")
    before = json_files(tmp_path / "out")
    assert counts(run(sounds, tmp_path / "out", force=True)) == (N, 0, 1, 0)
    assert json_files(tmp_path / "out") == before


def test_retry_does_what_failed_and_clears_the_table(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(sounds, out)
    assert counts(run(sounds, out, retry=True)) == (0, N, 1, 0)
    write_sound(sounds / "bad.mp3", tone(440, 0.3, 44_100), 44_100)
    settings, failed = read_failures(out)
    assert [str(sound.name) for sound in failed] == ["bad.mp3"]
    assert settings.formats == ("json",)
    assert counts(embed_into(out, band_model(), failed, retry=True)) == (1, 0, 0, 0)
    assert not (out / "failures.csv").exists()
    assert read_failures(out)[1] == []


def test_a_sound_that_fails_now_is_no_longer_among_the_embedded(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(sounds, out, formats=["json", "jsonl"])
    (sounds / "0.wav").write_bytes(b"broken")
    assert counts(run(sounds, out)) == (0, N - 1, 1, 1)
    assert "0.wav" not in paths_in(out / "embeddings.jsonl")
    assert "0.wav" not in paths_in(out)


def test_a_json_file_that_was_deleted_is_written_again(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(sounds, out)
    before = json_files(out)
    (out / "0.wav.json").unlink()
    shutil.rmtree(out / "sub")
    assert counts(run(sounds, out)) == (0, N, 0, 1)
    assert json_files(out) == before


@pytest.mark.parametrize("later", ALL[1:])
def test_a_format_that_is_added_later_is_complete_and_all_are_kept_up(
    sounds: Path, tmp_path: Path, later: str
) -> None:
    out = tmp_path / "out"
    run(sounds, out)
    run(sounds, out, formats=[later])
    (table,) = out.glob("embeddings.*[!v]")
    assert paths_in(table) == paths_in(out)
    np.testing.assert_array_equal(read_embeddings(table).vectors.shape, (N, 8))
    write_sound(sounds / "new.wav", tone(50, 0.2, 8000), 8000)
    run(sounds, out, formats=[later])
    assert "new.wav" in paths_in(table)
    assert paths_in(table) == paths_in(out)


def test_json_that_is_added_later_is_complete(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(sounds, out, formats=["parquet"])
    assert not json_files(out)
    assert counts(run(sounds, out, formats=["json"])) == (0, N, 0, 1)
    assert len(json_files(out)) == N


def test_all_formats_hold_the_same(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(sounds, out, formats=ALL)
    want = read_embeddings(out)
    for name in ("embeddings.jsonl", "embeddings.parquet", "embeddings.npy"):
        found = read_embeddings(out / name)
        order = [found.records.index(record) for record in want.records]
        np.testing.assert_array_equal(found.vectors[order], want.vectors)


def test_segments_that_are_asked_for_later_come_to_all_and_stay(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(sounds, out)
    assert "segments" not in orjson.loads((out / "0.wav.json").read_bytes())
    assert counts(run(sounds, out, segments=True)) == (0, N, 0, 1)
    write_sound(sounds / "new.wav", tone(50, 0.2, 8000), 8000)
    run(sounds, out)
    for data in json_files(out).values():
        record = orjson.loads(data)
        (segment,) = record["segments"]
        assert segment["embedding"] == record["embedding"]
        assert segment["end_s"] == pytest.approx(record["duration_seconds"], abs=0.01)


def test_the_output_may_lie_inside_the_input_or_be_the_input(sounds: Path) -> None:
    assert counts(run(sounds, sounds / "out")) == (N, 0, 1, 0)
    assert counts(run(sounds, sounds / "out")) == (0, N, 0, 1)
    assert counts(run(sounds, sounds)) == (N, 0, 1, 0)
    assert counts(run(sounds, sounds)) == (0, N, 0, 1)
    assert (sounds / "sub" / "1.wav.json").is_file()


def test_odd_names_go_all_the_way(sounds: Path, tmp_path: Path) -> None:
    out, odd = (
        tmp_path / "out",
        ["\udcff.wav", "new\nline.wav", '"a,b".wav', "n" * 250 + ".wav", "a.WAV", "a.wav"],
    )
    source = (sounds / "0.wav").read_bytes()
    for name in odd:
        (sounds / name).write_bytes(source)
    (sounds / "\udcfe.mp3").write_bytes(b"bad")
    assert counts(run(sounds, out, formats=ALL)) == (N + len(odd), 0, 2, 0)
    assert len(json_files(out)) == N + len(odd)
    assert ["\\xfe.mp3", "not_audio"] in [row[:2] for row in failures_in(out)]
    for name in ("embeddings.jsonl", "embeddings.parquet", "embeddings.npy"):
        assert "\\xff.wav" in paths_in(out / name)
        assert paths_in(out / name) == paths_in(out)


def test_another_model_is_refused_and_nothing_changes(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(sounds, out)
    before = json_files(out)
    other = band_model()
    other.card = other.card.with_level("none")
    with pytest.raises(PipelineMismatch):
        run(sounds, out, other, force=True)
    assert json_files(out) == before


def test_progress_is_told_after_each_sound(sounds: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []
    run(sounds, tmp_path / "out", on_progress=lambda p: seen.append((p.n_total, p.n_done + p.n_failed)))
    assert seen == [(N + 1, i) for i in range(N + 2)]


def interrupt_at(n: int) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.n_done + progress.n_failed == n:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.parametrize("n", [1, 3, N + 1])
def test_an_interrupted_run_keeps_what_is_finished_and_the_next_goes_on(
    sounds: Path, tmp_path: Path, n: int
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(sounds, out, formats=ALL, on_progress=interrupt_at(n))
    kept = json_files(out)
    assert n - 1 <= len(kept) <= n
    if kept:
        assert paths_in(out) == paths_in(out / "embeddings.parquet") == paths_in(out / "embeddings.npy")
    done, unchanged, *_ = counts(run(sounds, out, retry=True))
    assert (done, unchanged) == (N - len(kept), len(kept))
    assert json_files(out).items() >= kept.items()
    run(sounds, tmp_path / "straight", formats=ALL)
    assert json_files(out) == json_files(tmp_path / "straight")
    assert (out / "embeddings.jsonl").read_bytes() == (
        tmp_path / "straight" / "embeddings.jsonl"
    ).read_bytes()


def test_an_interrupt_while_segments_are_added_does_not_lose_them(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from soundalike import export

    out = tmp_path / "out"
    run(sounds, out)
    written: list[str] = []
    write_json = export.write_json

    def break_off(record: export.Record, name: str, place: Path) -> Path:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(name)
        return write_json(record, name, place)

    with monkeypatch.context() as patch:
        patch.setattr(export, "write_json", break_off)
        with pytest.raises(KeyboardInterrupt):
            run(sounds, out, segments=True)
    run(sounds, out, segments=True)
    assert all("segments" in orjson.loads(data) for data in json_files(out).values())


def test_a_full_disk_is_one_error_and_what_was_finished_is_kept(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, n_synced, fsync = tmp_path / "out", 0, os.fsync

    def full(handle: int) -> None:
        nonlocal n_synced
        n_synced += 1
        if n_synced > 2:
            raise OSError(28, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ExportError, match="No space left on device"):
            run(sounds, out)
    assert len(json_files(out)) == 2
    assert counts(run(sounds, out, retry=True))[:2] == (N - 2, 2)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import band_model
from soundalike.batch import embed_into
from soundalike.folders import find_sounds
from soundalike.journal import Journal
from soundalike import journal
journal.COMMIT_S = 0.0

def on_progress(progress):
    if progress.n_done == 3:
        os.kill(os.getpid(), int(sys.argv[4]))

embed_into(Path(sys.argv[3]), band_model(), find_sounds([Path(sys.argv[2])]), formats=["json", "parquet"], workers=1,
           on_progress=on_progress)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_process_leaves_a_folder_that_goes_on(
    sounds: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-c",
        KILLED,
        str(Path(__file__).parent),
        str(sounds),
        str(out),
        str(int(number)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -number, done.stderr
    kept = json_files(out)
    assert len(kept) == 3
    _, failed = read_failures(out)
    assert len(failed) <= 1
    n_done, n_unchanged, *_ = counts(run(sounds, out, retry=True))
    assert (n_done, n_unchanged) == (N - 3, 3)
    assert json_files(out).items() >= kept.items()
    assert paths_in(out / "embeddings.parquet") == paths_in(out)
    assert not [path for path in out.rglob(".*") if not path.name.startswith(".soundalike.db")]


def test_an_unforeseen_error_costs_one_sound(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = band_model()
    embed = Model._embed_file

    def fail(self: Model, path: Path, stop: Any, aspects: bool) -> Any:
        if path.name == "0.wav":
            raise RuntimeError("out of luck")
        return embed(self, path, stop, aspects)

    monkeypatch.setattr(Model, "_embed_file", fail)
    results: list[object] = []
    progress = run(sounds, tmp_path / "out", model, on_progress=lambda p: results.append(p.last))
    assert counts(progress) == (N - 1, 0, 2, 0)
    assert Failure(sounds / "0.wav", "damaged", "RuntimeError: out of luck") in results
