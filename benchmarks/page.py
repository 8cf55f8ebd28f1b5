"""How fast the page is: first paint, from a key to results among 100,000 sounds, a map of 200,000 points.

    python benchmarks/page.py [--rows 100000] [--points 200000] [--repeat 15] [--keep FOLDER] [--json out.json]

A library is filled with made-up vectors (see benchmarks/web.py) and the example sounds, `soundalike serve` is started
on it, and a Chromium without a screen opens the page (`pip install --group page`, and a Chromium on the machine). "To
results" is the time from the event (a letter typed, a button pressed), half a second after the one before, to the
frame that shows the new rows; the page's own wait for a next letter (30 ms) is in it. The points of the map are made
up and given to the page in place of the server's. Without a graphics card they are drawn by the processor: its frames
are a lower bound. "A page of one line" is what the same browser needs to paint anything.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from web import fill, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAUSE_MS = 500  # between two questions
WORDS = ("rain on a tin roof", "dog barking", "church bell", "deep drone", "glass breaking", "crowd", "kick drum")
# milliseconds from an event to the frame after the first row has changed
TO_RESULTS = """
([selector, words]) => new Promise((done) => {
    const first = () => document.querySelector('.seen')?.innerText.slice(0, 400);
    const before = first();
    const began = performance.now();
    const look = () => first() === before ? requestAnimationFrame(look) : done(performance.now() - began);
    const target = document.querySelector(selector);
    if (words === null) target.click();
    else { target.value = words; target.dispatchEvent(new Event('input', { bubbles: true })); }
    requestAnimationFrame(look);
})
"""
FRAMES = """
() => new Promise((done) => {
    const stage = document.querySelector('.stage');
    const frames = [];
    const turn = (delta) => new WheelEvent('wheel', { deltaY: delta, bubbles: true, cancelable: true });
    const step = (now) => {
        frames.push(now);
        if (frames.length > 60) return done((frames.at(-1) - frames[0]) / (frames.length - 1));
        stage.dispatchEvent(turn(frames.length % 2 ? -120 : 100));
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the page is.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--keep", type=Path, help="folder of the library, used again if it is there")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = arguments.keep or Path(folder, "library")
        if not library.exists():
            fill(library, arguments.rows)
        with serving(library) as (address, _), sync_playwright() as started:
            options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
            browser = started.chromium.launch(executable_path=CHROMIUM, args=options)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            measured = {
                "rows": arguments.rows, **first_paint(page, address), **search(page, arguments.repeat),
                **draw_map(page, arguments.points),
            }  # fmt: skip
            browser.close()
    for name, value in measured.items():
        print(f"{name:32} {value:>12,.1f}" if isinstance(value, float) else f"{name:32} {value:>12,}")
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1))


def painted(page: Page) -> float:
    """Milliseconds to the first paint of a page."""
    while (paint := page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")) is None:
        page.wait_for_timeout(50)
    return float(paint)


def first_paint(page: Page, address: str) -> dict[str, float]:
    """From opening the address to the first paint, and to the first rows; the second visit, files in the cache."""
    page.goto("data:text/html,<p>nothing but text</p>")
    times = {"a page of one line: first paint": painted(page)}
    page.goto(address)
    for visit in ("first", "second"):
        if visit == "second":
            page.reload()
        page.wait_for_selector(".sound")
        times[f"{visit} visit: first rows, ms"] = float(page.evaluate("performance.now()"))
        times[f"{visit} visit: first paint, ms"] = painted(page)
    return times


def search(page: Page, repeat: int) -> dict[str, float]:
    """From a letter, or from pressing Similar, to the rows."""
    def timed(selector: str, words: str | None) -> float:
        page.wait_for_timeout(PAUSE_MS)
        return float(page.evaluate(TO_RESULTS, [selector, words]))

    typed = [timed("#words", f"{WORDS[i % len(WORDS)]} {i}") for i in range(repeat)]
    pressed = [timed(".sound [title='Similar sounds']", None) for _ in range(repeat)]
    return {
        "letter to results, ms": statistics.median(typed), "letter to results, worst": max(typed),
        "Similar to results, ms": statistics.median(pressed), "Similar to results, worst": max(pressed),
    }  # fmt: skip


def draw_map(page: Page, n: int) -> dict[str, float]:
    """A map of made-up points: until it is drawn, and each frame while it is zoomed."""
    rng = np.random.default_rng(0)
    of = rng.integers(0, 40, n).astype("<u2")
    places = (rng.normal(size=(40, 2))[of] * 4 + rng.normal(size=(n, 2)) * 0.4).astype("<f4")
    ids = np.arange(1, n + 1, dtype="<i4")
    body = b"".join(column.tobytes() for column in (ids, places[:, 0].copy(), places[:, 1].copy(), of, of * 0))
    colors = [f"#{color:06x}" for color in rng.integers(0, 1 << 24, 40)]
    facts: dict[str, Any] = {
        "n": n, "names": [f"group {i}" for i in range(40)], "folders": ["/made-up"], "updated": "2026-01-01T00:00:00Z",
        "colors": {"light": colors, "dark": colors},
    }  # fmt: skip
    page.route("**/api/map", lambda route: route.fulfill(json=facts))
    page.route("**/api/map/points", lambda route: route.fulfill(body=body, content_type="application/octet-stream"))
    began = float(page.evaluate("performance.now()"))
    page.locator("nav a", has_text="Map").click()
    page.wait_for_selector("aside li .names")
    drawn = float(page.evaluate("performance.now()")) - began
    frame = float(page.evaluate(FRAMES))
    return {"map: points": float(n), "map: to points and list, ms": drawn, "map: frame, ms": frame}


if __name__ == "__main__":
    main()
