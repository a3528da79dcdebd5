"""Taking over a run whose writer is gone."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from aipipe import files, lease, timestamps
from aipipe.errors import RunLocked, UsageError, WriterReplaced
from aipipe.recorder import LivePipelineRecorder
from aipipe.recorder.folder import Durability
from aipipe.recorder.progress import progress
from aipipe.records import AttemptRecord, EntityRecord, RunRecord
from aipipe.store.run import Run

RESUMABLE = ("interrupted", "failed", "cancelled")


def take_over(folder: Path, durability: Durability) -> LivePipelineRecorder:
    """Fence off the old writer, keep what verifies, and continue under the next epoch.

    Raises:
        RunLocked: the writer lives; owner, host and age are given.
        UsageError: the run is completed or blocked.
        RecordingError: the disk refused.
    """
    run = Run(folder)
    dead = lease.writer_folders(folder)
    _refuse_live(run)
    status = run.status
    if status == "running":  # a rival was faster between the two looks
        _refuse_live(run)
        raise _too_late(folder)
    if status not in RESUMABLE:
        raise UsageError(
            f"Run {run.run_id} is {status}; there is nothing to resume.", hint="lab.rerun(run) makes it again."
        )
    with files.typed_errors("The run could not be taken over", folder):
        epoch = _fence(folder, dead, len(run.record.attempts))
        # The old writer may have published once more before the fence, or a rival may have ended the run.
        run.refresh()
        record = run.record
        if record.status in ("completed", "blocked"):
            _remove_tree(folder / f".writer-{epoch}")
            raise UsageError(f"Run {run.run_id} is {record.status} by now; there is nothing to resume.")
        _set_aside(folder, record, epoch)
    own = lease.own(epoch)
    for attempt in record.attempts:
        if attempt.status == "running":
            attempt.status = "interrupted"
    record.attempts.append(AttemptRecord(started=timestamps.now(), host=own.host, pid=own.pid))
    record.status, record.reason, record.finished = "running", None, None
    for output in record.outputs:
        if output.outcome in ("failed", "cancelled"):
            output.outcome, output.reason = "planned", None
    record.current_state.progress = progress(record)
    recorder = LivePipelineRecorder(folder, record, epoch, durability, run.provenance)
    recorder.start()
    return recorder


def _refuse_live(run: Run) -> None:
    writer = lease.find(run.folder)
    if writer is None or not writer.alive:
        return
    owner = f"process {writer.lease.pid}" if writer.lease else "a process that is just starting"
    host = writer.lease.host if writer.lease else ""
    raise RunLocked(
        f"Run {run.run_id} is being written by {owner} on {host or 'this host'} (lease {writer.age:.0f} s old).",
        hint="Wait for it, or watch it with aipipe.watch(run_id).",
        owner=writer.lease.pid if writer.lease else None,
        host=host,
        age=writer.age,
    )


def _fence(folder: Path, old: list[Path], attempts: int) -> int:
    """Rename the folders of writers that were seen dead, and make the next; of several successors only one wins.

    Only what was looked at is renamed: a folder that appeared since then belongs to a rival. Epochs never go back, or a
    thawed writer would find a folder of its old name: the renamed folders stay until the next writer's is there, and each
    recorded attempt counts as an epoch. A rival that looked between the two may still claim a lower one; it gives up
    when it sees the higher.
    """
    gone = [int(p.name.rpartition("-")[2]) for p in folder.glob(".gone-*") if p.name.rpartition("-")[2].isdigit()]
    last = max([*(_epoch(path) for path in old), *gone, attempts])
    renamed = []
    for path in old:
        target = folder / f".gone-{_epoch(path)}"
        files.operation("rename", target, path)
        try:
            os.rename(path, target)  # noqa: PTH104  must fail, not overwrite, when somebody else was faster
        except FileNotFoundError:
            raise _too_late(folder) from None
        renamed.append(target)
    epoch = last + 1
    try:
        own = lease.claim(folder, lease.own(epoch))
    except FileExistsError:
        raise _too_late(folder) from None
    if any(_epoch(path) > epoch for path in lease.writer_folders(folder)):
        _remove_tree(own)
        raise _too_late(folder)
    for path in renamed:
        _remove_tree(path)
    files.sync_folder(folder)
    return epoch


def _epoch(writer: Path) -> int:
    return int(writer.name.rpartition("-")[2])


def _too_late(folder: Path) -> WriterReplaced:
    return WriterReplaced(f"Somebody else just took over {folder.name}.", hint="Look at it again.")


def _remove_tree(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _set_aside(folder: Path, record: RunRecord, epoch: int) -> None:
    """Move files that are not listed, and listed files that do not verify, out of the way: never lost, never in it."""
    good = [entity for entity in record.entities if _verifies(folder, entity)]
    listed = {entity.filename for entity in good}
    aside = folder / f".set-aside-{epoch}"
    for path in sorted(folder.iterdir()):
        numbered = path.name[:1].isdigit() and "_" in path.name
        if numbered and path.name not in listed and not path.is_symlink() and path.is_file():
            aside.mkdir(exist_ok=True)
            files.operation("rename", path)
            os.rename(path, aside / path.name)  # noqa: PTH104
    record.entities[:] = good


def _verifies(folder: Path, entity: EntityRecord) -> bool:
    try:
        path = files.contained(folder, entity.filename)
        if path.stat().st_size != entity.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == entity.sha256
    except (OSError, UsageError):
        return False
