"""What comes into a library and goes out of it, and what survives."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for pytest's importlib mode
from soundalike.embed import Model
from soundalike.errors import LibraryBusy, LibraryError, PipelineMismatch, SoundalikeError
from soundalike.library import Filters, Library, Progress
from soundalike.library import library as library_module
from soundalike.library.database import DATABASE, writer_lock
from soundalike.library.ingest import Ingest
from soundalike.library.store import Store
from soundalike.library.writer import Writer
from soundalike.selftest import EXAMPLES
from soundalike.tags import read_tags
from tiny_model import TinyModel


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A folder of ten sounds, one of them bad."""
    folder = tmp_path / "sounds"
    (folder / "sub").mkdir(parents=True)
    for i in range(8):
        (folder / f"s{i}.wav").write_text(f"sound {i}\nsecond {i}")
    (folder / "sub" / "rain.wav").write_text("rain")
    (folder / "broken.wav").write_text("bad")
    return folder


@pytest.fixture
def model() -> TinyModel:
    return TinyModel()


@pytest.fixture
def library(tmp_path: Path, model: TinyModel) -> Iterator[Library]:
    with Library.create(tmp_path / "library", model) as opened:
        yield opened


def names(library: Library) -> list[str]:
    return sorted(sound.path.name for sound in library.sounds())


def counts(progress: Progress) -> dict[str, int]:
    fields = ("n_unchanged", "n_failed_before", "n_added", "n_moved", "n_failed", "n_removed")
    return {name: getattr(progress, name) for name in fields if getattr(progress, name)}


def test_add_embeds_new_sounds_once(library: Library, sounds: Path, model: TinyModel) -> None:
    seen: list[str] = []

    def on_progress(progress: Progress) -> None:
        if progress.last is not None:
            seen.append(progress.last.path.name)

    done = library.add([sounds], on_progress=on_progress)
    assert counts(done) == {"n_added": 9, "n_failed": 1}
    assert len(seen) == 10
    assert counts(library.add([sounds])) == {"n_unchanged": 9, "n_failed_before": 1}
    assert model.n_embedded == 9
    status = library.status()
    assert (status.n_sounds, status.n_segments, status.sound_s, status.n_failed) == (9, 17, 17.0, 1)
    assert status.folders == (sounds,)
    assert [(failure.path.name, failure.code) for failure in library.failures()] == [("broken.wav", "not_audio")]


def test_moved_and_copied_files_are_not_embedded_again(library: Library, sounds: Path, model: TinyModel) -> None:
    library.add([sounds])
    before = {sound.path.name: sound.id for sound in library.sounds()}
    (sounds / "s1.wav").rename(sounds / "sub" / "moved.wav")
    shutil.copy(sounds / "s2.wav", sounds / "copy.wav")
    os.utime(sounds / "s3.wav", (1, 1))
    n_before = model.n_embedded
    assert counts(library.sync()) == {"n_unchanged": 7, "n_failed_before": 1, "n_moved": 3}
    assert model.n_embedded == n_before
    after = {sound.path.name: sound.id for sound in library.sounds()}
    assert after["moved.wav"] == before["s1.wav"]
    assert "s1.wav" not in after
    assert library.search(sounds / "s2.wav", n=1)[0].path.name == "copy.wav"
    assert counts(library.sync()) == {"n_unchanged": 10, "n_failed_before": 1}


def test_one_moved_file_with_two_new_copies_is_all_there(library: Library, sounds: Path, model: TinyModel) -> None:
    library.add([sounds])
    shutil.copy(sounds / "s1.wav", sounds / "a.wav")
    (sounds / "s1.wav").rename(sounds / "b.wav")
    library.sync()
    assert {"a.wav", "b.wav"} <= set(names(library))
    assert "s1.wav" not in names(library)
    assert library.status().n_sounds == 10
    assert model.n_embedded == 9


def test_swapped_files_keep_their_own_content(library: Library, sounds: Path) -> None:
    library.add([sounds])
    (sounds / "s1.wav").rename(sounds / "x")
    (sounds / "s2.wav").rename(sounds / "s1.wav")
    (sounds / "x").rename(sounds / "s2.wav")
    for name, time in (("s1.wav", 5), ("s2.wav", 6)):
        os.utime(sounds / name, (time, time))
    library.sync()
    assert library.search(text="second 2", segments=True, n=1)[0].path.name == "s1.wav"
    assert library.status().n_sounds == 9


