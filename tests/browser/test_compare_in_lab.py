"""The comparison in a real JupyterLab, light and dark."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser


def test_the_matrix_shows_pictures_and_keeps_its_heads_in_sight(lab: Any) -> None:
    lab.open(
        "compare.ipynb",
        [
            'import aipipe\ns = aipipe.samples("samples")\naipipe.compare([r for r in s if r.config_name in ("dada", "bauhaus", "overdrive") and r.status == "completed"])'
        ],
    )
    lab.run_all()
    page = lab.page
    page.wait_for_selector(".aip-matrix img", timeout=60_000)
    assert page.locator(".aip-matrix img").count() >= 4
    page.wait_for_timeout(400)
    lab.shot("compare-light", ".aip")
    page.locator(".aip-matrix").evaluate("m => { m.style.maxHeight = '300px'; m.scrollTop = 200; }")
    inside = "() => { const m = document.querySelector('.aip-matrix').getBoundingClientRect(); const h = document.querySelector('.aip-matrix thead th').getBoundingClientRect(); return h.top >= m.top - 2 && h.top < m.top + 40; }"
    assert page.evaluate(inside)
    page.locator(".aip-matrix").evaluate("m => { m.style.maxHeight = ''; m.scrollTop = 0; }")
    lab.dark()
    lab.shot("compare-dark", ".aip")


def test_the_gallery_of_the_samples(lab: Any) -> None:
    lab.open("samples.ipynb", ['import aipipe\naipipe.gallery(aipipe.samples("samples"), height=430)'])
    lab.run_all()
    page = lab.page
    page.wait_for_selector(".aipg-cell img", timeout=60_000)
    page.wait_for_timeout(800)
    page.locator(".aipg-cell").nth(5).click()
    page.wait_for_selector(".aipg-panel .aipg-full")
    page.wait_for_timeout(400)
    lab.shot("samples-gallery", ".aipg")
