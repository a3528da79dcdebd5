"""A folder of runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import timestamps
from aipipe.errors import AmbiguousRun, RunNotFound, StoreError, UnknownName
from aipipe.recorder import DURABILITIES, LivePipelineRecorder
from aipipe.recorder.creating import check_root, create_recorder
from aipipe.records import BatchRecord, InputRecord, OutputRecord, ParentRecord
from aipipe.store.reading import METADATA
from aipipe.store.run import Run

if TYPE_CHECKING:
    from aipipe.store.erasing import EraseReport
    from aipipe.store.keeping import DoctorReport, MergeReport, PruneReport
    from aipipe.store.verifying import VerifyReport

RESERVED = frozenset({"batches", "annotations", "ratings"})


@dataclass(frozen=True, slots=True)
class Problem:
    """A folder that should be a run but cannot be read."""

    path: Path
    reason: str


class Store:
    """A folder of runs: makes them, finds them, looks after them.

    One run that cannot be read never hides the others: it is listed in `problems`.

    Args:
        path: The folder; made with the first run.
        durability: "entity", "stage" or "never": see docs/run-format.

    Raises:
        UnsafePath: the path is a file.
        UnknownName: no such durability.
    """

    def __init__(self, path: str | Path, durability: str = "entity") -> None:
        self.path = Path(path).expanduser().resolve()
        if durability not in DURABILITIES:
            raise UnknownName("durability", durability, DURABILITIES)
        check_root(self.path)
        self.durability: Any = durability
        self._problems: dict[Path, str] = {}

    def create(
        self,
        config_name: str,
        *,
        run_id: str | None = None,
        execution_mode: str = "eco",
        safety_level: str = "kids",
        user_id: str = "anonymous",
        expected_outputs: Sequence[str] = (),
        seed: int | None = None,
        text_seed: int | None = None,
        models: Mapping[str, str] | None = None,
        plan_hash: str | None = None,
        config_hash: str | None = None,
        inputs: Sequence[InputRecord] = (),
        outputs: Sequence[OutputRecord] = (),
        study: str | None = None,
        participant: str | None = None,
        session: str | None = None,
        labels: Mapping[str, str] | None = None,
        input_id: str | None = None,
        batch: BatchRecord | None = None,
        parent: ParentRecord | None = None,
        tags: Iterable[str] = (),
        provenance: Mapping[str, Any] | None = None,
    ) -> LivePipelineRecorder:
        """Begin a run and return its recorder.

        Args:
            config_name: Name of the config; the only thing that must be known.
            run_id: A UUID; None makes one of version 7.
            execution_mode: eco, fast, embedded or echo.
            safety_level: kids, youth, adult or off.
            user_id: Account name of a front end.
            expected_outputs: Entity types the plan will produce, in order.
            seed: Seed of the media.
            text_seed: Seed of every language model call.
            models: Task → backend:model.
            plan_hash: SHA-256 of the resolved plan.
            config_hash: SHA-256 of the resolved config.
            inputs: The inputs.
            outputs: The planned outputs.
            study: Study the run belongs to.
            participant: Pseudonym of the author.
            session: Session, for example a lesson.
            labels: Free key-value pairs.
            input_id: The input's own id, else its text hash.
            batch: Case of a batch.
            parent: Run this one repeats or edits.
            tags: Tags given at the start.
            provenance: First content of provenance.json; secrets are removed.

        Raises:
            UnsafePath: `run_id` is not a UUID.
            RunExists: the id is taken.
            RecordingError: the disk refused.
        """
        fields = {
            "config_name": config_name,
            "execution_mode": execution_mode,
            "safety_level": safety_level,
            "user_id": user_id,
            "expected_outputs": list(expected_outputs),
            "seed": None if seed is None else str(seed),
            "text_seed": None if text_seed is None else str(text_seed),
            "models": dict(models or {}),
            "plan_hash": plan_hash,
            "config_hash": config_hash,
            "inputs": list(inputs),
            "outputs": list(outputs),
            "study": study,
            "participant": participant,
            "session": session,
            "labels": dict(labels or {}),
            "input_id": input_id,
            "batch": batch,
            "parent": parent,
            "tags": list(tags),
        }
        return create_recorder(self.path, fields, run_id=run_id, durability=self.durability, provenance=provenance)

    def resume(self, run_id: str) -> LivePipelineRecorder:
        """Take over an interrupted, failed or cancelled run.

        Entities whose bytes verify are kept; what does not verify is set aside under `.set-aside-{epoch}/`.

        Raises:
            RunLocked: its writer lives.
            UsageError: it is completed or blocked.
            RunNotFound, RunUnreadable: it cannot be read.
        """
        from aipipe.store.takeover import take_over

        return take_over(self.open(run_id).folder, self.durability)

    def open(self, run_id: str) -> Run:
        """Open a run by id or unique prefix (at least 4 characters).

        Raises:
            RunNotFound, AmbiguousRun: no run, or several.
            RunUnreadable, FormatTooNew: it is there but cannot be read.
        """
        name = str(run_id)
        exact = self.path / name
        if name and Path(name).name == name and (exact / METADATA).exists():
            return Run(exact)
        found = [n for n in self._names() if n.startswith(name)] if len(name) >= 4 else []
        if len(found) > 1:
            raise AmbiguousRun(
                f"{len(found)} runs begin with {name!r}.", hint=f"For example {', '.join(found[:4])}.", candidates=found
            )
        if not found:
            raise RunNotFound(f"There is no run {name!r} in {self.path}.", hint="`aipipe runs list` lists the runs.")
        return Run(self.path / found[0])

    def __iter__(self) -> Iterator[Run]:
        """The runs, newest first, read one by one."""
        for name in self._names():
            try:
                run = Run(self.path / name)
            except RunNotFound:
                continue  # being made right now, or given up before anything was acknowledged; doctor cleans up
            except StoreError as error:
                self._problems[self.path / name] = error.message
                continue
            self._problems.pop(self.path / name, None)
            yield run

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, run_id: object) -> bool:
        return isinstance(run_id, str) and Path(run_id).name == run_id and (self.path / run_id / METADATA).exists()

    def filter(
        self,
        *,
        config_name: str | None = None,
        status: str | None = None,
        tag: str | None = None,
        since: datetime | None = None,
        **fields: Any,
    ) -> Iterator[Run]:
        """Runs that fit, newest first.

        Args:
            config_name: Name of the config.
            status: Status as readers see it, "interrupted" among them.
            tag: A tag given at the start or later.
            since: Only runs created after this moment (aware).
            fields: Any field of `RunRecord` and its value.
        """
        for run in self:
            record = run.record
            if since is not None and timestamps.parse(record.timestamp) < since:
                continue
            if config_name is not None and record.config_name != config_name:
                continue
            if status is not None and run.status != status:
                continue
            if tag is not None and tag not in run.tags:
                continue
            if all(getattr(record, name, None) == value for name, value in fields.items()):
                yield run

    @property
    def problems(self) -> list[Problem]:
        """Folders that should be runs but cannot be read, and why. Looks at every run."""
        for _ in self:
            pass
        return [Problem(path, reason) for path, reason in sorted(self._problems.items()) if path.exists()]

    def verify(self, run_ids: Iterable[str] | None = None) -> VerifyReport:
        """Compare runs with their records: missing, altered, extra and orphaned files."""
        from aipipe.store.verifying import verify_store

        return verify_store(self, run_ids)

    def doctor(self, *, apply: bool = False) -> DoctorReport:
        """Find what can be repaired, and with `apply` repair it. Running it twice changes nothing more."""
        from aipipe.store.keeping import doctor

        return doctor(self, apply=apply)

    def merge(self, other: str | Path | Store, *, apply: bool = False) -> MergeReport:
        """Take over runs, annotations and ratings of another store; conflicts are reported, never overwritten."""
        from aipipe.store.keeping import merge

        return merge(self, other if isinstance(other, Store) else Store(other), apply=apply)

    def prune(
        self, *, status: Sequence[str] | None = None, older_than_days: float | None = None, apply: bool = False
    ) -> PruneReport:
        """List runs by status and age, and with `apply` delete them. Without a condition nothing is chosen."""
        from aipipe.store.keeping import prune

        return prune(self, status=status, older_than_days=older_than_days, apply=apply)

    def erase(
        self, *, participant: str | None = None, run_ids: Iterable[str] | None = None, apply: bool = False
    ) -> EraseReport:
        """List, and with `apply` remove, runs and every copy of their content; leaves a tombstone without content."""
        from aipipe.store.erasing import erase

        return erase(self, participant=participant, run_ids=run_ids, apply=apply)

    def _names(self) -> list[str]:
        """Names of run folders, newest first; version 7 ids sort by their time, others go to the end."""
        try:
            with os.scandir(self.path) as entries:
                names = [
                    e.name
                    for e in entries
                    if e.name[0] != "." and e.name not in RESERVED and e.is_dir(follow_symlinks=False)
                ]
        except FileNotFoundError:
            return []
        return sorted(names, key=lambda n: (len(n) == 36 and n[14] == "7", n), reverse=True)

    def __repr__(self) -> str:
        from aipipe.display.text import short_path

        return f"<Store {short_path(self.path)} {len(self)} runs>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.display import store_bundle

        bundle: dict[str, Any] = store_bundle(self)
        return bundle