def test_changed_and_deleted_files(library: Library, sounds: Path) -> None:
    library.add([sounds])
    (sounds / "s1.wav").write_text("entirely new")
    (sounds / "s2.wav").write_text("bad now")
    (sounds / "s3.wav").unlink()
    (sounds / "broken.wav").unlink()
    assert counts(library.sync()) == {"n_unchanged": 6, "n_added": 1, "n_failed": 1, "n_removed": 1}
    assert names(library) == ["rain.wav", "s0.wav", "s1.wav", "s4.wav", "s5.wav", "s6.wav", "s7.wav"]
    assert [failure.path.name for failure in library.failures()] == ["s2.wav"]
    assert library.search(text="entirely new", n=1)[0].score == pytest.approx(1.0)


def test_an_unmounted_drive_loses_nothing(library: Library, sounds: Path, tmp_path: Path) -> None:
    library.add([sounds])
    sounds.rename(tmp_path / "elsewhere")
    assert library.sync().unreachable == [sounds]
    sounds.mkdir()  # an empty mount point
    assert library.sync().unreachable == [sounds]
    assert library.status().n_sounds == 9
    sounds.rmdir()
    (tmp_path / "elsewhere").rename(sounds)
    assert counts(library.sync()) == {"n_unchanged": 9, "n_failed_before": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_to_nowhere_fails_once_not_with_each_sync(library: Library, sounds: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.wav"
    (sounds / "link.wav").symlink_to(elsewhere)
    assert counts(library.add([sounds])) == {"n_added": 9, "n_failed": 2}
    assert counts(library.sync()) == {"n_unchanged": 9, "n_failed_before": 2}
    assert [failure.path.name for failure in library.failures()] == ["broken.wav", "link.wav"]
    elsewhere.write_text("there now")
    assert counts(library.sync()) == {"n_unchanged": 9, "n_failed_before": 1, "n_added": 1}


def test_single_files_are_kept_in_step_too(library: Library, sounds: Path) -> None:
    library.add([sounds / "s1.wav", sounds / "s2.wav"])
    (sounds / "s1.wav").unlink()
    (sounds / "s2.wav").write_text("changed")
    assert counts(library.sync()) == {"n_added": 1, "n_removed": 1}
    assert names(library) == ["s2.wav"]


def test_removed_sounds_stay_away_until_they_are_added_again(library: Library, sounds: Path) -> None:
    library.add([sounds])
    assert library.remove([sounds / "s1.wav", sounds / "sub"]) == 2
    library.sync()
    assert len(names(library)) == 7
    library.add([sounds])
    assert len(names(library)) == 9
    assert library.remove([sounds]) == 9
    assert counts(library.sync()) == {}


def test_retry_tries_what_failed(library: Library, sounds: Path) -> None:
    library.add([sounds])
    assert counts(library.sync()) == {"n_unchanged": 9, "n_failed_before": 1}
    assert counts(library.sync(retry=True)) == {"n_unchanged": 9, "n_failed": 1}
    assert counts(library.retry()) == {"n_failed": 1}
    (sounds / "broken.wav").write_text("mended")
    assert counts(library.retry()) == {"n_added": 1}
    assert library.failures() == []


def test_names_that_are_no_text(library: Library, sounds: Path) -> None:
    odd = os.fsdecode(os.fsencode(sounds) + b"/\xff\xfe odd.wav")
    Path(odd).write_text("odd")
    library.add([sounds])
    assert library.search(text="odd", n=1)[0].path == Path(odd)


def test_a_library_of_another_model_names_both(library: Library, tmp_path: Path, sounds: Path) -> None:
    library.add([sounds])
    other = TinyModel("other")
    with pytest.raises(PipelineMismatch, match=r"model tiny.*model other|model other.*model tiny"):
        Library.open(tmp_path / "library", other)
    with pytest.raises(PipelineMismatch):
        Library.create(tmp_path / "library", other)


def test_opening_what_is_no_library(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="there is no library here"):
        Library.open(tmp_path)
    (tmp_path / DATABASE).write_text("something else entirely, and long enough to be looked at" * 100)
    with pytest.raises(LibraryError, match="no library, or it is damaged"):
        Library.open(tmp_path)


def test_a_newer_schema_is_refused(library: Library, tmp_path: Path, model: TinyModel) -> None:
    with sqlite3.connect(tmp_path / "library" / DATABASE) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LibraryError, match="newer soundalike"):
        Library.open(tmp_path / "library", model)


def _hold_the_lock(folder: Path, ready: object, release: object) -> None:
    with writer_lock(folder, "add"):
        ready.set()  # type: ignore[attr-defined]
        release.wait(30)  # type: ignore[attr-defined]


def test_two_writers_get_a_clear_answer_and_searching_goes_on(library: Library, sounds: Path) -> None:
    library.add([sounds])
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=_hold_the_lock, args=(library.path, ready, release))
    process.start()
    assert ready.wait(30)
    with pytest.raises(LibraryBusy, match=rf"process {process.pid} \(soundalike add, since .* is writing"):
        library.add([sounds])
    assert len(library.search(text="rain")) == 9
    release.set()
    process.join()
    library.add([sounds])


