"""The run history page with 100,000 runs: first paint, search, filter, scroll, memory. `pytest -m soak` runs it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import aipipe

pytestmark = pytest.mark.soak

COUNT = int(os.environ.get("AIPIPE_SOAK_RUNS", "100000"))
WORDS = ("heron", "reeds", "bus", "night", "kite", "field", "cat", "piano", "meadow", "lake")
RARE = 777
"""One run of so many has the rare word; the oldest run alone has "needle"."""


def _text(number: int) -> str:
    rare = "axolotl " if number % RARE == 5 else "needle " if number == 0 else ""
    return f"{rare}{WORDS[number % 10]} and {WORDS[number // 10 % 10]} number {number}"


def make_many(root: Path, count: int) -> None:
    """Real small runs, copied under new ids with texts of their own; pictures are links to a few files."""
    lab = aipipe.Lab(runs=root, mode="echo", display=False, durability="never")
    originals = [Path(lab.run(config, "a flower").folder) for config in ("dada", "bauhaus", "passthrough")]
    documents = [(original / "metadata.json").read_text() for original in originals]
    picture = (originals[0] / "06_output_image.png").read_bytes()
    shared: Path = root
    for number in range(count):
        kind = number % len(originals)
        run_id = f"01900000-{number >> 12 & 0xFFFF:04x}-7{number & 0xFFF:03x}-8000-{number:012x}"
        folder = root / run_id
        folder.mkdir()
        document = documents[kind].replace(originals[kind].name, run_id)
        if number % 10 == 9:
            document = document.replace('"status": "completed"', '"status": "failed"')
        (folder / "metadata.json").write_text(document)
        (folder / "01_input.txt").write_text(_text(number))
        target = folder / "06_output_image.png"
        if number % 20_000 == 0:  # a file system allows only so many links to one file
            target.write_bytes(picture)
            shared = target
        else:
            target.hardlink_to(shared)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the runs; AIPIPE_SOAK_STORE keeps it for the next time."""
    root = Path(os.environ.get("AIPIPE_SOAK_STORE") or tmp_path_factory.mktemp("many") / "runs")
    if not root.exists():
        make_many(root, COUNT)
    shutil.rmtree(root / ".aipipe", ignore_errors=True)
    return root


@contextlib.contextmanager
def serving(root: Path) -> Iterator[tuple[str, psutil.Process]]:
    """`aipipe serve` in a process of its own over the runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "aipipe", "serve", "--runs", str(root), "--port", str(port), "--modes", "echo"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def test_a_hundred_thousand_runs_are_usable(root: Path, browser: Any) -> None:
    figures: dict[str, float] = {}
    with serving(root) as (url, process):
        first_start(url, process, browser, figures)
    with serving(root) as (url, process):
        second_start(url, process, browser, figures)
    print({name: round(value, 2) for name, value in figures.items()})
    assert figures["server MB, grown by six searches"] < 50
    for name in ("first paint, warm", "frequent word", "rare word", "no filter again", "filter by state"):
        assert figures[name] < 4, (name, figures)  # the goal is 2 s; a shared machine gets twice as long
    after, before = figures["search of the oldest run, after a restart"], figures["search of the oldest run, cold"]
    assert after < before / 3, "a second start takes what the first one kept"


def second_start(url: str, process: psutil.Process, browser: Any, figures: dict[str, float]) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)

    def searched() -> None:
        page.goto(url)
        page.get_by_role("searchbox").fill("needle")
        page.wait_for_function("() => document.querySelector('.card')?.textContent.includes('needle')", timeout=180_000)

    figures["search of the oldest run, after a restart"] = _timed(searched)
    figures["server MB, after a restart"] = process.memory_info().rss / 1e6
    page.close()


def first_start(url: str, process: psutil.Process, browser: Any, figures: dict[str, float]) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    figures["server MB at start"] = process.memory_info().rss / 1e6

    def look(name: str, work: Callable[[], Any]) -> None:
        figures[name] = _timed(work)
        print(name, figures[name], flush=True)

    def search(text: str, found: str) -> None:
        page.get_by_role("searchbox").fill(text)
        page.wait_for_function(
            "text => { const cards = [...document.querySelectorAll('.card')];"
            " return cards.length && cards.every(c => c.textContent.includes(text)); }",
            arg=found,
            timeout=180_000,
        )

    def opened() -> None:
        page.goto(url)
        page.locator(".card").first.wait_for()

    look("first paint, cold", opened)
    page.get_by_text(f"{COUNT + 3:,} runs").wait_for()
    look("search of the oldest run, cold", lambda: search("needle", "needle"))
    figures["server MB, warm"] = process.memory_info().rss / 1e6
    look("first paint, warm", opened)
    look("frequent word", lambda: search("heron", "heron"))
    look("rare word", lambda: search("axolotl", "axolotl"))
    look("oldest run", lambda: search("needle", "needle"))
    look(
        "no filter again", lambda: (page.get_by_role("searchbox").fill(""), page.locator(".card").nth(40).wait_for())[0]
    )
    look("filter by state", lambda: _choose(page, "Status", "failed"))
    _choose(page, "Status", "")
    page.locator(".card").nth(40).wait_for()

    def scrolled() -> None:
        for _ in range(20):
            before = page.locator(".card").count()
            page.mouse.wheel(0, 60_000)
            page.locator(".card").nth(before + 20).wait_for(state="attached")

    look("scroll by twenty pages", scrolled)
    figures["cards in the page"] = page.locator(".card").count()
    figures["page MB"] = page.evaluate("performance.memory ? performance.memory.usedJSHeapSize / 1e6 : 0")
    settled = process.memory_info().rss / 1e6
    for _ in range(3):
        search("axolotl", "axolotl")
        search("heron", "heron")
    figures["server MB, grown by six searches"] = process.memory_info().rss / 1e6 - settled
    page.close()


def _choose(page: Any, label: str, value: str) -> None:
    page.get_by_label(label).select_option(value)
    if value:
        page.wait_for_function(
            "value => { const cards = [...document.querySelectorAll('.card')];"
            " return cards.length && cards.every(c => c.dataset.status === value); }",
            arg=value,
            timeout=60_000,
        )
