"""A store finds its runs, whatever lies among them, and looks after them."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aipipe.errors import AmbiguousRun, FormatTooNew, RunNotFound, RunUnreadable
from aipipe.files import uuid7
from aipipe.store import Store, open_run

DATA = Path(__file__).parents[1] / "data"


def make(store: Store, name: str = "mine", **fields: object) -> str:
    with store.create(name, **fields) as recorder:  # type: ignore[arg-type]
        recorder.save_entity("input", "a flower")
    return recorder.run_id


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_runs_come_newest_first_and_are_found_by_prefix(store: Store) -> None:
    ids = [make(store) for _ in range(3)]
    assert [run.run_id for run in store] == ids[::-1]
    assert len(store) == 3
    assert store.open(ids[0]).run_id == ids[0]
    with pytest.raises(AmbiguousRun):
        store.open(ids[0][:4])
    with pytest.raises(RunNotFound):
        store.open("ffffffff")
    assert open_run(store.path / ids[1]).run_id == ids[1]


def test_filters_meet_fields_and_labels(store: Store) -> None:
    make(store, "dada", labels={"group": "A"})
    wanted = make(store, "bauhaus", labels={"group": "B"}, participant="P07")
    assert [run.run_id for run in store.filter(config_name="bauhaus")] == [wanted]
    assert [run.run_id for run in store.filter(participant="P07", status="completed")] == [wanted]


def test_one_bad_run_never_hides_the_others(store: Store) -> None:
    good = make(store)
    for number, content in enumerate([b"", b"{", b"\xef\xbb\xbf{}", b'{"run_id": 1}', b"[]", b"\x00" * 64]):
        folder = store.path / f"01890000-0000-7000-8000-00000000000{number}"
        folder.mkdir()
        (folder / "metadata.json").write_bytes(content)
    assert [run.run_id for run in store] == [good]
    assert len(store.problems) == 6
    assert all(problem.reason for problem in store.problems)


def test_a_newer_format_is_refused_politely(store: Store) -> None:
    run_id = make(store)
    path = store.path / run_id / "metadata.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(FormatTooNew, match="format version 2"):
        store.open(run_id)
    assert store.doctor(apply=True).acts == [], "a newer format is not damage"


def test_unknown_fields_survive_a_resume(store: Store) -> None:
    recorder = store.create("mine")
    recorder.save_entity("input", "x")
    recorder.close()
    path = recorder.folder / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "from_the_future": [1]}))
    with store.resume(recorder.run_id):
        pass
    assert json.loads(path.read_text())["from_the_future"] == [1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_torn_or_flipped_record_is_reported_and_never_changed(store: Store, data: st.DataObject) -> None:
    run_id = json.loads((DATA / "golden.json").read_text())["completed"]
    whole = (DATA / "runs" / run_id / "metadata.json").read_bytes()
    path = store.path / run_id / "metadata.json"
    path.parent.mkdir(parents=True)
    if data.draw(st.booleans()):
        poisoned = whole[: data.draw(st.integers(0, len(whole) - 2))]
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        poisoned = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    path.write_bytes(poisoned)
    try:
        store.open(run_id).verify()
    except RunUnreadable as error:
        assert str(path) in error.message
    assert path.read_bytes() == poisoned
    shutil.rmtree(path.parent)


def test_verify_names_missing_altered_extra_and_orphaned_files(store: Store) -> None:
    with store.create("mine") as recorder:
        for name in ("one", "two", "three"):
            recorder.save_entity(name, name)
    folder = recorder.folder
    (folder / "01_one.txt").unlink()
    (folder / "02_two.txt").write_text("other")
    (folder / "09_nine.txt").write_text("x")
    (folder / "notes.md").write_text("x")
    report = store.verify()
    assert {f.filename: f.kind for f in report.findings} == {
        "01_one.txt": "missing",
        "02_two.txt": "altered",
        "09_nine.txt": "orphaned",
        "notes.md": "extra",
    }
    assert not report.clean


def test_doctor_says_what_it_would_do_then_does_it_once(store: Store) -> None:
    run_id = make(store)
    (store.path / run_id / "07_orphan.txt").write_text("kept")
    torn = store.path / "01890000-0000-7000-8000-000000000002"
    torn.mkdir()
    (torn / "metadata.json").write_text("{")
    dry = store.doctor(apply=False)
    assert {act.what for act in dry.acts} == {"set orphan aside", "set aside"}
    assert torn.exists()
    store.doctor(apply=True)
    assert store.doctor(apply=False).clean
    assert next((store.path / run_id).rglob("07_orphan.txt")).read_text() == "kept"
    assert (store.path / ".quarantine" / torn.name / "metadata.json").read_text() == "{"


def test_merge_takes_over_what_is_new_and_reports_conflicts(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    new, same = make(other), make(other)
    other.open(new).tag("keep")
    shutil.copytree(other.path / same, store.path / same)
    different = make(store)
    shutil.copytree(store.path / different, other.path / different)
    path = other.path / different / "metadata.json"
    path.write_text(path.read_text().replace('"mine"', '"other"'))
    dry = store.merge(other, apply=False)
    assert len(store) == 2
    assert [act.run_id for act in dry.conflicts] == [different]
    store.merge(other, apply=True)
    assert store.open(new).verify().clean
    assert store.open(new).tags == ["keep"]
    assert store.open(different).config_name == "mine"


def test_prune_deletes_only_what_was_chosen_and_confirmed(store: Store) -> None:
    keep = make(store)
    with store.create("mine") as recorder:
        recorder.finish("failed", "x")
    assert [a.run_id for a in store.prune(status=["failed"], apply=False).acts] == [recorder.run_id]
    assert len(store) == 2
    store.prune(status=["failed"], apply=True)
    assert [run.run_id for run in store] == [keep]


def test_erase_removes_every_copy_and_leaves_a_tombstone_without_content(store: Store) -> None:
    gone = make(store, participant="P07")
    kept = make(store, participant="P08")
    store.open(gone).note("said something private")
    store.open(kept).tag("fine")
    notebook = store.path / "batches" / "b1" / "notebooks" / "k.1.ipynb"
    notebook.parent.mkdir(parents=True)
    notebook.write_text(json.dumps({"cells": [gone]}))
    thumbnail = store.path / ".aipipe" / "thumbnails" / "x.webp"
    thumbnail.parent.mkdir(parents=True)
    thumbnail.write_bytes(b"x")
    dry = store.erase(participant="P07", apply=False)
    assert dry.run_ids == [gone]
    assert notebook.exists()
    store.erase(participant="P07", apply=True)
    left = b"".join(p.read_bytes() for p in store.path.rglob("*") if p.is_file())
    assert b"private" not in left
    assert b"P07" not in left
    assert left.count(gone.encode()) == 1, "the tombstone"
    assert not notebook.exists()
    assert not thumbnail.exists()
    assert [run.run_id for run in store] == [kept]
    assert store.open(kept).tags == ["fine"]


def test_annotations_tolerate_a_torn_line_and_several_writers(store: Store) -> None:
    from aipipe.annotations import Annotations

    run_id = make(store)
    Annotations(store.path, "anna").tag(run_id, ["keep", "blue"])
    path = store.path / "annotations" / "anna.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    Annotations(store.path, "anna").star(run_id)
    Annotations(store.path, "ben").exclude(run_id, "a test")
    found = Annotations(store.path).of(run_id)
    assert found.tags == ["keep"]
    assert found.starred
    assert found.exclude_reason == "a test"


def _create_ten(root: str) -> None:
    for _ in range(10):
        make(Store(root))


def test_many_processes_create_runs_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_create_ten, args=(str(tmp_path / "runs"),)) for _ in range(6)]
    for worker in workers:
        worker.start()
    store = Store(tmp_path / "runs")
    while any(worker.is_alive() for worker in workers):
        for run in store:
            assert run.status in ("running", "completed")
        assert store.problems == []
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert len(list(store)) == 60
    assert store.verify().clean


CROWD = """
import os, sys
from aipipe.store import Store

