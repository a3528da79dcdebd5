"""What is wrong with a definition file, where, and how to repair it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aipipe.errors import InvalidDefinition


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: The file, or "" for an object made in code.
        line: Line from 1, or None where there is none.
        message: What is wrong.
        repair: What to do.
        name: Name of the definition.
    """

    file: str
    line: int | None
    message: str
    repair: str = ""
    name: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else (self.file or self.name or "definition")
        return f"{where}: {self.message}" + (f" {self.repair}" if self.repair else "")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return {
            "file": self.file,
            "line": self.line,
            "name": self.name,
            "message": self.message,
            "repair": self.repair,
        }


def error_of(problems: Sequence[Problem], what: str) -> InvalidDefinition:
    """One error for all `problems`; `what` says where they are."""
    shown = "\n  ".join(str(problem) for problem in problems[:50])
    more = f"\n  … and {len(problems) - 50} more" if len(problems) > 50 else ""
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    return InvalidDefinition(
        f"{what}: {count}\n  {shown}{more}",
        hint="`aipipe configs check` lists them again; docs/extending.md explains every field.",
        problems=list(problems),
    )


def short(path: Path) -> str:
    """The path as a message shows it: relative to the current directory where it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
