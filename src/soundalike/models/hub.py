"""Getting published files: resumed, checked, whole or not at all.

A file is looked for in the hub's own cache first (``HF_HUB_CACHE``, ``HF_HOME``). ``HF_HUB_OFFLINE=1`` forbids the
network; ``HF_ENDPOINT`` names a mirror of the hub. What lies in a wheel is fetched by pip, with pip's own mirrors.
A file is checked against the hash on its card; where that has none, against the one that the hub states for it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, urlopen

from soundalike.errors import ModelError
from soundalike.models.card import Download, ModelFile

HUB = "https://huggingface.co"
TRIES = 5
PAUSE_S = 1.0  # before the second try; twice as long before each further one
TIMEOUT_S = 30.0  # without a byte
_PIECE = 1 << 20
OnProgress = Callable[[int, int], None]  # bytes that are here, and of how many


def fetch(download: Download, folder: Path, on_progress: OnProgress = lambda done, total: None) -> Path:
    """Get a file into a folder, unless it is there already.

    Broken off, it leaves a file that ends in ``.part``, with which the next call goes on.

    Raises
    ------
    ModelError
        if it cannot be had, or is not what it should be
    """
    path = folder / download.name
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    cached = _in_cache(download)
    if cached is not None:
        return copy(cached, download, folder)
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "true", "yes"):
        raise ModelError(
            f"{download.name} is not on this machine, and HF_HUB_OFFLINE forbids the network. With a copy of it: "
            "soundalike models pull NAME --from FOLDER"
        )
    if download.address.startswith("pypi:"):
        return _from_wheel(download, folder)
    return _download(download, path, on_progress)


def copy(source: Path, download: Download, folder: Path) -> Path:
    """Take a file that is on this machine already, if it is the right one."""
    path = folder / download.name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    shutil.copyfile(source, part)
    return _kept(part, path, download, download.sha256)


def _download(download: Download, path: Path, on_progress: OnProgress) -> Path:
    address = download.address
    if address.startswith(HUB):
        address = os.environ.get("HF_ENDPOINT", HUB).rstrip("/") + address.removeprefix(HUB)
    part = path.with_name(path.name + ".part")
    promised = download.sha256 if len(download.sha256) == 64 else _promised(address) or download.sha256
    for attempt in range(TRIES):
        try:
            _append(address, part, on_progress)
            return _kept(part, path, download, promised)
        except HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise ModelError(f"{address}: the server answers {error.code} {error.reason}") from error
            last: Exception = error
        except (URLError, HTTPException, OSError) as error:
            last = error
        if attempt < TRIES - 1:
            time.sleep(PAUSE_S * 2**attempt)
    reason = getattr(last, "reason", last)
    if not part.exists():
        raise ModelError(
            f"{address}: not to be reached ({reason}). Without a network: soundalike models pull NAME --from FOLDER, "
            "with a copy of the file in it"
        ) from last
    raise ModelError(f"{address}: broken off ({reason}). What has come is kept: the same command goes on.") from last


def _append(address: str, part: Path, on_progress: OnProgress) -> None:
    """Fetch what is missing of a file."""
    have = part.stat().st_size if part.exists() else 0
    request = Request(address, headers={"User-Agent": "soundalike", **({"Range": f"bytes={have}-"} if have else {})})
    try:
        answer = urlopen(request, timeout=TIMEOUT_S)
    except HTTPError as error:
        if error.code == 416 and have:  # all of it is here
            return
        raise
    with answer:
        goes_on = answer.status == 206
        have = have if goes_on else 0
        total = have + int(answer.headers.get("Content-Length") or 0)
        with part.open("ab" if goes_on else "wb") as file:
            while piece := answer.read(_PIECE):
                file.write(piece)
                have += len(piece)
                on_progress(have, max(total, have))
        if have < total:
            raise OSError("the connection ended early")


def _kept(part: Path, path: Path, download: Download, sha256: str) -> Path:
    for kind, expected in (("sha256", sha256), ("md5", download.md5)):
        found = _digest(part, kind) if expected else ""
        if not found.startswith(expected.lower()):
            part.unlink()
            raise ModelError(
                f"{download.name}: not the file that is asked for, and not kept: its {kind} is {found}, it should be "
                f"{expected}"
            )
    part.replace(path)
    return path


def _promised(address: str) -> str:
    """The sha256 that the hub states for a large file; "" if it states none."""
    request = Request(address, method="HEAD", headers={"User-Agent": "soundalike"})
    try:
        with build_opener(_Stay).open(request, timeout=TIMEOUT_S) as answer:
            tag = answer.headers.get("X-Linked-Etag")
    except HTTPError as error:
        tag = error.headers.get("X-Linked-Etag")
    except (URLError, HTTPException, OSError):
        return ""
    tag = (tag or "").strip('"')
    return tag if len(tag) == 64 and set(tag) <= set("0123456789abcdef") else ""


class _Stay(HTTPRedirectHandler):
    """Where the hub sends on, it has said the hash; the store behind it does not."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Follow only redirects to the same server, which are renamed repositories."""
        same = urlsplit(newurl).netloc == urlsplit(req.full_url).netloc
        return super().redirect_request(req, fp, code, msg, headers, newurl) if same else None


def _in_cache(download: Download) -> Path | None:
    """The file in the cache of the hub's own client, if it is there."""
    if not download.address.startswith(f"{HUB}/"):
        return None
    repository, _, rest = download.address.removeprefix(f"{HUB}/").partition("/resolve/")
    revision, _, name = rest.partition("/")
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub") / f"models--{repository.replace('/', '--')}"
    reference = cache / "refs" / revision  # a branch; a commit stands for itself
    commit = reference.read_text().strip() if reference.is_file() else revision
    path = cache / "snapshots" / commit / name
    return path if path.is_file() else None


def _from_wheel(download: Download, folder: Path) -> Path:
    requirement = download.address.removeprefix("pypi:")
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", place, requirement]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        wheels = list(Path(place).glob("*.whl"))
        if not wheels:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise ModelError(f"{requirement}: pip cannot get it: {said[-1] if said else 'it says nothing'}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            try:
                data: Any = wheel.open(download.name)
            except KeyError as error:
                raise ModelError(f"{requirement}: {download.name} is not in its wheel") from error
            with data, (Path(place) / "file").open("wb") as file:
                shutil.copyfileobj(data, file)
        return copy(Path(place) / "file", download, folder)


def described(path: Path, folder: Path) -> ModelFile:
    """Say what a file of a model's folder is."""
    return ModelFile(path.relative_to(folder).as_posix(), sha256_of(path), path.stat().st_size)


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes."""
    return _digest(path, "sha256")


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.new, kind, usedforsecurity=False)).hexdigest()
