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


def check_files(folder: Path, found: dict[Path, bytes], acks: list[dict[str, str]]) -> None:
    """The promises on a state that exists only in memory."""
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
    listed = {}
    for entity in record.entities:
        data = found.get(folder / entity.filename)
        if data is None or sha256(data) != entity.sha256:
            raise Broken(f"{entity.filename} is listed, but {'gone' if data is None else 'other bytes'}")
        listed[entity.filename] = entity.sha256
    for ack in acks:
        if ack["what"] == "entity" and listed.get(ack["filename"]) != ack["sha256"]:
            raise Broken(f"acknowledged, then lost: {ack['filename']}")
        if ack["what"] == "finished" and record.status != "completed":
            raise Broken("acknowledged as finished, then not")
    provenance = found.get(folder / "provenance.json")
    if provenance is None and acks:
        raise Broken("the plan is gone")
    try:
        json.loads(provenance or b"{}")
    except ValueError as error:
        raise Broken("provenance.json is torn") from error


def record_on(root: Path, ignored: int | None, durability: str = "entity") -> Disk:
    """Record a run on a model disk; every possible loss at every moment is checked while it goes on."""
    disk = Disk(root, ignored)
    chance = random.Random(1)
    acks: list[dict[str, str]] = []
    folder = root / "runs" / RUN_ID

    def look() -> None:
        disk.settle()
        if ignored is not None and len(disk.syncs) <= ignored:
            return  # nothing was left out so far: the whole recording has its own test
        for state in disk.states(chance):
            check_files(folder, state, acks)

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


def test_no_power_loss_breaks_a_promise(tmp_path: Path) -> None:
    disk = record_on(tmp_path, None)
    assert len(disk.syncs) > 20


@pytest.mark.parametrize("durability", ["stage", "never"])
def test_the_weaker_levels_are_weaker(tmp_path: Path, durability: str) -> None:
    """Proof that the model can see a loss: these levels promise less, and the model finds it."""
    with pytest.raises(Broken):
        record_on(tmp_path, None, durability)


def test_at_never_nothing_waits_for_the_disk_not_even_in_a_new_store(tmp_path: Path) -> None:
    seen: list[str] = []
    files.set_operation_hook(lambda name, path, source: seen.append(name))
    try:
        whole_run(Store(tmp_path / "new" / "runs", durability="never"), lambda what, **facts: None)
    finally:
        files.set_operation_hook(None)
    assert "replace" in seen
    assert not [name for name in seen if "fsync" in name]


def test_no_sync_call_is_there_in_vain(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    syncs = record_on(tmp_path / "whole", None).syncs
    unneeded = []
    for number, name in enumerate(syncs):
        root = tmp_path / str(number)
        root.mkdir()
        try:
            record_on(root, number)
        except Broken:
            continue
        unneeded.append((number, name))
    assert unneeded == []
