"""The config browser in a real JupyterLab."""

from __future__ import annotations

from typing import Any

import pytest

from aipipe.runners.placeholder.picture import draw

pytestmark = pytest.mark.browser


def test_a_config_is_found_changed_tried_and_saved(lab: Any) -> None:
    lab.open("browse.ipynb", ["import aipipe\nb = aipipe.browse()\nb"])
    lab.run_all()
    page = lab.page
    page.wait_for_selector(".widget-select select", timeout=60_000)
    page.fill("input[placeholder='search configs']", "dada")
    page.select_option(".widget-select select", label="dada")
    page.wait_for_selector(".aip-head:has-text('dada')")
    areas = page.locator(".widget-textarea textarea")
    page.wait_for_function("document.querySelector('.widget-textarea textarea').value.includes('Dada')")
    page.wait_for_timeout(300)
    areas.nth(0).fill("Answer in one word.")
    areas.nth(1).fill("A heron <b>bold</b>")
    page.click("button:has-text('Try')")
    page.wait_for_selector(".aip-title:has-text('dada_variant')", timeout=20_000)
    page.wait_for_selector(".aip-text:has-text('A heron <b>bold</b>')")
    lab.shot("config-browser", ".jp-OutputArea-output:visible")
    page.fill("input[placeholder='name of the variant']", "mine")
    page.click("button:has-text('Save variant')")
    page.wait_for_selector(".aip-note:has-text('mine.md')", timeout=10_000)
    assert "Answer in one word." in next(lab.jupyter.folder.rglob("mine.md")).read_text(encoding="utf-8")


def test_a_config_of_two_texts_and_one_of_a_picture_show_their_fields(lab: Any) -> None:
    lab.open("browse_inputs.ipynb", ["import aipipe\nb = aipipe.browse()\nb"])
    lab.run_all()
    page = lab.page
    page.wait_for_selector(".widget-select select", timeout=60_000)
    page.select_option(".widget-select select", label="song")
    page.wait_for_selector(".widget-label:has-text('lyrics')")
    lab.shot("config-browser-two-texts", ".jp-OutputArea-output:visible")
    page.select_option(".widget-select select", label="picture_over_picture")
    page.wait_for_selector(".widget-upload:visible")
    assert page.locator(".widget-label:has-text('lyrics'):visible").count() == 0
    page.locator(".widget-textarea textarea").nth(1).fill("paint it red")
    with page.expect_file_chooser() as chooser:
        page.click(".widget-upload")
    chooser.value.set_files(files=[{"name": "mine.png", "mimeType": "image/png", "buffer": draw("mine", 0, {})}])
    page.wait_for_selector(".widget-upload:has-text('(1)')")
    page.click("button:has-text('Try')")
    page.wait_for_selector(".aip-title:has-text('picture_over_picture')", timeout=20_000)
    page.wait_for_selector(".aip-badge:has-text('completed'), .aip-status:has-text('completed'), :text('completed')")
    lab.shot("config-browser-picture", ".jp-OutputArea-output:visible")