def test_interrupted_adding_keeps_what_is_finished(
    library: Library, sounds: Path, model: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Ingest._written
    seen = 0

    def interrupt(self: Ingest, result: object) -> None:
        nonlocal seen
        put(self, result)  # type: ignore[arg-type]
        seen += 1
        if seen == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(Ingest, "_written", interrupt)
    with pytest.raises(KeyboardInterrupt):
        library.add([sounds])
    monkeypatch.undo()
    n_kept = library.status().n_sounds + library.status().n_failed
    assert n_kept == 4
    assert counts(library.add([sounds])) == {"n_unchanged": 3, "n_failed_before": 1, "n_added": 6}
    assert library.status().n_sounds == 9


def test_a_full_disk_loses_nothing(library: Library, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add([sounds / "s0.wav"])
    connect = sqlite3.connect

    def small(*args: object, **kwargs: object) -> sqlite3.Connection:
        db = connect(*args, **kwargs)  # type: ignore[call-overload]
        n_pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={n_pages + 1}")
        assert isinstance(db, sqlite3.Connection)
        return db

    for i in range(200):
        (sounds / f"many{i}.wav").write_text("\n".join(f"{i} {j}" for j in range(100)))
    monkeypatch.setattr("soundalike.library.database.sqlite3.connect", small)
    with pytest.raises(LibraryError, match=r"full.*nothing saved before is lost"):
        library.add([sounds])
    monkeypatch.undo()
    assert library.search(text="sound 0", n=1, segments=True)[0].path.name == "s0.wav"
    library.add([sounds])
    assert library.status().n_sounds == 209


def test_searching_while_adding(library: Library, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundalike.library.ingest.COMMIT_SOUNDS", 1)
    n_found: list[int] = []

    def on_progress(progress: Progress) -> None:
        with Library.open(library.path, TinyModel()) as other:
            n_found.append(len(other.search(text="rain")))

    library.add([sounds], on_progress=on_progress)
    assert n_found == sorted(n_found)
    assert set(n_found) >= {1, 2, 3, 4, 5, 6, 7, 8, 9}


def test_rebuild_answers_with_the_old_model_until_the_end(
    library: Library, sounds: Path, model: TinyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add([sounds])
    other = TinyModel("other", dim=8)
    monkeypatch.setattr("soundalike.library.rebuild.COMMIT_SOUNDS", 2)
    answers: list[float] = []

    def on_progress(progress: Progress) -> None:
        with Library.open(library.path, model) as reader:
            answers.append(reader.search(text="rain", n=1)[0].score)
        if len(answers) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.rebuild(other, on_progress=on_progress)
    assert answers == [pytest.approx(1.0)] * 6
    assert (library.status().rebuilding, library.status().n_rebuilt) == ("other", 6)
    n_before = other.n_embedded
    (sounds / "s7.wav").unlink()
    library.rebuild(other)
    assert other.n_embedded - n_before <= 3
    status = library.status()
    assert (status.model, status.dim, status.rebuilding, status.n_sounds) == ("other", 8, None, 8)
    assert library.search(text="rain", n=1)[0].score == pytest.approx(1.0)
    assert {failure.path.name for failure in library.failures()} == {"broken.wav", "s7.wav"}
    with sqlite3.connect(library.path / DATABASE) as db:
        assert db.execute("SELECT count(*) FROM vectors").fetchone() == (8,)
        assert db.execute("SELECT count(*) FROM spaces").fetchone() == (1,)
    db.close()


def test_vectors_and_segments_of_a_sound_reach_the_disk_together(library: Library, sounds: Path) -> None:
    with closing(Writer(library.path)) as writer, closing(Store(library.path)) as reader:
        space = reader.space()
        assert space is not None
        with writer.batches():
            writer.put_vectors(space, 999, library.model.embed_file(next(sounds.rglob("*.wav"))))
            assert reader.vector(space, 999) is None  # as it is after a kill here
            assert reader.segments(space, 999) is None
        assert reader.vector(space, 999) is not None
        assert reader.segments(space, 999) is not None


def test_rebuilding_with_the_same_model_does_nothing(library: Library, sounds: Path, model: TinyModel) -> None:
    library.add([sounds])
    assert counts(library.rebuild(TinyModel())) == {"n_unchanged": 9}
    assert library.status().rebuilding is None


def test_an_open_reader_follows_a_rebuild(library: Library, sounds: Path, model: TinyModel) -> None:
    library.add([sounds])
    with Library.open(library.path, model) as reader:
        assert reader.vectors()[1].shape == (9, 16)
        library.rebuild(TinyModel("other", dim=8))
        assert reader.vectors()[1].shape == (9, 8)
        with pytest.raises(SoundalikeError, match="other"):
            reader.search(text="rain")  # its own model is the old one, and no model is called "other" here


def test_vectors_and_segments_are_what_the_model_gave(library: Library, sounds: Path, model: TinyModel) -> None:
    library.add([sounds])
    ids, vectors = library.vectors()
    for sound in library.sounds():
        embedding = model.embed_file(sound.path)
        assert np.array_equal(vectors[ids == sound.id][0], embedding.vector)
        segments, times_s = library.segments(sound.id)
        assert np.allclose(segments, embedding.segments, atol=1e-3)
        assert np.array_equal(times_s, embedding.times_s)


def test_default_path_is_an_environment_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOUNDALIKE_LIBRARY", str(tmp_path))
    assert library_module.default_path() == tmp_path
    monkeypatch.delenv("SOUNDALIKE_LIBRARY")
    assert library_module.default_path() == Path.home() / ".soundalike"


def test_real_sounds_keep_their_tags_and_facts(tmp_path: Path, bands: Model) -> None:
    path = write_tagged(tmp_path / "in" / "tone.flac")
    assert read_tags(path) == {"artist": "Ann", "title": "A tone", "bpm": "120", "key": "Am"}
    with Library.create(tmp_path / "library", bands) as library:
        library.add([path.parent])
        (sound,) = library.sounds()
        assert dict(sound.tags) == {"artist": "Ann", "title": "A tone", "bpm": "120", "key": "Am"}
        assert (sound.container, sound.codec, sound.sample_rate, sound.channels) == (
            "flac",
            "flac",
            44_100,
            1,
        )
        assert list(library.sounds(Filters(tags={"artist": "ANN", "title": "a*"}))) == [sound]
        assert list(library.sounds(Filters(tags={"artist": "a"}))) == []


def write_tagged(path: Path) -> Path:
    import av

    path.parent.mkdir(parents=True)
    samples = np.sin(np.arange(44_100) * 0.1).astype(np.float32)
    with av.open(str(path), "w") as container:
        container.metadata.update({"ARTIST": "Ann", "TITLE": "A tone", "TBPM": "120", "INITIALKEY": "Am"})
        stream = container.add_stream("flac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray((samples[None] * 20_000).astype(np.int16), "s16", "mono")
        frame.sample_rate = 44_100
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return path


def test_the_bundled_model_from_files_to_words(tmp_path: Path, pocket: Model) -> None:
    with Library.create(tmp_path / "library", pocket) as library:
        assert library.add([EXAMPLES / "animals", EXAMPLES / "nature"]).n_failed == 0
        dog = library.search(text="a dog barking", n=1)
        assert "dog" in dog[0].path.name
        assert dog.nothing_alike is False
        assert dog[0].probability is not None
        assert "rain" in library.search(text="rain", n=1)[0].path.name
        none = library.search(text="lecture on tax law")
        assert none.nothing_alike
        assert {match.probability for match in none} == {None}
        formats = dict(library.facets().formats)
        assert formats["mp4"] == len(list(library.sounds(Filters(formats=("m4a",))))) > 0
        assert sum(formats.values()) == library.n_sounds()
        assert all(len(list(library.sounds(Filters(formats=(name,))))) == n for name, n in formats.items())
        rain = next(sound.path for sound in library.sounds() if "rain" in sound.path.name)
        assert "rain" in library.search(rain, n=1)[0].path.name


@pytest.mark.parametrize("commit_sounds", [1, 256])
def test_many_threads_search_while_one_adds(
    library: Library, sounds: Path, monkeypatch: pytest.MonkeyPatch, commit_sounds: int
) -> None:
    monkeypatch.setattr("soundalike.library.ingest.COMMIT_SOUNDS", commit_sounds)
    monkeypatch.setattr("soundalike.library.caches.GROW_ROWS", 20)
    for i in range(100):
        (sounds / f"more{i}.wav").write_text(f"more {i}")
    library.add([sounds / "s0.wav"])
    library.build_index()
    with ThreadPoolExecutor(4) as pool:
        adding = pool.submit(library.add, [sounds])
        questions: list[dict[str, Any]] = [
            {"text": "more 7", "segments": True},
            {"text": "more 8", "exact": False},
            {"query": sounds / "s0.wav", "weigh": {"pitch": 1}, "with_query": True},
            {"text": "more 9", "filters": Filters(min_s=0.5)},
        ]
        searches = [pool.submit(library.search, n=1, **questions[i % 4]) for i in range(200)]
        assert adding.result().n_added == 108
        assert all(len(search.result()) == 1 for search in searches)
    assert library.search(text="more 7", n=1)[0].path.name == "more7.wav"
