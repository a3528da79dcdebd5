"""The comparison: axes, cells, caption, and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import aipipe
from aipipe.errors import UnknownName, UsageError
from tests.ui.made import make_run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    number = 0
    for text in ("A heron", "A <b>bus</b> at $night$"):
        for config in ("dada", "bauhaus"):
            for seed in ("1", "10", "2"):
                number += 1
                make_run(
                    root, number, text=text, prompt=f"{text} as {config}", config_name=config, seed=seed, input_id=text[:3],
                    status="completed" if number % 10 < 8 else "blocked", labels={"group": "A" if number % 2 else "B"},
                )  # fmt: skip
    return root


def test_inputs_by_configs_hold_every_run_once(store: Path) -> None:
    matrix = aipipe.compare(store)
    assert sorted(matrix.col_values) == ["bauhaus", "dada"]
    assert len(matrix.row_values) == 2
    assert {len(cell.runs) for cell in matrix.cells.values()} == {3}
    assert "n = 12 runs, 2 input × 2 config" in matrix.caption
    assert "seeds 1, 2, 10" in matrix.caption
    assert "2 blocked" in matrix.caption


def test_axes_are_fields_models_labels_and_columns_of_a_frame(store: Path) -> None:
    assert aipipe.compare(store, rows="config_name", cols="seed").col_values == ["1", "2", "10"]
    assert sorted(aipipe.compare(store, cols="label_group").col_values) == ["A", "B"]
    assert aipipe.compare(store, cols="model_interception").col_values == ["made"]
    assert sorted(aipipe.compare(store, rows="config", cols="level").row_values) == ["bauhaus", "dada"]
    assert aipipe.compare(store, cols="model").caption == aipipe.compare(store, cols="model_interception").caption
    aipipe.tag([next(iter(aipipe.Store(store)))], "good", "odd")
    assert sorted(aipipe.compare(store, cols="tag").col_values) == ["(none)", "good, odd", "keep"]
    frame = aipipe.load_runs(store)
    frame["long"] = frame["seconds"] > 6
    assert sorted(aipipe.compare(frame, cols="long").col_values) == ["False", "True"]
    assert aipipe.compare(frame, cols="study").col_values == ["(none)"]
    for typo, meant in (
        ("confg_name", "config_name"),
        ("label_gruop", "label_group"),
        ("model_intercepton", "model_interception"),
    ):
        with pytest.raises(UnknownName, match=f"Did you mean '{meant}'"):
            aipipe.compare(store, cols=typo)
    for method in ("copy", "model_dump", "steps"):
        with pytest.raises(UnknownName):
            aipipe.compare(store, cols=method)


def test_excluded_runs_are_left_out_and_counted(store: Path) -> None:
    first = next(iter(aipipe.Store(store)))
    aipipe.exclude([first], "blurred")
    matrix = aipipe.compare(store)
    assert len(matrix.runs) == 11
    assert "1 excluded runs left out" in matrix.caption
    assert len(aipipe.compare(store, excluded=True).runs) == 12
    aipipe.exclude(aipipe.load_runs(store), "all")
    with pytest.raises(UsageError, match="excluded=True"):
        aipipe.compare(store)


def test_chains_stand_step_beside_step_against_a_reference(store: Path) -> None:
    html = aipipe.compare(store, reference="dada").html()
    table = html.partition('class="aip-chains"')[2]
    assert table.count('<th scope="row">') >= 2
    assert "prompt chains, step by step" in html
    with pytest.raises(UnknownName, match="Did you mean 'dada'"):
        aipipe.compare(store, reference="dad")


def test_a_figure_that_nothing_opens_is_refused(store: Path, tmp_path: Path) -> None:
    matrix = aipipe.compare(store)
    matrix.row_values = [*matrix.row_values, *map(str, range(2_000))]
    with pytest.raises(UsageError, match="cm high"):
        matrix.save(tmp_path / "a.pdf")


def test_the_html_escapes_names_what_differs_and_needs_no_script(store: Path) -> None:
    html = aipipe.compare(store)._repr_mimebundle_()["text/html"]
    assert "<b>bus</b>" not in html
    assert "&lt;b&gt;bus" in html
    assert "<script" not in html
    assert "prompt chains, step by step" in html
    assert "<ins>" in html
    few = aipipe.compare(store).html(pictures=2)
    assert few.count("<img") == 2
    assert "pictures are left out here" in few


def test_an_empty_store_has_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no runs"):
        aipipe.compare(tmp_path)


def test_saved_figures_have_the_asked_width_and_say_what_they_show(store: Path, tmp_path: Path) -> None:
    matrix = aipipe.compare(store)
    with Image.open(matrix.save(tmp_path / "a.png", width=100, dpi=127)) as png:
        assert png.width == 500
        assert png.info["Title"] == matrix.caption
        assert "A heron as dada" in png.info["Description"]
    svg = matrix.save(tmp_path / "a.svg", width=100, dpi=100).read_text(encoding="utf-8")
    assert "A heron as dada" in svg
    assert "<image" in svg
    pdf = matrix.save(tmp_path / "a.pdf", width=100, dpi=100).read_bytes()
    assert pdf.startswith(b"%PDF")
    html = matrix.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert html.count("<img") == sum(
        cell_run.status == "completed" and "output_image" in cell_run for cell_run in matrix.runs
    )


@pytest.mark.parametrize(
    ("name", "width", "dpi"), [("a.gif", 100, 100), ("a", 100, 100), ("a.png", 0, 100), ("a.png", 100, 9999)]
)
def test_figures_that_cannot_be_are_refused(store: Path, tmp_path: Path, name: str, width: float, dpi: int) -> None:
    with pytest.raises(UsageError):
        aipipe.compare(store).save(tmp_path / name, width=width, dpi=dpi)


@pytest.mark.filterwarnings("ignore:.*Boxes stand for")
def test_figures_take_any_text(tmp_path: Path) -> None:
    for number, text in enumerate(("<script>alert(1)</script>", "مرحبا \u202e", "🌸" * 40, "a\0b", "x" * 20_000)):
        make_run(tmp_path / "r", number, prompt=text, text=text)
    matrix = aipipe.compare(tmp_path / "r")
    for name in ("a.svg", "a.pdf", "a.png", "a.html"):
        assert matrix.save(tmp_path / name, width=80, dpi=60).stat().st_size > 1_000
    assert "<script>" not in (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "<script>alert" not in (tmp_path / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("wrong", [{"width": "18cm"}, {"width": 0}, {"dpi": -1}, {"dpi": float("nan")}])
@pytest.mark.parametrize("name", ["a.html", "a.png"])
def test_sizes_that_make_no_picture_are_refused(tmp_path: Path, name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        aipipe.compare(aipipe.samples()).save(tmp_path / name, **wrong)


@pytest.mark.parametrize("name", ["no/a.html", "no/a.pdf"])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no folder"):
        aipipe.compare(aipipe.samples()).save(tmp_path / name)


def test_the_caption_names_models_not_backends() -> None:
    caption = aipipe.compare(aipipe.samples()).caption
    assert "qwen2.5-coder-1.5b" in caption
    assert "echo:" not in caption
