"""A run: its folder, read only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.errors import EntityNotFound, SeveralEntities
from aipipe.records import Reason, RunRecord
from aipipe.store.entity import Entity
from aipipe.store.reading import derive_status, read_document, to_record

if TYPE_CHECKING:
    from PIL.Image import Image

    from aipipe.store.verifying import RunReport

TERMINAL_STATUS = ("completed", "blocked", "failed", "cancelled")


class Run:
    """A recorded run, live or ended; never writes into its folder.

    Attributes:
        folder: The run folder.
        reproduction: After `lab.rerun`: how equal this run is to the one it repeats; else None.
    """

    def __init__(self, folder: Path, record: RunRecord | None = None) -> None:
        self.folder = folder
        self.reproduction: Any = None
        self._record = record if record is not None else to_record(read_document(folder), folder)

    @property
    def record(self) -> RunRecord:
        """metadata.json as it was when last read."""
        return self._record

    def refresh(self) -> Run:
        """Read metadata.json again; returns the run itself."""
        self._record = to_record(read_document(self.folder), self.folder)
        return self

    @property
    def run_id(self) -> str:
        """Its id."""
        return self._record.run_id

    @property
    def config_name(self) -> str:
        """Name of its config."""
        return self._record.config_name

    @property
    def status(self) -> str:
        """running, completed, blocked, failed, cancelled, interrupted or unknown, as it is now."""
        return self._derived()[0]

    @property
    def status_source(self) -> str:
        """Where the status comes from: "recorded", or "derived" where the record does not say it."""
        return self._derived()[1]

    def _derived(self) -> tuple[str, str]:
        if self._record.status == "running" and self._record.format_version >= 1:
            self.refresh()
        found = derive_status(self._record, self.folder)
        if found[0] == "interrupted":
            # The run may have ended between the two looks: its last word is written before its lease goes.
            self.refresh()
            found = derive_status(self._record, self.folder)
        return found

    @property
    def is_live(self) -> bool:
        """True while a living writer works on it."""
        return self.status == "running"

    @property
    def reason(self) -> Reason | None:
        """What ended it, if it did not complete."""
        return self._record.reason

    @property
    def seconds(self) -> float | None:
        """Working time in seconds."""
        return self._record.seconds

    @property
    def seed(self) -> int | None:
        """Seed of the media."""
        return int(self._record.seed) if self._record.seed is not None else None

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self._record.labels)

    @property
    def entities(self) -> list[Entity]:
        """Its entities, in order."""
        return [Entity(self, entry) for entry in self._record.entities]

    def all(self, type: str) -> list[Entity]:  # noqa: A002  the format's own word
        """All entities of a type, in order; empty if there are none."""
        return [Entity(self, entry) for entry in self._record.entities if entry.type == type]

    def __getitem__(self, type: str) -> Entity:  # noqa: A002
        found = self.all(type)
        if len(found) == 1:
            return found[0]
        have = sorted({e.type for e in self._record.entities})
        if not found:
            raise EntityNotFound(
                f"Run {self.run_id} ({self.status}) has no entity {type!r}.",
                hint=f"It has: {', '.join(have) or 'nothing yet'}.",
                type=type,
            )
        raise SeveralEntities(
            f"Run {self.run_id} has {len(found)} entities {type!r}.", hint=f"Use run.all({type!r}).", type=type
        )

    def __contains__(self, type: object) -> bool:  # noqa: A002
        return any(e.type == type for e in self._record.entities)

    def __iter__(self) -> Iterator[Entity]:
        return iter(self.entities)

    @property
    def images(self) -> list[Image]:
        """Its output pictures as PIL images."""
        return [e.image for e in self.entities if e.type == "output_image"]

    @property
    def provenance(self) -> dict[str, Any]:
        """provenance.json; empty if there is none."""
        try:
            found = json.loads((self.folder / "provenance.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def exchanges(self) -> list[dict[str, Any]]:
        """Raw model requests and answers; a torn last line is left out."""
        try:
            lines = (self.folder / "exchanges.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    @property
    def tags(self) -> list[str]:
        """Tags given at the start and later, in order."""
        from aipipe.annotations import Annotations

        later = Annotations(self.folder.parent).of(self.run_id)
        return list(dict.fromkeys([*self._record.tags, *later.tags]))

    @property
    def excluded(self) -> str | None:
        """Why a person excluded the run from analysis ("" without a reason), None for a run that is not excluded."""
        from aipipe.annotations import Annotations

        later = Annotations(self.folder.parent).of(self.run_id)
        return (later.exclude_reason or "") if later.excluded else None

    def tag(self, *names: str) -> Run:
        """Tag the run; the tags lie beside it, in `runs/annotations/`."""
        from aipipe.annotations import Annotations

        Annotations(self.folder.parent).tag(self.run_id, names)
        return self

    def note(self, text: str) -> Run:
        """Write a note on the run, kept in `runs/annotations/`."""
        from aipipe.annotations import Annotations

        Annotations(self.folder.parent).note(self.run_id, text)
        return self

    def verify(self) -> RunReport:
        """Compare the folder with its record: missing, altered, extra and orphaned files."""
        from aipipe.store.verifying import verify_run

        return verify_run(self.folder)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.folder == self.folder

    def __hash__(self) -> int:
        return hash(self.folder)

    def __repr__(self) -> str:
        return f"<Run {self.run_id} {self.config_name} {self.status}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.display import run_bundle

        bundle: dict[str, Any] = run_bundle(self)
        return bundle


def open_run(path: str | Path) -> Run:
    """Open a run read only.

    Args:
        path: Its folder, or its id (or a unique prefix) in the project's store.

    Raises:
        RunNotFound, AmbiguousRun: no run, or several.
        RunUnreadable, FormatTooNew: it is there but cannot be read.
    """
    folder = Path(path).expanduser()
    if folder.is_dir() or len(folder.parts) > 1:
        return Run(folder.resolve())
    from aipipe import settings
    from aipipe.store.store import Store

    project = settings.find_project()
    return Store(settings.store_folder(project, settings.load(project))).open(str(path))
