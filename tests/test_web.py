"""The server: routes through an ASGI client, jobs in real child processes, and `soundalike serve` itself."""

from __future__ import annotations

import io
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import wave
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parent))  # for pytest's importlib mode
from soundalike import audio
from soundalike.cli import main
from soundalike.embed import Model
from soundalike.errors import SoundalikeError
from soundalike.export import read_embeddings
from soundalike.library import Library
from soundalike.web.desk import Desk
from soundalike.web.jobs import Jobs
from soundalike.web.media import Media, Source
from soundalike.web.work import Task, perform
from web_client import EXAMPLES, SOUNDS, Live, answer_of, client_of, fill, library_of, open_desk, wait_for


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, pocket: Model) -> Iterator[Desk]:
    with open_desk(library_of(tmp_path_factory.mktemp("web"), pocket), pocket) as opened:
        yield opened


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built page, in small."""
    folder = tmp_path_factory.mktemp("static")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "assets" / "index-abc123.js").write_text("1;")
    (folder / ".built-from").write_text("x")
    return folder


@pytest.fixture(scope="module")
def client(desk: Desk, static: Path) -> Iterator[TestClient]:
    with client_of(desk, static) as opened:
        yield opened


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/api/search", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def id_of(client: TestClient, name: str) -> int:
    return next(int(one["id"]) for one in ask(client)["matches"] if one["name"] == name)


def upload(client: TestClient, content: bytes, name: str = "dropped.wav") -> Any:
    return client.post(
        "/api/uploads", content=content, headers={"x-name": name, "content-type": "application/octet-stream"}
    )


# The page


def test_page_is_served_with_its_own_addresses(client: TestClient) -> None:
    for address in ("/", "/map", "/labels/kick"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "<title>page</title>" in answer.text
        assert answer.headers["cache-control"] == "no-cache"
    script = client.get("/assets/index-abc123.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    assert client.get("/assets/gone.js").status_code == 404
    assert client.get("/.built-from").status_code == 404
    assert client.get("/api/nothing").json()["error"].startswith("there is nothing")


def test_missing_page_says_how_to_mend_it(desk: Desk, tmp_path: Path) -> None:
    with client_of(desk, tmp_path) as client:
        answer = client.get("/")
        assert answer.status_code == 503
        assert "pip install" in answer.text
        assert client.get("/api/status").status_code == 200


# The library


def test_status_failures_models(client: TestClient) -> None:
    now = client.get("/api/status").json()
    assert (now["n_sounds"], now["n_failures"], now["updating"]) == (len(SOUNDS), 1, None)
    assert now["model"]["name"] == "pocket"
    assert now["model"]["has_text"]
    assert "pitch" in now["aspects"]
    (failure,) = client.get("/api/failures").json()
    assert (failure["name"], failure["code"]) == ("broken.wav", "damaged")
    assert [model["name"] for model in client.get("/api/models").json() if model["in_use"]] == ["pocket"]


def test_facets_count_every_sound(client: TestClient, desk: Desk) -> None:
    found = client.get("/api/facets").json()
    assert sum(one["n"] for one in found["formats"]) == len(SOUNDS)
    counts = {one["name"]: one["n"] for one in found["folders"]}
    assert counts["sounds"] == len(SOUNDS)
    assert counts["drums"] == 4
    durations = [sound.duration_s for sound in desk.library.sounds()]
    assert found["durations"] == {"min": min(durations), "max": max(durations)}


# Search


def test_search_by_words_is_what_the_command_line_says(client: TestClient, desk: Desk) -> None:
    found = ask(client, parts=[{"text": "a dog barking"}], n=5)
    assert found["matches"][0]["name"] == "dog-barking.mp3"
    assert (found["n_total"], found["n_passed"], found["nothing_alike"]) == (len(SOUNDS), len(SOUNDS), False)
    command = ["search", "--text", "a dog barking", "-n", "5", "--json", "--library", str(desk.library.path)]
    lines = [orjson.loads(line) for line in CliRunner().invoke(main, command).stdout.splitlines()]
    names = lines[0].keys()
    assert [{name: match[name] for name in names} for match in found["matches"]] == lines


def test_search_by_sound_says_why_and_leaves_the_sound_out(client: TestClient) -> None:
    kick = id_of(client, "kick-808.wav")
    found = ask(client, parts=[{"id": kick}])
    assert kick not in [match["id"] for match in found["matches"]]
    assert len(found["matches"]) == len(SOUNDS) - 1
    assert all(set(match["why"]) <= set(match["aspects"]) for match in found["matches"])
    assert any(match["why"] for match in found["matches"])


def test_pages_of_results_are_one_list(client: TestClient) -> None:
    parts = [{"id": id_of(client, "kick-808.wav")}, {"text": "rain", "weight": -0.5}]
    for weigh in ({}, {"pitch": 2.0, "meaning": 1.0}):
        whole = ask(client, parts=parts, weigh=weigh)["matches"]
        pages = [ask(client, parts=parts, weigh=weigh, n=4, offset=offset)["matches"] for offset in (0, 4, 8)]
        assert list(chain(*pages)) == whole
        assert [match["rank"] for match in whole] == list(range(1, len(SOUNDS)))
    listed = ask(client)["matches"]
    assert list(chain(*(ask(client, n=5, offset=offset)["matches"] for offset in (0, 5, 10)))) == listed
    assert [one["path"] for one in listed] == sorted(one["path"] for one in listed)


def test_filters(client: TestClient) -> None:
    folder = next(one["path"] for one in client.get("/api/facets").json()["folders"] if one["name"] == "drums")
    for parts in ([], [{"text": "drums"}]):
        inside = ask(client, parts=parts, filters={"folders": [folder]})
        assert {match["folder"] for match in inside["matches"]} == {folder}
        assert inside["n_passed"] == 4
        assert [m["codec"] for m in ask(client, parts=parts, filters={"formats": ["flac"]})["matches"]] == ["flac"]
        short = ask(client, parts=parts, filters={"max_duration": 1.0, "channels": [1, 2]})["matches"]
        assert short
        assert all(match["duration_seconds"] <= 1.0 for match in short)
        assert ask(client, parts=parts, filters={"since": "2990-01-01T00:00:00"})["n_passed"] == 0


def test_weighed_search_and_segments(client: TestClient) -> None:
    kick = id_of(client, "kick-808.wav")
    found = ask(client, parts=[{"id": kick}], weigh={"length": 1.0, "meaning": 0.0})["matches"]
    assert [m["score"] for m in found] == pytest.approx([m["aspects"]["length"] for m in found])
    assert "start_s" in ask(client, parts=[{"text": "bark"}], segments=True)["matches"][0]
    assert client.post("/api/search", json={"parts": [{"text": "x"}], "weigh": {"pitch": 1}}).status_code == 422
    assert client.post("/api/search", json={"parts": [{"id": kick}], "weigh": {"taste": 1}}).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"parts": [{}]}, {"parts": [{"text": "a", "id": 1}]}, {"parts": [{"text": ""}]}, {"n": 0}, {"n": 10**9},
        {"offset": -1}, {"parts": [{"id": 99}]}, {"parts": [{"upload": "u0"}]}, {"parts": [{"path": "/etc/passwd"}]},
        {"parts": [{"text": "a", "weight": 1e999}]}, {"filters": {"min_duration": -1}},
    ],
)  # fmt: skip
def test_wrong_questions_are_refused_in_words(client: TestClient, body: dict[str, Any]) -> None:
    content = orjson.dumps(body).replace(b"null", b"1e999") if "weight" in str(body) else orjson.dumps(body)
    answer = client.post("/api/search", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (404, 422)
    assert answer.json()["error"]


# Sounds


def test_audio_that_browsers_play_is_sent_as_it_is_in_ranges(client: TestClient) -> None:
    sound_id = id_of(client, "dog-barking.mp3")
    content = (EXAMPLES / "animals/dog-barking.mp3").read_bytes()
    whole = client.get(f"/api/sounds/{sound_id}/audio")
    assert (whole.content, whole.headers["content-type"]) == (content, "audio/mpeg")
    part = client.get(f"/api/sounds/{sound_id}/audio", headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, content[100:200])
    assert client.get(f"/api/sounds/{sound_id}/audio", headers={"range": "bytes=-10"}).content == content[-10:]


def test_other_audio_is_transcoded_once(client: TestClient, desk: Desk) -> None:
    sound_id = id_of(client, "tom-low.aiff")
    answer = client.get(f"/api/sounds/{sound_id}/audio")
    assert answer.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(answer.content)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32767
        assert file.getnchannels() == 1
        with audio.read(EXAMPLES / "drums/tom-low.aiff", file.getframerate()) as sound:
            assert np.abs(samples - np.concatenate(list(sound))).max() < 1e-4
    path, _ = desk.media.playable(desk.source(sound_id))
    made = path.stat().st_ino
    client.get(f"/api/sounds/{sound_id}/audio", headers={"range": "bytes=0-9"})
    assert path.stat().st_ino == made


def test_long_audio_becomes_opus(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundalike.web.media.LONG_S", 0.5)
    sound = next(sound for sound in desk.library.sounds() if sound.path.name == "tom-low.aiff")
    path, media_type = desk.media.playable(desk.source(sound.id))
    assert media_type == "audio/ogg"
    assert audio.probe(path).codec == "opus"
    with audio.read(path, 48_000) as copy:
        assert sum(map(len, copy)) / 48_000 == pytest.approx(sound.duration_s, abs=0.01)


def test_peaks_are_the_lowest_and_highest_samples(client: TestClient, desk: Desk) -> None:
    sound = next(sound for sound in desk.library.sounds() if sound.path.name == "kick-808.wav")
    with audio.read(sound.path, sound.sample_rate) as opened:
        samples = np.concatenate(list(opened))
    for n in (1, 7, 400):
        body = client.get(f"/api/sounds/{sound.id}/peaks", params={"n": n}).content
        peaks = np.frombuffer(body, np.int8).reshape(n, 2)
        assert peaks[:, 0].min() == np.floor(samples.min() * 127)
        assert peaks[:, 1].max() == np.ceil(samples.max() * 127)
    loudest = int(np.abs(samples).argmax() / len(samples) * 400)
    assert abs(int(np.abs(peaks).max(axis=1).argmax()) - loudest) <= 1
    assert client.get(f"/api/sounds/{sound.id}/peaks", params={"n": 10**6}).status_code == 422


def test_spectrogram_is_a_picture(client: TestClient) -> None:
    answer = client.get(f"/api/sounds/{id_of(client, 'dog-barking.mp3')}/spectrogram.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(answer.content[20:24], "big") == 128


def test_what_is_known_of_a_sound(client: TestClient) -> None:
    found = client.get(f"/api/sounds/{id_of(client, 'cow-mooing.m4a')}").json()
    assert found["size"] == (EXAMPLES / "animals/cow-mooing.m4a").stat().st_size
    assert found["is_there"]
    assert found["n_segments"] >= 1
    assert client.get("/api/sounds/4711").status_code == 404


def test_cache_is_bounded(tmp_path: Path) -> None:
    media = Media(tmp_path / "cache", limit=30_000)
    sources = [
        Source(EXAMPLES / name, f"{number:064}", "x", "x", 1.0) for number, name in enumerate(SOUNDS[:3])
    ]  # fmt: skip
    paths = [media.playable(source)[0] for source in sources]
    old = time.time() - 3600
    for age, path in enumerate(paths):
        os.utime(path, (old + age, old + age))
    assert sum(path.stat().st_size for path in paths) > 30_000
    media.playable(sources[0])  # used again: the others go first
    media.sweep()
    assert paths[0].exists()
    assert not paths[1].exists()


def test_reveal_without_a_desktop_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    answer = client.post(f"/api/sounds/{id_of(client, 'kick-808.wav')}/reveal", json={})
    assert answer.status_code == 409
    assert "desktop" in answer.json()["error"]


# What people bring and choose


def test_dropped_sound_is_searched_by(client: TestClient, desk: Desk) -> None:
    answer = upload(client, (EXAMPLES / "animals/cow-mooing.m4a").read_bytes(), "C%3A%5Cx%2Fmy%20cow.m4a")
    taken = answer.json()
    assert taken["name"] == "my cow.m4a"
    assert taken["duration_seconds"] == pytest.approx(5.0, abs=0.01)
    best = ask(client, parts=[{"upload": taken["id"]}], n=2)["matches"][0]
    assert best["name"] == "cow-mooing.m4a"
    assert best["score"] > 0.999
    assert ask(client, parts=[{"upload": taken["id"]}], weigh={"timbre": 1})["matches"][0]["aspects"]["timbre"] > 0.99
    played = client.get(f"/api/uploads/{taken['id']}/audio")
    assert played.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(played.content)) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(5.0, abs=0.01)
    assert len(client.get(f"/api/uploads/{taken['id']}/peaks", params={"n": 50}).content) == 100
    assert not list(desk.uploads.folder.glob("*.incoming"))


def test_dropped_sound_follows_the_library_to_another_model(client: TestClient, desk: Desk, pocket: Model) -> None:
    taken = upload(client, (EXAMPLES / "drums/kick-808.wav").read_bytes()).json()["id"]
    kept = desk.uploads.embedded(taken)
    assert kept is not None
    other = Model(pocket.card.with_level("loudness"))
    desk.uploads._model = lambda: other
    try:
        again = desk.uploads.embedded(taken)
        assert again is not None
        assert again.pipeline == other.pipeline != kept.pipeline
        assert not np.array_equal(again.vector, kept.vector)
    finally:
        desk.uploads._model = lambda: desk.library.model


def test_oldest_uploads_go(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundalike.web.uploads.KEPT", 1)
    content = (EXAMPLES / "drums/kick-808.wav").read_bytes()
    first, second = (upload(client, content).json()["id"] for _ in range(2))
    assert client.get(f"/api/uploads/{first}/peaks").status_code == 404
    assert client.get(f"/api/uploads/{second}/peaks").status_code == 200
    assert len(list(desk.uploads.folder.glob("*.wav"))) == 1


def test_picker_goes_up_and_down_by_ids(client: TestClient, desk: Desk, tmp_path: Path) -> None:
    sounds = desk.library.roots()[0]
    at = client.post("/api/picker", json={"path": str(sounds)}).json()
    assert at["at"]["path"] == str(sounds)
    drums = next(folder for folder in at["folders"] if folder["name"] == "drums")
    assert drums["n_sounds"] == 5
    inside = client.get("/api/picker", params={"at": drums["id"]}).json()
    assert (inside["at"]["path"], inside["parent"]) == (str(sounds / "drums"), at["at"]["id"])
    assert "path" not in drums
    assert client.get("/api/picker").json()["at"]["path"] == str(Path.home())
    for typed in ("relative/path", str(tmp_path / "nothing"), "//host/share", "\\\\host\\share", "\0", "/etc/passwd"):
        assert client.post("/api/picker", json={"path": typed}).status_code == 404
    assert client.get("/api/picker", params={"at": "fnone"}).status_code == 404


# Marks


def test_favorites_stay(client: TestClient, desk: Desk) -> None:
    kick = id_of(client, "kick-808.wav")
    client.put(f"/api/favorites/{kick}")
    assert [one["id"] for one in client.get("/api/favorites").json()["matches"]] == [kick]
    assert ask(client, filters={"favorite": True})["matches"][0]["favorite"]
    with Library.open(desk.library.path) as again, client_of(reopened := Desk(again)) as other:
        assert [one["id"] for one in other.get("/api/favorites").json()["matches"]] == [kick]
        reopened.close()
    client.delete(f"/api/favorites/{kick}")
    assert not client.get("/api/favorites").json()["matches"]
    assert client.put("/api/favorites/4711").status_code == 404


def test_labels_teach_a_classifier(client: TestClient, desk: Desk, tmp_path: Path) -> None:
    examples = {"drum": ["kick-808.wav", "tom-low.aiff"], "animal": ["dog-barking.mp3", "cow-mooing.m4a"]}
    assert client.get("/api/labels/predictions").status_code == 409
    assert client.get("/api/labels/suggestions").json()[0]["guess"] is None
    for label, names in examples.items():
        for name in names:
            assert client.put(f"/api/labels/{label}/examples/{id_of(client, name)}").status_code == 200
    assert {one["name"]: one["n_examples"] for one in client.get("/api/labels").json()} == {"drum": 2, "animal": 2}
    found = client.get("/api/labels/predictions", params={"label": "animal"}).json()
    assert found[0]["sound"]["name"] == "rooster-crowing.ogg"
    assert {one["label"] for one in found} == {"animal"}
    assert not {one["sound"]["name"] for one in found} & set(chain(*examples.values()))
    assert client.get("/api/labels/predictions", params={"label": "rain"}).status_code == 404
    doubts = [one["doubt"] for one in client.get("/api/labels/suggestions").json()]
    assert len(doubts) == len(SOUNDS) - 4
    path = tmp_path / "classifier.json"
    path.write_bytes(client.get("/api/labels/classifier").content)
    command = ["classify", "--by", str(path), "--library", str(desk.library.path)]
    with_file = CliRunner().invoke(main, [*command, str(EXAMPLES / "animals/dog-barking.mp3")])
    assert with_file.stdout.startswith("animal"), with_file.output
    client.put(f"/api/labels/drum/examples/{id_of(client, 'cow-mooing.m4a')}")  # an example of one label only
    assert {one["name"]: one["n_examples"] for one in client.get("/api/labels").json()} == {"drum": 3, "animal": 1}
    assert ask(client, filters={"label": "drum"})["n_passed"] == 3
    for label in examples:
        client.delete(f"/api/labels/{label}")
    assert client.get("/api/labels").json() == []
    assert client.delete("/api/labels/drum").status_code == 404
    assert client.put(f"/api/labels/drum%2Fkick/examples/{id_of(client, 'kick-808.wav')}").status_code == 200
    assert client.get("/api/labels").json()[0]["name"] == "drum/kick"
    assert client.delete("/api/labels/drum%2Fkick").status_code == 200
    assert client.put(f"/api/labels/%20/examples/{id_of(client, 'kick-808.wav')}").status_code == 422


def test_marks_follow_a_library_that_is_made_anew(tmp_path: Path, pocket: Model) -> None:
    path = library_of(tmp_path, pocket)
    with open_desk(path, pocket) as desk, client_of(desk) as client:
        client.put(f"/api/favorites/{id_of(client, 'kick-808.wav')}")
    kept = (path / "favorites.json").read_bytes()
    shutil.rmtree(path)
    with Library.create(path, pocket) as library:
        library.add([tmp_path / "sounds" / "home", tmp_path / "sounds" / "drums"])
    (path / "favorites.json").write_bytes(kept)
    with open_desk(path, pocket) as desk, client_of(desk) as client:
        assert [one["name"] for one in client.get("/api/favorites").json()["matches"]] == ["kick-808.wav"]
    (path / "favorites.json").write_bytes(b"{")
    with pytest.raises(Exception, match="cannot be read"), open_desk(path, pocket):
        pass


# Taking away


def test_embeddings_are_taken_away_as_embed_writes_them(client: TestClient, desk: Desk, tmp_path: Path) -> None:
    ids = sorted(desk.library.ids().tolist())[:3]
    body = client.post("/api/export", json={"ids": ids, "format": "jsonl"}).content
    (tmp_path / "sounds.jsonl").write_bytes(body)
    read = read_embeddings(tmp_path / "sounds.jsonl")
    assert read.pipeline == desk.library.status().pipeline
    assert [record["path"] for record in read.records] == [str(sound.path) for sound in desk.library.some(ids).values()]
    np.testing.assert_array_equal(read.vectors, desk.library.vectors(np.array(ids))[1])


def test_pushing_goes_to_servers_only(client: TestClient, desk: Desk) -> None:
    def start(target: str) -> Any:
        return client.post("/api/jobs", json={"kind": "push", "target": target})

    assert "servers only" in start("lance:/tmp/somewhere").json()["error"]
    assert "not a target" in start("file:///etc/passwd").json()["error"]
    assert client.post("/api/jobs", json={"kind": "push"}).status_code == 422
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(SoundalikeError):  # the client is not installed, or nobody answers there
        perform(Task("push", desk.library.path, target=f"qdrant://127.0.0.1:{port}/sounds"), lambda fields: None)


def test_a_model_is_pulled_by_a_job(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.post("/api/jobs", json={"kind": "pull"}).status_code == 422
    assert client.post("/api/jobs", json={"kind": "pull", "model": "none"}).status_code == 404
    assert perform(Task("pull", desk.library.path, model="pocket"), lambda fields: None)["message"] == "pocket is ready"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SoundalikeError, match="forbids the network"):
        perform(Task("pull", desk.library.path, model="clap"), lambda fields: None)
    listed = {model["name"]: model for model in client.get("/api/models").json()}
    assert listed["clap-htsat-unfused"]["n_bytes"] > 1e8
    assert not listed["clap-htsat-unfused"]["installed"]


def test_exports(client: TestClient) -> None:
    ids = [id_of(client, name) for name in ("kick-808.wav", "dog-barking.mp3")]
    get = {
        kind: client.post("/api/export", json={"ids": [*ids, 4711], "format": kind})
        for kind in ("m3u", "csv", "json", "zip")
    }
    for kind, answer in get.items():
        assert answer.headers["content-disposition"] == f'attachment; filename="sounds.{kind}"'
    assert [line for line in get["m3u"].text.splitlines() if not line.startswith("#")][1].endswith("dog-barking.mp3")
    assert len(get["csv"].text.splitlines()) == 3
    assert [one["id"] for one in get["json"].json()] == ids
    with zipfile.ZipFile(io.BytesIO(get["zip"].content)) as archive:
        assert archive.namelist() == ["1 kick-808.wav", "2 dog-barking.mp3"]
        assert archive.read("1 kick-808.wav") == (EXAMPLES / "drums/kick-808.wav").read_bytes()
    assert client.post("/api/export", json={"ids": [4711], "format": "csv"}).status_code == 404


# Jobs


def test_job_adds_a_folder_while_the_library_answers(tmp_path: Path, pocket: Model) -> None:
    with open_desk(tmp_path / "library", pocket) as desk, client_of(desk) as client:
        assert ask(client, parts=[{"text": "a dog"}])["matches"] == []
        folder = fill(tmp_path / "sounds")
        (folder / "not.wav").write_bytes(b"no sound at all")
        at = client.post("/api/picker", json={"path": str(folder)}).json()["at"]["id"]
        job = client.post("/api/jobs", json={"kind": "add", "folder": at}).json()["id"]
        queued = client.post("/api/jobs", json={"kind": "sync"}).json()["id"]
        assert client.delete(f"/api/jobs/{queued}").status_code == 200
        done = wait_for(client, job)
        assert (done["state"], done["done"], done["total"], done["n_failed"]) == ("done", 13, 13, 1)
        assert ask(client, parts=[{"text": "a dog barking"}])["matches"][0]["name"] == "dog-barking.mp3"
        assert wait_for(client, queued)["state"] == "cancelled"
        assert client.get("/api/status").json()["n_failures"] == 1


def test_child_that_dies_is_a_failed_job_and_the_next_one_runs(tmp_path: Path, pocket: Model) -> None:
    library_of(tmp_path, pocket)
    jobs = Jobs(lambda: None)
    try:
        killed = jobs.start(Task("sync", tmp_path / "library"))
        until = time.monotonic() + 30
        while jobs._process is None and time.monotonic() < until:
            time.sleep(0.005)
        assert jobs._process is not None
        jobs._process.kill()
        missing = jobs.start(Task("sync", tmp_path / "no library"))
        while jobs.list()[-1]["state"] in ("queued", "running") and time.monotonic() < until:
            time.sleep(0.02)
        records = {record["id"]: record for record in jobs.list()}
        assert (records[killed]["state"], records[missing]["state"]) == ("failed", "failed")
        assert "ended without a word" in records[killed]["error"]
        assert "no library here" in records[missing]["error"]
    finally:
        jobs.close()


@pytest.mark.parametrize("kind", ["sync", "retry"])
def test_what_jobs_do(tmp_path: Path, pocket: Model, kind: Any) -> None:
    path = library_of(tmp_path, pocket)
    (tmp_path / "sounds/drums/kick-808.wav").unlink()
    reports: list[dict[str, Any]] = []
    end = perform(Task(kind, path), reports.append)
    assert reports[-1]["done"] == reports[-1]["total"]
    if kind == "sync":
        assert "1 gone" in end["message"]
    else:
        assert end["n_failed"] == 1


def test_map_is_points_of_sounds(client: TestClient, desk: Desk) -> None:
    assert client.get("/api/map/points").status_code == 404
    reports: list[dict[str, Any]] = []
    end = perform(Task("map", desk.library.path), reports.append)
    assert end["message"].startswith(f"{len(SOUNDS)} sounds in ")
    assert reports[-1]["done"] == reports[-1]["total"]
    about, body = client.get("/api/map").json(), client.get("/api/map/points").content
    n = about["n"]
    assert n == len(SOUNDS)
    ids, x, y = (np.frombuffer(body, dtype, n, 4 * n * i) for i, dtype in enumerate(("<i4", "<f4", "<f4")))
    cluster, folder = (np.frombuffer(body, "<u2", n, 12 * n + 2 * n * i) for i in range(2))
    found = desk.library.map()
    assert ids.tolist() == found.ids.tolist()
    assert np.allclose(np.stack([x, y]), np.stack([found.x, found.y]))
    assert [about["names"][number] for number in cluster] == [found.names[number] for number in found.cluster]
    folders = [about["folders"][number] for number in folder]
    assert folders == [desk.sound(int(sound_id)).path.parent.name for sound_id in ids]
    assert len(about["colors"]["dark"]) >= max(len(about["names"]), len(about["folders"]))
    for aspect in ("pitch", "noisiness", "brightness", "rhythm", "loudness", "length"):
        values = np.frombuffer(client.get(f"/api/map/measures/{aspect}").content, "<f4")
        assert len(values) == n
    known = desk.library.some(ids.tolist())
    durations = np.array([known[sound_id].duration_s for sound_id in ids.tolist()])
    assert (np.diff(values[np.argsort(durations)]) > -0.01).all()
    assert client.get("/api/map/measures/timbre").status_code == 422


def test_duplicates_are_found_kept_and_put_back(tmp_path: Path, pocket: Model) -> None:
    path = library_of(tmp_path, pocket)
    first = tmp_path / "sounds/drums/kick-808.wav"
    second = first.with_name("kick, again.wav")
    shutil.copy(first, second)
    with open_desk(path, pocket) as desk, client_of(desk) as client:
        desk.library.add([second])
        assert client.get("/api/duplicates").status_code == 404
        assert client.post("/api/duplicates/undo", json={}).status_code == 409  # nothing was moved
        end = wait_for(client, client.post("/api/jobs", json={"kind": "duplicates"}).json()["id"])
        assert (end["state"], end["message"]) == ("done", "1 group, 1 copy"), end
        [group] = client.get("/api/duplicates").json()
        assert {sound["path"] for sound in group["sounds"]} == {str(first), str(second)}
        assert group["pairs"][0]["kinds"] == ["identical"]
        other = next(sound for sound in group["sounds"] if sound["id"] != group["keeper"])
        asked = {"group": group["group"], "keep": other["id"]}  # not the one that is proposed
        stranger = next(sound.id for sound in desk.library.sounds() if sound.path not in (first, second))
        assert client.post("/api/duplicates/keep", json={**asked, "keep": stranger}).status_code == 404
        assert client.post("/api/duplicates/keep", json=asked).json() == {"n_moved": 1}
        there = [file for file in (first, second) if file.exists()]
        assert [str(file) for file in there] == [other["path"]]
        assert client.get("/api/duplicates").json() == []
        assert client.post("/api/duplicates/keep", json=asked).status_code == 404
        assert len(client.post("/api/duplicates/undo", json={}).json()["paths"]) == 1
        [again] = client.get("/api/duplicates").json()
        assert again["group"] == group["group"]
        assert first.read_bytes() == second.read_bytes()
        first.write_bytes(b"another sound now")
        keep = {"group": again["group"], "keep": again["keeper"]}
        assert client.post("/api/duplicates/keep", json=keep).status_code == 409
        assert second.exists()


def test_nothing_is_moved_while_a_job_writes(
    client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.jobs, "running_id", lambda: "j1")
    for address, body in (("keep", {"group": "g", "keep": 1}), ("undo", {})):
        answer = client.post(f"/api/duplicates/{address}", json=body)
        assert answer.status_code == 409
        assert "a job is running" in answer.json()["error"]


def test_wrong_jobs_are_refused(client: TestClient) -> None:
    for body in ({"kind": "add"}, {"kind": "dance"}, {"kind": "sync", "folder": "f"}, {"kind": "rebuild"}):
        assert client.post("/api/jobs", json=body).status_code == 422
    for body in ({"kind": "add", "folder": "fnone"}, {"kind": "rebuild", "model": "nobody"}):
        assert client.post("/api/jobs", json=body).status_code == 404
    assert client.delete("/api/jobs/j999").status_code == 404


def test_events_tell_of_jobs_and_of_what_others_write(desk: Desk, pocket: Model, tmp_path: Path) -> None:
    live = Live(desk)
    try:
        stream = live.request("GET", "/api/events")
        first = answer_of(stream, b"n_failures")
        assert b"text/event-stream" in first
        assert b'"n_sounds":%d' % len(SOUNDS) in first
        shutil.copy(EXAMPLES / "drums/kick-punchy.wav", tmp_path / "another.wav")
        with Library.open(desk.library.path, pocket) as other:
            other.add([tmp_path / "another.wav"])
        assert b'"n_sounds":%d' % (len(SOUNDS) + 1) in answer_of(stream, b"n_failures")
        job = desk.jobs.start(Task("sync", tmp_path / "no library"))
        assert f'"id":"{job}"'.encode() in answer_of(stream, b'"state":"failed"')
        stream.close()
        with Library.open(desk.library.path, pocket) as other:
            other.remove([tmp_path / "another.wav"])
    finally:
        live.close()


# The command


def test_serve_ends_at_once_with_an_open_stream(tmp_path: Path) -> None:
    code = "from soundalike.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--no-browser", "--library", str(tmp_path / "library")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert select.select([process.stdout], [], [], 60)[0]
        base, token = process.stdout.readline().strip().split("/#token=")
        host, port = base.removeprefix("http://").split(":")
        assert host == "127.0.0.1"
        with socket.create_connection((host, int(port)), timeout=10) as stream:
            head = f"GET /api/events HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
            stream.sendall(head.encode())
            answer_of(stream, b"event: library")
            asked = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert time.monotonic() - asked < 3.0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def test_without_a_verb_the_page_opens_once_there_is_a_library(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Path | None] = []
    monkeypatch.setattr("soundalike.web.serving.serve", lambda library, *_: served.append(library))
    monkeypatch.setenv("SOUNDALIKE_LIBRARY", str(tmp_path / "none"))
    assert "Usage" in CliRunner().invoke(main, []).output
    assert not served
    monkeypatch.setenv("SOUNDALIKE_LIBRARY", str(desk.library.path))
    assert CliRunner().invoke(main, []).exit_code == 0
    assert served == [desk.library.path]


def test_nothing_is_left_behind(tmp_path: Path, pocket: Model) -> None:
    before = {thread.name for thread in threading.enumerate()}
    with open_desk(tmp_path / "library", pocket) as desk, client_of(desk) as client:
        desk.uploads.sandbox.prepare()
        upload(client, (EXAMPLES / "drums/kick-808.wav").read_bytes())
        folder = desk.uploads.folder
        assert folder.is_dir()
    assert not folder.exists()
    assert {thread.name for thread in threading.enumerate()} <= before | {"AnyIO worker thread"}
