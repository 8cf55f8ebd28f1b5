"""Something has changed: a bell that any thread rings and any number of streams wait for."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Bell:
    """Rung by threads, heard by coroutines of one loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()
        self.closed = False

    def attach(self) -> None:
        """Say which loop listens; called from it."""
        self._loop = asyncio.get_running_loop()

    def ring(self) -> None:
        """Wake all that wait."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Wake all that wait, for the last time."""
        self.closed = True
        self.ring()

    def _wake(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    def next_ring(self) -> asyncio.Event:
        """Take what the next ring will set: before looking at what may have changed, so that no change is missed."""
        return self._event

    async def wait(self, ring: asyncio.Event, longest_s: float) -> bool:
        """Wait for a ring; False if there was none for so long."""
        try:
            async with asyncio.timeout(longest_s):
                await ring.wait()
        except TimeoutError:
            return False
        return True
