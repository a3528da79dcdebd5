"""Rating in a real browser: by keyboard in a cell, and in a packed page without Jupyter."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import aipipe
from tests.browser.conftest import chromium
from tests.ui.made import make_run

pytestmark = pytest.mark.browser


def make_rated(root: Path) -> Path:
    for number in range(1, 7):
        make_run(root, number, status="completed", config_name=f"secret-{number % 2}", input_id="one")
    return root


def test_a_rater_answers_by_keyboard_goes_back_and_continues(lab: Any) -> None:
    root = make_rated(lab.jupyter.folder / "rated")
    lab.open(
        "rate.ipynb",
        [
            'import aipipe\ntask = aipipe.RatingTask("looks", "rated", criteria=["surprise", "beauty"])\ntask.rate("anna")',
            'task.rate("anna")',
        ],
    )
    lab.run_next()
    page = lab.page
    page.wait_for_selector(".aipr-stage img", timeout=30_000)
    assert "secret" not in page.locator(".aipr").evaluate("n => n.outerHTML")
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    page.locator(".aipr").focus()
    lab.shot("rating", ".aipr")
    page.keyboard.press("3")
    page.wait_for_selector(".aipr-button[aria-checked=true]:has-text('3')")
    page.keyboard.press("7")
    page.wait_for_selector(".aipr-count:has-text('2 of 6 · 1 rated')")
    page.keyboard.press("Backspace")
    page.wait_for_selector(".aipr-count:has-text('1 of 6')")
    page.wait_for_selector(".aipr-before")
    marked = page.locator(".aipr-button[aria-checked=true]").all_inner_texts()
    assert marked == ["3", "7"], "going back shows what was answered"
    page.keyboard.press("Enter")
    page.wait_for_selector(".aipr-count:has-text('2 of 6 · 1 rated')")
    page.keyboard.press("Backspace")
    page.wait_for_selector(".aipr-before")
    for press in ("5", "5"):
        page.wait_for_timeout(200)
        page.keyboard.press(press)
    page.wait_for_selector(".aipr-count:has-text('2 of 6 · 1 rated')")
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    frame = aipipe.load_ratings(root)
    assert sorted(zip(frame["criterion"], frame["value"], strict=True)) == [("beauty", 5.0), ("surprise", 5.0)]
    assert len(aipipe.load_ratings(root, history=True)) == 6

    lab.run_cell(1)
    page.wait_for_function("document.querySelectorAll('.aipr-count').length === 2")
    page.wait_for_function(
        "[...document.querySelectorAll('.aipr-count')].at(-1).textContent.includes('2 of 6 · 1 rated')"
    )


def test_a_packed_page_works_alone_and_its_answers_come_back(browser: Any, tmp_path: Path) -> None:
    assert chromium()
    root = make_rated(tmp_path / "runs")
    task = aipipe.RatingTask("pairs", root, kind="pairwise", criteria=["better"])
    packed = task.pack(tmp_path / "ben.html")
    context = browser.new_context(viewport={"width": 1100, "height": 800}, accept_downloads=True)
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: trouble.append(request.url) if request.url.startswith("http") else None)
    page.goto(packed.as_uri())
    page.wait_for_selector(".aipr-stage figure:nth-child(2) img")
    html = page.content()
    assert "secret" not in html
    page.locator(".aipr").focus()
    count = len(task.order("ben"))
    for number, key in enumerate(["ArrowLeft", "ArrowRight", "ArrowDown"], start=1):
        page.keyboard.press(key)
        page.wait_for_selector(f".aipr-count:has-text('{number} rated')")
        page.wait_for_timeout(100)
    page.reload()
    page.wait_for_selector(f".aipr-count:has-text('4 of {count} · 3 rated')")
    with page.expect_download() as download:
        page.click("text=Save answers")
    answers = tmp_path / download.value.suggested_filename
    download.value.save_as(answers)
    context.close()
    assert trouble == []
    assert [a["answers"]["better"] for a in json.loads(answers.read_text())["answers"]] == ["left", "right", "equal"]
    assert task.collect(answers) == 3
    assert sorted(aipipe.load_ratings(root)["answer"]) == ["equal", "left", "right"]


def test_sounds_and_films_are_played_by_key_and_compared(browser: Any, tmp_path: Path) -> None:
    studio = aipipe.Lab(tmp_path / "runs", mode="echo", display=False)
    for seed in (1, 2):
        studio.run("soundscape", "Rain on a roof", seed=seed)
    for kind, number in (("pairwise", 2), ("single", 1)):
        task = aipipe.RatingTask(kind, studio.store, kind=kind, criteria=["calm"])
        packed = task.pack(tmp_path / f"{kind}.html")
        context = browser.new_context(viewport={"width": 1100, "height": 700})
        page = context.new_page()
        trouble: list[str] = []
        page.on("console", lambda message, said=trouble: said.append(message.text) if message.type == "error" else None)
        page.goto(packed.as_uri())
        page.wait_for_selector(f".aipr-stage figure:nth-child({number}) audio")
        page.locator(".aipr").focus()
        for key in ("1", "2") if kind == "pairwise" else ("Space",):
            page.keyboard.press(key)
            playing = f"() => [...document.querySelectorAll('audio')].filter((a) => !a.paused || a.ended).some((a) => a.dataset.key === '{key}')"
            page.wait_for_function(playing, timeout=10_000)
        if kind == "pairwise":
            page.screenshot(path=Path(os.environ.get("AIPIPE_TEST_PICTURES") or tmp_path) / "rating-sounds.png")
        page.keyboard.press("ArrowLeft" if kind == "pairwise" else "4")
        page.wait_for_selector(".aipr-count:has-text('1 rated')")
        assert trouble == []
        context.close()
