"""Following a run of another process: it says what works, since when, and that nobody watches any more."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

import aipipe
from aipipe.events import Event, RunEnded, RunStarted, StepStarted, WatchEnded
from aipipe.store import Store
from aipipe.ui import watching
from aipipe.ui.monitor_view import text
from aipipe.ui.progress import Progress


class Seen:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.progress = Progress()

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self.progress.take(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def test_an_interrupted_watch_says_that_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path).create(config_name="mine", expected_outputs=["input", "translation"]) as recorder:
        recorder.update_state(stage=1, step="translation_and_safety")
        recorder.save_entity("input", "a heron")

        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(watching.time, "sleep", interrupt)
        seen = Seen()
        with pytest.raises(KeyboardInterrupt):
            aipipe.watch(tmp_path / recorder.run_id, observers=[seen])
        assert len(seen.of(WatchEnded)) == 1
        assert seen.of(RunEnded) == []
        assert seen.progress.cancel is None
        assert any("the run goes on" in notice for notice in seen.progress.notices)
        assert "running" in text(seen.progress)


def test_a_watched_run_counts_from_its_own_start_and_names_its_step(tmp_path: Path) -> None:
    with Store(tmp_path).create(config_name="mine", expected_outputs=["input", "translation"]) as recorder:
        recorder.update_state(stage=1, step="translation_and_safety")
        time.sleep(0.6)
        seen = Seen()
        watcher = threading.Thread(
            target=aipipe.watch, args=(tmp_path / recorder.run_id,), kwargs={"observers": [seen], "interval": 0.05}
        )
        watcher.start()
        while not seen.of(StepStarted):
            time.sleep(0.02)
        assert seen.of(RunStarted)[0].age >= 0.5
        assert seen.progress.activity
        recorder.close()
    watcher.join(10)
    assert seen.of(RunEnded)
