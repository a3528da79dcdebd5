"""`LivePipelineRecorder`: writes one run, durably, one entity at a time."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aipipe import files, timestamps
from aipipe.errors import RecordingError, RunCancelled, RunFinished, UsageError, WriterReplaced
from aipipe.recorder.content import decide_format, open_content
from aipipe.recorder.facts import foreign, merge, name_model, plain, reason_of
from aipipe.recorder.folder import Durability, RunFolder
from aipipe.recorder.keeper import KEEPER
from aipipe.recorder.pending import PendingEntity
from aipipe.recorder.progress import missing, progress
from aipipe.records import STEPS, TERMINAL, EntityRecord, Reason, RunRecord, StepRecord

log = logging.getLogger(__name__)

PLACES = frozenset({"stage", "input", "output", "file_index", "iteration", "reused_from"})
"""Where in the run an entity belongs: arguments of `save_entity` beside type, content and metadata."""


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
        self._disk = RunFolder(folder, epoch, durability)
        self._dirty = False
        self._closed = threading.Event()
        self._provenance: dict[str, Any] = files.redact(dict(provenance))
        self._begun = time.monotonic()
        self._earlier = record.seconds or 0.0

    def start(self) -> None:
        """Write the first state; the lease is held already. `Store.create` and `Store.resume` call this."""
        with files.typed_errors("The run could not be created", self.folder):
            for entity in self._record.entities:  # an earlier attempt may have forced less than this one promises
                if (self.folder / entity.filename).is_file():
                    self._disk.owe(self.folder / entity.filename, entity.sha256)
            self._disk.write_provenance(self._provenance)
            self._disk.write_metadata(self._record, sync=self.durability != "never")
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
                with self._disk.guard("The stage's entities could not be brought to disk", self.folder):
                    self._disk.force_entities()
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
        unknown = set(place) - PLACES
        if unknown:
            raise UsageError(f"save_entity has no argument {min(unknown)!r}.", hint="Facts go into metadata={…}.")
        facts = plain(metadata)
        self._check_open()
        stream, hint, own = open_content(content)
        path = self._disk.temporary()
        try:
            with self._disk.guard("The entity could not be written", path):
                written = files.write_stream(path, stream, sync=self.durability == "entity", limit=limit)
        finally:
            if own:
                stream.close()
        format_ = decide_format(hint, written.head, written.size)
        return PendingEntity(type, path, written.size, written.sha256, format_, place, facts, self)

    def publish(self, pending: PendingEntity, metadata: Mapping[str, Any] | None, checked: Any) -> EntityRecord:
        """Make a staged entity part of the run; see `PendingEntity.publish`."""
        facts = {**pending.metadata, **plain(metadata)}
        with self._lock:
            self._check_open()
            entity = self._entry(pending, facts, checked)
            target = self.folder / entity.filename
            with self._disk.guard("The entity could not be published", target):
                self._disk.adopt(pending.path, target, pending.sha256)
            self._record.entities.append(entity)
            before = self._record.current_state.progress
            self._record.current_state.progress = progress(self._record)
            try:
                self._flush(sync=self.durability == "entity")
            except BaseException:
                self._take_back(entity, target, before)
                raise
            return entity

    def _entry(self, pending: PendingEntity, facts: dict[str, Any], checked: Any) -> EntityRecord:
        """The entry of the next entity, numbered after those that are there."""
        sequence = 1 + max((e.sequence for e in self._record.entities), default=0)
        place = {k: v for k, v in pending.place.items() if v is not None}
        return EntityRecord(
            sequence=sequence,
            type=pending.type,
            filename=f"{sequence:02d}_{pending.type}.{pending.format.extension}",
            timestamp=timestamps.now(),
            metadata=facts,
            media_type=pending.media_type,
            mime=pending.mime,
            size=pending.size,
            sha256=pending.sha256,
            checked=checked,
            **{"stage": self._record.current_state.stage, **place},
        )

    def _take_back(self, entity: EntityRecord, target: Path, progress_before: str) -> None:
        """Undo a publish that failed half way: nobody was told of it, and memory must equal the disk.

        The metadata.json on disk may list the entity already, so the file goes last. Where even the old state cannot be
        written, the entity stays, listed and with its file.
        """
        self._record.entities.remove(entity)
        progress_now, self._record.current_state.progress = self._record.current_state.progress, progress_before
        try:
            self._disk.write_metadata(self._record, sync=False)
        except (OSError, RecordingError):
            if self._disk.lists(entity.filename):
                self._record.entities.append(entity)
                self._record.current_state.progress = progress_now
                return
        self._disk.take_back(target)

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
            "details": foreign(details),
        }
        return self.save_entity(
            "error", content, {"stage": stage, "error_type": error_type}, stage=stage, output=output
        )

    def record_step(self, step: StepRecord) -> None:
        """Add one call to `steps`; reaches the disk with the next entity, or after half a second."""
        with self._lock:
            self._check_open()
            self._record.steps.append(step)
            name_model(self._record.models, step)
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
        with self._lock, self._disk.guard("The exchange could not be written", self.folder):
            self._disk.append_exchange(line)

    def update_provenance(self, facts: Mapping[str, Any]) -> None:
        """Merge facts into provenance.json, deeply; it is on disk when this returns."""
        with self._lock:
            self._check_open()
            self._provenance = merge(self._provenance, foreign(facts))
            with self._disk.guard("The provenance could not be written", self.folder):
                self._disk.write_provenance(self._provenance)

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
            why = reason_of(reason, self._record.current_state.stage, status)
            lost = missing(self._record) if status == "completed" else []
            if lost:
                status, why = "failed", self._say_missing(lost)
            self._end(status, why)
            try:
                self._flush(sync=self.durability != "never")
            except BaseException:
                self._record.status = "running"
                raise
        self.close()
        return status

    def _say_missing(self, lost: list[str]) -> Reason:
        message = f"Expected outputs are missing: {', '.join(lost)}."
        log.warning("run %s: %s It is recorded as failed.", self.run_id, message)
        stage = self._record.current_state.stage
        self.save_error(stage, "missing_outputs", message, {"missing": lost})
        return Reason(stage=stage, type="missing_outputs", message=message)

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
        self._disk.release()

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

    def _check_open(self) -> None:
        if self._record.status != "running" or self._closed.is_set():
            raise RunFinished(
                f"Run {self.run_id} has ended ({self._record.status}).", hint="Make a new run, or resume this one."
            )

    def _flush(self, *, sync: bool) -> None:
        with self._disk.guard("metadata.json could not be written"):
            self._disk.write_metadata(self._record, sync=sync)
        self._dirty = False

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
                self._disk.beat()
