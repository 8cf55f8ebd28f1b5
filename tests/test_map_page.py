"""The map's page in a real browser, where there is one."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from make_sounds import tone, write_sound
from soundalike.map2d import draw_page, scene

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
HOSTILE = "<img src=x onerror=alert(1)> & #1%.wav"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    names = [f"kick {i}.wav" for i in range(30)] + [f"rain {i}.wav" for i in range(29)] + [HOSTILE]
    samples = tone(440, 1.0, 8000)
    (tmp_path / "sounds").mkdir()
    for name in names:
        write_sound(tmp_path / "sounds" / name, samples, 8000)
    of = np.repeat([0, 1], 30)
    places = np.random.default_rng(0).normal(size=(2, 60)).astype(np.float32) + 8 * of
    paths = [tmp_path / "sounds" / name for name in names]
    drawn = scene(places[0].astype(np.float32), places[1].astype(np.float32), paths, [1.0] * 60, of, ["kick", "rain"])
    (tmp_path / "map.html").write_bytes(draw_page(drawn, "Map", tmp_path))
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        opened = browser.new_page(viewport={"width": 1200, "height": 800})
        troubles: list[str] = []
        asked: list[str] = []
        opened.on("pageerror", lambda error: troubles.append(str(error)))
        opened.on("dialog", lambda dialog: troubles.append("a file's name was run"))
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto((tmp_path / "map.html").as_uri())
        opened.wait_for_timeout(300)
        yield opened
        browser.close()
    assert not troubles
    assert all(url.startswith(tmp_path.as_uri()) for url in asked)


def until(page: Any, script: str, timeout_s: float = 20) -> None:
    """Wait, without the eval that the page forbids."""
    end = time.monotonic() + timeout_s
    while not page.evaluate(script):
        assert time.monotonic() < end, script
        page.wait_for_timeout(25)


def test_points_are_drawn_heard_and_found(page: Any) -> None:
    assert page.locator("#message").is_hidden()  # WebGL2 is there
    assert "60" in page.locator("#list-title").inner_text()
    assert page.locator("#legend button").count() == 2
    x, y = page.evaluate("toScreen(X[59], Y[59])")
    page.mouse.click(x, y)
    until(page, "audio.error !== null || audio.duration > 0")
    assert page.evaluate("audio.error") is None
    assert page.evaluate("audio.duration") == pytest.approx(1.0, abs=0.05)
    assert page.locator("#now strong").inner_text() == HOSTILE
    page.keyboard.press("/")
    page.keyboard.type("kick")
    page.wait_for_timeout(200)
    assert page.locator("#list-title").inner_text() == "Found: 30"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.locator('#list [aria-selected="true"] b').inner_text() == "kick 1.wav"
    page.keyboard.press("Escape")
    page.wait_for_timeout(200)
    assert "60" in page.locator("#list-title").inner_text()


def test_groups_theme_and_zoom(page: Any) -> None:
    page.locator("#legend button").nth(1).click()
    assert "30" in page.locator("#list-title").inner_text()
    page.locator("#by-folder").click()
    assert page.locator("#legend button").count() == 1
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    before = page.evaluate("view.scale")
    page.keyboard.press("+")
    assert page.evaluate("view.scale") > before
    page.keyboard.press("0")
    page.wait_for_timeout(500)
    assert page.evaluate("view.scale") == pytest.approx(before)
