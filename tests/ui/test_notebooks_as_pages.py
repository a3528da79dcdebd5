"""Every notebook, converted to a page without a kernel, still shows what it stored."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted([*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "analysis").glob("*.ipynb")])


def words(html: str) -> list[str]:
    """What a reader sees, as words; scripts and styles say nothing."""
    soup = BeautifulSoup(html, "html.parser")
    for silent in soup(["script", "style"]):
        silent.decompose()
    return soup.get_text(" ").replace("¶", " ").split()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_page_shows_every_stored_output(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    shown = set(words(page))
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    bundles = [o["data"] for o in outputs if "data" in o]
    assert bundles, "a notebook without output teaches nothing"
    views = ["".join(b["text/html"]) for b in bundles if "text/html" in b]
    for view in views:
        lost = [word for word in words(view) if word not in shown]
        assert lost == [], f"a page without a kernel does not show {lost[:5]}"
    assert page.count("<img") >= sum(view.count("<img") for view in views)
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            assert cell.source.split()[1].strip("`*,:.") in " ".join(shown)
