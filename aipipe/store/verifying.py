"""Verification: does a folder still hold what its record says?"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.errors import StoreError, UnsafePath
from aipipe.files import contained, open_plain
from aipipe.records import EntityRecord
from aipipe.store.run import Run

if TYPE_CHECKING:
    from aipipe.store.store import Store

NUMBERED = re.compile(r"\d{2,}_.+")
OWN_FILES = frozenset({"metadata.json", "provenance.json", "exchanges.jsonl"})


@dataclass(frozen=True)
class Finding:
    """One thing that is not as the record says.

    Attributes:
        run_id: The run (its folder's name).
        kind: missing, altered, unsafe, orphaned (a numbered file nobody lists), extra (any other file) or unreadable.
        filename: The file.
        detail: What was found.
    """

    run_id: str
    kind: str
    filename: str
    detail: str = ""


@dataclass
class RunReport:
    """Findings of one run; `clean` when there are none."""

    run_id: str
    entities: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """True when everything is as recorded."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {**asdict(self), "clean": self.clean}

    def __str__(self) -> str:
        return _text(1, self.entities, self.findings)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return _bundle(1, self.entities, self.findings)


@dataclass
class VerifyReport:
    """Findings of many runs."""

    runs: int = 0
    entities: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """True when everything is as recorded."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {**asdict(self), "clean": self.clean}

    def __str__(self) -> str:
        return _text(self.runs, self.entities, self.findings)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return _bundle(self.runs, self.entities, self.findings)


def verify_store(store: Store, run_ids: Iterable[str] | None) -> VerifyReport:
    """Verify the given runs, or all of them, the unreadable ones among them.

    An empty folder is what a writer leaves that is killed before its first file: nothing was recorded, nothing is lost.
    """
    report = VerifyReport()
    names = list(run_ids) if run_ids is not None else [name for name in store._names() if any_file(store.path / name)]
    for name in names:
        one = verify_run(store.path / name)
        report.runs += 1
        report.entities += one.entities
        report.findings += one.findings
    return report


def any_file(folder: Path) -> bool:
    """Whether a folder holds anything; one that vanished meanwhile holds nothing."""
    try:
        return any(folder.iterdir())
    except FileNotFoundError:
        return False


def verify_run(folder: Path) -> RunReport:
    """Compare one folder with its record. Reads only."""
    report = RunReport(folder.name)
    try:
        run = Run(folder)
    except StoreError as error:
        report.findings.append(Finding(folder.name, "unreadable", "metadata.json", error.message))
        return report
    record = run.record
    report.entities = len(record.entities)
    for entity in record.entities:
        found = _check(folder, entity)
        if found is not None:
            report.findings.append(Finding(folder.name, found[0], entity.filename, found[1]))
    listed = {entity.filename for entity in record.entities}
    if not run.is_live:
        report.findings += _unlisted(folder, listed)
    return report


def _check(folder: Path, entity: EntityRecord) -> tuple[str, str] | None:
    try:
        path = contained(folder, entity.filename)
    except UnsafePath as error:
        return "unsafe", error.message
    try:
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            if not entity.sha256:
                return None  # the original's dialect recorded neither size nor hash
            if size != entity.size:
                return "altered", f"{size:,} B instead of {entity.size:,} B"
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except UnsafePath as error:
        return "unsafe", error.message
    except FileNotFoundError:
        return "missing", "the file is gone"
    except OSError as error:
        return "missing", str(error.strerror)
    return None if digest == entity.sha256 else ("altered", "another SHA-256 than recorded")


def _unlisted(folder: Path, listed: set[str]) -> list[Finding]:
    findings = []
    for path in sorted(folder.iterdir()):
        if path.name in listed or path.name in OWN_FILES or path.name.startswith("."):
            continue
        kind = "orphaned" if NUMBERED.fullmatch(path.name) else "extra"
        findings.append(Finding(folder.name, kind, path.name, "not listed in metadata.json"))
    return findings


def _text(runs: int, entities: int, findings: list[Finding]) -> str:
    lines = [f"{runs} run(s), {entities} entities: {'clean' if not findings else f'{len(findings)} finding(s)'}"]
    lines += [f"  {f.run_id}  {f.kind:<10} {f.filename}: {f.detail}" for f in findings]
    return "\n".join(lines)


def _bundle(runs: int, entities: int, findings: list[Finding]) -> dict[str, Any]:
    from aipipe.display import sheet_bundle

    return sheet_bundle(
        _text(runs, entities, findings),
        "Verification",
        state=(f"{len(findings)} findings", "failed") if findings else ("as recorded", "completed"),
        facts=f"{runs:,} runs · {entities:,} entities",
        head=("run", "what", "file", "detail"),
        rows=[(f.run_id, f.kind, f.filename, f.detail) for f in findings],
    )
