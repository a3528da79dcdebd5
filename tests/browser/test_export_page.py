"""The page of an export in a real browser, opened as by double click: search, filters, keyboard, phone, print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import aipipe
from aipipe.analysis.export import export

pytestmark = pytest.mark.browser

TEXTS = ("ein roter hut", "<img src=x onerror=alert(1)>", "rain on a roof")


@pytest.fixture
def address(project: Path) -> str:
    lab = aipipe.Lab(mode="echo", display=False)
    for number, config in enumerate(("dada", "film_scene", "soundscape", "bauhaus", "dada", "dada")):
        lab.run(config, TEXTS[number % 3], seed=number, labels={"consent": "yes"}, participant=f"p{number % 2}")
    export(lab.store, project / "out")
    return (project / "out" / "index.html").as_uri()


def test_a_reader_searches_filters_and_walks_by_keyboard(browser: Any, address: str) -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(address)

    def shown() -> tuple[int, int]:
        return page.locator("article:visible").count(), page.locator("nav a:visible").count()

    assert shown() == (6, 6)
    page.keyboard.press("/")
    page.keyboard.type("HUT roter")
    assert (shown(), page.locator(".tools output").inner_text()) == ((2, 2), "2 of 6")
    page.select_option("select[aria-label=config]", "bauhaus")
    assert shown() == (1, 1)
    page.keyboard.press("Escape")
    assert shown() == (6, 6)
    ids = page.evaluate("[...document.querySelectorAll('article')].map((card) => card.id)")
    page.locator("nav a").nth(2).click()
    for key, place in (("j", 3), ("j", 4), ("k", 3)):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.id") == ids[place]
    page.wait_for_function("document.querySelector('video').readyState > 0")
    assert said == []


def test_the_page_fits_a_phone_prints_without_its_tools_and_works_without_scripts(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.emulate_media(media="print")
    assert (page.locator(".tools:visible").count(), page.locator("article:visible").count()) == (0, 6)
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(address)
    assert (plain.locator(".tools:visible").count(), plain.locator("article:visible").count()) == (0, 6)
