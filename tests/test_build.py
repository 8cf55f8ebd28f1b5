"""The hook that builds the page: when it builds, and what happens where it cannot."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hatchling")
ROOT = Path(__file__).parent.parent


class App:
    """What hatchling shows warnings with."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, words: str) -> None:
        self.warnings.append(words)


@pytest.fixture(scope="module")
def build() -> Any:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hatch_build"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "frontend" / "src").mkdir(parents=True)
    (tmp_path / "frontend" / "package.json").write_text("{}\n")
    (tmp_path / "frontend" / "src" / "main.ts").write_text("one\ntwo\n")
    return tmp_path


def hook_of(build: Any, project: Path) -> tuple[Any, App]:
    app = App()
    return build.CustomBuildHook(str(project), {}, None, None, str(project), "wheel", app), app


def node_that(says: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a Node on the path that has a version and runs every script like this."""
    place = project / "machine" / "bin"
    npm = project / "machine" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm.parent.mkdir(parents=True)
    place.mkdir()
    npm.write_text("")
    (place / "node").write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo v20.19.1; exit; fi\n{says}\n')
    (place / "node").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")


needs_shell = pytest.mark.skipif(sys.platform == "win32", reason="the Node of these tests is a shell script")


@needs_shell
def test_a_page_that_cannot_be_built_is_a_warning(
    build: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node_that("echo 'npm error the registry does not answer' >&2; exit 1", project, monkeypatch)
    monkeypatch.delenv("SOUNDALIKE_PAGE", raising=False)
    hook, app = hook_of(build, project)
    hook.initialize("standard", {})
    assert "the registry does not answer" in app.warnings[0]
    monkeypatch.setenv("SOUNDALIKE_PAGE", "require")
    with pytest.raises(RuntimeError, match="registry does not answer"):
        hook.initialize("standard", {})


@needs_shell
def test_it_builds_once_for_the_same_sources(build: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    static = project / "src" / "soundalike" / "web" / "static"
    static.mkdir(parents=True)
    node_that(f"echo built >> {project}/log; echo page > {static}/index.html", project, monkeypatch)
    monkeypatch.delenv("SOUNDALIKE_PAGE", raising=False)
    hook, app = hook_of(build, project)
    hook.initialize("standard", {})
    hook.initialize("standard", {})
    assert (project / "log").read_text() == "built\n" * 2  # npm ci and vite, once
    assert hook.dependencies() == []
    main = project / "frontend" / "src" / "main.ts"
    main.write_bytes(b"one\r\ntwo\r\n")
    hook.initialize("standard", {})
    assert (project / "log").read_text() == "built\n" * 2  # other line ends are the same source
    main.write_text("three\n")
    hook.initialize("standard", {})
    assert (project / "log").read_text() == "built\n" * 4
    assert app.warnings == []


def test_node_comes_along_where_there_is_none(build: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project))
    monkeypatch.delenv("SOUNDALIKE_PAGE", raising=False)
    hook, _ = hook_of(build, project)
    assert hook.dependencies() == [build.NODE]
    monkeypatch.setenv("SOUNDALIKE_PAGE", "skip")
    assert hook.dependencies() == []
