"""The papers of an export: codebook, datasheet, citation, manifest."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aipipe import __version__
from aipipe.analysis.columns import DTYPES, FRAMES
from aipipe.analysis.dialects.common import mapping
from aipipe.analysis.export import licences
from aipipe.analysis.export.crate import write_crate
from aipipe.analysis.export.layouts import DOCUMENT_FACTS, RUN_FACTS, Layout
from aipipe.analysis.extract import listed
from aipipe.analysis.items import facts_of
from aipipe.analysis.reading import parse

if TYPE_CHECKING:
    from aipipe.analysis.export.outcome import ExportReport


_PLACES: dict[Layout, str] = {
    "folder": "Each run is a folder under runs/ with metadata.json and its numbered files.",
    "images": "The pictures lie in images/; metadata.csv gives each its prompt and the facts of its run.",
    "qda": "Each recorded text is a file in documents/; attributes.csv gives each the facts of its run.",
    "zenodo": "In the ZIP each run is a folder under runs/ with metadata.json and its numbered files.",
}
_COLUMNS: dict[Layout, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "images": (
        "metadata.csv",
        {
            "file_name": "The picture, as a path from this folder.",
            "prompt": "The text that the picture was made from: the interception, or a person's edit of it.",
            "input": "What a person had written.",
        },
        RUN_FACTS,
    ),
    "qda": (
        "attributes.csv",
        {
            "document": "The text, as a file in documents/.",
            "text_type": "Which text of the run: input, translation, interception, or a step or edit of it.",
            "label_…": "A label of the run that the publisher kept.",
        },
        DOCUMENT_FACTS,
    ),
}


def write_papers(base: Path, report: ExportReport, *, creator: str, licence: str, layout: Layout = "folder") -> None:
    """Write codebook.md, datasheet.md, CITATION.cff, ro-crate-metadata.json (of a folder) and, last, manifest.json.

    Args:
        base: Folder of the export.
        report: What the export did.
        creator: Who is to be cited.
        licence: Of the data, as an SPDX id.
        layout: The shape that the folder has by now.
    """
    crate = layout == "folder"
    (base / "codebook.md").write_text(_codebook(layout), encoding="utf-8")
    if crate:
        report.sources = _sources(base)
    (base / "datasheet.md").write_text(_datasheet(report, licence, layout), encoding="utf-8")
    (base / "CITATION.cff").write_text(_citation(base.name, creator, licence), encoding="utf-8")
    if crate:
        write_crate(base, creator=creator, licence=licence)
    (base / "manifest.json").write_text(_manifest(base, report), encoding="utf-8")


def _codebook(layout: Layout) -> str:
    lines = ["# Codebook", ""]
    if layout in _COLUMNS:
        name, own, of_runs = _COLUMNS[layout]
        known = {c.name: c.text for c in FRAMES["runs"]}
        lines += [f"## {name}", "", "| column | meaning |", "|---|---|"]
        lines += [f"| {column} | {text} |" for column, text in own.items()]
        lines += [f"| {column} | {known[column]} |" for column in of_runs]
        return "\n".join([*lines, ""])
    for frame in ("runs", "entities"):
        lines += [f"## {frame}", "", "| column | type | meaning |", "|---|---|---|"]
        lines += [f"| {c.name} | {DTYPES[c.kind]} | {c.text} |" for c in FRAMES[frame]]
        lines.append("")
    return "\n".join(lines)


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def _datasheet(report: ExportReport, licence: str, layout: Layout) -> str:
    removed = [f"- {what}: {count}" for what, count in sorted(report.removed.items())] or ["- nothing"]
    left_out = [f"- {reason}: {_runs(count)}" for reason, count in sorted(report.reasons.items())] or ["- none"]
    return "\n".join(
        [
            "# Datasheet",
            "",
            f"Exported {datetime.now(UTC).date()} by aipipe {__version__}, profile {report.profile}.",
            f"{_runs(len(report.exported))} of pipelines that turn a text into a changed text and media.",
            _PLACES[layout],
            "",
            f"Licence of the data: {licence or 'to be stated by the publisher'}.",
            "",
            "## Models and glyphs",
            "Each has a licence of its own, which may bind whoever publishes what it made. The licences named here are hints",
            "from general knowledge: **a person must check each of them before publishing**. A finetune, a merge or a LoRA has",
            "the terms of its base, and may have further ones.",
            *(report.sources or ["- none recorded"]),
            "",
            *_told_times(report),
            "## Left out",
            *left_out,
            "",
            "## Removed from what is here",
            *removed,
            "",
            *_questions(report),
        ]
    )


def _questions(report: ExportReport) -> list[str]:
    """What no record knows. The questions follow Gebru et al., Datasheets for Datasets (2021), https://doi.org/10.1145/3458723."""
    if report.profile != "public":
        return []
    return [
        "## To be written by the publisher",
        "- Why were the runs made, by whom, and who paid for it?",
        "- Who took part, how old were they, and who was not there to take part?",
        "- Who gave consent, to what, in which words, and how can it be taken back? (For minors: who else agreed?)",
        "- Who read the texts and looked at the pictures, and what did they look for? Rules miss names, and models draw faces.",
        "- What should these data not be used for?",
        "- Whom does one write to about a mistake or a withdrawal?",
        "",
    ]


