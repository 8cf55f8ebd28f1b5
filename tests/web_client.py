"""What the tests of the server share: a library of real sounds, a client without a socket, a server with one."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import TypeAdapter
from starlette.testclient import TestClient

import soundalike
from soundalike.embed import Model
from soundalike.library import Library
from soundalike.web.app import TOPICS, create_app
from soundalike.web.desk import Desk
from soundalike.web.guard import Keys
from soundalike.web.serving import config_of

EXAMPLES = Path(soundalike.__file__).parent / "examples"
PORT = 4747
SOUNDS = (
    "drums/kick-808.wav", "drums/hi-hat-closed.wav", "drums/snare-electronic.flac", "drums/tom-low.aiff",
    "effects/coin-pickup.ogg", "effects/gunshot.ogg", "home/glass-shattering.ogg", "home/wood-knocks.opus",
    "animals/dog-barking.mp3", "animals/cow-mooing.m4a", "animals/rooster-crowing.ogg", "nature/rain-steady.ogg",
)  # fmt: skip
ORIGIN = {"origin": f"http://127.0.0.1:{PORT}"}


def fill(folder: Path) -> Path:
    """Real sounds in folders."""
    for name in SOUNDS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / name, folder / name)
    return folder


def library_of(place: Path, model: Model) -> Path:
    """A library of those sounds, and one file that is none."""
    sounds = fill(place / "sounds")
    (sounds / "drums" / "broken.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVEgarbage")
    with Library.create(place / "library", model) as library:
        library.add([sounds])
    return place / "library"


@contextmanager
def open_desk(path: Path, model: Model | None = None) -> Iterator[Desk]:
    """The desk of a library."""
    library = Library.create(path, model)
    desk = Desk(library)
    try:
        yield desk
    finally:
        desk.close()


@contextmanager
def client_of(desk: Desk, static: Path | None = None) -> Iterator[TestClient]:
    """A client that has begun its session."""
    keys = Keys(PORT)
    app = create_app(desk, keys, static) if static else create_app(desk, keys)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}", raise_server_exceptions=False) as client:
        client.event_hooks = {"response": [as_described]}
        assert client.post("/api/session", json={"token": keys.token}).status_code == 200
        yield client


def as_described(response: Any) -> None:
    """Hold an answer of the API to the description of its route."""
    path = response.request.url.path
    if not path.startswith("/api/") or response.headers["content-type"] != "application/json":
        return
    routes = (route for topic in TOPICS for route in topic.router.routes)
    fits = (r for r in routes if response.request.method in r.methods and r.path_regex.match(path.removeprefix("/api")))
    route = next(fits, None)
    described = route.responses.get(200 if response.status_code == 200 else "4XX", {}) if route is not None else {}
    if "model" in described:
        TypeAdapter(described["model"]).validate_json(response.read(), strict=True)


class Live:
    """A server on a socket, in a thread."""

    def __init__(self, desk: Desk) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.keys = Keys(self.port)
        self.server = uvicorn.Server(config_of(desk, self.keys))
        self._thread = threading.Thread(target=lambda: asyncio.run(self.server.serve([self._socket])))
        self._thread.start()
        until = time.monotonic() + 10
        while not self.server.started and time.monotonic() < until:
            time.sleep(0.01)
        assert self.server.started

    def close(self) -> None:
        self.server.should_exit = True
        self._thread.join()
        self._socket.close()

    def request(self, method: str, path: str, headers: str = "", body: bytes = b"") -> socket.socket:
        """Send a request; the connection on which the answer comes."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {self.keys.token}\r\n"
        connection.sendall(head.encode() + headers.encode() + b"\r\n" + body)
        return connection


def answer_of(connection: socket.socket, until: bytes | None = None) -> bytes:
    """What comes on a connection, to its end or until something has come."""
    taken = b""
    while (until is None or until not in taken) and (piece := connection.recv(1 << 16)):
        taken += piece
    return taken


def wait_for(client: TestClient, job_id: str, timeout_s: float = 60) -> dict[str, Any]:
    """A job once it is over."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        record: dict[str, Any] = next(job for job in client.get("/api/jobs").json() if job["id"] == job_id)
        if record["state"] not in ("queued", "running"):
            return record
        time.sleep(0.05)
    raise AssertionError(f"job {job_id} does not end")
