"""`LivePipelineRecorder`: writes one run, durably, one entity at a time."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from aipipe import files, lease, timestamps
from aipipe.errors import RecordingError, RunCancelled, RunFinished, UnsafePath, UsageError, WriterReplaced
from aipipe.recorder.content import decide_format, open_content, to_json
from aipipe.recorder.keeper import KEEPER
from aipipe.recorder.pending import PendingEntity
from aipipe.recorder.progress import missing, progress
from aipipe.records import STEPS, TERMINAL, AttemptRecord, EntityRecord, Reason, RunRecord, StepRecord

log = logging.getLogger(__name__)

Durability = Literal["entity", "stage", "never"]
DURABILITIES: tuple[Durability, ...] = get_args(Durability)
METADATA = "metadata.json"
PROVENANCE = "provenance.json"
EXCHANGES = "exchanges.jsonl"


class LivePipelineRecorder:
    """Writes one run. Made by `Store.create` and `Store.resume`; usable from several threads of the run.

    The order of every publish is fixed: bytes to a temporary file and to disk, rename to the final name, folder to disk,
    new metadata.json to a temporary file and to disk, replace, folder to disk. Whatever happens in between, the
    metadata.json that readers see is complete and lists only what exists.

    Attributes:
        folder: The run folder.
        durability: "entity" (all of the above for each entity), "stage" (only when a stage ends and at the end) or
            "never".
    """

    def __init__(
        self, folder: Path, record: RunRecord, epoch: int, durability: Durability, provenance: Mapping[str, Any]
    ) -> None:
        self.folder = folder
        self.durability = durability
        self._record = record
        self._lock = threading.RLock()
        self._metadata = folder / METADATA
        self._writer = folder / f".writer-{epoch}"
        self._counter = 0
        self._dirty = False
        self._unsynced: list[Path] = []
        self._closed = threading.Event()
        self._provenance: dict[str, Any] = files.redact(dict(provenance))
        self._begun = time.monotonic()
        self._earlier = record.seconds or 0.0

    def _start(self) -> None:
        """Write the first state; the lease is held already."""
        with files.typed_errors("The run could not be created", self.folder):
            self._write_provenance()
            self._write_metadata()
        KEEPER.add(self)

    # What is recorded

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._record.run_id

    @property
    def record(self) -> RunRecord:
        """The record as it stands. Read it, do not change it."""
        return self._record

    @property
    def provenance(self) -> dict[str, Any]:
        """The content of provenance.json as it stands."""
        return self._provenance

    def update_state(self, stage: int, step: str | None = None, progress: str | None = None) -> None:
        """Enter a stage and step. Reaches the disk with the next entity, or after half a second.

        Args:
            stage: 0 to 5.
            step: Name of the step; None takes the stage's usual one.
            progress: Checked against what the plan and the entities say, where it is given.

        Raises:
            UsageError: a stage that does not exist, or a progress that is not true.
            RunFinished: the run has ended.
        """
        with self._lock:
            self._check_open()
            if stage not in STEPS:
                raise UsageError(f"There is no stage {stage!r}.", hint="Stages are 0 to 5; see docs/run-format.")
            derived = self._record.current_state.progress
            if progress is not None and progress != derived:
                raise UsageError(
                    f"The progress is {derived}, not {progress!r}.", hint="Leave progress out; it is derived."
                )
            ended = stage != self._record.current_state.stage
            self._record.current_state.stage = stage
            self._record.current_state.step = step or STEPS[stage]
            self._dirty = True
            if ended and self.durability == "stage":
                self._flush(sync=True)
        KEEPER.wake()

    def save_entity(
        self,
        type: str,  # noqa: A002  the format's own word
        content: Any,
        metadata: Mapping[str, Any] | None = None,
        **place: Any,
    ) -> EntityRecord:
        """Save one thing; when this returns it is kept.

        Args:
            type: Entity type, for example "interception".
            content: str, dict, list, pydantic model, bytes, path, binary stream, PIL image, array or figure.
            metadata: JSON-able facts.
            place: stage, input, output, file_index, iteration, reused_from, checked: where the entity belongs.

        Returns:
            The entity's entry, with its file name, size and hash.

        Raises:
            UnsafePath: the type cannot be part of a file name.
            InvalidInput: the content or a fact cannot be written.
            RunFinished: the run has ended.
            WriterReplaced: another process took the run over.
            StorageFull, RecordingError: the disk refused; the earlier state is intact.
        """
        checked = place.pop("checked", None)
        return self.stage_entity(type, content, metadata, **place).publish(checked=checked)

    def stage_entity(
        self,
        type: str,  # noqa: A002
        content: Any,
        metadata: Mapping[str, Any] | None = None,
        *,
        limit: int | None = None,
        **place: Any,
    ) -> PendingEntity:
        """Bring the bytes to disk without making them part of the run yet.

        Args:
            type: As for `save_entity`.
            content: As for `save_entity`.
            metadata: As for `save_entity`.
            limit: Largest size in bytes.
            place: As for `save_entity`, without checked.

        Returns:
            A handle to look at, then publish or discard.

        Raises:
            UnsafePath, InvalidInput, RunFinished, WriterReplaced, StorageFull, RecordingError: as for `save_entity`.
        """
        files.check_entity_type(type)
        unknown = set(place) - {"stage", "input", "output", "file_index", "iteration", "reused_from"}
        if unknown:
            raise UsageError(f"save_entity has no argument {min(unknown)!r}.", hint="Facts go into metadata={…}.")
        facts = _plain(metadata)
        self._check_open()
        stream, hint, own = open_content(content)
        path = self._temporary()
        try:
            with self._disk("The entity could not be written", path):
                written = files.write_stream(path, stream, sync=self.durability == "entity", limit=limit)
        finally:
            if own:
                stream.close()
        format_ = decide_format(hint, written.head, written.size)
        return PendingEntity(type, path, written.size, written.sha256, format_, place, facts, self)

    def _publish(self, pending: PendingEntity, metadata: Mapping[str, Any] | None, checked: Any) -> EntityRecord:
        facts = {**pending.metadata, **_plain(metadata)}
        with self._lock:
            self._check_open()
            sequence = 1 + max((e.sequence for e in self._record.entities), default=0)
            filename = f"{sequence:02d}_{pending.type}.{pending.format.extension}"
            place = {
                "stage": self._record.current_state.stage,
                **{k: v for k, v in pending.place.items() if v is not None},
            }
            entity = EntityRecord(
                sequence=sequence,
                type=pending.type,
                filename=filename,
                timestamp=timestamps.now(),
                metadata=facts,
                media_type=pending.media_type,
                mime=pending.mime,
                size=pending.size,
                sha256=pending.sha256,
                checked=checked,
                **place,
            )
            target = self.folder / filename
            with self._disk("The entity could not be published", target):
                files.replace(pending.path, target)
                if self.durability == "entity":
                    files.sync_folder(self.folder)
                else:
                    self._unsynced.append(target)
            self._record.entities.append(entity)
            before = self._record.current_state.progress
            self._record.current_state.progress = self._progress()
            try:
                self._flush(sync=self.durability == "entity")
            except BaseException:
                self._take_back(entity, target, before)
                raise
            return entity

    def _take_back(self, entity: EntityRecord, target: Path, progress_before: str) -> None:
        """Undo a publish that failed half way: nobody was told of it, and memory must equal the disk.

        The metadata.json on disk may list the entity already, so the file goes last. Where even the old state cannot be
        written, the entity stays, listed and with its file.
        """
        self._record.entities.remove(entity)
        progress_now, self._record.current_state.progress = self._record.current_state.progress, progress_before
        try:
            self._write_metadata(sync=False)
        except (OSError, RecordingError):
            if _lists(self._metadata, entity.filename):
                self._record.entities.append(entity)
                self._record.current_state.progress = progress_now
                return
        with contextlib.suppress(OSError):
            target.unlink()

    def save_error(
        self,
        stage: int,
        error_type: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        output: int | None = None,
    ) -> EntityRecord:
        """Save an error entity.

        Args:
            stage: Stage in which it happened.
            error_type: Kind of the error.
            message: Sentence for a person.
            details: JSON-able facts.
            output: Index of the output it concerns.
        """
        content = {
            "stage": stage,
            "error_type": error_type,
            "message": message,
            "timestamp": timestamps.now(),
            "details": files.redact(json.loads(json.dumps(dict(details or {}), default=str))),
        }
        return self.save_entity(
            "error", content, {"stage": stage, "error_type": error_type}, stage=stage, output=output
        )

    def record_step(self, step: StepRecord) -> None:
        """Add one call to `steps`; reaches the disk with the next entity, or after half a second."""
        with self._lock:
            self._check_open()
            self._record.steps.append(step)
            self._dirty = True
        KEEPER.wake()

    def update_input(self, index: int, **fields: Any) -> None:
        """Set fields of an input, for example its language."""
        with self._lock:
            self._check_open()
            for item in self._record.inputs:
                if item.index == index and item.kind == "text":
                    for name, value in fields.items():
                        setattr(item, name, value)
            self._dirty = True

    def update_output(self, index: int, outcome: Any, reason: Reason | None = None) -> None:
        """Set how an output ended."""
        with self._lock:
            self._check_open()
            for item in self._record.outputs:
                if item.index == index:
                    item.outcome, item.reason = outcome, reason
            self._dirty = True

    def append_exchange(self, exchange: Mapping[str, Any]) -> None:
        """Append a raw request and answer to exchanges.jsonl, without secrets."""
        self._check_open()
        line = json.dumps(files.redact(dict(exchange)), ensure_ascii=False, default=str)
        with self._lock, self._disk("The exchange could not be written", self.folder / EXCHANGES):
            files.append_line(self.folder / EXCHANGES, line, sync=False)

    def update_provenance(self, facts: Mapping[str, Any]) -> None:
        """Merge facts into provenance.json, deeply; it is on disk when this returns."""
        with self._lock:
            self._check_open()
            self._provenance = _merge(self._provenance, files.redact(json.loads(json.dumps(dict(facts), default=str))))
            with self._disk("The provenance could not be written", self.folder / PROVENANCE):
                self._write_provenance()

    def finish(self, status: str = "completed", reason: Reason | Mapping[str, Any] | str | None = None) -> str:
        """Give the run its terminal status and let go of it.

        A run is only `completed` when every expected output lies on disk; else it is recorded as `failed`, with a reason
        that names what is missing.

        Args:
            status: completed, blocked, failed or cancelled.
            reason: What ended the run.

        Returns:
            The status that was recorded.

        Raises:
            UsageError: no such status.
            RunFinished: the run has already ended.
            RecordingError: the disk refused.
        """
        if status not in TERMINAL:
            raise UsageError(f"{status!r} is not a terminal status.", hint=f"One of {', '.join(TERMINAL)}.")
        with self._lock:
            self._check_open()
            why = _reason(reason, self._record.current_state.stage, status)
            lost = missing(self._record) if status == "completed" else []
            if lost:
                message = f"Expected outputs are missing: {', '.join(lost)}."
                log.warning("run %s: %s It is recorded as failed.", self.run_id, message)
                status, why = (
                    "failed",
                    Reason(stage=self._record.current_state.stage, type="missing_outputs", message=message),
                )
                self.save_error(self._record.current_state.stage, "missing_outputs", message, {"missing": lost})
            self._end(status, why)
            try:
                self._flush(sync=self.durability != "never")
            except BaseException:
                self._record.status = "running"
                raise
        self.close()
        return status

    def _end(self, status: Any, reason: Reason | None) -> None:
        record = self._record
        record.status, record.reason = status, reason
        record.finished = timestamps.now()
        record.seconds = round(self._earlier + time.monotonic() - self._begun, 6)
        if status == "completed":
            record.current_state.stage, record.current_state.step = 5, STEPS[5]
        if record.attempts:
            record.attempts[-1].finished, record.attempts[-1].status = record.finished, status

    def close(self) -> None:
        """Let go of the run; one that has no terminal status is `interrupted` from here on."""
        if self._closed.is_set():
            return
        with self._lock:
            if self._dirty and self._record.status == "running":
                with contextlib.suppress(RecordingError):
                    self._flush(sync=self.durability != "never")
            self._closed.set()  # the keeper looks at this under the lock, so there is no need to wait for it
        KEEPER.remove(self)
        _remove_folder(self._writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._record.status == "running" and not self._closed.is_set():
                self._finish_with(error)
        finally:
            self.close()

    def _finish_with(self, error: BaseException | None) -> None:
        stage = self._record.current_state.stage
        if error is None:
            self.finish("completed")
        elif isinstance(error, (KeyboardInterrupt, RunCancelled, GeneratorExit)):
            self.finish("cancelled", Reason(stage=stage, type="cancelled", message=str(error) or "interrupted"))
        elif not isinstance(error, WriterReplaced):
            message = f"{type(error).__name__}: {error}"
            # The exception that ended the block must reach the caller, even when the disk refuses this last word.
            with contextlib.suppress(RecordingError):
                self.save_error(stage, type(error).__name__, message)
                self.finish("failed", Reason(stage=stage, type=type(error).__name__, message=message))

    def __repr__(self) -> str:
        return f"<LivePipelineRecorder {self.run_id} {self._record.status} {self._record.current_state.progress}>"

    # How it reaches the disk

    def _progress(self) -> str:
        return progress(self._record)

    def _check_open(self) -> None:
        if self._record.status != "running" or self._closed.is_set():
            raise RunFinished(
                f"Run {self.run_id} has ended ({self._record.status}).", hint="Make a new run, or resume this one."
            )

    def _temporary(self) -> Path:
        with self._lock:
            self._counter += 1
            return self._writer / f"{self._counter}.part"

    @contextlib.contextmanager
    def _disk(self, what: str, path: Path) -> Any:
        with files.typed_errors(what, path):
            try:
                yield
            except FileNotFoundError as error:
                if self._writer.exists():
                    raise
                raise WriterReplaced(
                    f"Run {self.run_id} was taken over by another process while this one slept.",
                    hint="What was acknowledged is kept; this process must not write any more.",
                ) from error

    def _flush(self, *, sync: bool) -> None:
        with self._disk("metadata.json could not be written", self._metadata):
            if sync and self._unsynced:
                _sync_files(self._unsynced)
                self._unsynced.clear()
            self._write_metadata(sync=sync)
        self._dirty = False

    def _write_metadata(self, *, sync: bool | None = None) -> None:
        sync = self.durability != "never" if sync is None else sync
        document = self._record.model_dump_json(indent=2).encode() + b"\n"
        self._publish_file(self._metadata, document, sync=sync)

    def _write_provenance(self) -> None:
        self._publish_file(
            self.folder / PROVENANCE, to_json(self._provenance), sync=self.durability == "entity", folder=False
        )

    def _publish_file(self, target: Path, data: bytes, *, sync: bool, folder: bool = True) -> None:
        temporary = self._temporary()
        files.write_bytes(temporary, data, sync=sync)
        files.replace(temporary, target)
        if sync and folder:
            files.sync_folder(self.folder)

    def tend(self, *, beat: bool) -> None:
        """What the keeper does for a live run: bring a late state change to disk, touch the lease."""
        with self._lock:
            if self._closed.is_set():
                return
            if self._dirty and self._record.status == "running":
                try:
                    self._flush(sync=self.durability == "entity")
                except RecordingError:
                    log.warning("a state change of run %s could not be written yet", self.run_id, exc_info=True)
            if beat:
                with contextlib.suppress(OSError):
                    (self._writer / lease.LEASE).touch()


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
    from aipipe.errors import RunExists

    name = files.check_run_id(run_id) if run_id is not None else files.uuid7()
    folder = root / name
    now = timestamps.now()
    own = lease.own(1)
    record = RunRecord(
        run_id=name,
        timestamp=now,
        started=now,
        attempts=[AttemptRecord(started=now, host=own.host, pid=own.pid)],
        **fields,
    )
    record.current_state.progress = progress(record)
    with files.typed_errors("The run could not be created", folder):
        _make_root(root)
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
    recorder._start()
    return recorder


def _make_root(root: Path) -> None:
    """Make the store's folder; each new ancestor's name is forced to disk too."""
    new = []
    path = root
    while not path.exists():
        new.append(path)
        path = path.parent
    root.mkdir(parents=True, exist_ok=True)
    for made in reversed(new):
        files.sync_folder(made.parent)


def check_root(root: Path) -> None:
    """Refuse a store that is a file.

    Raises:
        UnsafePath: `root` exists and is not a folder.
    """
    if root.exists() and not root.is_dir():
        raise UnsafePath(f"{root} is not a folder.", hint="Choose a folder for the runs.")


def _sync_files(paths: Iterable[Path]) -> None:
    import os

    folders = set()
    for path in paths:
        files.operation("fsync", path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        folders.add(path.parent)
    for folder in folders:
        files.sync_folder(folder)


def _plain(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of JSON-able facts as a reader will see them."""
    plain: dict[str, Any] = json.loads(to_json(dict(facts))) if facts else {}
    return plain


def _remove_folder(folder: Path) -> None:
    """Remove the writer's folder; normally it holds the lease alone."""
    try:
        (folder / lease.LEASE).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def _lists(metadata: Path, filename: str) -> bool:
    """Whether metadata.json on disk lists a file; what cannot be read is taken to do so."""
    try:
        return f'"{filename}"' in metadata.read_text(encoding="utf-8")
    except OSError:
        return True


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, Mapping) else value
    return merged


def _reason(reason: Any, stage: int, status: str) -> Reason | None:
    if reason is None:
        return None if status == "completed" else Reason(stage=stage, type=status, message=f"The run was {status}.")
    if isinstance(reason, Reason):
        return reason
    if isinstance(reason, str):
        return Reason(stage=stage, type=status, message=reason)
    return Reason.model_validate(dict(reason))
