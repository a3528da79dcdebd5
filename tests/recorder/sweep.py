"""A full run that dies at its k-th change of the disk, for every k; run as a program so that forking is safe.

Usage: python sweep.py ROOT SCENARIO. For each k there is ROOT/k/ with the store and `acks.jsonl`: what the recorder
acknowledged before the end came.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from aipipe import files
from aipipe.records import OutputRecord
from aipipe.store import Store

RUN_ID = "01890000-0000-7000-8000-000000000001"
TYPES = ("input", "translation", "safety", "interception", "safety_pre_output", "output_image")
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415478da63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)
CRASHED = 73
Ack = Callable[..., None]


def whole_run(store: Store, ack: Ack) -> None:
    """The six-entity run, with states, a step of exchanges, provenance and an end."""
    recorder = store.create(
        "dada",
        run_id=RUN_ID,
        expected_outputs=TYPES,
        outputs=[OutputRecord(index=0, config="placeholder")],
        provenance={"plan": {"config": "dada"}},
    )
    ack("created")
    contents = ("Eine Blume", "A flower", {"safe": True}, "A torn flower", {"safe": True}, PNG)
    for number, (type_, content) in enumerate(zip(TYPES, contents, strict=True)):
        stage = (1, 1, 1, 2, 3, 4)[number]
        recorder.update_state(stage)
        ack("stage", number=str(stage))
        if type_ == "interception":
            recorder.append_exchange({"request": 1})
        entity = recorder.save_entity(type_, content)
        ack("entity", filename=entity.filename, sha256=entity.sha256)
    recorder.update_output(0, "completed")
    recorder.update_provenance({"end": True})
    recorder.finish("completed")
    ack("finished", status="completed")


def resume_run(store: Store, ack: Ack) -> None:
    """Finishing an interrupted run."""
    recorder = store.resume(RUN_ID)
    for type_, content in (
        ("interception", "A torn flower"),
        ("safety_pre_output", {"safe": True}),
        ("output_image", PNG),
    ):
        entity = recorder.save_entity(type_, content)
        ack("entity", filename=entity.filename, sha256=entity.sha256)
    recorder.finish("completed")
    ack("finished", status="completed")


def prepare_interrupted(store: Store) -> None:
    """Half a run whose writer died, with a file that nobody lists."""
    child = os.fork()
    if not child:
        recorder = store.create("dada", run_id=RUN_ID, expected_outputs=TYPES)
        for type_, content in (("input", "Eine Blume"), ("translation", "A flower"), ("safety", {"safe": True})):
            recorder.save_entity(type_, content)
        os._exit(0)
    os.waitpid(child, 0)
    (store.path / RUN_ID / "04_interception.txt").write_text("never acknowledged")


def repair(store: Store, ack: Ack) -> None:
    """Doctor at work on a torn run and on an interrupted one."""
    store.doctor(apply=True)
    ack("finished", status="repaired")


def prepare_torn(store: Store) -> None:
    """An interrupted run and a torn one."""
    prepare_interrupted(store)
    torn = store.path / "01890000-0000-7000-8000-000000000002"
    torn.mkdir()
    (torn / "metadata.json").write_text('{"format_version": 1, "run_')


SCENARIOS = {
    "run": (whole_run, None, "entity"),
    "run at stage": (whole_run, None, "stage"),
    "run at never": (whole_run, None, "never"),
    "resume": (resume_run, prepare_interrupted, "entity"),
    "resume at never": (resume_run, prepare_interrupted, "never"),
    "doctor": (repair, prepare_torn, "entity"),
}


def one(root: Path, scenario: str, k: int) -> bool:
    """Run the scenario in a child that dies at change number k; True if it died, False if it came to its end."""
    act, prepare, durability = SCENARIOS[scenario]
    root.mkdir(parents=True)
    store = Store(root / "runs", durability=durability)
    if prepare is not None:
        prepare(store)
    child = os.fork()
    if not child:
        _child(store, act, root / "acks.jsonl", k)
    _, code = os.waitpid(child, 0)
    exited = os.waitstatus_to_exitcode(code)
    if exited not in (0, CRASHED):
        raise SystemExit(f"{scenario} at {k}: exit {exited}")
    return exited == CRASHED


def _child(store: Store, act: Callable[[Store, Ack], None], acks: Path, k: int) -> None:
    left = k

    def die(name: str, path: Path, source: Path | None) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os._exit(CRASHED)

    def ack(what: str, **facts: str) -> None:
        with acks.open("a") as file:
            file.write(json.dumps({"what": what, **facts}) + "\n")

    files.set_operation_hook(die)
    try:
        act(store, ack)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    folder, name = Path(sys.argv[1]), sys.argv[2]
    number = 0
    while one(folder / f"{number:04d}", name, number):
        number += 1
    print(number)