store, children = Store(sys.argv[1]), []
for _ in range(64):
    child = os.fork()
    if not child:
        code = 1
        try:
            for _ in range(3):
                with store.create("dada", expected_outputs=["input"]) as recorder:
                    recorder.save_entity("input", "a flower")
            code = 0
        finally:
            os._exit(code)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_sixty_four_processes_create_runs_at_once_while_one_reads(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    crowd = subprocess.Popen([sys.executable, "-c", CROWD, str(store.path)])
    looks = 0
    while crowd.poll() is None:
        assert {run.status for run in store} <= {"running", "completed"}
        assert store.problems == []
        looks += 1
    assert crowd.returncode == 0
    assert looks > 1
    assert [run.status for run in store] == ["completed"] * 192
    assert len({run.run_id for run in store}) == 192
    assert store.verify().clean


def test_an_empty_folder_is_a_creation_and_later_removed(store: Store) -> None:
    """What a writer leaves that is killed between making the folder and taking the lease."""
    folder = store.path / uuid7()
    folder.mkdir(parents=True)
    assert store.verify().clean
    assert store.problems == []
    assert store.doctor(apply=True).acts == []
    os.utime(folder, (time.time() - 3600, time.time() - 3600))
    assert [act.what for act in store.doctor(apply=True).acts] == ["remove empty folder"]
    assert not folder.exists()
