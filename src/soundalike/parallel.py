"""Work side by side in threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(pool: ThreadPoolExecutor, function: Callable[[A], B], items: Iterable[A], n_ahead: int) -> Iterator[B]:
    """What a function makes of items, in their order, with at most ``n_ahead`` taken before they are asked for."""
    running: deque[Future[B]] = deque()
    for item in items:
        running.append(pool.submit(function, item))
        if len(running) >= n_ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
