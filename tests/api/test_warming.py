"""Reading a large store in the background: by other processes, without losing or hiding a run."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from aipipe.api import warming
from aipipe.api.reading import RunReader
from aipipe.api.warming import warm
from aipipe.store import Store
from tests.ui.made import make_run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(warming, "FEW", 10)
    monkeypatch.setattr(warming, "CHUNK", 7)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    for number in range(60):
        make_run(tmp_path, number, status="completed")
    (tmp_path / "01900000-0000-7fff-8000-000000000000").mkdir()
    return Store(tmp_path)


def summaries(reader: RunReader, store: Store) -> dict[str, Any]:
    return {name: reader.summary(name, {}) for name in sorted(p.name for p in store.path.iterdir() if p.name[0] != ".")}


def test_other_processes_find_what_this_one_would(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = summaries(RunReader(store), store)
    began: list[Any] = []
    real = subprocess.Popen

    def counted(*arguments: Any, **options: Any) -> Any:
        began.append(real(*arguments, **options))
        return began[-1]

    monkeypatch.setattr("subprocess.Popen", counted)
    reader = RunReader(store)
    warm(reader, threading.Event())
    assert len(began) == 2
    assert all(process.poll() == 0 for process in began), "they end with their work"
    assert reader.unread() == []
    monkeypatch.setattr("aipipe.api.reading.summary_of", lambda run: pytest.fail("nothing is read again"))
    assert summaries(reader, store) == plain


def test_a_run_that_changed_meanwhile_is_read_again(store: Store) -> None:
    reader = RunReader(store)
    warm(reader, threading.Event())
    path = next(p for p in sorted(store.path.iterdir()) if (p / "metadata.json").exists()) / "metadata.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"kids"', '"youth"'), encoding="utf-8")
    found = reader.summary(path.parent.name, {})
    assert found is not None
    assert found["safety_level"] == "youth"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills a process")
def test_what_a_killed_process_leaves_is_read_here(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def killed(*arguments: Any, **options: Any) -> Any:
        process = real(*arguments, **options)
        process.send_signal(signal.SIGKILL)
        return process

    monkeypatch.setattr("subprocess.Popen", killed)
    reader = RunReader(store)
    warm(reader, threading.Event())
    assert reader.unread() == []


def test_it_ends_when_told(store: Store) -> None:
    stop = threading.Event()
    stop.set()
    began = time.monotonic()
    reader = RunReader(store)
    warm(reader, stop)
    assert time.monotonic() - began < 10
    assert reader.unread() != []
