"""What a loader reads: the project's store, a path, a Store, or several of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aipipe.display.text import short_path
from aipipe.errors import InvalidInput, RunNotFound, UsageError


def roots(source: Any) -> list[Path]:
    """Folders to read.

    Args:
        source: None for the project's store (named on stderr), a path, a Store, a Run, or a list of these.

    Raises:
        RunNotFound: a folder does not exist.
        UsageError: something that names no folder.
    """
    if source is None:
        path = project_store()
        sys.stderr.write(f"aipipe: reading the project's store {short_path(path)}\n")
        return [_existing(path)]
    if isinstance(source, str | Path):
        return [_existing(Path(source))]
    if hasattr(source, "columns"):
        raise UsageError(
            "A frame names no store; a loader makes frames from folders.",
            hint='Pass its store: load_steps(df.attrs["store"], where="run_id in …"), or filter the frame itself.',
        )
    # A store has a path; a run, and a recorder, has a folder.
    own = getattr(source, "path", None) or getattr(source, "folder", None)
    if isinstance(own, str | Path):
        return [_existing(Path(own))]
    if isinstance(source, Iterable):
        found = [root for item in source for root in roots(item)]
        if not found:
            raise UsageError(
                "The list names no folder.", hint="Pass at least one folder, or nothing for the project's store."
            )
        return list(dict.fromkeys(found))
    raise UsageError(
        f"{type(source).__name__} names no store.", hint="Pass a folder, a Store, a Run, a list of them, or nothing."
    )


def project_store() -> Path:
    """The store that AIPIPE_RUNS names, else that of the project around the current directory.

    Raises:
        UsageError: no project here.
    """
    from aipipe.settings import find_project, load

    project = find_project()
    if project is None:
        if named := os.environ.get("AIPIPE_RUNS"):
            return Path(named)
        raise UsageError(
            f"There is no project at or above {Path.cwd()}, so there is no store to read by default.",
            hint='Pass the folder: load_runs("runs"), or make a project with `aipipe init`.',
        )
    return project / load(project).runs


def _existing(path: Path) -> Path:
    path = path.expanduser()
    if not path.is_dir():
        raise RunNotFound(f"There is no folder {path}.", hint="Check the path; a new project has no runs yet.")
    # What `resolve` does, at two thirds of the time.
    real = os.path.realpath(path)
    try:
        real.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(real).decode("utf-8", errors="replace")
        raise InvalidInput(
            f"The name of the folder {shown} is not UTF-8, so no column can hold it.", hint="Rename the folder."
        ) from None
    return Path(real)


def moment(since: Any) -> datetime | None:
    """`since` as a UTC time: a datetime, date, ISO text, or a timedelta back from now.

    Raises:
        InvalidInput: none of these.
    """
    if since is None:
        return None
    try:
        if isinstance(since, timedelta):
            return datetime.now(UTC) - since
        found = datetime.fromisoformat(since) if isinstance(since, str) else since
        # Both pandas and numpy have times of their own, which frames hand out.
        found = getattr(found, "to_pydatetime", getattr(found, "item", lambda: found))()
        if isinstance(found, datetime):
            return found.astimezone(UTC)
        if isinstance(found, date):
            return datetime(found.year, found.month, found.day).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # no date, pandas' NaT, or a time before the calendar
    raise InvalidInput(
        f"since={since!r} is no date.",
        hint='Write "2026-11-01" or "2026-11-01T10:00", or pass a datetime, a date or a timedelta.',
    )


def zone(name: str | tzinfo | None) -> tzinfo | None:
    """A time zone by name, for the naive times of older dialects.

    Raises:
        InvalidInput: unknown name.
    """
    if name is None or isinstance(name, tzinfo):
        return name
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):  # the last of a folder of zones: "Europe"
        raise InvalidInput(f"There is no time zone {name!r}.", hint='Use a name like "Europe/Berlin".') from None
