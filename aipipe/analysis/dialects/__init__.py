"""Records of older systems, each turned into the shape of format version 1 so that every frame reads them alike.

A normalised record is a dict with the fields of version 1 plus `dialect` and `status_source`. Nothing is written.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from aipipe.analysis.reading import Unreadable

NAMES = ("version 1", "original", "original dated", "media storage", "tracker", "session export", "canvas")


@dataclass(frozen=True, slots=True)
class Context:
    """Where a record lies and how its naive times are to be read."""

    path: str
    zone: tzinfo | None = None

    @property
    def folder(self) -> str:
        """Folder of the record file."""
        return os.path.dirname(self.path)  # noqa: PTH120  hot loop

    def utc(self, text: Any) -> str | None:
        """An ISO time as UTC; naive times are taken in `zone`, or this machine's zone when none is given."""
        if not isinstance(text, str):
            return None
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None and self.zone is not None:
                moment = moment.replace(tzinfo=self.zone)
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except (ValueError, OverflowError):  # no time, or one that leaves the calendar in UTC
            return None


def normalise(record: Any, context: Context) -> dict[str, Any]:
    """The record in the shape of version 1; version 1 itself is returned untouched.

    Raises:
        Unreadable: not a record of any known dialect, or a newer format.
    """
    if type(record) is not dict:
        raise Unreadable("the document is not a JSON object")
    version = record.get("format_version")
    if version is not None:
        if version != 1:
            if type(version) is int and version > 1:
                raise Unreadable(f"format version {version} is newer than this aipipe; update it")
            raise Unreadable(f"format_version {version!r} is not a version")
        if type(record.get("run_id")) is not str or not record["run_id"]:
            raise Unreadable("it has no run_id")
        return record
    return _older(record, context)


def _older(record: dict[str, Any], context: Context) -> dict[str, Any]:
    for name in ("run_id", "execution_id", "session_id"):
        if name in record and (not isinstance(record[name], str | int) or record[name] == ""):
            raise Unreadable(f"its {name} names nothing")
    from aipipe.analysis.dialects import canvas, media_storage, original, session_export, tracker

    if "execution_id" in record:
        return tracker.normalise(record, context)
    if "session_id" in record and "workflow_name" in record:
        return session_export.normalise(record, context)
    if record.get("type") == "canvas_workflow":
        return canvas.normalise(record, context)
    if "schema" in record and "outputs" in record:
        return media_storage.normalise(record, context)
    if "run_id" in record and "config_name" in record:
        return original.normalise(record, context)
    raise Unreadable("no known kind of run record (no format_version, config_name, schema, execution_id or session_id)")
