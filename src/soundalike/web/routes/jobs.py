"""Long work, and what changes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from soundalike.models.cards import CARDS
from soundalike.push import Target
from soundalike.web import answers
from soundalike.web.asked import JobAsked
from soundalike.web.desk import Desk, TheDesk
from soundalike.web.found import as_json
from soundalike.web.jobs import TooManyJobs
from soundalike.web.work import Task

router = APIRouter(tags=["jobs"])
MOST_STREAMS = 50
_LOOK_S = 2.0  # for what other programs have written to the library
_PAUSE_S = 0.2  # between two events
_PING_S = 15.0


@router.post("/jobs", responses=answers.of(answers.Begun))
def start_job(asked: JobAsked, desk: TheDesk) -> dict[str, str]:
    """Start a job: add a folder, sync, retry what failed, lay out the map, find duplicates, models, push."""
    folder = None
    if asked.folder is not None:
        folder = desk.picker.path_of(asked.folder)
        if folder is None:
            raise HTTPException(404, "this folder is not there any more: choose it again")
    if asked.model is not None and asked.model not in CARDS:
        raise HTTPException(404, f"there is no model called {asked.model}")
    if asked.target is not None and not Target.parse(asked.target).remote:
        raise HTTPException(422, "the page pushes to servers only; for a folder, see `soundalike push --help`")
    try:
        task = Task(asked.kind, desk.library.path, desk.device, folder, asked.model, asked.target)
        return {"id": desk.jobs.start(task)}
    except TooManyJobs as error:
        raise HTTPException(503, str(error)) from error


@router.get("/jobs", responses=answers.of(list[answers.Job]))
def list_jobs(desk: TheDesk) -> Response:
    """List the jobs, the oldest first."""
    return as_json(desk.jobs.list())


@router.delete("/jobs/{job_id}", responses=answers.of(answers.Done))
def cancel_job(job_id: str, desk: TheDesk) -> dict[str, bool]:
    """End a job; what it has finished is kept."""
    if not desk.jobs.cancel(job_id):
        raise HTTPException(404, "there is no such job")
    return {"ok": True}


@router.get("/events", responses=answers.content("text/event-stream"), response_class=StreamingResponse)
async def events(request: Request, desk: TheDesk) -> StreamingResponse:
    """Say what changes, as it changes: server-sent events `job` and `library`."""
    if desk.n_streams >= MOST_STREAMS:
        raise HTTPException(503, "too many pages are open: close some")
    return StreamingResponse(_stream(desk), media_type="text/event-stream")


async def _stream(desk: Desk) -> AsyncIterator[bytes]:
    desk.n_streams += 1
    seen: dict[str, int] = {}
    counts: dict[str, int] = {}
    quiet_s = 0.0
    try:
        yield b"retry: 1000\n\n"
        while not desk.bell.closed:
            ring = desk.bell.next_ring()
            for job in desk.jobs.list():
                if seen.get(job["id"]) != job["version"]:
                    seen[job["id"]] = job["version"]
                    quiet_s = 0.0
                    yield _event("job", job)
            now = await run_in_threadpool(_counts, desk)
            if now != counts:
                counts, quiet_s = now, 0.0
                yield _event("library", counts)
            if await desk.bell.wait(ring, _LOOK_S):
                await asyncio.sleep(_PAUSE_S)
            quiet_s += _LOOK_S
            if quiet_s >= _PING_S:
                quiet_s = 0.0
                yield b": still here\n\n"
    finally:
        desk.n_streams -= 1


def _counts(desk: Desk) -> dict[str, int]:
    return {"n_sounds": desk.library.n_sounds(), "n_failures": desk.library.n_failures()}


def _event(name: str, content: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(content))
