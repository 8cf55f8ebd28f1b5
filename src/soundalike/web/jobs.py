"""Long work: one job after another, each in a child process, with its progress for all who look."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, Literal

from soundalike.web.work import Task, run

State = Literal["queued", "running", "done", "failed", "cancelled"]
KEPT = 50  # jobs that are over and still listed
MOST_QUEUED = 20
_GRACE_S = 2.0  # for a child that was told to end


@dataclass(slots=True)
class Record:
    """A job as the page sees it."""

    id: str
    kind: str
    state: State = "queued"
    done: int = 0
    total: int = 0
    rate: float = 0.0  # per second
    eta_s: float | None = None
    message: str = ""
    error: str | None = None
    n_failed: int = 0
    version: int = 0  # grows with each change


class TooManyJobs(Exception):
    """The queue is full."""


class Jobs:
    """The queue, and the thread that works on it.

    Parameters
    ----------
    on_change : called from the thread after each change
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._queue: SimpleQueue[tuple[Record, Task] | None] = SimpleQueue()
        self._process: BaseProcess | None = None
        self._running: Record | None = None
        self._n_jobs = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def start(self, task: Task) -> str:
        """Put a job at the end of the queue; its id.

        Raises
        ------
        TooManyJobs
        """
        with self._lock:
            if sum(record.state == "queued" for record in self._records.values()) >= MOST_QUEUED:
                raise TooManyJobs(f"{MOST_QUEUED} jobs are waiting: let some end, or cancel them")
            self._n_jobs += 1
            record = Record(f"j{self._n_jobs}", task.kind)
            self._records[record.id] = record
            self._forget()
        self._queue.put((record, task))
        self._on_change()
        return record.id

    def cancel(self, job_id: str) -> bool:
        """End a job, or take it from the queue; what it has finished is kept. False if there is no such job."""
        with self._lock:
            record = self._records.get(job_id)
            if record is None:
                return False
            if record.state in ("queued", "running"):
                self._change(record, {"state": "cancelled", "message": "what was finished is kept", "eta_s": None})
            if self._running is record and self._process is not None:
                self._process.terminate()
        self._on_change()
        return True

    def list(self) -> list[dict[str, Any]]:
        """All jobs as JSON has them, the oldest first."""
        with self._lock:
            return [asdict(record) for record in self._records.values()]

    def running_id(self) -> str | None:
        """Id of the job that is being worked on."""
        with self._lock:
            return self._running.id if self._running and self._running.state == "running" else None

    def close(self) -> None:
        """End what is running, and the thread."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.terminate()
        self._queue.put(None)
        self._thread.join()

    def _forget(self) -> None:
        over = [key for key, record in self._records.items() if record.state not in ("queued", "running")]
        for key in over[: max(len(over) - KEPT, 0)]:
            del self._records[key]

    def _work(self) -> None:
        while (item := self._queue.get()) is not None and not self._closed:
            record, task = item
            if record.state == "queued":
                self._run(record, task)

    def _run(self, record: Record, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=run, args=(task, there), name=f"soundalike {task.kind}", daemon=True)
        with self._lock:
            if record.state != "queued" or self._closed:
                return
            self._change(record, {"state": "running", "message": "starting"})
            process.start()
            self._process, self._running = process, record
        there.close()
        self._on_change()
        self._follow(record, here)
        process.join(_GRACE_S)
        if process.is_alive():
            process.kill()
            process.join()
        with self._lock:
            self._process = self._running = None
            if self._is_running(record):
                words = f"its process ended without a word (exit code {process.exitcode}): run it again"
                self._change(record, {"state": "failed", "error": words, "eta_s": None})
        process.close()
        here.close()
        self._on_change()

    def _follow(self, record: Record, pipe: Connection) -> None:
        """Take in reports until the child has closed its end."""
        clock = _Clock()
        while True:
            try:
                fields = pipe.recv()
            except (EOFError, OSError):
                return
            with self._lock:
                if record.state == "running":
                    self._change(record, fields)
                    self._change(record, clock.look(record))
            self._on_change()

    def _is_running(self, record: Record) -> bool:
        return record.state == "running"

    def _change(self, record: Record, fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            setattr(record, name, value)
        if fields:
            record.version += 1


class _Clock:
    """Rate and time left, from the first report that something is done."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def look(self, record: Record) -> dict[str, Any]:
        """Rate and time left."""
        if record.state != "running":
            return {"eta_s": None}
        now = time.monotonic()
        if self._first is None or record.done < self._first[1]:
            self._first = (now, record.done)
        since, done = now - self._first[0], record.done - self._first[1]
        if since < 0.5 or done <= 0:
            return {}
        rate = done / since
        return {"rate": round(rate, 2), "eta_s": round((record.total - record.done) / rate, 1)}
