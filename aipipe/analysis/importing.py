"""Convert runs of older systems, and media with embedded graphs, into runs of format version 1.

The source is only read. Where two older systems recorded the same run (the tracker made ids of its own), their records
are linked by config, input text and time; what could not be matched is reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aipipe.analysis.assemble import surprise
from aipipe.analysis.converting import convert, identity_of
from aipipe.analysis.dialects import Context, normalise
from aipipe.analysis.extract import listed
from aipipe.analysis.favourites import favourites_above
from aipipe.analysis.generated import generated
from aipipe.analysis.items import text_of
from aipipe.analysis.reading import Unreadable, parse, read_bytes
from aipipe.analysis.scan import discover
from aipipe.analysis.source import roots, zone
from aipipe.analysis.twins import merge_twins
from aipipe.annotations import Annotations
from aipipe.errors import AipipeError
from aipipe.store import Store

LINK_SECONDS = 120
"""A tracker file and a run folder of one config that begin within this time are taken for one run."""


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        imported: Source id → new run id.
        already: Source ids that the target store holds from an earlier import.
        skipped: Path and reason of what could not be converted.
        lost: Path and reason of single entities of imported runs that could not be kept.
        linked: Tracker id → source id of the run it describes.
        unmatched: Tracker ids without a run folder; imported as runs of their own.
        merged: Record file → run id of the fuller record of the same run that took it in.
        favourites: How many imported runs were starred because somebody had marked them.
        unmarked: Images, sound and film beside them without an embedded graph or parameters; left where they are.
    """

    imported: dict[str, str] = field(default_factory=dict)
    already: list[str] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    lost: list[dict[str, str]] = field(default_factory=list)
    linked: dict[str, str] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)
    merged: dict[str, str] = field(default_factory=dict)
    favourites: int = 0
    unmarked: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return dict(self.__dict__)

    def __str__(self) -> str:
        lines = [f"{len(self.imported)} imported, {len(self.already)} there already, {len(self.skipped)} skipped."]
        lines += [f"  skipped {s['path']}: {s['reason']}" for s in self.skipped[:20]]
        if self.lost:
            lines.append(f"  {len(self.lost)} entities of imported runs could not be kept:")
            lines += [f"    {e['path']}: {e['reason']}" for e in self.lost[:20]]
        if self.linked:
            lines.append(f"  {len(self.linked)} tracker files joined to the run they describe")
        if self.unmatched:
            lines.append(f"  {len(self.unmatched)} tracker files without a run folder, imported as runs of their own")
        if self.merged:
            lines.append(f"  {len(self.merged)} further records of the same runs, taken into one each")
        if self.favourites:
            lines.append(f"  {self.favourites} favourites starred, with their notes")
        if self.unmarked:
            files = "file" if len(self.unmarked) == 1 else "files"
            lines.append(f"  {len(self.unmarked)} media {files} without an embedded graph or parameters, not imported")
        return "\n".join(lines)


def import_runs(source: str | Path, store: Any = None, *, timezone: str | None = None) -> ImportReport:
    """Convert every older run below `source` once into `store`.

    Args:
        source: Folder of an older system, or of images, sound and film with embedded graphs or parameters.
        store: Target store or folder; None for the project's store.
        timezone: Zone of the source's naive times; None: this machine's.
    """
    root, where = roots(source)[0], zone(timezone)
    target = store if isinstance(store, Store) else Store(Path(store) if store is not None else roots(None)[0])
    report = ImportReport()
    known = _known(target)
    listing = discover(root)
    report.skipped += [{"path": f"{root}/{name}", "reason": reason} for name, reason in listing.bad]
    if listing.unseen:
        report.skipped.append(
            {"path": str(root), "reason": f"{listing.unseen} folders below it lie too deep to be looked into"}
        )
    found: list[tuple[Context, dict[str, Any]]] = []
    for name in listing.names:
        context = Context(f"{root}/{name}", where)
        try:
            run = normalise(parse(read_bytes(context.path)[0]), context)
        except Unreadable as error:
            report.skipped.append({"path": context.path, "reason": str(error)})
            continue
        except Exception as error:  # noqa: BLE001  whatever a record holds, it must not hide the others
            report.skipped.append({"path": context.path, "reason": surprise(error)})
            continue
        if "format_version" in run:
            report.skipped.append({"path": context.path, "reason": "version 1 already; use aipipe runs merge"})
        else:
            found.append((context, run))
    report.merged |= merge_twins(found, report.skipped)
    _link(found, report)
    used = {
        str(Path(context.folder) / str(e.get("filename"))) for context, run in found for e in listed(run, "entities")
    }
    favourites = favourites_above(root, (context.folder for context, _ in found))
    for context, run in [*found, *generated(root, used, report)]:
        if _one(run, context.folder, target, known, report, context.path) and run["run_id"] in favourites:
            _star(target, report.imported[str(run["run_id"])], favourites[run["run_id"]])
            report.favourites += 1
    return report


