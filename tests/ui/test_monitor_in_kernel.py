"""The monitor in a real kernel, driven as papermill and nbconvert drive it: what the stored notebook says."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CELLS = [
    "import logging, io, aipipe\nheard = io.StringIO()\nlogging.getLogger('aipipe').addHandler(logging.StreamHandler(heard))\nlab = aipipe.Lab()",
    'run = lab.run("dada", "A heron in the reeds", seed=3)',
    'lab.run("dada", "A heron in the reeds", seed=4)',
    'live = lab.start("dada", "Two kites over a field", seed=5)',
    "finished = live.wait(30)",
    'async_run = await lab.start("dada", "A cat asleep", seed=6)',
    "print(sorted({r.status for r in lab.store}), len(lab.store), repr(heard.getvalue()))",
]


def execute(project: Path) -> Any:
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the client and its sockets, not of the code under test
        NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(project)}}).execute()
    return notebook


@pytest.mark.parametrize("widgets", ["", "1"])
def test_every_run_leaves_one_plain_output_that_says_how_it_ended(
    project: Path, monkeypatch: pytest.MonkeyPatch, widgets: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    if widgets:
        monkeypatch.setenv("AIPIPE_WIDGETS", widgets)
    notebook = execute(project)
    shown = [
        [o for o in cell.outputs if o.output_type in ("display_data", "execute_result")] for cell in notebook.cells
    ]
    assert [len(outputs) for outputs in shown] == [0, 1, 2, 1, 0, 1, 0]
    for outputs in shown:
        for output in outputs:
            assert set(output.data) == {"text/html", "text/plain"}
            assert "completed" in output.data["text/html"]
            assert "<script" not in output.data["text/html"]
            assert len(output.data["text/html"]) < 100_000
    assert "<img" in shown[1][0].data["text/html"]
    assert "<img" not in shown[2][0].data["text/html"], "the run below shows its picture already"
    assert "Two kites over a field" in shown[3][0].data["text/html"]
    said = "".join(o.text for o in notebook.cells[-1].outputs if o.output_type == "stream" and o.name == "stdout")
    assert said == "['completed'] 4 ''\n"
    if not widgets:
        assert "widgets" not in notebook.metadata
