"""The page: the files that its build has left in ``static/``, and what to say if there are none.

Which files there are is looked up once; an address is compared with their names and never becomes a path.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from pathlib import Path

from fastapi import HTTPException, Response
from fastapi.responses import FileResponse, HTMLResponse

STATIC = Path(__file__).parent / "static"
VIEWS = ("", "index.html", "map", "duplicates", "labels", "library")  # how the addresses of the page itself begin
_FOREVER = {"cache-control": "public, max-age=31536000, immutable"}  # their names have a hash of their content
_ASK_AGAIN = {"cache-control": "no-cache"}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
MISSING = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Soundalike: the page is not built</title>
<h1>The page is not built</h1>
<p>The server runs, but the files of its page are missing from this installation.</p>
<p>To mend it, install Soundalike again, with a network connection: <code>pip install --force-reinstall .</code>
in a copy of its source, or <code>pip install --force-reinstall soundalike</code>. Both build the page or bring it
along. If that fails, its output says why.</p>
<p>Meanwhile everything works on the command line: <code>soundalike --help</code>.</p>
</html>
"""


def files_in(folder: Path) -> dict[str, Path]:
    """Files of the page, by their addresses."""
    return {f"/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()}


def page(files: Mapping[str, Path], address: str) -> Response:
    """Answer to an address that is not of the API: a file, or the page itself, if it is one of its views."""
    path = files.get(address)
    if path is not None and not path.name.startswith("."):
        media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return FileResponse(path, media_type=media_type, headers=_FOREVER if "/assets/" in address else _ASK_AGAIN)
    if address.split("/")[1] not in VIEWS:
        raise HTTPException(404, "there is nothing at this address")
    index = files.get("/index.html")
    if index is None:
        return HTMLResponse(MISSING, 503, headers=_ASK_AGAIN)
    return FileResponse(index, media_type="text/html; charset=utf-8", headers=_ASK_AGAIN)
