"""The page in a real browser: what a user does from the first visit on, by mouse, by keyboard, in both themes."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from soundalike.embed import Model
from soundalike.web import pages
from soundalike.web.serving import address
from web_client import EXAMPLES, Live, fill, library_of, open_desk

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(__file__).parent.parent / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
    pytest.mark.skipif(not (pages.STATIC / "index.html").is_file(), reason="the page is not built"),
]
ARGUMENTS = [
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]  # fmt: skip
HOSTILE = "<img src=x onerror=alert(1)> & #1%.wav"
FIRST = ".sound >> nth=0"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any, pocket: Model) -> Iterator[Callable[..., Any]]:
    """Open a library in the browser; in the end, nothing must have gone wrong on the page or left the machine."""
    troubles: list[str] = []
    ends: list[Callable[[], object]] = []

    def open_page(library: Path, **options: Any) -> Any:
        desk = open_desk(library, pocket)
        live = Live(desk.__enter__())
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 800}, **options})
        ends.extend([page.close, live.close, lambda: desk.__exit__(None, None, None)])
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append("a file's name was run"))
        page.on("console", lambda said: troubles.append(said.text) if "Content Security" in said.text else None)
        own = (f"http://127.0.0.1:{live.port}/", f"blob:http://127.0.0.1:{live.port}/", "data:")
        page.on("request", lambda asked: None if asked.url.startswith(own) else troubles.append(asked.url))
        page.goto(address(live.keys))
        return page

    yield open_page
    for end in ends:
        end()
    assert not troubles


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, pocket: Model) -> Path:
    return library_of(tmp_path_factory.mktemp("made"), pocket).parent


@pytest.fixture
def library(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "library", tmp_path / "library")
    return tmp_path / "library"


def until(page: Any, script: str, timeout_s: float = 30) -> None:
    """Wait, without the eval that the page forbids."""
    end = time.monotonic() + timeout_s
    while not page.evaluate(script):
        assert time.monotonic() < end, script
        page.wait_for_timeout(25)


def names(page: Any) -> list[str]:
    found: list[str] = page.locator(".sound strong").all_inner_texts()
    return found


def ask(page: Any, words: str, first: str) -> None:
    page.fill("#words", words)
    until(page, f"document.querySelector('.sound strong')?.innerText === {first!r}")


def go(page: Any, view: str) -> None:
    page.locator("nav a", has_text=view).click()


def test_first_visit_to_first_result(visit: Callable[..., Any], tmp_path: Path) -> None:
    folder = fill(tmp_path / "sounds")
    shutil.copy(EXAMPLES / "drums" / "kick-punchy.wav", folder / HOSTILE)
    (folder / "<b>broken.mp3").write_bytes(b"no sound")
    page = visit(tmp_path / "library")
    page.fill("[aria-label='Path of the folder']", str(folder))
    page.click("text=Go")
    page.locator("button", has_text="Add “sounds”").click()
    until(page, "document.querySelectorAll('.sound').length === 13")
    assert HOSTILE in names(page)
    until(page, "document.querySelector('.says').innerText.includes('1 sound failed')")
    go(page, "Library")
    page.locator("td", has_text="<b>broken.mp3").wait_for()


def test_words_similar_and_the_way_back(visit: Callable[..., Any], library: Path) -> None:
    page = visit(library)
    ask(page, "a dog barking", "dog-barking.mp3")
    page.keyboard.press("Enter")  # done: what follows is another question
    assert "q=a+dog+barking" in page.url
    ask(page, "rain", "rain-steady.ogg")
    page.locator(FIRST).locator("[title='Similar sounds']").click()
    until(page, "document.querySelectorAll('.chip').length === 1")
    assert re.search(r"like=\d+", page.url)
    until(page, "![...document.querySelectorAll('.sound strong')].some((one) => one.innerText === 'rain-steady.ogg')")
    page.go_back()
    until(page, "document.querySelector('.sound strong')?.innerText === 'rain-steady.ogg'")
    page.go_back()
    until(page, "document.querySelector('.sound strong')?.innerText === 'dog-barking.mp3'")
    page.reload()
    until(page, "document.querySelector('.sound strong')?.innerText === 'dog-barking.mp3'")


def test_dropped_recorded_and_chosen_sounds(visit: Callable[..., Any], library: Path) -> None:
    page = visit(library)
    until(page, "document.querySelectorAll('.sound').length > 5")
    page.set_input_files("input[type=file]", EXAMPLES / "drums" / "kick-punchy.wav")
    until(page, "document.querySelector('.sound strong')?.innerText === 'kick-808.wav'")
    dropped = page.evaluate_handle(
        """async () => {
            const transfer = new DataTransfer();
            const sound = await (await fetch('/api/sounds/1/audio')).blob();
            transfer.items.add(new File([sound], 'dropped.wav'));
            return transfer;
        }"""
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("main", event, {"dataTransfer": dropped})
    until(page, "document.querySelector('.chip')?.innerText.includes('dropped.wav')")
    page.click("[aria-label='Record a sound']")
    page.wait_for_timeout(1200)
    page.click("[aria-label='Stop recording']")
    until(page, "document.querySelector('.chip')?.innerText.includes('Recording')")
    until(page, "document.querySelectorAll('.sound').length > 5")


def test_keyboard_alone(visit: Callable[..., Any], library: Path) -> None:
    page = visit(library)
    until(page, "document.querySelectorAll('.sound').length > 5")
    page.keyboard.press("/")
    page.keyboard.type("rooster")
    until(page, "document.querySelector('.sound strong')?.innerText === 'rooster-crowing.ogg'")
    page.locator(FIRST).focus()
    page.keyboard.press("Space")
    until(page, "document.querySelector('.bar .names')?.innerText.startsWith('rooster')")
    until(page, "document.querySelector('.bar .play').ariaLabel === 'Pause'")
    page.keyboard.press("f")
    until(page, "document.querySelector('.sound [title=Favorite]').ariaPressed === 'true'")
    page.keyboard.press("ArrowDown")
    second = names(page)[1]
    assert page.evaluate("document.activeElement.querySelector('strong').innerText") == second
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('.chip').length === 1")
    assert second in page.locator(".chip").inner_text()
    page.keyboard.press("?")
    assert page.locator("dialog").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("dialog").is_hidden()


def test_filters_are_chips(visit: Callable[..., Any], library: Path) -> None:
    page = visit(library)
    until(page, "document.querySelectorAll('.sound').length > 5")
    page.click("text=Filters")
    page.locator(".sheet label", has_text="drums").click()
    until(page, "document.querySelectorAll('.sound').length === 4")
    page.locator(".sheet button", has_text="one-shots").click()
    until(page, "document.querySelectorAll('.chip').length === 2")
    page.keyboard.press("Escape")
    assert page.locator(".sheet").is_hidden()
    page.locator(".chip button").first.click()
    page.locator(".chip button").first.click()
    until(page, "document.querySelectorAll('.sound').length === 12")
    assert page.url.endswith("/")


def test_what_is_taken_away(visit: Callable[..., Any], library: Path) -> None:
    page = visit(library)
    until(page, "document.querySelectorAll('.sound').length > 5")
    page.click("text=Take away")
    with page.expect_download() as coming:
        page.click("text=Playlist (M3U)")
    lines = Path(coming.value.path()).read_text(encoding="utf-8").splitlines()
    assert sum(not line.startswith("#") for line in lines) == 12


def test_map_is_laid_out_heard_and_taken_from(visit: Callable[..., Any], library: Path) -> None:
    page = visit(library)
    go(page, "Map")
    page.click("text=Lay out the map")
    until(page, "document.querySelectorAll('aside .names').length === 12", 60)
    stage = page.locator(".stage")
    box = stage.bounding_box()
    name = page.locator("aside .play .names > .clip").first.inner_text()
    page.locator("aside .play").first.focus()
    circle = page.locator("circle")
    at = {"x": float(circle.get_attribute("cx")), "y": float(circle.get_attribute("cy"))}
    stage.click(position=at)
    until(page, "document.querySelector('.bar .play')?.ariaLabel === 'Pause'")
    assert page.locator(".bar .names strong").inner_text() == name
    page.click("[aria-label='Draw around sounds to take them']")
    corners = [(-40, -40), (40, -40), (40, 40), (-40, 40)]
    x, y = box["x"] + at["x"], box["y"] + at["y"]
    page.mouse.move(x - 40, y - 40)
    page.mouse.down()
    for right, down in corners:
        page.mouse.move(x + right, y + down, steps=4)
    page.mouse.up()
    until(page, "document.querySelector('aside h2').innerText.includes('inside the line')")
    until(page, f"[...document.querySelectorAll('aside .names > .clip')].some((one) => one.innerText === {name!r})")
    assert int(page.locator("aside h2").inner_text().split()[0]) < 12


def test_duplicates_are_kept_and_put_back(visit: Callable[..., Any], tmp_path: Path, pocket: Model) -> None:
    path = library_of(tmp_path, pocket)
    copy = tmp_path / "sounds" / "nature" / "copy of rain.ogg"
    shutil.copy(EXAMPLES / "nature" / "rain-steady.ogg", copy)
    page = visit(path)
    until(page, "document.querySelectorAll('.sound').length > 5")
    go(page, "Library")
    page.click("text=Look for changes")
    until(page, "document.querySelector('.figures dd').innerText === '13'")
    go(page, "Duplicates")
    page.click("text=Look for duplicates")
    until(page, "document.querySelectorAll('section.panel li').length === 2", 60)
    assert "the same bytes" in page.locator("section.panel").inner_text()
    page.locator("[aria-label^='Hear']").first.click()
    until(page, "document.querySelectorAll('[aria-label^=Pause]').length > 0")
    page.locator("section.panel [aria-label='Keep rain-steady.ogg and move the others to the trash']").click()
    until(page, "document.querySelector('.says').innerText.includes('1 file moved')")
    assert not copy.exists()
    page.click("text=Put back what was moved last")
    until(page, "document.querySelector('.says').innerText.includes('1 file put back')")
    assert copy.exists()


def make_label(page: Any, name: str) -> None:
    page.fill("[placeholder='New label']", name)
    page.keyboard.press("Enter")


def test_labels_are_learned(visit: Callable[..., Any], library: Path) -> None:
    page = visit(library)
    go(page, "Labels")
    for label in ("drum", "animal"):
        make_label(page, label)
        for _ in range(2):
            until(page, "[...document.querySelectorAll('button')].some((one) => one.innerText === 'Example')")
            with page.expect_response(re.compile("/labels$")):
                page.locator("button", has_text=re.compile("^Example$")).first.click()
    until(page, "document.querySelectorAll('[aria-labelledby=guesses] li').length > 0")
    guess = page.locator("[aria-labelledby=guesses] li").first
    with page.expect_response(re.compile("/labels$")):
        guess.locator("[title=Yes]").click()
    until(page, "document.querySelectorAll('[aria-labelledby=examples] ul:first-of-type li').length === 3")
    with page.expect_download() as coming:
        page.click("text=Save the classifier")
    assert coming.value.suggested_filename == "classifier.json"


def test_a_new_label_is_not_offered_what_was_found_for_the_last(visit: Callable[..., Any], library: Path) -> None:
    page = visit(library)
    go(page, "Labels")
    offered = page.locator("button", has_text=re.compile("^Example$"))
    make_label(page, "drum")
    until(page, "[...document.querySelectorAll('button')].some((one) => one.innerText === 'Example')")
    held: list[Any] = []
    page.route("**/search", lambda route: held.append(route))  # the answer for the next label is late
    make_label(page, "animal")
    until(page, "document.querySelector('#examples').innerText.includes('animal')")
    assert offered.count() == 0
    make_label(page, "bell")
    until(page, "document.querySelector('#examples').innerText.includes('bell')")
    with page.expect_response(re.compile("/search$")):
        held[0].continue_()
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    assert offered.count() == 0  # it came when another label was chosen


def test_without_its_key_the_page_says_so(visit: Callable[..., Any], library: Path, browser: Any) -> None:
    page = visit(library)
    stranger = browser.new_context().new_page()
    stranger.goto(page.url.split("#")[0])
    stranger.wait_for_selector("text=This page is locked")
    stranger.context.close()


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not here: npm ci in frontend/")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_that_axe_knows(visit: Callable[..., Any], library: Path, scheme: str) -> None:
    page = visit(library, color_scheme=scheme)
    axe = AXE.read_text(encoding="utf-8")
    ask(page, "rain", "rain-steady.ogg")
    page.locator(FIRST).locator(".play").click()
    for view in ("Search", "Map", "Duplicates", "Labels", "Library"):
        go(page, view)
        page.wait_for_timeout(300)
        if view == "Map":
            page.click("text=Lay out the map")
            until(page, "document.querySelectorAll('aside .names').length > 0", 60)
        page.evaluate(axe)
        tags = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']"
        found = page.evaluate(f"axe.run(document, {{ runOnly: {tags} }}).then((done) => done.violations)")
        assert [(one["id"], one["nodes"][0]["html"], one["help"]) for one in found] == [], view


def test_a_narrow_screen_has_all_of_it(visit: Callable[..., Any], library: Path) -> None:
    page = visit(library, viewport={"width": 360, "height": 740})
    until(page, "document.querySelectorAll('.sound').length > 5")
    for view in ("Search", "Map", "Duplicates", "Labels", "Library"):
        go(page, view)
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth <= 360"), view
        controls = "[...document.querySelectorAll('main button, main input')].filter((one) => one.offsetWidth)"
        beyond = f"{controls}.filter((one) => one.getBoundingClientRect().right > 361).map((one) => one.outerHTML)"
        assert page.evaluate(beyond) == [], view
