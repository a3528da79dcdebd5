"""A notebook that is opened again when its kernel is gone shows what its widgets showed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.made import make_store

pytestmark = pytest.mark.browser

CELLS = [
    'import aipipe\naipipe.gallery("reopened")',
    "from aipipe.ui.config_browser import ConfigBrowser\nConfigBrowser(aipipe.Lab(display=False))",
    'aipipe.RatingTask("reopened", "reopened", criteria=["surprise"]).rate("anna")',
]


def test_gallery_config_browser_and_rating_page_are_there_without_a_kernel(lab: Any) -> None:
    make_store(lab.jupyter.folder / "reopened", 12)
    lab.open("reopened.ipynb", CELLS)
    lab.run_all()
    page = lab.page
    page.wait_for_selector(".aipg-cell img", timeout=40_000)
    page.wait_for_selector(".aipr", timeout=40_000)
    page.wait_for_selector("select[multiple] option, .widget-select option", state="attached", timeout=30_000)
    lab.wait_idle()
    shown = "() => [...document.querySelectorAll('[data-aip-static]')].map((n) => n.offsetParent !== null)"
    page.wait_for_function("() => document.querySelectorAll('.aip-live').length === 3")
    assert page.evaluate(shown) == [False, False, False], "the live widget covers its static form"
    lab.shot("reopened-before")
    lab.save("reopened.ipynb")
    lab.reopen("reopened.ipynb")
    page.wait_for_function("() => document.querySelectorAll('[data-aip-static]').length === 3", timeout=30_000)
    page.wait_for_timeout(2_500)
    assert page.evaluate(shown) == [True, True, True]
    for text in ("Error displaying widget", "Loading widget"):
        assert not any(found.is_visible() for found in page.get_by_text(text).all()), text
    assert page.locator("[data-aip-static] img").count() >= 12
    lab.shot("reopened-after")
