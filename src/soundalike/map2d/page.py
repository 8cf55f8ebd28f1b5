"""A map as one HTML file: it asks for nothing but the sounds themselves, from where they are."""

from __future__ import annotations

import base64
import hashlib
import html
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson

from soundalike.map2d.colors import palette
from soundalike.map2d.scene import Scene

_PARTS = Path(__file__).parent
_STEPS = 65535  # places are kept as 16 bits


def draw_page(scene: Scene, title: str, beside: Path | None = None) -> bytes:
    """Write the page.

    Parameters
    ----------
    scene : what is on the map
    title : of the page
    beside : folder that the page will lie in: sounds below it are addressed from there, so both can be moved together
    """
    style, script = ((_PARTS / name).read_text("utf-8") for name in ("page.css", "page.js"))
    data = orjson.dumps(_record(scene, title, beside)).decode()
    for mark in "<>&\u2028\u2029":  # a file's name must not end the block that it stands in
        data = data.replace(mark, f"\\u{ord(mark):04x}")
    parts = {
        "TITLE": html.escape(title), "STYLE": style, "SCRIPT": script, "DATA": data,
        "STYLE_HASH": _hash(style), "SCRIPT_HASH": _hash(script),
    }  # fmt: skip
    page = (_PARTS / "page.html").read_text("utf-8")
    pieces = page.split("@@")  # text, name, text, name, …
    filled = [parts[piece] if i % 2 else piece for i, piece in enumerate(pieces)]
    return "".join(filled).encode()


def _hash(text: str) -> str:
    """What Content-Security-Policy lets a block run by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _record(scene: Scene, title: str, beside: Path | None) -> dict[str, Any]:
    low_x, low_y = (float(part.min()) if len(part) else 0.0 for part in (scene.x, scene.y))
    span = max(float(np.ptp(scene.x)), float(np.ptp(scene.y)), 1e-9) if len(scene.x) else 1.0
    places = [np.round((part - low) / span * _STEPS) for part, low in ((scene.x, low_x), (scene.y, low_y))]
    folders = list(dict.fromkeys(path.parent for path in scene.paths))
    number = {folder: i for i, folder in enumerate(folders)}
    return {
        "title": title,
        "n": len(scene.paths),
        "x": _packed(places[0], "<u2"),
        "y": _packed(places[1], "<u2"),
        "durations": _packed(scene.durations_s, "<f4"),
        "in": _packed(np.array([number[path.parent] for path in scene.paths]), "<u4"),
        "folders": [_shown(os.fspath(folder)) for folder in folders],
        "roots": [_address(folder, beside) for folder in folders],
        "names": [_shown(path.name) for path in scene.paths],
        "odd": {str(i): _quoted(path.name) for i, path in enumerate(scene.paths) if _shown(path.name) != path.name},
        "groups": [
            {
                "by": by, "names": names, "of": _packed(of, "<u2"),
                "light": palette(len(names), dark=False), "dark": palette(len(names), dark=True),
            }
            for by, names, of in (
                ("cluster", scene.clusters, scene.cluster), ("folder", scene.folders, scene.folder)
            )
        ],
    }  # fmt: skip


def _packed(numbers: Any, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, dtype).tobytes()).decode()


def _shown(text: str) -> str:
    """Text that can be shown, whatever bytes the file system has for it."""
    return os.fsencode(text).decode(errors="replace")


def _quoted(text: str) -> str:
    return quote(os.fsencode(text), safe="")


def _address(folder: Path, beside: Path | None) -> str:
    """Where a page finds a folder: from itself if it can, else from the root of the file system."""
    if beside is not None and folder.is_relative_to(beside):
        parts = folder.relative_to(beside).parts
        return "".join(f"{_quoted(part)}/" for part in parts or (".",))
    return folder.as_uri().rstrip("/") + "/"
