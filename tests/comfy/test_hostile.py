"""Servers that lie: whatever they name, nothing is written outside the folder, and every end is a typed one."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aipipe import comfy
from aipipe.comfy.collect import DEVICE_NAMES, safe_name
from aipipe.comfy.machine import Limits
from aipipe.errors import ComfyError
from aipipe.testing.comfy_server import ComfyServer, picture_graph

Entry = dict[str, Any]


class Lying(ComfyServer):
    """A server that changes its history, and serves a picture under every name."""

    def __init__(self, lie: Callable[[Entry], None]) -> None:
        super().__init__()
        self.lie = lie
        self.files = _Any()

    def entry(self, job_id: str) -> dict[str, Any]:
        answer = copy.deepcopy(super().entry(job_id))
        if job_id in answer:
            self.lie(answer[job_id])
        return answer


class _Any(dict[Any, bytes]):
    def get(self, key: Any, default: Any = None) -> Any:
        return next(iter(self.values()), default)


def renamed(name: Any, field: str = "filename") -> Callable[[Entry], None]:
    def lie(entry: Entry) -> None:
        for output in entry["outputs"].values():
            for files in output.values():
                for file in files:
                    file[field] = name

    return lie


def outputs(value: Any) -> Callable[[Entry], None]:
    return lambda entry: entry.update(outputs=value)


@pytest.mark.parametrize(
    "lie",
    [
        *(renamed(n) for n in ("../../x.png", "/x.png", "C:\\x.png", "a\0b.png", "x" * 5000 + ".png", "..", "con")),
        *(renamed(n) for n in ("語" * 400 + ".png", "\u202egnp.exe", "\ud800.png", "", None, 7, {"a": 1})),
        *(renamed(n, "subfolder") for n in ("../..", None, 5)),
        renamed("../../x", "type"),
        *(outputs(v) for v in (None, [1, 2], {"3": "x"}, {"3": {"images": "x"}}, {"3": {"images": [None, 1, "x"]}})),
        outputs(json.loads('{"3": {"images": ' + "[" * 300 + "]" * 300 + "}}")),
        lambda entry: entry.update(status="done"),
        lambda entry: entry.update(status=None, prompt=None),
    ],
)
def test_nothing_is_written_outside_the_folder_and_every_end_is_typed(
    lie: Callable[[Entry], None], tmp_path: Path
) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    with Lying(lie) as fake, comfy.connect(fake.url) as server:
        job = server.submit(picture_graph(), save_to=inner, limits=Limits(total=8, lost=1, late=2))
        try:
            made = job.wait(10).outputs
        except ComfyError as error:
            made = ()
            assert error.hint
            assert error.job_id == job.job_id
        assert all(o.path is not None and o.path.parent == inner for o in made)
    found = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {p.parent for p in found} <= {inner}
    assert len(found) == len(made)


@given(st.text(max_size=300))
@example("語" * 200 + ".png")
@example("x." + "語" * 200)
@example("\ud800")
@example("x" * 119 + " y")
@example("x." + " " * 20 + "y")
@example("CON" + " " * 130 + "x")
@example("con." + "x" * 120 + "." + " " * 20 + "con")
@example("con ." + "x" * 200 + ".png")
def test_every_name_becomes_one_that_a_disk_takes(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(os.fsencode(safe)) <= 150
    assert Path(safe).name == safe
    assert safe not in (".", "..")
    assert safe == safe.rstrip(". ")
    assert safe.split(".")[0].strip().upper() not in DEVICE_NAMES
    assert safe_name(safe) == safe