def _told_times(report: ExportReport) -> list[str]:
    if report.times != "day":
        return []
    return [
        "## Times",
        "The day is that of the run, in UTC. The hour is not given: the runs of a day begin one second after each other from",
        "midnight, in the order in which they were made. What lies between the times of one run is as it was.",
        "",
    ]


def _sources(base: Path) -> list[str]:
    """Models and glyphs of the exported runs, with the licence where the record names it."""
    models: set[str] = set()
    glyphs: set[str] = set()
    for path in sorted((base / "runs").glob("*/metadata.json")):
        run = parse(path.read_bytes())
        models |= {str(name) for name in mapping(run.get("models")).values()}
        models |= {str(step["model"]) for step in listed(run, "steps") if step.get("model")}
        for entity in listed(run, "entities"):
            facts = facts_of(entity)
            if facts.get("glyph_source"):
                glyphs.add(f"- glyphs {facts['glyph_source']}, licence {facts.get('glyph_licence') or 'not recorded'}")
    return [*map(licences.told, _distinct(models)), *sorted(glyphs)]


def _distinct(models: set[str]) -> list[str]:
    """Names without those that another name says more fully: a step names a model without its backend."""
    models = {name.removesuffix(":") for name in models}  # "echo:", a backend that names no model
    full = {name.partition(":")[2] for name in models}
    return sorted(models - full - {"embedded", "echo"}) or sorted(models)


def _citation(title: str, creator: str, licence: str) -> str:
    family = json.dumps(creator or "to be stated by the publisher", ensure_ascii=False)
    lines = [
        "cff-version: 1.2.0",
        "message: Please cite this data set.",
        "type: dataset",
        f"title: {json.dumps(title, ensure_ascii=False)}",
        "authors:",
        f"  - name: {family}",
        f"date-released: {datetime.now(UTC).date()}",
    ]
    return "\n".join([*lines, *([f"license: {licence}"] if licence else [])]) + "\n"


def _manifest(base: Path, report: ExportReport) -> str:
    """Every file with size and hash, and what was removed. Ids of runs that were left out stay at home."""
    files = {
        path.relative_to(base).as_posix(): {
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(base.rglob("*"))
        if path.is_file()
    }
    document = {
        "aipipe": __version__,
        "profile": report.profile,
        "runs": len(report.exported),
        "runs_left_out": len(report.left_out),
        "removed": report.removed,
        "removals": {report.published.get(run_id, run_id): found for run_id, found in report.removals.items()},
        "files": files,
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
