"""Try again what may pass: a lost connection, a server that is busy. Nothing else is tried twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from soundalike.errors import SoundalikeError, StoreError
from soundalike.push.secrets import hidden

T = TypeVar("T")
Errors = tuple[type[Exception], ...]
OnWait = Callable[[float, Exception], None]
PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}  # HTTP: too slow, too many, the server's own trouble
PASSING_CODES = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"}  # gRPC
TRIES = 7
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0


def may_pass(error: BaseException, passing: Errors = ()) -> bool:
    """Say if an error, or one that caused it, may be gone at the next try."""
    return any(_passes(cause, passing) for cause in causes(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and the errors that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _passes(error: BaseException, passing: Errors) -> bool:
    for name in ("status_code", "status"):
        status = getattr(error, name, None)
        if isinstance(status, int):
            return status in PASSING_STATUS
    code = getattr(error, "code", None)
    if callable(code):  # gRPC
        return getattr(code(), "name", "") in PASSING_CODES
    return isinstance(error, (ConnectionError, TimeoutError, *passing))


def patiently(
    call: Callable[[], T],
    passing: Errors = (),
    on_wait: OnWait = lambda wait_s, error: None,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call, and call again after a growing pause while the error is one that may pass.

    Parameters
    ----------
    passing : errors of the store's client that may pass, besides those every client shares
    on_wait : told the pause in seconds, and the error

    Raises
    ------
    Exception
        the last error, when it may not pass or `TRIES` calls failed (about half a minute of waiting)
    """
    for n_failed in range(1, TRIES):
        try:
            return call()
        except Exception as error:  # clients' errors have no common tree
            if not may_pass(error, passing):
                raise
            wait_s = min(FIRST_WAIT_S * 2 ** (n_failed - 1), LONGEST_WAIT_S) * random.uniform(0.75, 1.25)
            on_wait(wait_s, error)
        sleep(wait_s)
    return call()


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn any error of a client into a `StoreError` that names the target and shows no secret."""
    try:
        yield
    except SoundalikeError:
        raise
    except Exception as error:  # clients' errors have no common tree
        told = next((str(cause) for cause in causes(error) if str(cause)), type(error).__name__)
        lines = " ".join(told.split())[:500]
        raise StoreError(hidden(f"{name}: {type(error).__name__}: {lines}")) from None
