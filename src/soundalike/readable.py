"""Names of files as people can read them, for the terminal, JSON and the page."""

from __future__ import annotations

import os
from pathlib import Path


def shown(path: Path | str) -> str:
    """Make a path printable, whatever bytes its name has; control characters become visible."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
