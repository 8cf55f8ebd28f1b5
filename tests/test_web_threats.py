"""What the server withstands: one test for each threat, and the guard's rules over every route that there is."""

from __future__ import annotations

import io
import os
import socket
import struct
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

sys.path.insert(0, str(Path(__file__).parent))  # for pytest's importlib mode
from make_sounds import tone, write_sound
from soundalike.embed import Model
from soundalike.errors import SoundalikeError, SoundError
from soundalike.library import Library
from soundalike.web import guard, sandbox, serving
from soundalike.web.app import create_app
from soundalike.web.desk import Desk
from soundalike.web.exporting import _harmless
from soundalike.web.guard import Keys
from soundalike.web.routes import uploads as upload_routes
from soundalike.web.sandbox import Sandbox
from web_client import EXAMPLES, ORIGIN, PORT, Live, answer_of, client_of, library_of, open_desk

OWN = f"127.0.0.1:{PORT}"
ODD = "<img src=x onerror=alert(1)> \"'&.wav"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, pocket: Model) -> Iterator[Desk]:
    place = tmp_path_factory.mktemp("threats")
    path = library_of(place, pocket)
    write_sound(place / "sounds" / ODD, tone(440, 0.3, 8000), 8000)
    with Library.open(path, pocket) as library:
        library.sync()
    with open_desk(path, pocket) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[TestClient]:
    with client_of(desk) as opened:
        yield opened


@pytest.fixture(scope="module")
def stranger(desk: Desk) -> Iterator[TestClient]:
    """Somebody who has no token."""
    with TestClient(create_app(desk, Keys(PORT)), base_url=f"http://{OWN}", raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def live(desk: Desk) -> Iterator[Live]:
    server = Live(desk)
    yield server
    server.close()


def a_sound(client: TestClient) -> int:
    return int(client.post("/api/search", json={"n": 1}).json()["matches"][0]["id"])


def raw(live: Live, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
        connection.sendall(request)
        return answer_of(connection, b"\r\n\r\n")


# Who asks


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", f"localhost.evil.example:{PORT}",
        f"0.0.0.0:{PORT}", f"127.0.0.1:{PORT}/api?", f"x@127.0.0.1:{PORT}", "", f"127.0.0.1:{PORT}, evil.example",
        f"127.1:{PORT}", f"[::ffff:127.0.0.1]:{PORT}",
    ],
)  # fmt: skip
def test_foreign_host_is_refused_everywhere(client: TestClient, host: str) -> None:
    for path in ("/", "/api/status", "/openapi.json"):
        assert client.get(path, headers={"host": host}).status_code == 421


def test_own_names_are_answered(client: TestClient) -> None:
    for host in (OWN, f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"):
        assert client.get("/api/status", headers={"host": host}).status_code == 200


def test_two_hosts_or_none_are_refused(live: Live) -> None:
    own = f"Host: 127.0.0.1:{live.port}\r\n".encode()
    for hosts in (own + b"Host: evil.example\r\n", own + own, b""):
        assert raw(live, b"GET / HTTP/1.1\r\n" + hosts + b"\r\n").split()[1] in (b"400", b"421")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": f"https://{OWN}"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"}, {"origin": f"http://localhost:{PORT}"},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
)  # fmt: skip
def test_cross_origin_post_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    """Also with the cookie, which SameSite=Strict does not let another site send."""
    answer = client.post("/api/jobs", json={"kind": "sync"}, headers=headers)
    assert answer.status_code == 403
    assert client.get("/api/jobs").json() == []
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_cross_origin_event_source_media_and_scripts_are_refused(client: TestClient) -> None:
    for path in ("/api/events", f"/api/sounds/{a_sound(client)}/audio", "/api/status"):
        for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site", "sec-fetch-dest": "audio"}):
            assert client.get(path, headers=headers).status_code == 403
    preflight = client.options("/api/search", headers={"origin": "http://evil.example"})
    assert preflight.status_code == 403
    assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_the_page_may_be_opened_from_a_link(client: TestClient) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=headers).status_code != 403
    assert client.get("/", headers=headers | {"sec-fetch-dest": "iframe"}).status_code == 403


