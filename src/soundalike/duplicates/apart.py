"""Compare pairs of sounds, many of them in processes of their own.

The arrays of a pair are small, so threads that compare pairs spend their time handing Python's lock to each other: two
of them do hardly more than one. Two processes do twice as much, once they have begun.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from soundalike.duplicates.prints import Store
from soundalike.duplicates.relation import Side, relate
from soundalike.duplicates.values import Relation
from soundalike.errors import SoundError


@dataclass(frozen=True, slots=True)
class Question:
    """Two files to compare, as `relate` takes them."""

    first: Side
    second: Side
    may_fit: bool
    may_be_warped: bool


Answers = list[Relation | None]
Answer = Callable[[Sequence[Question]], Answers]


def answer(store: Store, questions: Sequence[Question]) -> Answers:
    """Compare, one after the other; a file that has gone since it was read is like no other."""
    found: Answers = []
    for one in questions:
        try:
            found.append(relate(store, one.first, one.second, may_fit=one.may_fit, may_be_warped=one.may_be_warped))
        except SoundError:
            found.append(None)
    return found


@contextmanager
def answering(store: Store, n_processes: int) -> Iterator[Answer]:
    """Give a function like `answer`, for as many threads as there are processes; with none, it works in the thread."""
    helpers: queue.SimpleQueue[_Helper | None] = queue.SimpleQueue()
    every = [_Helper(store.folder) for _ in range(n_processes if _can_begin() else 0)]
    for helper in every:
        helpers.put(helper)

    def ask(questions: Sequence[Question]) -> Answers:
        if not every:
            return answer(store, questions)
        helper = helpers.get()
        found = helper.ask(questions) if helper else None
        helpers.put(helper if found is not None else None)
        return answer(store, questions) if found is None else found  # a process that has gone is not missed

    try:
        yield ask
    finally:
        for helper in every:
            helper.close()


def _can_begin() -> bool:
    """Whether this is a Python that can be begun once more, and not one inside another program."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


class _Helper:
    """A process that compares the sounds of a store."""

    def __init__(self, folder: Path) -> None:
        begin = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
        command = [sys.executable, "-c", begin]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        with suppress(OSError):
            self._send(folder)

    def _send(self, value: object) -> None:
        pickle.dump(value, self._to)
        self._to.flush()

    def ask(self, questions: Sequence[Question]) -> Answers | None:
        """Compare; None if the process has gone."""
        try:
            self._send(list(questions))
            found: Answers = pickle.load(self._from)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        return found

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        for pipe in (self._to, self._from):
            with suppress(OSError):
                pipe.close()
        self._process.wait()


def serve() -> None:
    """Answer questions from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks decides when it is over
    asked, told = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed is no answer
    with suppress(EOFError), Store(_next(asked)) as store:
        while True:
            pickle.dump(answer(store, _next(asked)), told)
            told.flush()


def _next(asked: IO[bytes]) -> Any:
    return pickle.load(asked)  # of the process that began this one
