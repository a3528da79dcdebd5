"""The analysis notebooks read through the loaders and run on the sample runs of every dialect."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from .building import DIALECTS

FOLDER = Path(__file__).parent.parent.parent / "analysis"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_code_of_a_notebook_runs_on_sample_runs(path: Path, tmp_path: Path) -> None:
    cells = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    script = tmp_path / "notebook.py"
    script.write_text("\n".join(cells), encoding="utf-8")
    store = tmp_path / "runs"
    shutil.copytree(DIALECTS, store)
    environment = {**os.environ, "AIPIPE_RUNS": str(store), "PYTHONPATH": str(FOLDER.parent)}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=FOLDER, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "found" in done.stdout
