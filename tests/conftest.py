"""Isolation of every test, and the one rule for real parts: missing means skipped, or failed where they are required."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REQUIRED = "AIPIPE_REQUIRE_REAL"


def need_real(variable: str, what: str) -> str:
    """The address of a real part; without it the test skips, or fails where real parts are required."""
    value = os.environ.get(variable, "")
    if value:
        return value
    reason = f"needs {what}: set {variable}"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the user's settings, project or Ollama address; none leaves a hook behind."""
    from aipipe import files

    keep = ("AIPIPE_TEST_", "AIPIPE_REQUIRE_REAL", "AIPIPE_CHROMIUM", "AIPIPE_EMBEDDED_MODEL")
    for name in list(os.environ):
        if name.startswith("AIPIPE_") and not name.startswith(keep):
            monkeypatch.delenv(name)
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    yield
    files.set_operation_hook(None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project in echo mode; the current directory lies inside it."""
    (tmp_path / "aipipe.toml").write_text('mode = "echo"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path
