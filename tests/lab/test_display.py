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


def test_a_config_says_which_outputs_it_names(project: Path) -> None:
    lab = aipipe.Lab(display=False)
    assert "output ace_step_song" in lab.catalog.config("song")._repr_mimebundle_()["text/html"]
    assert "output music" in lab.catalog.config("image_to_music")._repr_mimebundle_()["text/html"]


NASTY_TEXT = "<script>alert(1)</script> مرحبا 👩‍👩‍👧‍👦 \x00"


def _safe_bundle(value: object) -> dict[str, str]:
    bundle: dict[str, str] = value._repr_mimebundle_()  # type: ignore[attr-defined]
    html = bundle["text/html"]
    assert "<script" not in html
    assert "\x00" not in html
    assert "--vscode-editor-foreground" in html  # it takes its colours from the page
    assert bundle["text/plain"]
    return bundle


def test_the_runs_of_a_map_are_a_table_with_pictures_that_escapes(project: Path) -> None:
    runs = aipipe.Lab(display=False, mode="echo").map("dada", [NASTY_TEXT, "a flower"], seeds=[1, 2])
    bundle = _safe_bundle(runs)
    assert bundle["text/html"].count("<img alt") == 4
    assert "4 runs" in bundle["text/html"]
    assert all(run.run_id in bundle["text/html"] and run.run_id in bundle["text/plain"] for run in runs)


def test_a_long_prompt_in_a_table_ends_with_an_ellipsis(project: Path) -> None:
    lab = aipipe.Lab(display=False, mode="echo")
    lab.run("dada", "flower " * 60, until="interception")
    html = lab.store._repr_mimebundle_()["text/html"]
    assert re.search(r"flower( [flowe]*)?…</td>", html)
    assert "flower " * 30 not in html


def test_a_long_list_of_runs_is_cut_and_says_so(project: Path) -> None:
    from aipipe.lab.runs import SHOWN, Runs

    run = aipipe.Lab(display=False, mode="echo").run("passthrough", "a flower")
    html = Runs([run] * (SHOWN + 7))._repr_mimebundle_()["text/html"]
    assert html.count(run.run_id) == SHOWN
    assert "and 7 more" in html


def test_a_live_run_shows_its_state_and_then_the_run(project: Path) -> None:
    from threading import Event

    hold, begun = Event(), Event()

    class Holding:
        def on_event(self, event: object) -> None:
            begun.set()
            hold.wait(20)

    live = aipipe.Lab(display=False, mode="echo", observers=[Holding()]).start("passthrough", NASTY_TEXT)
    assert begun.wait(20)
    while_it_runs = _safe_bundle(live)
    assert "running" in while_it_runs["text/html"]
    assert ".cancel()" in while_it_runs["text/plain"]
    hold.set()
    live.wait(20)
    assert "completed" in _safe_bundle(live)["text/html"]
    assert "metadata.json" in _safe_bundle(live)["text/html"]


def test_what_is_found_about_a_store_is_a_sheet(project: Path) -> None:
    run = aipipe.Lab(display=False, mode="echo").run("passthrough", "a flower")
    store = aipipe.Store(run.folder.parent)
    assert "as recorded" in _safe_bundle(store.verify())["text/html"]
    (run.folder / "<script>.txt").write_text("x")
    assert "1 findings" in _safe_bundle(store.verify())["text/html"]
    assert "1 findings" in _safe_bundle(run.verify())["text/html"]
    assert "Doctor" in _safe_bundle(store.doctor())["text/html"]


def test_a_plan_of_a_batch_is_a_bounded_table(project: Path) -> None:
    from aipipe.batch.plan import Case, Plan

    cases = tuple(Case(f"{n:016x}", n, "dada", (NASTY_TEXT,), n) for n in range(5_000))
    bundle = _safe_bundle(Plan("01900000-0000-7000-8000-000000000000", "abc", cases))
    assert "5000 × dada" in bundle["text/plain"]
    assert "4,800 more rows" in bundle["text/html"]
    assert len(bundle["text/html"]) < 100_000


def test_an_adopted_graph_and_its_check_are_sheets() -> None:
    from aipipe.comfy import Workflow
    from aipipe.comfy.adopting import adopt
    from aipipe.comfy.check import Problem, Report
    from aipipe.comfy.editor import Conversion, Note

    graph = {
        "1": {"class_type": "CLIPTextEncode", "inputs": {"text": NASTY_TEXT, "clip": ["2", 0]}},
        "2": {"class_type": "<b>Loader", "inputs": {}},
    }
    assert "&lt;script&gt;" in _safe_bundle(adopt(Workflow(graph, name="<script>")))["text/html"]
    report = Report("http://127.0.0.1:1", (Problem("unknown_node", "<script>", "2", "", ("a",)),))
    assert "does not fit" in _safe_bundle(report)["text/html"]
    assert "fits" in _safe_bundle(Report("http://127.0.0.1:1", ()))["text/html"]
    assert "1 warnings" in _safe_bundle(Conversion((Note("kind", "<script>", "3", "warning"),)))["text/html"]


def test_a_large_picture_is_a_thumbnail_that_says_where_the_original_is(tmp_path: Path) -> None:
    import io
    import os

    from PIL import Image

    from aipipe.store import Store

    buffer = io.BytesIO()
    Image.frombytes("RGB", (400, 400), os.urandom(480_000)).save(buffer, "PNG")
    with Store(tmp_path / "runs").create(config_name="mine") as recorder:
        recorder.save_entity("output_image", buffer.getvalue())
    run = next(iter(Store(tmp_path / "runs")))
    shown = run["output_image"]._repr_mimebundle_()
    assert "image/png" not in shown
    assert "a thumbnail; the original, 48" in shown["text/html"]
    assert run["output_image"].filename in shown["text/html"]
