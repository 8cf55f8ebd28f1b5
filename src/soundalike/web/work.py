"""What a job does, in a process of its own: it may be killed at any moment, and nothing that it has reported is lost.

The process opens the library as any other program does; the server sees what it writes with the next search.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from soundalike.readable import many, shown

if TYPE_CHECKING:
    from soundalike.library import Library, Progress

Kind = Literal["add", "sync", "retry", "map", "duplicates", "rebuild", "pull", "push"]
Report = Callable[[dict[str, Any]], None]
_PAUSE_S = 0.1  # between two reports


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done."""

    kind: Kind
    library: Path
    device: str = "auto"
    folder: Path | None = None  # to add
    model: str | None = None  # to rebuild with, or to pull
    target: str | None = None  # to push to


def run(task: Task, pipe: Connection) -> None:
    """Do it, and send what becomes of it: the body of the child process."""
    with suppress(OSError, AttributeError):
        os.nice(5)  # searching goes first
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal: the server ends this process
    reporter = _Reporter(pipe)
    try:
        reporter.send({**perform(task, reporter), "state": "done"})
    except Exception as error:  # whatever it is, the page says it
        from soundalike.errors import SoundalikeError

        known = isinstance(error, SoundalikeError | ValueError)
        reporter.send({"state": "failed", "error": str(error) if known else f"{type(error).__name__}: {error}"})
        if not known:
            raise  # the terminal shows where


def perform(task: Task, report: Report) -> dict[str, Any]:
    """Do it; what to say at the end."""
    from soundalike.library import Library

    if task.kind == "push":
        return _push(task, report)
    if task.kind == "pull":
        return _pull(task, report)

    def on_progress(progress: Progress) -> None:
        report(_standing(progress))

    with Library.open(task.library, device=task.device) as library:
        match task.kind:
            case "add":
                assert task.folder is not None
                report({"message": "looking for sounds"})
                done = library.add([task.folder], on_progress=on_progress)
            case "sync":
                done = library.sync(on_progress=on_progress)
            case "retry":
                done = library.retry(on_progress=on_progress)
            case "rebuild":
                assert task.model is not None
                done = library.rebuild(task.model, on_progress=on_progress)
            case "map":
                return _map(library, report)
            case "duplicates":
                return _duplicates(library, report)
    return {**_standing(done), "message": _summary(done)}


def _map(library: Library, report: Report) -> dict[str, Any]:
    def on_progress(done: int, total: int) -> None:
        words = "laying out" if done < total else "naming the groups"
        report({"done": done, "total": total, "message": words})

    found = library.map(on_progress=on_progress)
    return {"message": f"{many(len(found.ids), 'sound')} in {many(len(found.names), 'group')}"}


def _duplicates(library: Library, report: Report) -> dict[str, Any]:
    from soundalike.duplicates import STEPS
    from soundalike.web.copies import keep_groups

    groups, failures = library.duplicates(
        on_progress=lambda step, done, total: report({"done": done, "total": total, "message": STEPS[step]})
    )
    keep_groups(library, groups)
    n_copies = sum(len(group.sounds) - 1 for group in groups)
    return {"message": f"{many(len(groups), 'group')}, {many(n_copies, 'copy', 'copies')}", "n_failed": len(failures)}


def _pull(task: Task, report: Report) -> dict[str, Any]:
    from soundalike.pulling import Step, pull

    words = {"fetching": "", "converting": "writing the network", "trying": "trying it"}

    def on_step(step: Step, file: str, done: int, total: int) -> None:
        report({"done": done, "total": total, "message": words[step] or file})

    assert task.model is not None
    return {"message": f"{pull(task.model, on_step=on_step).name} is ready"}


def _push(task: Task, report: Report) -> dict[str, Any]:
    from soundalike.push import open_store, push, read_source

    assert task.target is not None
    report({"message": "reading the library"})
    source = read_source(task.library)
    n = len(source.rows)
    with closing(open_store(task.target)) as store:
        done = push(
            source, store, on_progress=lambda now: report({"done": now.n_seen, "total": n, "message": ""}),
            on_wait=lambda wait_s, error: report({"message": f"no answer; trying again in {wait_s:.0f} s"}),
        )  # fmt: skip
    return {"message": f"{done.n_written:,} written, {done.n_unchanged:,} were there"}


def _standing(progress: Progress) -> dict[str, Any]:
    last = shown(progress.last.path.name) if progress.last is not None else ""
    return {
        "done": progress.n_seen, "total": progress.n_total, "n_failed": progress.n_failed, "message": last,
    }  # fmt: skip


def _summary(done: Progress) -> str:
    counts = {
        "added": done.n_added, "moved or copied": done.n_moved, "gone": done.n_removed, "failed": done.n_failed,
        "unchanged": done.n_unchanged, "failed before": done.n_failed_before,
    }  # fmt: skip
    away = [f"not there: {folder}; its sounds are kept" for folder in done.unreachable]
    return "; ".join([", ".join(f"{n:,} {what}" for what, n in counts.items() if n) or "nothing to do", *away])


class _Reporter:
    """Sends not too often; of several reports the last, with all fields of those before."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._held, self._sent = pipe, dict[str, Any](), 0.0

    def __call__(self, fields: dict[str, Any]) -> None:
        self._held |= fields
        if time.monotonic() - self._sent >= _PAUSE_S or self._held.get("done") == self._held.get("total"):
            self.send({})

    def send(self, fields: dict[str, Any]) -> None:
        """Send now."""
        try:
            self._pipe.send(self._held | fields)
        except (BrokenPipeError, ConnectionError):
            sys.exit(1)  # the server has gone
        self._held, self._sent = {}, time.monotonic()
