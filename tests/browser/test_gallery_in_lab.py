"""The gallery in a real JupyterLab: scroll, filter, select, tag, open, with 1,000 runs."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.ui.made import make_run, make_store

pytestmark = pytest.mark.browser


def test_a_thousand_runs_scroll_filter_select_and_are_tagged_by_key(lab: Any) -> None:
    root = lab.jupyter.folder / "thousand"
    make_store(root, 1_000)
    lab.open(
        "gallery.ipynb",
        [
            'import aipipe\ng = aipipe.gallery("thousand")\ng',
            'print("selected", len(g.selected), sorted({r.config_name for r in g.selected}))',
        ],
    )
    started = time.monotonic()
    lab.run_next()
    page = lab.page
    page.wait_for_selector(".aipg-cell img", timeout=30_000)
    first = time.monotonic() - started
    page.wait_for_function("document.querySelectorAll('.aipg-cell').length >= 6")
    assert page.locator(".aipg-cell").count() < 80
    assert page.locator(".aipg-count").inner_text() == "1,000 of 1,000 runs"
    lab.shot("gallery-light", ".aipg")

    page.locator(".aipg-port").evaluate("p => { p.scrollTop = p.scrollHeight; }")
    page.wait_for_selector(".aipg-cell[aria-posinset='1000']")
    page.wait_for_function(
        "document.querySelector(\".aipg-cell[aria-posinset='1000']\").querySelector('img, .aipg-none') !== null"
    )

    page.fill(".aipg-search", "heron")
    page.wait_for_selector(".aipg-count:has-text('200 of 1,000')")
    page.select_option("select[data-filter=config]", label="dada")
    page.wait_for_selector(".aipg-count:has-text('50 of 1,000')")

    cells = page.locator(".jp-Notebook .jp-Cell").count()
    page.locator(".aipg-port").focus()
    page.keyboard.press("a")
    page.wait_for_selector(".aipg-count:has-text('50 selected')")
    page.keyboard.press("x")
    page.keyboard.type("blurred")
    page.keyboard.press("Enter")
    page.wait_for_selector(".aipg-cell.excluded")
    page.keyboard.press("t")
    page.keyboard.type("figure-3, night")
    page.keyboard.press("Enter")
    page.wait_for_selector("select[data-filter=tag] option[value='figure-3']", state="attached")
    page.keyboard.press("s")
    page.wait_for_function("document.querySelector('.aipg-star').textContent === '★'")
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    page.keyboard.press("Enter")
    page.wait_for_selector(".aipg-panel .aipg-full")
    page.click(".aipg-panel summary:has-text('what this changed')")
    page.wait_for_selector(".aipg-panel ins")
    lab.shot("gallery-open", ".aipg")
    lab.dark()
    lab.shot("gallery-dark", ".aipg")

    lab.run_cell(1)
    page.wait_for_selector(".jp-OutputArea-output:has-text(\"selected 50 ['dada']\")")
    acts = [
        json.loads(line) for path in (root / "annotations").glob("*.jsonl") for line in path.read_text().splitlines()
    ]
    kinds = [act["what"] for act in acts]
    assert (kinds.count("exclude"), kinds.count("tag"), kinds.count("star")) == (50, 100, 50)
    assert first < 10, first


def test_recorded_texts_never_become_markup(lab: Any) -> None:
    root = lab.jupyter.folder / "hostile"
    hostile = [
        "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>",
        "‮مرحبا بالعالم‬ right to left",
        "🦩" * 200,
        "NUL \x00 and bell \x07 inside",
        "huge " * 60_000,
    ]
    for number, text in enumerate(hostile, start=1):
        make_run(root, number, text=text, prompt=text + " again", config_name=text[:60], tags=[text[:30]])
    lab.open(
        "hostile.ipynb",
        [
            'import aipipe\ng = aipipe.gallery("hostile")\ng',
            'aipipe.open_run(next(iter(aipipe.Store("hostile"))).folder)',
            'for r in aipipe.Store("hostile"):\n    display(r)',
        ],
    )
    lab.run_all()
    page = lab.page
    page.wait_for_selector(".aipg-cell", timeout=30_000)
    page.wait_for_selector(".aip:visible", timeout=30_000)
    for place in range(len(hostile)):
        page.locator(".aipg-cell").nth(place).click()
        page.wait_for_selector(".aipg-panel .aipg-full")
    page.wait_for_timeout(300)
    assert page.evaluate("window.hurt") is None
    assert page.locator(".aipg script, .aip script, .aipg img[onerror], .aip img[onerror]").count() == 0
    lab.shot("gallery-hostile", ".aipg")


def test_each_key_does_one_thing_and_undoes_it(lab: Any) -> None:
    root = lab.jupyter.folder / "keys"
    make_store(root, 12)
    lab.open("keys.ipynb", ['import aipipe\ng = aipipe.gallery("keys")\ng', "g.frame()"])
    lab.run_next()
    page = lab.page
    page.wait_for_selector(".aipg-cell img", timeout=30_000)
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    port, first = page.locator(".aipg-port"), page.locator(".aipg-cell[aria-posinset='1']")

    def acts() -> list[tuple[str, str]]:
        lines = [line for path in (root / "annotations").glob("*.jsonl") for line in path.read_text().splitlines()]
        return [(act["what"], act["value"]) for act in map(json.loads, lines)]

    port.focus()
    newest = first.get_attribute("data-row")
    page.keyboard.press("o")
    page.wait_for_function(
        "row => document.querySelector(\".aipg-cell[aria-posinset='1']\").dataset.row !== row", arg=newest
    )
    assert page.locator("select[data-filter=order]").input_value() == "oldest first"
    lab.shot("gallery-sorted", ".aipg")
    for _ in range(5):
        page.keyboard.press("o")
    page.wait_for_function(
        "row => document.querySelector(\".aipg-cell[aria-posinset='1']\").dataset.row === row", arg=newest
    )

    page.keyboard.press("Home")
    page.keyboard.press("s")
    page.wait_for_function("document.querySelector(\".aipg-cell[aria-posinset='1'] .aipg-star\").textContent === '★'")
    lab.shot("gallery-starred", ".aipg")
    page.keyboard.press("s")
    page.wait_for_function("document.querySelector(\".aipg-cell[aria-posinset='1'] .aipg-star\").textContent !== '★'")

    page.keyboard.press("x")
    page.keyboard.type("blurred")
    page.keyboard.press("Enter")
    page.wait_for_selector(".aipg-cell[aria-posinset='1'].excluded")
    lab.shot("gallery-excluded", ".aipg")
    page.keyboard.press("x")
    page.wait_for_selector(".aipg-cell[aria-posinset='1']:not(.excluded)")

    page.keyboard.press("ArrowRight")
    page.keyboard.press("t")
    page.keyboard.type("abc <b>, ليل")
    page.keyboard.press("Enter")
    page.wait_for_selector("select[data-filter=tag] option[value='ليل']", state="attached")
    page.select_option("select[data-filter=tag]", value="abc <b>")
    page.wait_for_selector(".aipg-count:has-text('1 of 12 runs')")
    lab.shot("gallery-tagged", ".aipg")
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert [what for what, _ in acts()] == ["star", "unstar", "exclude", "include", "tag", "tag"]
    assert [value for what, value in acts() if what == "tag"] == ["abc <b>", "ليل"]


def test_a_sound_and_a_film_are_shown_and_play(lab: Any) -> None:
    lab.open(
        "sounds.ipynb",
        [
            (
                'import aipipe\nlab = aipipe.Lab("sounds", mode="echo", display=False)\n'
                'lab.run("soundscape", "Rain on a roof", seed=3)\nlab.run("film_scene", "A red boat in the rain", seed=3)\n'
                'lab.run("dada", "A kite", seed=3)\ng = aipipe.gallery(lab.store)\ng'
            ),
            "aipipe.compare(lab.store)",
        ],
    )
    lab.run_next()
    page = lab.page
    page.wait_for_function("document.querySelectorAll('.aipg-cell img').length === 3", timeout=60_000)
    for name, tag in (("soundscape", "audio"), ("film_scene", "video")):
        page.locator(f".aipg-cell:has-text('{name}')").first.dblclick()
        player = page.locator(f".aipg-panel {tag}")
        player.wait_for(timeout=20_000)
        played = player.evaluate(
            "p => new Promise((done) => { p.muted = true; p.onended = () => done(p.currentTime); p.onerror = () => done(-1); p.play(); })"
        )
        assert played > 1.5, name
        lab.shot(f"gallery-{name}", ".aipg")
    lab.run_cell(1)
    page.wait_for_selector(".aip-matrix audio:visible")
    lab.shot("compare-sounds", ".aip-matrix:visible")
