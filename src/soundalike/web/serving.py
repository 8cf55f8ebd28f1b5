"""Serving: the socket, the address, and the end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from soundalike.errors import SoundalikeError
from soundalike.web.app import create_app
from soundalike.web.desk import Desk
from soundalike.web.guard import Keys

HOST = "127.0.0.1"
PORT = 4747
HEAD_S = 15.0  # in which a request is asked, on a new connection or after the one before
_GRACE_S = 1  # for answers that are under way at the end
_MOST_CONNECTIONS = 1000


def serve(library: Path | None, port: int | None, on_ready: Callable[[str], None], device: str = "auto") -> None:
    """Serve a library on this machine alone, until interrupted.

    Parameters
    ----------
    library : its folder; made if it is not there
    port : None for the usual one, or another if that is taken
    on_ready : called with the address once it answers

    Raises
    ------
    SoundalikeError
        if the port is taken, or the library cannot be opened
    """
    with _socket(port) as listening:
        keys = Keys(listening.getsockname()[1])
        desk = Desk.open(library, device)
        try:
            desk.warm_up()
            server = _Server(config_of(desk, keys), desk, lambda: on_ready(address(keys)))
            server.run(sockets=[listening])
        finally:
            desk.close()


def address(keys: Keys) -> str:
    """Where the page is; what follows # is never sent anywhere, but lets the page begin a session."""
    return f"http://{HOST}:{keys.port}/#token={keys.token}"


def _socket(port: int | None) -> socket.socket:
    # where the protocol is named, asyncio sends each piece at once (TCP_NODELAY); else an answer waits 40 ms
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where reuse would let another program take the port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for wanted in [PORT, 0] if port is None else [port]:
        try:
            listening.bind((HOST, wanted))
            listening.listen()
        except (OSError, OverflowError):
            continue
        return listening
    listening.close()
    raise SoundalikeError(f"port {port} is taken: end what uses it, or choose another one with --port")


def config_of(desk: Desk, keys: Keys) -> uvicorn.Config:
    """How the server of a library runs."""
    return uvicorn.Config(
        create_app(desk, keys), log_level="warning", access_log=False, server_header=False, proxy_headers=False,
        ws="none", http=Connection, loop="asyncio", lifespan="on", limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
    )  # fmt: skip


class Connection(H11Protocol):
    """A connection that is closed when nothing whole was asked on it for a while: heads of requests that never end."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin, with a look now and then."""
        super().connection_made(transport)
        self._before = self.cycle
        self._next_look = self.loop.call_later(HEAD_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        if not answering and self.cycle is self._before:
            self.transport.close()
            return
        self._before = self.cycle
        self._next_look = self.loop.call_later(HEAD_S, self._look)


class _Server(uvicorn.Server):
    """Says when it answers, and ends streams of events at once when it is to end."""

    def __init__(self, config: uvicorn.Config, desk: Desk, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._desk, self._on_ready = desk, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._desk.bell.close()
        super().handle_exit(signal.SIGINT, frame)
