"""Processes killed at random moments while readers poll: no invalid read, no acknowledged entity lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aipipe.errors import RunNotFound
from aipipe.store import Store

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kill -9")

WRITER = """
import sys
from aipipe.store import Store
store = Store(sys.argv[1], durability=sys.argv[2])
while True:
    with store.create("dada", expected_outputs=["note"] * 5) as recorder:
        for number in range(5):
            entity = recorder.save_entity("note", f"{number} " * (1 + 400 * (number == 3)))
            print(recorder.run_id, entity.filename, entity.sha256, flush=True)
"""


class Poller(threading.Thread):
    """Reads metadata.json of every run over and over; each must be whole whenever it is there."""

    def __init__(self, root: Path) -> None:
        super().__init__(daemon=True)
        self.root, self.stop, self.reads = root, threading.Event(), 0
        self.broken: list[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            for path in self.root.glob("*/metadata.json"):
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue
                self.reads += 1
                try:
                    json.loads(data)
                except ValueError:
                    self.broken.append(f"{path}: {data[:60]!r}")
                if self.stop.is_set():
                    return


def trials(root: Path, count: int, seed: int, durability: str) -> None:
    chance = random.Random(seed)
    acknowledged: list[tuple[str, str, str]] = []
    poller = Poller(root)
    poller.start()
    for _ in range(count):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), durability], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged.append(tuple(process.stdout.readline().split()))  # type: ignore[arg-type]
        time.sleep(chance.uniform(0, 0.15))
        process.kill()
        rest = process.communicate()[0]
        acknowledged += [tuple(line.split()) for line in rest.splitlines() if len(line.split()) == 3]  # type: ignore[misc]
    poller.stop.set()
    poller.join()
    assert poller.broken == []
    assert poller.reads > count
    store = Store(root)
    kept = {}
    for run_id, filename, sha256 in acknowledged:
        if run_id not in kept:
            try:
                kept[run_id] = {e.filename: e.sha256 for e in store.open(run_id).entities}
            except RunNotFound:
                pytest.fail(f"run {run_id} was acknowledged and is gone")
        assert kept[run_id].get(filename) == sha256, f"{filename} of {run_id} was acknowledged and is gone"
    assert store.problems == []
    assert {run.status for run in store} <= {"completed", "interrupted"}
    store.doctor(apply=True)
    assert store.verify().clean


@pytest.mark.parametrize("durability", ["entity", "never"])
def test_killed_writers_lose_nothing_that_was_acknowledged(tmp_path: Path, durability: str) -> None:
    trials(tmp_path / "runs", 12, seed=1, durability=durability)


@pytest.mark.soak
@pytest.mark.parametrize("durability", ["entity", "never"])
def test_five_hundred_killed_writers(tmp_path: Path, durability: str) -> None:
    trials(tmp_path / "runs", 500, seed=2, durability=durability)