def test_forms_of_other_sites_cannot_post(client: TestClient) -> None:
    """What a form can send without asking first is not taken, whoever sends it."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = client.post("/api/jobs", content=b'{"kind": "sync"}', headers={"content-type": kind, **ORIGIN})
        assert answer.status_code == 415


def every_route(client: TestClient) -> list[tuple[str, str]]:
    paths = client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def test_every_route_needs_the_token(stranger: TestClient) -> None:
    routes = every_route(stranger)
    assert len(routes) > 30
    for method, path in routes:
        address = path.replace("{sound_id}", "1")
        headers = {"content-type": "application/json"}
        for more in ({}, {"authorization": "Bearer x"}, {"cookie": f"soundalike-{PORT}=x"}, {"cookie": "=;\x01"}):
            status = stranger.request(method, address, headers=headers | more).status_code
            assert status == (422 if path == "/api/session" else 401), (method, path, more)
    assert stranger.post("/api/session", json={"token": "x"}).status_code == 401
    assert stranger.get("/api").status_code == 401
    assert stranger.get("/apis").status_code != 200


def test_cookie_is_not_the_token_and_no_script_or_site_gets_it(desk: Desk) -> None:
    keys = Keys(PORT)
    with TestClient(create_app(desk, keys), base_url=f"http://{OWN}") as client:
        cookie = client.post("/api/session", json={"token": keys.token}).headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert keys.token not in cookie
        assert client.get("/api/status").status_code == 200
        assert client.get("/api/status", headers={"authorization": f"Bearer {keys.token}"}).status_code == 200
        wrong = client.get("/api/status", headers={"authorization": "Bearer wrong"})  # with a right cookie, too
        assert wrong.status_code == 401
    assert Keys(PORT).token != keys.token  # a new one each start
    assert keys.token not in repr(keys)


def test_web_sockets_are_closed(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/events"):
        pass


def test_nothing_listens_beyond_this_machine() -> None:
    with serving._socket(None) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        assert listening.proto == socket.IPPROTO_TCP  # answers are sent at once
        with pytest.raises(SoundalikeError, match="taken"):
            serving._socket(listening.getsockname()[1])


def test_every_answer_has_the_headers(client: TestClient, stranger: TestClient) -> None:
    answers = [
        client.get("/"), client.get("/api/status"), client.get("/api/sounds/4711"), stranger.get("/api/status"),
        client.get("/", headers={"host": "evil"}), client.get(f"/api/sounds/{a_sound(client)}/audio"),
        client.post("/api/search", json={"n": 0}),
    ]  # fmt: skip
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
    assert client.get("/api/status").headers["cache-control"] == "no-store"


# Files


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/..%2f..%2fguard.py",
        "/..%5c..%5cguard.py", "//etc/passwd", "/%2fetc%2fpasswd", "/C:/Windows/win.ini", "/%5c%5chost%5cshare%5cx.js",
        "/assets/%00.js", "/static/index.html%00.png", "/./guard.py", "/app.py", "/%252e%252e%252fetc%252fpasswd",
        "/api/sounds/../../../etc/passwd", "/api/sounds/%2e%2e%2f%2e%2e%2fetc%2fpasswd/audio",
        "/api/sounds/%2fetc%2fpasswd/audio", "/api/uploads/..%2f..%2fetc%2fpasswd/audio",
        "/api/sounds/file:%2f%2f%2fetc%2fpasswd/audio",
    ],
)  # fmt: skip
def test_paths_lead_nowhere(live: Live, path: str) -> None:
    with live.request("GET", path, "Connection: close\r\n") as connection:
        answer = answer_of(connection)
    assert answer.split()[1] in (b"400", b"401", b"404", b"422", b"503"), answer[:200]
    assert b"root:" not in answer
    assert b"import " not in answer


def test_removed_sounds_are_gone(tmp_path: Path, pocket: Model) -> None:
    with open_desk(library_of(tmp_path, pocket), pocket) as desk, client_of(desk) as client:
        matches = client.post("/api/search", json={}).json()["matches"]
        removed, deleted = matches[0], matches[1]
        client.get(f"/api/sounds/{removed['id']}/peaks")  # its waveform is in the cache
        with Library.open(desk.library.path, pocket) as other:
            other.remove([removed["path"]])
        Path(deleted["path"]).unlink()
        for what in ("", "/audio", "/peaks", "/spectrogram.png"):
            answer = client.get(f"/api/sounds/{removed['id']}{what}")
            assert answer.status_code == 404, what
            assert "no sound with the id" in answer.json()["error"]
        assert client.post("/api/search", json={"parts": [{"id": removed["id"]}]}).status_code == 404
        assert client.put(f"/api/favorites/{removed['id']}").status_code == 404
        assert "not there any more" in client.get(f"/api/sounds/{deleted['id']}/audio").json()["error"]
        for sound_id in (0, -1, 1 << 40, 1 << 64, 10**30):
            assert client.get(f"/api/sounds/{sound_id}/audio").status_code in (404, 422)


@pytest.mark.skipif(os.name == "nt", reason="links need rights that users do not have there")
def test_links_out_of_the_library_are_not_followed(tmp_path: Path, pocket: Model) -> None:
    secret = tmp_path / "secret.wav"
    write_sound(secret, tone(300, 0.4, 8000), 8000)
    path = library_of(tmp_path, pocket)
    write_sound(tmp_path / "elsewhere.wav", tone(600, 0.4, 8000), 8000)
    (tmp_path / "sounds" / "linked.wav").symlink_to(tmp_path / "elsewhere.wav")  # the user's own: it was added
    with Library.open(path, pocket) as library:
        library.sync()
    with open_desk(path, pocket) as desk, client_of(desk) as client:
        sounds = {one["name"]: one for one in client.post("/api/search", json={}).json()["matches"]}
        linked, kick = sounds["linked.wav"], sounds["kick-808.wav"]
        assert client.get(f"/api/sounds/{linked['id']}/audio").status_code == 200
        Path(kick["path"]).unlink()
        Path(kick["path"]).symlink_to(secret)  # somebody has put it there since
        for what in ("audio", "peaks", "spectrogram.png"):
            answer = client.get(f"/api/sounds/{kick['id']}/{what}")
            assert answer.status_code == 404
            assert "not the file any more" in answer.json()["error"]
        archive = client.post("/api/export", json={"ids": [kick["id"]], "format": "zip"})
        assert zipfile.ZipFile(io.BytesIO(archive.content)).namelist() == ["missing.txt"]
        inside = tmp_path / "sounds" / "drums" / "tom-low.aiff"
        Path(sounds["coin-pickup.ogg"]["path"]).unlink()
        Path(sounds["coin-pickup.ogg"]["path"]).symlink_to(inside)  # within the library: it may be followed
        assert client.get(f"/api/sounds/{sounds['coin-pickup.ogg']['id']}/audio").status_code == 200
        Path(sounds["dog-barking.mp3"]["path"]).unlink()
        os.mkfifo(sounds["dog-barking.mp3"]["path"])  # reading it would never end
        assert client.get(f"/api/sounds/{sounds['dog-barking.mp3']['id']}/audio").status_code == 404


def test_html_in_names_and_tags_is_only_text(client: TestClient, desk: Desk) -> None:
    odd = next(one for one in client.post("/api/search", json={}).json()["matches"] if one["name"] == ODD)
    answer = client.get(f"/api/sounds/{odd['id']}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["name"] == ODD
    assert client.get(f"/api/sounds/{odd['id']}/audio").headers["content-type"] == "audio/wav"
    page = client.get(f"/%3Cscript%3Ealert(1)%3C/script%3E?q={ODD}")
    assert "alert(1)" not in page.text
    error = client.post("/api/picker", json={"path": "/<script>alert(1)</script>"})
    assert error.headers["content-type"] == "application/json"
    archive = client.post("/api/export", json={"ids": [odd["id"]], "format": "zip"})
    assert zipfile.ZipFile(io.BytesIO(archive.content)).namelist() == [f"1 {ODD}"]
    table = client.post("/api/export", json={"ids": [odd["id"]], "format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    assert "attachment" in table.headers["content-disposition"]


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A1", "+1+1", "-2", "@SUM(A1)", "\t=1"])
def test_names_are_no_formulas_in_tables(name: str) -> None:
    assert str(_harmless(name)).startswith("'")
    assert _harmless("plain") == "plain"


# Floods


def send(client: TestClient, content: Any, **headers: str) -> Any:
    kind = {"content-type": "application/octet-stream"}
    return client.post("/api/uploads", content=content, headers={**kind, "x-name": "x.wav", **headers})


def test_ten_gigabytes_declared_are_refused_before_they_come(live: Live) -> None:
    headers = "Content-Type: application/octet-stream\r\nContent-Length: 10737418240\r\n"
    with live.request("POST", "/api/uploads", headers, b"RIFF") as connection:
        assert answer_of(connection, b"\r\n\r\n").split()[1] == b"413"


def test_ten_gigabytes_in_pieces_are_cut_off(live: Live, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_UPLOAD", 1 << 20)
    headers = "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n"
    piece, sent = b"10000\r\n" + bytes(1 << 16) + b"\r\n", 0
    with live.request("POST", "/api/uploads", headers) as connection:
        answer = b""
        try:
            while sent < 10 << 30:
                connection.sendall(piece)
                sent += 1 << 16
        except OSError:
            pass  # the server has had enough
        try:
            answer = answer_of(connection, b"\r\n\r\n")
        except OSError:
            answer = b"HTTP/1.1 413"  # cut off before its answer was read
    assert answer.split()[1] == b"413"
    assert sent < 64 << 20
    until = time.monotonic() + 5
    while list(desk.uploads.folder.glob("*.incoming")) and time.monotonic() < until:
        time.sleep(0.01)
    assert not list(desk.uploads.folder.glob("*.incoming"))
    assert desk.n_coming == 0


def test_bodies_of_questions_are_limited(client: TestClient) -> None:
    assert client.post("/api/search", json={"parts": [{"text": "x" * (5 << 20)}]}).status_code == 413
    nested = b"[" * 100_000
    for content in (nested, b"\xff\xfe", b'{"n":' + b"9" * 10_000 + b"}"):
        answer = client.post("/api/search", content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422)
        assert answer.json()["error"]


def test_body_that_never_comes_is_given_up(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SILENCE_S", 0.2)
    headers = "Content-Type: application/json\r\nContent-Length: 100\r\n"
    with live.request("POST", "/api/search", headers, b"{") as connection:
        assert answer_of(connection, b"\r\n\r\n").split()[1] == b"408"


def test_head_that_never_ends_is_given_up(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_S", 0.2)
    with live.request("GET", "/api/events") as stream:  # an answer that goes on is no such thing
        answer_of(stream, b"event: library")
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 1")
            assert answer_of(connection) == b""
        asked = time.monotonic()
        stream.settimeout(0.5)
        with pytest.raises(TimeoutError):
            stream.recv(1)
        assert time.monotonic() - asked > 0.4


def test_two_hundred_slow_connections_keep_nobody_waiting(live: Live, desk: Desk) -> None:
    slow = [socket.create_connection(("127.0.0.1", live.port), timeout=10) for _ in range(100)]
    upload = "Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n"
    try:
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 1")  # and nothing more
        slow += [live.request("POST", "/api/uploads", upload, b"RIFF") for _ in range(100)]
        for _ in range(5):
            asked = time.monotonic()
            with live.request("GET", "/api/status", "Connection: close\r\n") as connection:
                assert answer_of(connection).split()[1] == b"200"
            assert time.monotonic() - asked < 2.0
        assert desk.n_coming <= upload_routes.MOST_AT_ONCE
    finally:
        for connection in slow:
            connection.close()
    until = time.monotonic() + 5
    while desk.n_coming and time.monotonic() < until:
        time.sleep(0.01)
    assert desk.n_coming == 0


def test_ranges_cost_nothing(client: TestClient) -> None:
    address = f"/api/sounds/{a_sound(client)}/audio"
    size = len(client.get(address).content)
    many = "bytes=" + ",".join(f"{i}-{i + 1}" for i in range(4000))
    assert client.get(address, headers={"range": many}).status_code in (400, 416)
    assert client.get(address, headers={"range": f"bytes={size}-"}).status_code == 416
    overlapping = client.get(address, headers={"range": "bytes=" + ",".join(["0-"] * 16)})
    assert len(overlapping.content) < 2 * size
    beyond = "bytes=" + "9" * 5000 + "-"
    for wrong in ("bytes=5-1", "bytes=a-b", "bytes=", "bytes=--1", "lines=1-2", "bytes=-0", beyond):
        assert client.get(address, headers={"range": wrong}).status_code in (200, 206, 400, 416)


def test_spectators_of_events_are_limited(live: Live, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundalike.web.routes.jobs.MOST_STREAMS", 2)
    streams = [live.request("GET", "/api/events") for _ in range(2)]
    try:
        for stream in streams:
            answer_of(stream, b"event: library")
        with live.request("GET", "/api/events") as third:
            assert answer_of(third, b"\r\n\r\n").split()[1] == b"503"
    finally:
        for stream in streams:
            stream.close()
    until = time.monotonic() + 5
    while desk.n_streams and time.monotonic() < until:
        time.sleep(0.01)
    assert desk.n_streams == 0


# Files that are made to do harm


def wav_header(n_bytes: int, channels: int = 1, rate: int = 8000) -> bytes:
    frame = channels * 2 % 65536
    head = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * frame, frame, 16)
    return struct.pack("<4sI8s", b"RIFF", 36 + n_bytes, b"WAVEfmt ") + head + struct.pack("<4sI", b"data", n_bytes)


def death_by_zip() -> bytes:
    """A hundred megabytes of zeros in a hundred kilobytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.wav", bytes(100 << 20))
    return out.getvalue()


