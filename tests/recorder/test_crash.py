"""A process that dies at any change of the disk leaves a state the run really had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aipipe.store import Store
from tests.recorder.promises import check, read_acks
from tests.recorder.sweep import PNG, RUN_ID, TYPES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def sweep(root: Path, scenario: str) -> list[Path]:
    program = subprocess.run(
        [sys.executable, "-m", "tests.recorder.sweep", str(root), scenario],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    return sorted(path for path in root.iterdir() if path.is_dir())


def finish_whole(store: Store) -> None:
    """Resume what can be resumed, and bring it to its end."""
    run = store.open(RUN_ID)
    if run.status == "completed":
        return
    assert run.status == "interrupted"
    with store.resume(RUN_ID) as recorder:
        contents = dict(zip(TYPES, ("Eine Blume", "A flower", {"safe": True}, "x", {"safe": True}, PNG), strict=True))
        for type_ in TYPES[len(run.entities) :]:
            recorder.save_entity(type_, contents[type_])
    again = store.open(RUN_ID)
    assert again.status == "completed"
    assert len(again.record.attempts) == 2
    assert again.verify().clean, str(again.verify())


@pytest.mark.parametrize("scenario", ["run", "run at stage", "run at never"])
def test_every_crash_of_a_run_leaves_a_true_prefix_that_resumes(tmp_path: Path, scenario: str) -> None:
    cases = sweep(tmp_path, scenario)
    assert len(cases) > 50, "the seam must see every change of the disk"
    statuses = set()
    for case in cases:
        store = Store(case / "runs")
        status = check(store, read_acks(case / "acks.jsonl"))
        statuses.add(status)
        if status != "absent":
            finish_whole(store)
    assert statuses == {"absent", "running", "completed"}


@pytest.mark.parametrize("scenario", ["resume", "resume at never"])
def test_every_crash_of_a_resume_keeps_what_was_kept(tmp_path: Path, scenario: str) -> None:
    cases = sweep(tmp_path, scenario)
    assert len(cases) > 20
    for case in cases:
        store = Store(case / "runs")
        before = [{"what": "entity", "filename": f, "sha256": h} for f, h in KEPT.items()]
        check(store, before + read_acks(case / "acks.jsonl"))
        run = store.open(RUN_ID)
        if run.status == "interrupted":
            with store.resume(RUN_ID) as recorder:
                contents = {"interception": "x", "safety_pre_output": {"safe": True}, "output_image": PNG}
                for type_ in TYPES[len(run.entities) :]:
                    recorder.save_entity(type_, contents[type_])
        assert store.open(RUN_ID).status == "completed"


def _hashes() -> dict[str, str]:
    import hashlib

    from aipipe.recorder.content import to_json

    texts = {
        "01_input.txt": b"Eine Blume",
        "02_translation.txt": b"A flower",
        "03_safety.json": to_json({"safe": True}),
    }
    return {name: hashlib.sha256(data).hexdigest() for name, data in texts.items()}


KEPT = _hashes()


def test_every_crash_of_doctor_leaves_work_for_the_next_doctor_and_loses_nothing(tmp_path: Path) -> None:
    cases = sweep(tmp_path, "doctor")
    assert len(cases) > 2
    for case in cases:
        store = Store(case / "runs")
        store.doctor(apply=True)
        assert store.doctor(apply=False).clean
        assert store.doctor(apply=True).acts == [], "doctor is idempotent"
        check(store, [{"what": "entity", "filename": f, "sha256": h} for f, h in KEPT.items()])
        kept = list((case / "runs").rglob("04_interception.txt"))
        assert [p.read_text() for p in kept] == ["never acknowledged"], "set aside, never deleted"
        assert list((case / "runs" / ".quarantine").rglob("metadata.json"))
