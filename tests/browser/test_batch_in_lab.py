"""A batch in a real JupyterLab: it shows how it goes, its buttons work while the cell blocks, it leaves plain HTML behind."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser

SLOW = """
import os, time
from pathlib import Path
import aipipe
project = Path("batch-project")
project.mkdir(exist_ok=True)
from aipipe.testing import Fault, ModelServer
server = ModelServer(lambda _: ("a torn flower <b>bold</b>", Fault(stall=0.4)))
server.__enter__()
(project / "aipipe.toml").write_text(
    'mode = "eco"\\nsafety = "off"\\n[modes.eco]\\nbackend = "ollama"\\n[modes.eco.models]\\ntranslation = "tiny"\\n'
    'interception = "tiny"\\n[modes.eco.outputs]\\nimage = "placeholder"\\n[backends.ollama]\\nurl = "%s"\\n' % server.url
)
batch = aipipe.Batch(["dada", "bauhaus"], [f"<i>Blume</i> {n}" for n in range(20)], notebook=False, project=project)
"""


def test_a_batch_shows_how_it_goes_and_its_buttons_work_while_its_cell_blocks(lab: Any) -> None:
    lab.open(
        "batch.ipynb",
        [SLOW, "status = batch.run(workers=2)", "print('after:', status.counts['running'], status.done)"],
    )
    lab.run_next()
    lab.wait_idle()
    lab.run_next()
    page = lab.page
    page.wait_for_selector(".aipb-pause", timeout=40_000)
    page.wait_for_function("document.querySelector('.aipb')?.textContent.includes('Running now')", timeout=40_000)
    page.wait_for_function("document.querySelectorAll('.aipb img').length > 1", timeout=60_000)
    page.wait_for_selector(".aipb li:has-text('<i>Blume</i>')")
    lab.shot("batch-light", ".aipb")
    lab.dark()
    lab.shot("batch-dark", ".aipb")
    page.click(".aipb-pause")
    page.wait_for_selector(".aipb-resume:visible", timeout=10_000)
    page.wait_for_function(
        "document.querySelector('.aipb')?.textContent.includes('paused by a person')", timeout=20_000
    )
    page.click(".aipb-resume")
    page.wait_for_selector(".aipb-pause:visible", timeout=10_000)
    page.click(".aipb-drain")
    lab.wait_idle()
    assert page.locator(".aipb").count() == 0
    lab.run_cell(2)
    page.wait_for_selector(".jp-OutputArea-output:has-text('after: 0 False')", timeout=15_000)
    stored = lab.save("batch.ipynb")
    shown = [output for output in stored.cells[1].outputs if "data" in output]
    assert set(shown[0]["data"]) == {"text/html", "text/plain"}
    assert "waiting" in shown[0]["data"]["text/plain"]
    assert "&lt;i&gt;Blume" in shown[0]["data"]["text/html"]
