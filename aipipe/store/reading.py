"""Reading metadata.json of this format and of the original's dialect. Reading never writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aipipe import lease
from aipipe.errors import FormatTooNew, RunNotFound, RunUnreadable, UnsafePath
from aipipe.files import open_plain
from aipipe.media import by_filename
from aipipe.records import FORMAT_VERSION, RunRecord

METADATA = "metadata.json"
MAX_METADATA_BYTES = 256_000_000


def read_document(folder: Path) -> dict[str, Any]:
    """The JSON document of a run folder.

    Raises:
        RunNotFound: there is no metadata.json.
        RunUnreadable: it is torn, poisoned or not an object; names path and cause.
        FormatTooNew: it was written by a newer aipipe.
    """
    path = folder / METADATA
    try:
        with open_plain(path) as file:
            raw = file.read(MAX_METADATA_BYTES + 1)
        if len(raw) > MAX_METADATA_BYTES:
            raise RunUnreadable(f"{path} is implausibly large.", path=path, cause="size")
    except FileNotFoundError:
        raise RunNotFound(
            f"There is no run in {folder}.", hint="`aipipe runs list` lists the runs.", path=path
        ) from None
    except NotADirectoryError:
        raise RunNotFound(f"{folder} is not a run folder.", path=path) from None
    except UnsafePath as error:
        raise RunUnreadable(error.message, hint=error.hint, path=path, cause="not a plain file") from None
    except OSError as error:
        raise RunUnreadable(f"{path} cannot be read: {error.strerror}.", path=path, cause=str(error)) from error
    try:
        document = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise RunUnreadable(
            f"{path} is not a valid record: {error}.",
            hint="`aipipe runs doctor` sets it aside.",
            path=path,
            cause=str(error),
        ) from None
    if not isinstance(document, dict):
        raise RunUnreadable(f"{path} is not a JSON object.", path=path, cause="not an object")
    version = document.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise FormatTooNew(
            f"{path} has format version {version}; this aipipe reads up to {FORMAT_VERSION}.",
            hint="Update aipipe: python -m pip install -U aipipe",
            path=path,
            cause=f"format {version}",
        )
    return document


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def to_record(document: dict[str, Any], folder: Path) -> RunRecord:
    """The record of a document of either dialect.

    Raises:
        RunUnreadable: a field is missing or of the wrong type.
    """
    if "format_version" not in document:
        document = _from_original(document, folder)
    try:
        return RunRecord.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise RunUnreadable(
            f"{folder / METADATA}: field {where}: {first['msg']}.",
            path=folder / METADATA,
            cause=f"{where}: {first['msg']}",
        ) from None


def _from_original(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The original system's record with what this format adds: media types and sizes of the files."""
    entities = []
    for entry in document.get("entities") or []:
        if not isinstance(entry, dict):
            raise RunUnreadable(
                f"{folder / METADATA}: an entity is not an object.", path=folder / METADATA, cause="entity"
            )
        format_ = by_filename(str(entry.get("filename", "")))
        entities.append({"media_type": format_.media_type, "mime": format_.mime, "size": _size(folder, entry), **entry})
    return {**document, "format_version": 0, "started": document.get("timestamp", ""), "entities": entities}


def _size(folder: Path, entry: dict[str, Any]) -> int:
    try:
        return (folder / Path(str(entry.get("filename", ""))).name).stat().st_size
    except OSError:
        return 0


def derive_status(record: RunRecord, folder: Path) -> tuple[str, str]:
    """The status and where it comes from: "recorded" or "derived".

    A running run whose writer is gone is `interrupted`. A run of the original's dialect is `blocked` by its safety error,
    `failed` by another, `completed` if its declared outputs exist and are not empty, else `unknown`.
    """
    if record.format_version >= 1:
        if record.status != "running":
            return record.status, "recorded"
        writer = lease.find(folder)
        return ("running", "recorded") if writer is not None and writer.alive else ("interrupted", "derived")
    errors = [e for e in record.entities if e.type == "error"]
    if any(e.metadata.get("error_type") == "safety_blocked" for e in errors):
        return "blocked", "derived"
    if errors:
        return "failed", "derived"
    there = {e.type for e in record.entities if e.size > 0}
    wanted = set(record.expected_outputs)
    return ("completed" if wanted and wanted <= there else "unknown"), "derived"
