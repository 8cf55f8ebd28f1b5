"""``soundalike serve``."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from soundalike.cli.common import device_option, note
from soundalike.cli.library import library_option


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 4747, or a free one]")
@click.option("--no-browser", is_flag=True, help="Do not open the page in a browser.")
@device_option
@library_option
def serve(port: int | None, no_browser: bool, device: str, library: Path | None) -> None:
    """Open the library as a page in the browser.

    Search by sound and by words, the map, duplicates, labels. Only this machine can reach it. The address, with a
    key that is good for this start, is printed; Ctrl-C ends it.
    """
    from soundalike.web.serving import serve as run

    def on_ready(address: str) -> None:
        click.echo(address)
        opened = not no_browser and _open(address)
        note("Ctrl-C ends it." if opened else "Open this address in a browser; Ctrl-C ends it.")

    with suppress(KeyboardInterrupt):  # the way to end it
        run(library, port, on_ready, device)


def _open(address: str) -> bool:
    """Open a browser, where there is a desktop that has one."""
    import webbrowser

    has_desktop = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(has_desktop) and webbrowser.open(address)
