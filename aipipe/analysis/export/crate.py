"""RO-Crate 1.1 with the profile Process Run Crate 0.5: each run is an action with the files it read and made."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aipipe import __version__
from aipipe.analysis.export.built import present, runs_of

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
CRATE = "https://w3id.org/ro/crate/1.1"
NAME = "ro-crate-metadata.json"
_STATUS = {"completed": "CompletedActionStatus", "failed": "FailedActionStatus"}
_INPUTS = ("input", "input_image", "interception_edit")
_FORMATS = {".csv": "text/csv", ".jsonl": "application/x-ndjson", ".html": "text/html", ".md": "text/markdown"}


def write_crate(base: Path, *, creator: str, licence: str) -> None:
    """Write ro-crate-metadata.json for an export folder."""
    runs = list(runs_of(base))
    actions, files = [], _loose(base)
    for folder, run in runs:
        action, made = _action(folder, run)
        actions.append(action)
        files += made
    author = {"@id": "#creator", "@type": "Organization", "name": creator or "to be stated by the publisher"}
    known = f"https://spdx.org/licenses/{quote(licence)}" if licence else "#licence"
    rights = {
        "@id": known,
        "@type": "CreativeWork",
        "name": licence or "to be stated by the publisher",
        "description": "Licence of the data.",
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": base.name,
        "description": f"{len(runs)} recorded runs of pipelines that turn a text into a changed text and media.",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "license": {"@id": known},
        "author": {"@id": "#creator"},
        "conformsTo": {"@id": PROFILE},
        "hasPart": [{"@id": f["@id"]} for f in files],
        "mentions": [{"@id": a["@id"]} for a in actions],
    }
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    graph = [_descriptor(), root, profile, _software(), author, rights, *actions, *files]
    # The profile's own terms (containers, resource usage) are not used, so the crate's context is enough.
    document = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}
    (base / NAME).write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _descriptor() -> dict[str, Any]:
    return {"@id": NAME, "@type": "CreativeWork", "conformsTo": {"@id": CRATE}, "about": {"@id": "./"}}


def _software() -> dict[str, Any]:
    # The package itself is the instrument; it has no address that would outlive a move of its repository.
    return {"@id": "#aipipe", "@type": "SoftwareApplication", "name": "aipipe", "softwareVersion": __version__}


def _loose(base: Path) -> list[dict[str, Any]]:
    return [
        _file(quote(p.name), p, p.name, _FORMATS.get(p.suffix, "application/octet-stream"))
        for p in sorted(base.iterdir())
        if p.is_file() and p.name not in (NAME, "manifest.json")
    ]


def _file(identity: str, path: Path, name: str, form: str) -> dict[str, Any]:
    return {
        "@id": identity,
        "@type": "File",
        "name": name,
        "contentSize": str(path.stat().st_size),
        "encodingFormat": form,
    }


def _action(folder: Path, run: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    base = f"runs/{quote(folder.name)}"
    files = [_file(f"{base}/metadata.json", folder / "metadata.json", "record of the run", "application/json")]
    read: list[dict[str, str]] = []
    made: list[dict[str, str]] = []
    for entity in present(folder, run):
        path = folder / entity["filename"]
        entry = _file(
            f"{base}/{quote(entity['filename'])}",
            path,
            str(entity.get("type")),
            str(entity.get("mime") or "text/plain"),
        )
        files.append(entry)
        (read if entity.get("type") in _INPUTS else made).append({"@id": entry["@id"]})
    status = _STATUS.get(str(run.get("status")), "FailedActionStatus")
    action = {
        "@id": f"#run-{quote(folder.name)}",
        "@type": "CreateAction",
        "name": f"{run.get('config_name')} ({run.get('status')})",
        "description": f"Config {run.get('config_name')}, safety level {run.get('safety_level')}.",
        "instrument": {"@id": "#aipipe"},
        "agent": {"@id": "#creator"},
        "startTime": run.get("started") or run.get("timestamp"),
        "endTime": run.get("finished") or run.get("timestamp"),
        "actionStatus": {"@id": f"http://schema.org/{status}"},
        "object": read,
        "result": made or [{"@id": files[0]["@id"]}],
    }
    if status == "FailedActionStatus":
        action["error"] = f"status {run.get('status')}"
    return action, files
