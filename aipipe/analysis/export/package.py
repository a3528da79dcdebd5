"""Build an export: selected runs, tables, codebook, datasheet, manifest; as a folder or one ZIP."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from aipipe.analysis.export import privacy
from aipipe.analysis.export.choices import Choices
from aipipe.analysis.export.companions import copy_companions
from aipipe.analysis.export.layouts import LAYOUTS, Layout, add, deposit, rearrange
from aipipe.analysis.export.outcome import ExportReport, Profile
from aipipe.analysis.export.papers import write_papers
from aipipe.analysis.export.publish import publish
from aipipe.analysis.export.selection import check_found, selection
from aipipe.analysis.export.times import Clocks, Times
from aipipe.analysis.export.viewer import write_viewer
from aipipe.analysis.loaders import load_entities, load_runs
from aipipe.errors import UsageError


def export(
    source: Any,
    out: str | Path,
    *,
    profile: Profile = "public",
    run_ids: Collection[str] | None = None,
    where: str | None = None,
    approved: Collection[str] = (),
    redacted: Mapping[str, str] | None = None,
    pictures_seen: Collection[str] = (),
    keep_labels: Sequence[str] = (),
    formats: Sequence[str] = ("csv", "jsonl"),
    creator: str = "",
    licence: str = "",
    layout: Layout = "folder",
    times: Times = "day",
) -> ExportReport:
    """Export runs of a store.

    Args:
        source: Folder, Store, runs (`gallery.selected`), a frame of a loader, or None for the project's store.
        out: A new folder, or a file ending in .zip.
        profile: `public` drops runs without the label consent = yes or under embargo, gives fresh pseudonyms, keeps only
            permitted fields, strips images and proves it, leaves out runs whose texts may hold personal data until
            their hash is in `approved` or `redacted`. `private` copies everything, with the
            annotations, ratings and batches of the exported runs.
        run_ids: Only these runs.
        where: Only runs that fulfil this pandas query over `load_runs`.
        approved: SHA-256 of texts that a person has read and approved.
        redacted: SHA-256 of a text → the text to publish in its place.
        pictures_seen: SHA-256 of redacted texts whose pictures a person has looked at. Without it a run with a redacted
            text is published without its images, because a picture may show the words. SHA-256 of a picture that a
            person gave, too: what was made from a photo of a child may show the child.
        keep_labels: Labels that may be published.
        formats: Tables to write: csv, jsonl, parquet.
        creator: Name for CITATION.cff.
        licence: Licence of the data, as an SPDX id.
        layout: folder (runs and tables, loads again), images (pictures and metadata.csv, as image data sets are read),
            qda (one text file per text and a table of attributes) or zenodo (one ZIP and the deposit's fields).
        times: Of a public export: `day` keeps the day, the order of runs and how long things took, `exact` everything.

    Raises:
        UsageError: `out` exists, or an unknown profile, format, layout or way of telling times.
        RunNotFound: a folder or a run of `run_ids` does not exist.
    """
    target = Path(out)
    _check(target, profile, formats, layout, times)
    stores, wanted = selection(source, run_ids)
    frame = load_runs(stores, where=where, index=False)
    if where is None:
        check_found(wanted, frame["run_id"])
    skipped = frame.attrs["report"]["skipped"] if wanted is None else ()
    report = ExportReport(target, profile, times=times if profile == "public" else "exact")
    with tempfile.TemporaryDirectory(prefix="aipipe-export-", dir=target.parent) as scratch:
        base = Path(scratch) / (target.stem if target.suffix == ".zip" else target.name)
        (base / "runs").mkdir(parents=True)
        for bad in skipped:  # of these nobody can tell whether they were asked for
            report.leave_out(Path(bad["path"]).parent.name, "its record cannot be read", bad["reason"])
        chosen = frame if wanted is None else frame[frame["run_id"].isin(wanted)]
        if profile == "public":
            choices = Choices(
                privacy.Pseudonyms(), Clocks(times), frozenset(approved), redacted or {}, frozenset(pictures_seen),
                tuple(keep_labels),
            )  # fmt: skip
            _publish_all(chosen, base / "runs", report, choices)
        else:
            for run_id, folder in _folders(chosen, report):
                _copy(run_id, folder, base / "runs", report)
        if profile == "private":
            copy_companions(stores, report.exported, base / "runs")
        _tables(base, formats)
        write_viewer(base, hours=report.times == "exact")
        write_papers(base, report, creator=creator, licence=licence)
        if layout != "folder":
            rearrange(base, layout)
            write_papers(base, report, creator=creator, licence=licence, layout=layout)
        if layout == "zenodo":
            deposit(base, creator=creator, licence=licence, count=len(report.exported))
        _deliver(base, target)
    return report


def _publish_all(frame: Any, base: Path, report: ExportReport, choices: Choices) -> None:
    """Publish what may be published, the oldest run first: the order of runs is all that is left of their hours."""
    out = frame["excluded"].fillna(False).astype(bool)
    for run_id in frame["run_id"][out]:
        # Labels are of the time of recording; an exclusion is how somebody takes consent back later.
        report.leave_out(str(run_id), "excluded by an annotation")
    for run_id, folder in _folders(frame[~out].sort_values("started", kind="stable"), report):
        publish(run_id, folder, base, report, choices)


def _folders(frame: Any, report: ExportReport) -> Iterator[tuple[str, Path]]:
    for run_id, folder in zip(frame["run_id"], frame["folder"], strict=True):
        if _is_plain(str(run_id)):
            yield str(run_id), Path(folder)
        else:
            report.leave_out(str(run_id), "its run_id is no plain name; a record like this was altered")


def _check(target: Path, profile: str, formats: Sequence[str], layout: str, times: str) -> None:
    if times not in get_args(Times):
        raise UsageError(f"Times cannot be told as {times!r}.", hint="day or exact.")
    if layout not in LAYOUTS:
        raise UsageError(f"There is no layout {layout!r}.", hint=f"One of {', '.join(LAYOUTS)}.")
    if profile not in ("public", "private"):
        raise UsageError(f"There is no profile {profile!r}.", hint="public or private.")
    if unknown := set(formats) - {"csv", "jsonl", "parquet"}:
        raise UsageError(f"Unknown formats: {', '.join(sorted(unknown))}.", hint="csv, jsonl, parquet.")
    if target.exists():
        raise UsageError(f"{target} exists.", hint="Name a new folder or file; an export never overwrites.")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}.", hint="Make it first.")


def _is_plain(run_id: str) -> bool:
    """Whether an id can name a folder of the export; ids come from records, which anybody may have written."""
    return bool(re.fullmatch(r"[\w][\w .+@=,-]{0,199}", run_id)) and not run_id.endswith((".", " "))


def _copy(run_id: str, folder: Path, base: Path, report: ExportReport) -> None:
    """Everything but links and the writer's own subfolders."""
    if not folder.is_dir():
        report.leave_out(run_id, "it is no folder; convert it with aipipe import first")
        return
    target = base / run_id
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_symlink() or not path.is_file() or any(p.startswith(".") for p in inner.parts):
            continue
        (target / inner).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / inner)
    report.exported.append(run_id)


