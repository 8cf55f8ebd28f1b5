"""Names of files and formats, and what failed, as people can read them, for the terminal, JSON and the page."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soundalike.types import Failure

FORMATS = {"mov": "mp4", "asf": "wma", "matroska": "mkv"}  # FFmpeg's first name of a container: what people call it


def shown(path: Path | str) -> str:
    """Make a path printable, whatever bytes its name has; control characters become visible."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def quoted(path: Path | str) -> str:
    """Write a path as it can be typed into a command."""
    text = shown(path)
    return text if re.fullmatch(r"[\w./\\:~+,@%=-]+", text) else f'"{text}"'


def many(n: int, what: str, plural: str = "") -> str:
    """Count things: 1 copy, 2 copies."""
    return f"{n:,} {what if n == 1 else plural or what + 's'}"


def why(error: Exception) -> str:
    """What went wrong; of the system's errors without the path, which the message has already."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def failure_record(failure: Failure) -> dict[str, object]:
    """A sound that has no embedding, and why, for JSON."""
    return {"path": shown(failure.path), "error": failure.code, "reason": shown(failure.reason)}


def format_name(container: str) -> str:
    """What people call a container.

    Parameters
    ----------
    container : FFmpeg's names of it: "mov,mp4,m4a,3gp,3g2,mj2"
    """
    first = container.split(",")[0]
    return FORMATS.get(first, first)
