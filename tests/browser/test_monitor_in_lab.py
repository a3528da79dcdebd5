"""The monitor in a real JupyterLab: it moves, it cancels, it leaves plain HTML behind."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser

SLOW = """
import time
import aipipe
from aipipe.backends.echo import EchoBackend

plain = EchoBackend.complete
def slow(self, request, watch):
    from aipipe.events import TextDelta
    for n in range(80):
        watch.cancellation.wait(0.1)
        watch.emit(TextDelta(step="interception", text=f"word{n} "))
    return plain(self, request, watch)
EchoBackend.complete = slow
lab = aipipe.Lab()
"""


def test_a_run_beside_its_cell_moves_and_its_cancel_button_works(lab: Any) -> None:
    lab.open(
        "cancel.ipynb", [SLOW, 'live = lab.start("dada", "A heron <script>alert(1)</script> in the reeds")', "1 + 1"]
    )
    lab.run_all()
    page = lab.page
    page.wait_for_selector(".aipm-stages li.running", timeout=25_000)
    page.wait_for_function("document.querySelector('.aipm-stream')?.textContent.includes('word5')", timeout=30_000)
    page.wait_for_selector(".aipm-text:has-text('<script>alert(1)</script>')")
    lab.shot("monitor-light", ".aipm")
    lab.dark()
    lab.shot("monitor-dark", ".aipm")
    page.click(".aipm-cancel")
    page.wait_for_selector(".aip-pill:has-text('cancelled')", timeout=10_000)
    assert page.locator(".aipm").count() == 0
    lab.shot("monitor-cancelled", ".aip")
    stored = lab.save("cancel.ipynb")
    outputs = stored.cells[1].outputs
    assert len(outputs) == 1
    assert set(outputs[0]["data"]) == {"text/html", "text/plain"}
    assert "cancelled" in outputs[0]["data"]["text/html"]
    assert "&lt;script&gt;" in outputs[0]["data"]["text/html"]


BLOCKING = ['run = lab.run("dada", "A heron")', 'print("after:", next(iter(lab.store)).status)']


def begin_blocking(lab: Any, name: str) -> Any:
    lab.open(name, [SLOW, *BLOCKING])
    lab.run_next()
    lab.run_next()
    page = lab.page
    page.wait_for_selector(".aipm-stages li.running", timeout=25_000)
    page.wait_for_function("document.querySelector('.aipm-stream')?.textContent.includes('word3')", timeout=30_000)
    return page


def test_an_interrupt_of_a_blocking_cell_cancels_the_run(lab: Any) -> None:
    page = begin_blocking(lab, "interrupt.ipynb")
    lab.command("notebook:interrupt-kernel")
    page.wait_for_selector(".aip-pill:has-text('cancelled')", timeout=15_000)
    page.wait_for_selector(".jp-OutputArea-output:has-text('KeyboardInterrupt')", timeout=15_000)
    lab.wait_idle()
    lab.run_cell(2)
    page.wait_for_selector(".jp-OutputArea-output:has-text('after: cancelled')", timeout=15_000)


def test_the_cancel_button_works_while_its_own_cell_blocks(lab: Any) -> None:
    page = begin_blocking(lab, "blocking.ipynb")
    page.click(".aipm-cancel")
    page.wait_for_selector(".aip-pill:has-text('cancelled')", timeout=5_000)
    lab.wait_idle()
    lab.run_cell(2)
    page.wait_for_selector(".jp-OutputArea-output:has-text('after: cancelled')", timeout=15_000)


def test_a_finished_run_stays_as_html_and_makes_room_for_the_run_below(lab: Any) -> None:
    lab.open("done.ipynb", ["import aipipe\nlab = aipipe.Lab()", 'lab.run("dada", "A heron in the reeds", seed=3)'])
    lab.run_all()
    page = lab.page
    page.wait_for_selector(".aip-pill:has-text('completed')", timeout=25_000)
    page.wait_for_selector(".aip img", timeout=20_000)
    page.wait_for_timeout(500)
    assert page.locator(".aip img").count() == 1
    assert page.locator(".aip").count() == 2
    lab.shot("run-in-lab")
    stored = lab.save("done.ipynb")
    assert "state" not in str(stored.metadata.get("widgets", ""))
    size = sum(len(str(output)) for output in stored.cells[1].outputs)
    assert size < 100_000, size
