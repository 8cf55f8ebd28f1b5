"""The application: routes, errors, the page, and the guard around it all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from soundalike import __version__
from soundalike.errors import LibraryBusy, LibraryError, SoundalikeError
from soundalike.web import pages
from soundalike.web.desk import Desk
from soundalike.web.found import as_json
from soundalike.web.guard import Guard, Keys
from soundalike.web.routes import about, duplicates, export, jobs, labels, maps, picker, search, sounds, uploads

TOPICS = (about, search, sounds, uploads, picker, jobs, maps, duplicates, labels, export)


def create_app(desk: Desk, keys: Keys, static: Path = pages.STATIC) -> Guard:
    """Put the server together.

    Parameters
    ----------
    desk : what it serves; closed by the caller
    keys : secrets of this start, and the port
    static : folder of the built page
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        desk.bell.attach()
        yield

    app = FastAPI(
        title="Soundalike", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan,
        description="What the page asks for. Every request under /api needs the cookie of a session, or the token "
        "that `soundalike serve` has printed, as `Authorization: Bearer TOKEN`.",
    )  # fmt: skip
    app.state.desk, app.state.keys = desk, keys
    for topic in TOPICS:
        app.include_router(topic.router, prefix="/api")
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    files = pages.files_in(static)

    @app.get("/{address:path}", include_in_schema=False)
    def page(address: str, request: Request) -> Response:
        if address == "api" or address.startswith("api/"):
            raise HTTPException(404, "there is nothing at this address of the API; see /openapi.json")
        return pages.page(files, f"/{address}")

    return Guard(app, keys)


# Errors: what, which, what to do


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return as_json({"error": error.detail}, error.status_code)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    words = first["msg"].removeprefix("Value error, ")
    return as_json({"error": f"{where}: {words}" if where else words}, 422)


async def _known(request: Request, error: Exception) -> Response:
    status = 409 if isinstance(error, LibraryBusy | LibraryError) else 422
    return as_json({"error": str(error)}, status)


async def _gone(request: Request, error: Exception) -> Response:
    return as_json({"error": "the request did not arrive whole"}, 400)


async def _unknown(request: Request, error: Exception) -> Response:
    return as_json({"error": "this is a mistake in soundalike itself; the terminal says more"}, 500)


_HANDLERS = {
    HTTPException: _http, RequestValidationError: _invalid, SoundalikeError: _known, ValueError: _known,
    ClientDisconnect: _gone, Exception: _unknown,
}  # fmt: skip
