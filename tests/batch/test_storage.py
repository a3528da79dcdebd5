"""Clusters without a shared disk: results travel by fsspec, whole or not at all, and never twice."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from aipipe.batch import Batch, work
from aipipe.batch.ledger import Ledger
from aipipe.batch.storage import ANSWER, Storage, do_away, packed, place_of
from aipipe.errors import InvalidPlan, RecordingError, UsageError
from aipipe.store import Store
from tests.batch.test_batch import TEXTS, check_sums
from tests.batch.test_elsewhere import foreign, settled, task_of

pytest.importorskip("fsspec")


class Away:
    """An executor whose workers see neither the store nor the files that a task names."""

    def __init__(self, project: Path) -> None:
        self._pool = ThreadPoolExecutor(2)
        self._project = project

    def submit(self, function: Any, task: dict[str, Any], *more: Any) -> Future[Any]:
        blind: dict[str, Any] = json.loads(json.dumps(task))
        if function is do_away:
            blind |= {"runs": "/nowhere", "folder": "/nowhere"}
        return self._pool.submit(function, blind, *more)


@pytest.mark.parametrize("notebook", [False, None])
def test_results_come_home_from_a_cluster_without_a_shared_disk(
    project: Path, tmp_path: Path, notebook: bool | None
) -> None:
    storage = tmp_path / "bucket"
    batch = Batch(["dada"], TEXTS[:2], notebook=notebook)
    status = batch.run(workers=2, executor=Away(project), storage=f"file://{storage}", display=False)
    assert status.clean, str(status)
    check_sums(status)
    runs = batch.runs
    assert len(runs) == 2
    assert all(run.images and run.record.batch for run in runs)
    assert Store(project / "runs").verify().clean
    assert list(storage.rglob("*.json")) == [], "nothing stays behind"
    if notebook is None:
        for state in batch.states.values():
            document = json.loads((batch.folder / "notebooks" / state.notebook).read_text())
            assert document["metadata"]["aipipe"]["run_ids"] == state.run_ids


def test_images_travel_with_their_case(project: Path, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "red").save(project / "a.png")
    batch = Batch(
        ["picture_over_picture"], [{"text": "a flower", "image": "a.png"}], outputs=["placeholder"], notebook=False
    )
    task = packed(task_of(settled(batch)))
    (project / "a.png").rename(project / "gone.png")
    answer = do_away(task, f"file://{tmp_path / 'bucket'}")
    assert answer["state"] == "completed", answer


def test_what_was_left_by_a_dead_driver_is_taken_in_and_not_made_again(project: Path, tmp_path: Path) -> None:
    address = f"file://{tmp_path / 'bucket'}"
    batch = settled(Batch(["dada"], ["x"], notebook=False))
    answer = do_away(packed(task_of(batch)), address)
    foreign(Ledger(batch.folder).claim_of(batch.plan.cases[0].case_key, 1), 400)
    assert batch.status.counts["interrupted"] == 1
    status = batch.run(executor=Away(project), storage=address, display=False)
    assert status.clean
    assert [run.run_id for run in Store(project / "runs")] == answer["run_ids"]
    assert batch.states[batch.plan.cases[0].case_key].attempts == 1


def test_a_task_that_is_given_out_again_is_not_done_again(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"file://{tmp_path / 'bucket'}"
    task = packed(task_of(settled(Batch(["dada"], ["x"], notebook=False))))
    first = do_away(task, address)
    monkeypatch.setattr(work, "do_alone", lambda _: pytest.fail("done twice"))
    assert do_away(task, address) == first


def test_half_of_a_result_is_none(project: Path, tmp_path: Path) -> None:
    storage = Storage(f"file://{tmp_path / 'bucket'}")
    task = packed(task_of(settled(Batch(["dada"], ["x"], notebook=False))))
    do_away(task, storage.address)
    answer = tmp_path / "bucket" / place_of(task) / ANSWER
    answer.unlink()
    assert storage.answer(place_of(task)) is None
    answer.write_text("{")
    assert storage.answer(place_of(task)) is None
    metadata = next(answer.parent.rglob("metadata.json"))
    metadata.unlink()
    storage.fetch(place_of(task), project / "runs", tmp_path / "notebooks")
    assert list(Store(project / "runs")) == [], "a run without its metadata is no run"


def test_nothing_is_written_outside_of_the_store(project: Path, tmp_path: Path) -> None:
    from aipipe.batch.storage import _below

    for name in ("../x", "/etc/x", "a/../../x"):
        with pytest.raises(RecordingError, match="outside"):
            _below(tmp_path / "local", name)


def test_a_storage_that_does_not_work_is_refused_first(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    batch = Batch(["dada"], ["x"], notebook=False)
    with pytest.raises(InvalidPlan, match="cannot be written"):
        batch.run(executor=Away(project), storage=f"file://{tmp_path}/file/below", display=False)
    with pytest.raises(InvalidPlan, match="cannot be written"):
        batch.run(executor=Away(project), storage="nosuchkind://x", display=False)
    with pytest.raises(UsageError, match="do not see this disk"):
        batch.run(storage=f"file://{tmp_path}", display=False)
    assert not (project / "runs" / "batches").exists()
