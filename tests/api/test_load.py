"""Many clients poll while runs move and event streams are open: no error, every stream sees its end, memory stays flat."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import api as load

SHORT = {"clients": 20, "runs": 3, "streams": 5, "pause": 0.1}
FULL = {"clients": 200, "runs": 20, "streams": 50}


def _under_load(root: Path, slow: float, **size: Any) -> dict[str, Any]:
    process, port = load.start("api", root, slow)
    try:
        asyncio.run(load.execute(port, "a flower", wait=True))  # what is loaded once is no growth
        return asyncio.run(load.load(port, process.pid, **size))
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.skipif(sys.platform == "win32", reason="signals end the server elsewhere")
def test_pollers_and_streams_see_no_error(tmp_path: Path) -> None:
    found = _under_load(tmp_path, 0.02, **SHORT)
    assert found["errors"] == 0
    assert found["polls"] >= SHORT["clients"]
    assert found["streams_that_saw_the_end"] == SHORT["streams"]


@pytest.mark.soak
def test_two_hundred_clients_poll_while_twenty_runs_move(tmp_path: Path) -> None:
    found = _under_load(tmp_path, 0.2, **FULL)
    print(found)
    assert found["errors"] == 0
    assert found["polls"] >= FULL["clients"]
    assert found["streams_that_saw_the_end"] == FULL["streams"]
    assert found["memory_growth_mb"] < 60
