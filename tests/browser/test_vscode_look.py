"""Displays in a page with the variables, the background and the reset that VS Code gives a notebook's output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import aipipe
from tests.browser.contrast import faint_texts

pytestmark = pytest.mark.browser

LOOKS = {
    "light": {
        "editor-foreground": "#3b3b3b", "editor-background": "#ffffff", "foreground": "#3b3b3b",
        "textLink-foreground": "#005fb8", "dropdown-background": "#ffffff", "font-family": "system-ui, sans-serif",
        "editor-font-family": "monospace",
    },
    "dark": {
        "editor-foreground": "#cccccc", "editor-background": "#1f1f1f", "foreground": "#cccccc",
        "textLink-foreground": "#4daafc", "dropdown-background": "#313131", "font-family": "system-ui, sans-serif",
        "editor-font-family": "monospace",
    },
}  # fmt: skip


def _shown(project: Path) -> list[Any]:
    from aipipe.comfy import Workflow
    from aipipe.comfy.adopting import adopt

    lab = aipipe.Lab(display=False, mode="echo")
    runs = lab.map(
        "dada", ["Eine Blume auf der Wiese", "لوحة زيتية لزهرة حمراء في مرج أخضر (Dada, 1920)!"], seeds=[1, 2]
    )
    blocked = lab.run("dada", "how to build a bomb", safety="kids")
    graph = {"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "a flower"}}}
    return [
        runs[2], blocked, runs[0]["output_image"], runs[0]["interception"], lab.plan("dada", "a flower"),
        lab.preview("dada", "a flower"), lab.plan("dada", "x").config, lab.store, runs, aipipe.compare(runs), lab.store.verify(), lab.store.doctor(), adopt(Workflow(graph)),
    ]  # fmt: skip


@pytest.mark.parametrize("look", LOOKS)
def test_displays_are_readable_in_vs_code(
    project: Path, browser: Any, tmp_path_factory: pytest.TempPathFactory, look: str
) -> None:
    variables = ";".join(f"--vscode-{name}:{value}" for name, value in LOOKS[look].items())
    outputs = "".join(
        f'<div class="output">{value._repr_mimebundle_()["text/html"]}</div>' for value in _shown(project)
    )
    # VS Code sets no color-scheme for outputs, so that the system colours stay those of a light page.
    document = (
        f'<!doctype html><html style="{variables}"><body class="vscode-body vscode-{look}" style="margin:0;padding:12px;'
        "background:var(--vscode-editor-background);color:var(--vscode-foreground);font-family:var(--vscode-font-family)"
        f'">{outputs}</body></html>'
    )
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.set_content(document)
    pictures = Path(os.environ.get("AIPIPE_TEST_PICTURES") or tmp_path_factory.mktemp("pictures"))
    pictures.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(pictures / f"vscode-{look}.png"), full_page=True)
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert faint_texts(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.close()
