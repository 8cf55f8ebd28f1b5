from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from soundalike.errors import ExportError, PipelineMismatch
from soundalike.folders import Stamp
from soundalike.journal import JOURNAL, VERSION, Journal, Settings, read_failures
from soundalike.types import Embedding, Failure

STAMP = Stamp(1000, 1_700_000_000_123_456_789)
SETTINGS = Settings("pocket", "peak", ("json", "parquet"), True)


def open_journal(out: Path, pipeline: str = "p1") -> Journal:
    return Journal(out, pipeline, "pocket")


def embedding(path: str = "/in/a.wav", seed: int = 0) -> Embedding:
    draw = np.random.default_rng(seed)
    segments = draw.normal(size=(3, 4)).astype(np.float32)
    times = draw.uniform(size=(3, 2))
    return Embedding(
        Path(path), segments[0], segments, times, 1.2345678, 44_100, 2, "ab" * 32, "pocket", "p1", ("cut",)
    )


FAILURE = Failure(Path("/in/b.wav"), "damaged", "nothing decodes")


def test_what_was_added_is_there_in_the_next_run(tmp_path: Path) -> None:
    with open_journal(tmp_path / "new" / "out") as journal:
        journal.add("a.wav", STAMP, embedding())
        journal.add("b.wav", STAMP, FAILURE)
    with open_journal(tmp_path / "new" / "out") as journal:
        assert journal.worked("a.wav", Path("/in/a.wav"), STAMP) is True
        assert journal.worked("b.wav", Path("/in/b.wav"), STAMP) is False
        assert journal.worked("c.wav", Path("/in/c.wav"), STAMP) is None
        assert journal.names() == ["a.wav"]
        assert journal.failures() == [("b.wav", FAILURE)]
        assert journal.count() == 1


@pytest.mark.parametrize(
    ("source", "stamp"),
    [
        ("/in/a.wav", Stamp(1001, STAMP.mtime_ns)),
        ("/in/a.wav", Stamp(1000, STAMP.mtime_ns + 1)),
        ("/other/a.wav", STAMP),
    ],
    ids=["size", "time", "place"],
)  # fmt: skip
def test_a_changed_sound_counts_as_not_tried(tmp_path: Path, source: str, stamp: Stamp) -> None:
    with open_journal(tmp_path) as journal:
        journal.add("a.wav", STAMP, embedding())
        assert journal.worked("a.wav", Path(source), stamp) is None


def test_the_last_result_of_a_sound_counts(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.add("a.wav", STAMP, embedding())
        journal.add("a.wav", STAMP, Failure(Path("/in/a.wav"), "damaged", "why"))
        assert (journal.count(), len(journal.failures())) == (0, 1)
        journal.add("a.wav", STAMP, embedding())
        assert (journal.count(), len(journal.failures())) == (1, 0)


def test_records_keep_every_bit(tmp_path: Path) -> None:
    result = embedding(seed=1)
    with open_journal(tmp_path) as journal:
        journal.add("kicks/a.wav", STAMP, result)
        (record,) = journal.records(segments=True)
        fresh = journal.record("kicks/a.wav", result, segments=True)
        stored = journal.stored("kicks/a.wav", segments=True)
    assert list(record) == [
        "filename", "duration_seconds", "embedding", "path", "model", "pipeline", "sample_rate", "channels",
        "sha256", "segments",
    ]  # fmt: skip
    for one in (record, fresh, stored):
        np.testing.assert_array_equal(one["embedding"], result.vector)
        for part, vector, (start, end) in zip(one["segments"], result.segments, result.times_s, strict=True):
            np.testing.assert_array_equal(part["embedding"], vector)
            assert (part["start_s"], part["end_s"]) == (start, end)
        assert (one["filename"], one["path"], one["duration_seconds"]) == ("a.wav", "kicks/a.wav", 1.234568)


def test_names_that_are_no_text_are_kept_as_they_are(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.add("\udcff\n.wav", STAMP, embedding("/in/\udcff\n.wav"))
        journal.add("\udcfe.wav", STAMP, Failure(Path("/in/\udcfe.wav"), "empty", "no bytes"))
        journal.remember(SETTINGS)
        assert journal.names() == ["\udcff\n.wav"]
        assert journal.worked("\udcff\n.wav", Path("/in/\udcff\n.wav"), STAMP) is True
    _, (sound,) = read_failures(tmp_path)
    assert (str(sound.path), str(sound.name)) == ("/in/\udcfe.wav", "\udcfe.wav")


def test_another_pipeline_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.add("a.wav", STAMP, embedding())
    with pytest.raises(PipelineMismatch, match=r"pipeline p1.*pipeline p2"):
        open_journal(tmp_path, "p2")
    with open_journal(tmp_path) as journal:
        assert journal.count() == 1


def test_a_second_writer_is_told_to_wait_and_the_first_is_not_disturbed(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.remember(SETTINGS)
        with pytest.raises(ExportError, match="another soundalike is writing here"):
            open_journal(tmp_path)
        with pytest.raises(ExportError, match="another soundalike is writing here"):
            read_failures(tmp_path)
        journal.add("a.wav", STAMP, embedding())
    with open_journal(tmp_path) as journal:
        assert journal.count() == 1


def test_what_was_added_before_an_error_is_kept(tmp_path: Path) -> None:
    def broken_off() -> None:
        with open_journal(tmp_path) as journal:
            journal.add("a.wav", STAMP, embedding())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    with open_journal(tmp_path) as journal:
        assert journal.count() == 1


def test_settings_and_failures_are_there_for_a_retry(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        assert journal.settings() is None
        journal.remember(SETTINGS)
        journal.add("sub/b.wav", STAMP, FAILURE)
    settings, (sound,) = read_failures(tmp_path)
    assert settings == SETTINGS
    assert (sound.path, str(sound.name)) == (Path("/in/b.wav"), "sub/b.wav")


def test_a_folder_without_a_journal_has_nothing_to_retry(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="has not written here"):
        read_failures(tmp_path)
    assert not list(tmp_path.iterdir())
    with open_journal(tmp_path):
        pass
    with pytest.raises(ExportError, match="has not written here"):
        read_failures(tmp_path)


def test_a_damaged_journal_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"this is no database" * 100)
    for attempt in (lambda: open_journal(tmp_path), lambda: read_failures(tmp_path)):
        with pytest.raises(ExportError, match=r"damaged.*delete it"):
            attempt()


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / JOURNAL) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")
    db.close()
    with pytest.raises(ExportError, match="newer soundalike"):
        open_journal(tmp_path)


def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"file: this folder cannot be made"):
        open_journal(tmp_path / "file")
    (tmp_path / "out" / JOURNAL).mkdir(parents=True)
    with pytest.raises(ExportError, match="cannot be written"):
        open_journal(tmp_path / "out")