def _star(store: Store, run_id: str, note: str | None) -> None:
    """A favourite of the older system as annotations, which is where this one keeps what people said later."""
    notes = Annotations(store.path, author="import")
    notes.star(run_id)
    if note:
        notes.note(run_id, note)


def _known(store: Store) -> dict[str, str]:
    from aipipe.analysis.loaders import load_runs

    if not store.path.is_dir():
        return {}
    frame = load_runs(store.path, columns=["run_id", "status", "label_source_run_id", "label_source_sha256"])
    frame = frame[frame["status"] != "interrupted"]  # an import that was killed: its half copy is no copy
    known: dict[str, str] = {}
    for name in ("label_source_run_id", "label_source_sha256"):
        if name in frame:
            some = frame[["run_id", name]].dropna()
            known |= dict(zip(some[name].astype(str), some["run_id"].astype(str), strict=True))
    return known


def _link(found: list[tuple[Context, dict[str, Any]]], report: ImportReport) -> None:
    """Move steps and iterations of tracker files into the run folder they describe, nearest in time first."""
    places = [(run, c.folder) for c, run in found if run["dialect"] in ("original", "media storage")]
    folders = [run for run, _ in places]
    said = [_said(run, folder) for run, folder in places]
    taken: set[str] = set()
    for pair in [p for p in found if p[1]["dialect"] == "tracker"]:
        tracked = pair[1]
        own = _said(tracked, pair[0].folder)
        near = sorted(
            (apart, run["run_id"], number)
            for number, run in enumerate(folders)
            if run["run_id"] not in taken
            and (own is None or said[number] is None or own == said[number])
            and (apart := _apart(run, tracked)) is not None
        )
        if not near:
            report.unmatched.append(tracked["run_id"])
            continue
        run = folders[near[0][2]]
        taken.add(run["run_id"])
        run["steps"], run["seconds"] = tracked["steps"], tracked.get("seconds")
        iterations = [e for e in listed(tracked, "entities") if e.get("type") == "interception_iteration"]
        run["entities"] = [*listed(run, "entities"), *iterations]
        report.linked[tracked["run_id"]] = run["run_id"]
        found.remove(pair)


def _said(run: dict[str, Any], folder: str) -> str | None:
    """The input text of a run, without what systems change about it; None where there is none."""
    for entity in listed(run, "entities"):
        if entity.get("type") == "input":
            return " ".join((text_of(entity, folder) or "").split()) or None
    return None


def _apart(run: dict[str, Any], tracked: dict[str, Any]) -> float | None:
    if run.get("config_name") != tracked.get("config_name"):
        return None
    try:
        apart = abs(
            (datetime.fromisoformat(run["timestamp"]) - datetime.fromisoformat(tracked["timestamp"])).total_seconds()
        )
    except (TypeError, ValueError):
        return None
    return apart if apart <= LINK_SECONDS else None


def _one(
    run: dict[str, Any], folder: str, store: Store, known: dict[str, str], report: ImportReport, path: str
) -> bool:
    """Convert one run unless the store holds it; true when it was converted now."""
    source_id, identity = str(run["run_id"]), identity_of(run)
    if identity in known:
        report.already.append(source_id)
        return False
    try:
        known[identity] = report.imported[source_id] = convert(run, folder, store, report.lost)
    except AipipeError as error:
        report.skipped.append({"path": path, "reason": error.message})
        return False
    except Exception as error:  # noqa: BLE001  whatever a record holds, it must not hide the others
        report.skipped.append({"path": path, "reason": surprise(error)})
        return False
    return True
