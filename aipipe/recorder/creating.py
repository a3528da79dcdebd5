"""The folder of a new run, and its recorder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aipipe import files, lease, timestamps
from aipipe.errors import RunExists, UnsafePath
from aipipe.recorder.folder import Durability
from aipipe.recorder.progress import progress
from aipipe.recorder.recorder import LivePipelineRecorder
from aipipe.records import AttemptRecord, RunRecord


def create_recorder(
    root: Path,
    fields: Mapping[str, Any],
    *,
    run_id: str | None,
    durability: Durability,
    provenance: Mapping[str, Any] | None,
) -> LivePipelineRecorder:
    """Make the folder of a new run under `root` and its recorder.

    Raises:
        UnsafePath: `run_id` is not a UUID.
        RunExists: there is a run (or anything else) of this name.
        RecordingError: the disk refused.
    """
    name = files.check_run_id(run_id) if run_id is not None else files.uuid7()
    folder = root / name
    own = lease.own(1)
    record = _first_record(name, own, fields)
    with files.typed_errors("The run could not be created", folder):
        _make_root(root, sync=durability != "never")
        files.operation("mkdir", folder)
        try:
            folder.mkdir()
        except FileExistsError:
            raise RunExists(
                f"There is already a run {name} in {root}.", hint="Leave run_id out to have a new one made."
            ) from None
        lease.claim(folder, own)
        if durability != "never":
            files.sync_folder(root)
    recorder = LivePipelineRecorder(folder, record, 1, durability, provenance or {})
    recorder.start()
    return recorder


def check_root(root: Path) -> None:
    """Refuse a store that is a file.

    Raises:
        UnsafePath: `root` exists and is not a folder.
    """
    if root.exists() and not root.is_dir():
        raise UnsafePath(f"{root} is not a folder.", hint="Choose a folder for the runs.")


def _first_record(run_id: str, own: lease.Lease, fields: Mapping[str, Any]) -> RunRecord:
    now = timestamps.now()
    attempt = AttemptRecord(started=now, host=own.host, pid=own.pid)
    record = RunRecord(run_id=run_id, timestamp=now, started=now, attempts=[attempt], **fields)
    record.current_state.progress = progress(record)
    return record


def _make_root(root: Path, *, sync: bool) -> None:
    """Make the store's folder; with `sync`, each new ancestor's name is forced to disk too."""
    if root.is_dir():
        return
    new = []
    path = root
    while not path.exists():
        new.append(path)
        path = path.parent
    root.mkdir(parents=True, exist_ok=True)
    for made in reversed(new if sync else []):
        files.sync_folder(made.parent)
