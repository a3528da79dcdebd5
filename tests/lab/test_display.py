"""What is shown is escaped, small, and the same story in HTML and in text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import aipipe
from aipipe.display import run_html
from aipipe.display.diff import word_diff
from aipipe.display.html import json_tree, text_block

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\x00\x1b[31m red",
    "مرحبا بالعالم",
    "👩‍👩‍👧‍👦 family",
    "</style></div>&lt;b&gt;",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> aipipe.Store:
    return aipipe.samples(tmp_path_factory.mktemp("samples") / "runs")


@pytest.mark.parametrize("text", NASTY)
def test_recorded_text_never_becomes_markup(text: str, project: Path) -> None:
    run = aipipe.Lab(display=False, mode="echo").run("passthrough", text, labels={"note": text[:40]})
    html = run_html(run)
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "onerror=alert" not in re.sub(r"&[^;]+;[^<]*", "", html)
    assert "\x00" not in html
    assert html.count("</style>") == 1


def test_every_run_shows_its_story_in_html_and_text(store: aipipe.Store) -> None:
    for run in store:
        bundle = run._repr_mimebundle_()
        assert run.status in bundle["text/html"]
        assert run.status in bundle["text/plain"]
        for entity in run.entities:
            if entity.media_type == "text":
                assert entity.text[:30] in bundle["text/plain"]
            elif entity.media_type == "image":
                assert entity.filename in bundle["text/html"]


def test_a_run_adds_little_to_a_notebook(store: aipipe.Store) -> None:
    for run in store:
        html = run_html(run)
        without_media = re.sub(r"data:image/[^\"]+", "", html)
        assert len(without_media) < 100_000, run.run_id
        assert len(html) < 100_000 + 70_000 * len(run.images)


def test_a_huge_text_is_cut_with_a_note() -> None:
    html = text_block("x" * 200_000)
    assert len(html) < 30_000
    assert "180,000 more characters" in html


def test_a_diff_marks_what_changed_and_nothing_else() -> None:
    html = word_diff("a red flower", "a blue flower <b>")
    assert "<del>red</del>" in html
    assert "<ins>blue</ins>" in html
    assert "&lt;" in html
    assert (
        re.sub(r"<del>[^<]*</del>|<[^>]+>", "", html).replace("&lt;", "<").replace("&gt;", ">") == "a blue flower <b>"
    )


def test_json_trees_are_bounded() -> None:
    html = json_tree({"a": list(range(10_000)), "b": "y" * 10_000, "<k>": None})
    assert len(html) < 60_000
    assert "&lt;k&gt;" in html


def test_configs_plans_stores_and_entities_have_rich_displays(store: aipipe.Store, project: Path) -> None:
    lab = aipipe.Lab(display=False)
    for thing in (
        lab.catalog.config("dada"),
        lab.plan("dada", "x"),
        store,
        next(iter(store)).entities[0],
        lab.preview("dada", "x"),
    ):
        bundle = thing._repr_mimebundle_()
        assert bundle["text/html"].startswith('<div class="aip"')
        assert bundle["text/plain"]