def _tables(base: Path, formats: Sequence[str]) -> None:
    """Tables of the exported runs themselves, so that they hold nothing that the package does not."""
    for name, frame in (
        ("runs", load_runs(base / "runs", index=False)),
        ("entities", load_entities(base / "runs", index=False)),
    ):
        plain = frame.drop(columns="folder")
        plain.attrs = {}
        write_table(plain, base / name, formats)


def write_table(frame: Any, stem: Path, formats: Sequence[str]) -> None:
    """Write a frame as csv, jsonl or parquet; cells that a spreadsheet would run as a formula get a leading quote."""
    if "csv" in formats:
        guarded = frame.copy()
        for name in guarded.columns:
            if str(guarded[name].dtype) in ("string", "category", "object", "str"):
                guarded[name] = [_guarded(v) for v in guarded[name].astype(object)]
        guarded.to_csv(_named(stem, "csv"), index=False, lineterminator="\n")
    if "jsonl" in formats:
        frame.to_json(_named(stem, "jsonl"), orient="records", lines=True, force_ascii=False, date_format="iso")
    if "parquet" in formats:
        frame.to_parquet(_named(stem, "parquet"), index=False)


def _named(stem: Path, kind: str) -> Path:
    # Not with_suffix: a name may hold further dots.
    return stem.with_name(f"{stem.name}.{kind}")


def _guarded(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _deliver(base: Path, target: Path) -> None:
    if target.suffix != ".zip":
        base.replace(target)
        return
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in base.rglob("*") if p.is_file()):
            add(archive, path, f"{base.name}/{path.relative_to(base).as_posix()}")