HARMFUL = (
    "nothing", "zip of death", "gzip", "noise", "a million channels", "more than there is", "no rate", "torn flac",
    "half an mp3", "silence", "playlist", "html", "head only",
)  # fmt: skip


def harmful() -> dict[str, bytes]:
    flac = (EXAMPLES / "drums/snare-electronic.flac").read_bytes()
    mp3 = (EXAMPLES / "animals/dog-barking.mp3").read_bytes()
    rng = np.random.default_rng(0)
    torn = bytearray(flac)
    for at in rng.integers(60, len(torn), 400):
        torn[at] = rng.integers(256)
    return {
        "nothing": b"", "zip of death": death_by_zip(), "gzip": zlib.compress(bytes(1 << 20)),
        "noise": rng.bytes(65536),
        "a million channels": wav_header(1000, channels=65535) + bytes(1000),
        "more than there is": wav_header(0xFFFFFF00) + bytes(100), "no rate": wav_header(1000, rate=0) + bytes(1000),
        "torn flac": bytes(torn), "half an mp3": mp3[: len(mp3) // 2], "silence": wav_header(16000) + bytes(16000),
        "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
        "html": b"<html><script>alert(1)</script></html>", "head only": flac[:50],
    }  # fmt: skip


@pytest.mark.parametrize("kind", HARMFUL)
def test_harmful_uploads_cost_one_upload(client: TestClient, desk: Desk, kind: str) -> None:
    answer = send(client, harmful()[kind])
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        assert answer.json()["error"]
    assert kind in ("torn flac", "half an mp3", "more than there is") or answer.status_code == 422
    assert not list(desk.uploads.folder.glob("*.incoming"))
    assert client.get("/api/status").status_code == 200


def test_names_of_uploads_are_labels(client: TestClient, desk: Desk) -> None:
    content = (EXAMPLES / "drums/kick-808.wav").read_bytes()
    before = set(desk.uploads.folder.iterdir())
    for name in ("../../x.wav", "..%2F..%2Fx.wav", "C%3A%5CWindows%5Cx.wav", "%00", "", "a" * 4000):
        answer = send(client, content, **{"x-name": name})
        assert answer.status_code == 200
        assert not set("/\\\0") & set(answer.json()["name"])
        assert len(answer.json()["name"]) <= 200
    new = set(desk.uploads.folder.iterdir()) - before
    assert all(path.name.startswith("u") and path.suffix == ".wav" for path in new)


def test_child_that_hangs_or_dies_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Sandbox()
    try:
        box.prepare()
        assert box._spare is not None
        box._spare[0].kill()
        with pytest.raises(SoundError, match="fails badly"):
            box.decode(EXAMPLES / "drums/kick-808.wav", tmp_path / "out.wav")
        monkeypatch.setattr(sandbox, "TIME_S", 0.0)
        with pytest.raises(SoundError, match="takes more than"):
            box.decode(EXAMPLES / "drums/kick-808.wav", tmp_path / "out.wav")
        monkeypatch.undo()
        assert box.decode(EXAMPLES / "drums/kick-808.wav", tmp_path / "out.wav") > 0.1
    finally:
        box.close()


def test_long_sounds_are_not_decoded_to_the_end(tmp_path: Path) -> None:
    """Silence that is packed a thousand times: 21 minutes in a few kilobytes."""
    packed = tmp_path / "long.flac"
    write_sound(packed, np.zeros((1260 * 4000, 1), np.float32), 4000)
    assert packed.stat().st_size < 1 << 20
    box = Sandbox()
    try:
        with pytest.raises(SoundError, match="longer than 20 minutes"):
            box.decode(packed, tmp_path / "out.wav")
    finally:
        box.close()
    assert not list(tmp_path.glob("*out.wav*"))


@pytest.mark.skipif(not Path("/proc").exists(), reason="Linux says which files are open")
def test_nothing_stays_open(client: TestClient, desk: Desk) -> None:
    def used() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    content = (EXAMPLES / "drums/kick-808.wav").read_bytes()

    def a_round() -> None:
        for sound in client.post("/api/search", json={"parts": [{"text": "drum"}], "n": 5}).json()["matches"]:
            for what in ("audio", "peaks", "spectrogram.png"):
                client.get(f"/api/sounds/{sound['id']}/{what}")
        send(client, content)
        send(client, b"broken")
        client.post("/api/export", json={"ids": [a_sound(client)], "format": "zip"})

    a_round()
    n_files, n_threads = used()
    for _ in range(5):
        a_round()
    assert used()[0] <= n_files + 2
    assert used()[1] <= n_threads + 2
