"""After a power loss at any moment, what was acknowledged is there; and no sync call is there in vain."""

from __future__ import annotations

import functools
import hashlib
import json
import random
from pathlib import Path

import pytest

from aipipe import files
from aipipe.recorder import keeper
from aipipe.records import RunRecord
from aipipe.store import Store
from tests.recorder.power import Disk
from tests.recorder.promises import Broken
from tests.recorder.sweep import RUN_ID, TYPES, whole_run


@functools.lru_cache(maxsize=256)
def parse(document: bytes) -> RunRecord:
    return RunRecord.model_validate_json(document)


@functools.lru_cache(maxsize=256)
def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def _no_late_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper's late writes come by the clock; without them every recording makes the same calls."""
    monkeypatch.setattr(keeper.KEEPER, "add", lambda _: None)


def check_files(folder: Path, found: dict[Path, bytes], acks: list[dict[str, str]], durability: str) -> None:
    """The promises of one durability on a state that exists only in memory."""
    document = found.get(folder / "metadata.json")
    if document is None:
        if acks:
            raise Broken("acknowledged, but there is no metadata.json")
        return
    try:
        record = parse(document)
    except ValueError as error:
        raise Broken(f"metadata.json is torn: {document[:40]!r}") from error
    names = [entity.type for entity in record.entities]
    if names != list(TYPES[: len(names)]):
        raise Broken(f"not a prefix: {names}")
    forced = forced_by_now(acks, durability)
    listed = {}
    for entity in record.entities:
        data = found.get(folder / entity.filename)
        if data is not None and sha256(data) == entity.sha256:
            listed[entity.filename] = entity.sha256
        elif durability == "entity" or entity.filename in forced or has_ended(entity.stage, record):
            raise Broken(f"{entity.filename} is listed, but {'gone' if data is None else 'other bytes'}")
    for filename, digest in forced.items():
        if listed.get(filename) != digest:
            raise Broken(f"acknowledged, then lost: {filename}")
    if any(ack["what"] == "finished" for ack in acks) and record.status != "completed":
        raise Broken("acknowledged as finished, then not")
    check_provenance(found.get(folder / "provenance.json"), acks)


def check_provenance(document: bytes | None, acks: list[dict[str, str]]) -> None:
    """The plan is there as soon as anything was acknowledged, and whole."""
    if document is None and acks:
        raise Broken("the plan is gone")
    try:
        json.loads(document or b"{}")
    except ValueError as error:
        raise Broken("provenance.json is torn") from error


def has_ended(stage: int, record: RunRecord) -> bool:
    """Whether the record says that a stage is over."""
    return record.status != "running" or record.current_state.stage > stage


def forced_by_now(acks: list[dict[str, str]], durability: str) -> dict[str, str]:
    """File name → hash of what must survive: every acknowledged entity, or those whose stage has ended."""
    forced: dict[str, str] = {}
    waiting: dict[str, str] = {}
    stage = "0"
    for ack in acks:
        if ack["what"] == "entity":
            (forced if durability == "entity" else waiting)[ack["filename"]] = ack["sha256"]
        if ack["what"] == "finished" or (ack["what"] == "stage" and ack["number"] != stage):
            stage = ack.get("number", stage)
            forced.update(waiting)
    return forced


def record_on(root: Path, ignored: int | None, durability: str = "entity", promised: str = "") -> Disk:
    """Record a run on a model disk; every possible loss at every moment is checked while it goes on.

    What is checked are the promises of the durability `promised`, if it is another one.
    """
    disk = Disk(root, ignored)
    chance = random.Random(1)
    acks: list[dict[str, str]] = []
    folder = root / "runs" / RUN_ID

    def look() -> None:
        disk.settle()
        if ignored is not None and len(disk.syncs) <= ignored:
            return  # nothing was left out so far: the whole recording has its own test
        for state in disk.states(chance):
            check_files(folder, state, acks, promised or durability)

    def hook(name: str, path: Path, source: Path | None) -> None:
        # The state before this change, with everything that happened up to it.
        look()
        disk.on_operation(name, path, source)

    def ack(what: str, **facts: str) -> None:
        acks.append({"what": what, **facts})
        look()

    disk.names[root / "runs"] = disk.forced[root / "runs"] = None
    (root / "runs").mkdir()
    files.set_operation_hook(hook)
    try:
        whole_run(Store(root / "runs", durability=durability), ack)
        look()
    finally:
        files.set_operation_hook(None)
    return disk


@pytest.mark.parametrize("durability", ["entity", "stage"])
def test_no_power_loss_breaks_a_promise(tmp_path: Path, durability: str) -> None:
    disk = record_on(tmp_path, None, durability)
    assert len(disk.syncs) > 20


@pytest.mark.parametrize(("durability", "promised"), [("stage", "entity"), ("never", "stage")])
def test_the_weaker_levels_are_weaker(tmp_path: Path, durability: str, promised: str) -> None:
    """Proof that the model can see a loss: these levels promise less, and the model finds it."""
    with pytest.raises(Broken):
        record_on(tmp_path, None, durability, promised)


def test_at_never_nothing_waits_for_the_disk_not_even_in_a_new_store(tmp_path: Path) -> None:
    seen: list[str] = []
    files.set_operation_hook(lambda name, path, source: seen.append(name))
    try:
        whole_run(Store(tmp_path / "new" / "runs", durability="never"), lambda what, **facts: None)
    finally:
        files.set_operation_hook(None)
    assert "replace" in seen
    assert not [name for name in seen if "fsync" in name]


@pytest.mark.parametrize("durability", ["entity", "stage"])
def test_no_sync_call_is_there_in_vain(tmp_path: Path, durability: str) -> None:
    (tmp_path / "whole").mkdir()
    syncs = record_on(tmp_path / "whole", None, durability).syncs
    unneeded = []
    for number, name in enumerate(syncs):
        root = tmp_path / str(number)
        root.mkdir()
        try:
            record_on(root, number, durability)
        except Broken:
            continue
        unneeded.append((number, name))
    assert unneeded == [], unneeded
