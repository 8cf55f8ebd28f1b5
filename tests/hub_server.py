"""A server with the hub's manners: a file's address states its hash, and sends on to a store on another port."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


class HubServer:
    """Files of a folder, at /ORG/NAME/resolve/REVISION/FILE."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files  # path after the host to what is behind it
        self.asked: list[tuple[str, str, str]] = []  # method, path, range
        self.cut_after: int | None = None  # bytes, of the next answer of the store
        self.lies = False  # states another hash than the file has
        self.resumes = True
        self._store = self._listen(_Store)
        self._hub = self._listen(_Hub)
        self.address = f"http://127.0.0.1:{self._hub.server_address[1]}"
        self.store = f"http://127.0.0.1:{self._store.server_address[1]}"

    def _listen(self, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.hub = self  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    def close(self) -> None:
        for server in (self._hub, self._store):
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _file(self) -> Path | None:
        hub: HubServer = self.server.hub
        hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
        path = hub.files.get(unquote(self.path))
        if path is None:
            self.send_error(404)
        return path

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        raise NotImplementedError


class _Hub(_Handler):
    def do_GET(self) -> None:
        path = self._file()
        if path is None:
            return
        hub: HubServer = self.server.hub
        sha256 = hashlib.sha256(b"lie" if hub.lies else path.read_bytes()).hexdigest()
        self.send_response(302)
        self.send_header("Location", hub.store + self.path)
        self.send_header("X-Linked-Etag", f'"{sha256}"')
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Store(_Handler):
    def do_GET(self) -> None:
        path = self._file()
        if path is None:
            return
        hub: HubServer = self.server.hub
        data, start = path.read_bytes(), 0
        asked = self.headers.get("Range")
        if asked and hub.resumes:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                self.send_error(416)
                return
        self.send_response(206 if asked and hub.resumes else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        cut, hub.cut_after = hub.cut_after, None
        self.wfile.write(data[start:] if cut is None else data[start : start + cut])
        self.close_connection = True
