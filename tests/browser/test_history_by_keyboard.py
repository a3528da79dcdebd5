"""The run history page by keyboard alone and for those who do not see it: names, focus, order, contrast of controls."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.conftest import Serve
from tests.api.conftest import serve as serve
from tests.browser.test_history_page import _copies
from tests.browser.test_history_page import page as page

pytestmark = pytest.mark.browser

FOCUSED = """() => { const e = document.activeElement;
  return [e.tagName, (e.ariaLabel || e.labels?.[0]?.textContent || e.textContent).trim()]; }"""
EDGES = """() => {
  const light = (c) => { const [r, g, b] = c.map((v) => { const s = v / 255; return s <= .03928 ? s / 12.92 : ((s + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const parse = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const paper = parse(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll("select, textarea, .face, input:not([type=checkbox], [type=radio])")].filter((e) => e.checkVisibility())
    .map((e) => { const [a, b] = [light(parse(getComputedStyle(e).borderTopColor)), light(paper)].sort((x, y) => y - x);
      return [e.tagName, (a + .05) / (b + .05)]; });
}"""
ORDER = """() => [...document.querySelectorAll("main a, main button, main summary, main section")].filter((e) => e.checkVisibility())
  .map((e) => e.getBoundingClientRect().top)"""


def focused(page: Any) -> tuple[str, str]:
    tag, name = page.evaluate(FOCUSED)
    return tag, name


def press(page: Any, key: str, times: int = 1) -> None:
    for _ in range(times):
        page.keyboard.press(key)


def test_every_view_has_a_title_and_a_heading(serve: Serve, page: Any) -> None:
    served = serve()
    ids = [served.execute("a flower").json()["run_id"] for _ in range(2)]
    titles = []
    for view, heading in (
        ("#/", "Runs"),
        ("#/new", "New run"),
        (f"#/run/{ids[0]}", "dada"),
        (f"#/compare/{ids[0]},{ids[1]}", "Compare"),
        ("#/wrong", "This page does not exist."),
    ):
        page.goto(f"{served.url}/{view}")
        page.get_by_role("heading", level=1, name=heading).wait_for()
        page.wait_for_function("() => document.title.includes(' · aipipe')")
        titles.append(page.title())
        page.goto("about:blank")
    assert len(set(titles)) == 5, titles


def test_controls_of_many_runs_have_names_of_their_own(serve: Serve, page: Any) -> None:
    served = serve()
    for text in ("a red flower", "a grey stone", "a heron"):
        run_id = served.execute(text).json()["run_id"]
    page.goto(served.url)
    page.locator(".card").nth(2).wait_for()
    names = [box.get_attribute("aria-label") for box in page.locator(".mark input").all()]
    assert len(set(names)) == 3
    assert "a heron" in (names[0] or "")
    page.goto(f"{served.url}/#/run/{run_id}")
    page.locator("figure img").wait_for()
    names = page.locator("summary").all_text_contents()
    assert len(set(names)) == len(names) > 2, names
    assert page.locator("#language").get_attribute("lang") == "de"


def test_two_runs_are_compared_without_passing_all_cards(serve: Serve, page: Any) -> None:
    served = serve()
    for text in ("a red flower", "a grey stone"):
        served.execute(text)
    _copies(served, 100)
    page.goto(served.url)
    page.locator(".card").nth(40).wait_for()
    page.get_by_role("searchbox").focus()
    for _ in range(12):
        press(page, "Tab")
        if "Select for comparison" in focused(page)[1]:
            break
    press(page, "Space")
    press(page, "Tab", 2)
    press(page, "Space")
    assert "2 selected" in page.locator(".selection [role=status]").inner_text()
    first_card, bar = page.locator(".card").first, page.locator(".selection")
    assert bar.evaluate(
        "(bar, card) => Boolean(bar.compareDocumentPosition(card) & Node.DOCUMENT_POSITION_FOLLOWING)",
        first_card.element_handle(),
    )
    for _ in range(16):
        press(page, "Tab")
        below = page.evaluate("() => document.activeElement.getBoundingClientRect().bottom")
        assert below <= bar.bounding_box()["y"] + 1, "what has the focus is not hidden behind the bar"
    page.locator(".mark input:checked").first.focus()
    press(page, "Enter")
    page.locator(".column").nth(1).wait_for()
    page.go_back()
    page.locator(".card").nth(1).wait_for()
    page.get_by_role("button", name="Clear", exact=True).focus()
    press(page, "Enter")
    assert focused(page)[0] == "MAIN"


def test_the_focus_stays_while_a_run_moves_and_ends(serve: Serve, page: Any) -> None:
    served = serve(slow=0.15)
    run_id = served.execute("a flower", **{"async": True}).json()["run_id"]
    page.goto(f"{served.url}/#/run/{run_id}")
    page.locator(".chain > li").first.wait_for()
    download = page.get_by_role("link", name="Download ZIP")
    download.focus()
    page.evaluate("() => { window.firstLink = document.querySelector('.chain > li'); }")
    page.locator(".head .badge.completed").wait_for(timeout=20_000)
    page.locator("figure img").wait_for()
    assert focused(page) == ("A", "Download ZIP")
    assert page.evaluate("() => window.firstLink.isConnected"), "what is being read is not drawn anew"
    run_id = served.execute("a flower", **{"async": True}).json()["run_id"]
    page.goto(f"{served.url}/#/run/{run_id}")
    page.get_by_role("button", name="Cancel").focus()
    press(page, "Enter")
    page.locator(".head .badge.cancelled").wait_for(timeout=20_000)
    page.wait_for_function("() => document.activeElement.tagName === 'H1'")


def test_a_refused_form_keeps_the_focus_and_says_why(serve: Serve, browser: Any) -> None:
    served = serve(slow=0.3, queue_size=1)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    for _ in range(2):
        served.execute(**{"async": True})
    page.goto(f"{served.url}/#/new")
    page.get_by_label("Text", exact=True).fill("a flower")
    press(page, "Tab", 3)
    assert focused(page) == ("BUTTON", "Start the run")
    press(page, "Enter")
    page.get_by_role("alert").get_by_text(re.compile("queue is full")).wait_for()
    assert focused(page) == ("BUTTON", "Start the run")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fields_can_be_told_from_the_paper(serve: Serve, browser: Any, scheme: str) -> None:
    served = serve()
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    for view, least in (("#/", 3), ("#/new", 10)):
        page.goto("about:blank")
        page.goto(f"{served.url}/{view}")
        page.locator("select, textarea").first.wait_for()
        found = page.evaluate(EDGES)
        assert len(found) >= least
        assert [edge for edge in found if edge[1] < 3] == []
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_run_is_read_in_the_order_in_which_it_is_seen(serve: Serve, browser: Any, width: int) -> None:
    served = serve()
    run_id = served.execute("a flower").json()["run_id"]
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    page.goto(f"{served.url}/#/run/{run_id}")
    page.locator("figure img").wait_for()
    first = page.locator(".columns > *").first.evaluate("(e) => e.tagName")
    assert first == ("DIV" if width < 820 else "SECTION")
    if width < 820:
        tops = page.evaluate(ORDER)
        assert tops == sorted(tops)
        page.set_viewport_size({"width": 1280, "height": 844})
        page.wait_for_function("() => document.querySelector('.columns > *').tagName === 'SECTION'")
    context.close()
