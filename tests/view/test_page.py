"""The page in a real browser: drawn, readable, usable at both widths, and deaf to attacks."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quorate.trace import Trace, state_at
from quorate.view.page import render_page
from quorate.view.words import show
from tests.view.traces import hostile, two_leaders

NAMES = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1280, 800), (390, 844)
HEAD, PAD = 40, 20  # As in drawing.js.
TRACE = two_leaders()
Opened = Callable[..., Any]


def browser_path() -> str | None:
    """The browser to test with: $QUORATE_CHROMIUM, or one on the PATH."""
    found = [os.environ.get("QUORATE_CHROMIUM"), *map(shutil.which, NAMES)]
    return next((path for path in found if path), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = browser_path()
    if path is None:
        pytest.skip(
            f"no browser: none of {', '.join(NAMES)} is on the PATH, and no QUORATE_CHROMIUM"
        )
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    """`opened(trace, size)`: a page that has been drawn, and that must stay without complaint."""
    complaints: list[str] = []
    pages = []

    def open_page(trace: Trace, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Any:
        path = tmp_path / "page.html"
        path.write_text(render_page(trace), "utf-8")
        viewport = {"width": size[0], "height": size[1]}
        page = browser.new_page(viewport=viewport, color_scheme=scheme, has_touch=size == PHONE)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: complaints.extend(outside(request.url)))
        page.goto(path.as_uri())
        settle(page)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


def outside(url: str) -> list[str]:
    return [] if url.startswith("file:") else [url]


def colours(page: Any) -> int:
    """How many different colours the diagram is made of."""
    settle(page)
    script = """() => {
      const canvas = document.getElementById("canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    }"""
    found: int = page.evaluate(script)
    return found


def settle(page: Any) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")


def found(page: Any, text: str) -> None:
    """Wait until the search tells this."""
    page.locator(f"#found:text-is('{text}')").wait_for(timeout=5000)


def spoken(page: Any) -> str:
    settle(page)
    return str(page.inner_text("#spoken"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1280", "390"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_drawn_at_either_width_and_in_either_light(
    opened: Opened, tmp_path: Path, size: tuple[int, int], scheme: str
) -> None:
    page = opened(TRACE, size, scheme)
    assert colours(page) > 50
    assert page.get_attribute("html", "data-theme") == scheme
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.inner_text("#verdict") == "fail"
    assert page.inner_text("#violation").startswith("one_leader_per_term (5.2) No term has two")
    shot = tmp_path / "page.png"
    page.screenshot(path=shot)
    assert shot.stat().st_size > 20_000
    page.click("#theme")
    assert page.get_attribute("html", "data-theme") != scheme


def test_a_click_on_a_step_shows_it(opened: Opened) -> None:
    page = opened(TRACE)
    page.click("#past")
    page.keyboard.press("Home")
    box = page.locator("#canvas").bounding_box()
    headings = []
    for y in range(HEAD + PAD, 400, 12):
        page.mouse.click(box["x"] + 300, box["y"] + y)
        headings.append(page.inner_text("#panel-step h2"))
        if headings[-1] == "n1's ElectionTimeout timer fires":
            break
    starts = [f"{node} starts" for node in ("n1", "n2", "n3", "c1", "c2")]
    assert list(dict.fromkeys(headings)) == [*starts, "n1's ElectionTimeout timer fires"]
    panel = page.inner_text("#panel-step")
    assert "RequestVote to n3: lost" in panel
    assert "votes +n1" in panel
    page.click("#panel-step button:has-text('RequestVote to n2')")
    assert page.inner_text("#panel-step h2") == "n2 handles RequestVote from n1"
    page.click("#panel-step .link")
    assert page.inner_text("#panel-step h2") == "n1's ElectionTimeout timer fires"


def test_the_state_is_the_same_as_in_python_at_every_step(opened: Opened) -> None:
    page = opened(TRACE)
    page.click("#past")
    page.focus("#canvas")
    page.keyboard.press("Home")
    for step in TRACE.steps:
        assert page.inner_text("#panel-step .about >> nth=0").startswith(f"step {step.id},")
        if step.node:
            rows = page.evaluate(
                """() => [...document.querySelectorAll("#panel-step table:last-of-type tr")]
                  .map((row) => [row.children[0].textContent, row.children[1].textContent])"""
            )
            state = state_at(TRACE, step.node, step.id)
            assert {name: text.split(" ")[-1] for name, text in rows} == {
                name: show(value).split(" ")[-1] for name, value in state.items()
            }
        page.keyboard.press("ArrowDown")


def test_search_finds_types_nodes_and_values(opened: Opened) -> None:
    page = opened(TRACE)
    page.fill("#search", "candidate=n3")
    found(page, "1 found")
    page.keyboard.press("Enter")
    assert page.inner_text("#panel-step h2") == "n2 handles RequestVote from n3"
    page.fill("#search", "requestvote voted_for=n1")
    found(page, "1 found")
    page.fill("#search", "nothing like this")
    found(page, "0 found")


def test_only_what_led_to_this_is_the_causal_past(opened: Opened) -> None:
    page = opened(TRACE)
    assert page.get_attribute("#past", "aria-pressed") == "true"
    page.click("#past")
    assert spoken(page) == f"{len(TRACE.steps)} rows shown"
    page.click("#past")
    shown = int(re.findall(r"\d+", spoken(page))[0])
    assert shown < len(TRACE.steps)
    assert re.match(
        rf"seed 7 · 3 decisions · \d+ of {len(TRACE.steps)} steps", page.inner_text("#facts")
    )


def test_heartbeats_fold(opened: Opened) -> None:
    page = opened(TRACE)
    page.click("#past")
    page.click("#fold")
    shown = int(re.findall(r"\d+", spoken(page))[0])
    assert shown == len(TRACE.steps) - 12 + 1


def test_true_time_and_zoom(opened: Opened) -> None:
    page = opened(TRACE)
    before = page.locator("#canvas").screenshot()
    page.click("#scale")
    settle(page)
    assert page.get_attribute("#scale", "aria-pressed") == "true"
    timed = page.locator("#canvas").screenshot()
    assert timed != before
    page.click("#zoom-in")
    settle(page)
    assert page.locator("#canvas").screenshot() != timed


def test_the_story_the_operations_and_the_schedule(opened: Opened) -> None:
    page = opened(TRACE, PHONE)
    assert page.get_attribute("#tab-story", "aria-selected") == "true"
    page.click("#panel-story li:nth-child(3) button")
    assert page.get_attribute("#panel-story li:nth-child(3) button", "aria-current") == "true"
    page.click("#tab-operations")
    assert 'put x "a " → ok' in page.inner_text("#panel-operations")
    assert "get x → ?" in page.inner_text("#panel-operations .wrong")
    page.click("#tab-schedule")
    assert page.inner_text("#panel-schedule pre >> nth=0") == TRACE.header.replay
    assert page.inner_text("#panel-schedule pre >> nth=1") == TRACE.header.schedule
    page.focus("#tab-schedule")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-run", "aria-selected") == "true"
    assert "elections" in page.inner_text("#panel-run")


def test_an_attack_stays_text(opened: Opened) -> None:
    trace = hostile()
    page = opened(trace)
    page.click("#past")
    page.focus("#canvas")
    page.keyboard.press("Home")
    for _ in trace.steps:
        page.keyboard.press("ArrowDown")
        for tab in ("step", "story", "operations", "schedule", "run"):
            page.click(f"#tab-{tab}")
        page.focus("#canvas")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    text = page.inner_text("body")
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_what_is_embedded_cannot_end_its_element() -> None:
    html = render_page(hostile())
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', html, re.S)
    assert data is not None
    assert not set("<>\u2028\u2029") & set(data[1])
    header = json.loads(data[1])["header"]
    assert header["title"] == hostile().header.title
    assert html.count("<script") == 2
    assert "<img" not in html


def test_a_large_number_keeps_its_digits(opened: Opened) -> None:
    page = opened(hostile())
    page.fill("#search", str(2**63))
    found(page, "1 found")
