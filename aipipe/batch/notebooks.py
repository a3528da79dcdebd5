"""The case notebook: which one it is, its parameters, and whether the cases of a plan fit it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.errors import near_names

if TYPE_CHECKING:
    from aipipe.batch.grid import Grid
    from aipipe.batch.plan import Case

OWN_PLACE = Path("notebooks") / "cases" / "run_case.ipynb"
"""Where a project keeps a case notebook of its own."""
CASE_PARAMETERS = ("config", "text", "seed", "safety", "mode", "output", "runs")
"""What every case notebook may take; the rest of a case reaches the lab through the environment."""


@dataclass(frozen=True)
class CaseNotebook:
    """A notebook that runs one case.

    Attributes:
        path: Where it was read.
        content: Its bytes as they were then.
        known: Parameter → what papermill found out about it.
        problems: What is wrong with it.
    """

    path: Path
    content: bytes
    known: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> CaseNotebook:
        """Read and inspect a notebook; whatever is wrong with it becomes a problem."""
        import papermill

        try:
            content = path.read_bytes()
            known = papermill.inspect_notebook(str(path))
        except Exception as error:  # noqa: BLE001  papermill raises whatever its reader raises
            what = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            return cls(path, b"", {}, (f"{path} cannot be read as a notebook: {what}",))
        if not known:
            return cls(path, content, {}, (f"{path.name} has no cell with the tag parameters, or nothing in it",))
        missing = tuple(f"{path.name} has no parameter {name!r}" for name in ("config", "text") if name not in known)
        return cls(path, content, known, missing)

    @property
    def sha256(self) -> str:
        """Hash of its content, as the plan keeps it."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def own(self) -> frozenset[str]:
        """Parameters beyond those that every case has."""
        return frozenset(self.known) - {*CASE_PARAMETERS}

    def misfits(self, grid: Grid) -> list[str]:
        """Axes that are crossed, but that the notebook could not tell apart."""
        crossed = {
            "seed": len(grid.seeds) > 1, "safety": len(grid.levels) > 1, "mode": len(grid.modes) > 1, "output": len(grid.outputs) > 1,
        }  # fmt: skip
        return [
            f"{self.path.name} has no parameter {name!r}, by which this batch's cases differ"
            for name, several in crossed.items()
            if several and name not in self.known
        ]

    def wrong_types(self, cases: Iterable[Case]) -> list[str]:
        """Values of another type than the notebook's default; papermill itself never asks."""
        pairs = ((n, v) for case in cases for n, v in {**case.parameters, **case.notebook_parameters}.items())
        return list(
            dict.fromkeys(
                f"{self.path.name}: the parameter {name} is {self.known[name].get('default')} there, and {value!r} is of another type"
                for name, value in pairs
                if name in self.known and _mismatch(self.known[name], value)
            )
        )

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Problems for names that are no parameters of it."""
        return [
            f"{self.path.name} has no parameter {name!r}" + (f"; did you mean {near[0]!r}?" if (near := near_names(name, list(self.known))) else "")
            for name in names
            if name not in self.known
        ]  # fmt: skip


def choose(choice: str | Path | bool | None, project: Path | None) -> Path | None:
    """The case notebook that an argument means: a file, none (False), the project's own, or the one that ships."""
    if choice is False:
        return None
    if isinstance(choice, (str, Path)):
        base = Path(choice).expanduser()
        return base if base.is_absolute() or base.exists() else (project or Path.cwd()) / base
    if project is not None and (project / OWN_PLACE).is_file():
        return project / OWN_PLACE
    from aipipe.lab.project import shipped_notebooks

    return Path(str(shipped_notebooks().joinpath("cases", "run_case.ipynb")))


def _mismatch(known: Mapping[str, Any], value: Any) -> bool:
    default = str(known.get("default", ""))
    try:
        kind = type(
            json.loads(
                default.replace("'", '"').replace("True", "true").replace("False", "false").replace("None", "null")
            )
        )
    except ValueError:
        return False
    if kind is type(None):
        return False
    if kind is bool or isinstance(value, bool):
        return not (kind is bool and isinstance(value, bool))
    if isinstance(value, kind):
        return False
    return not (kind is float and isinstance(value, int)) and not (
        kind is int and isinstance(value, float) and value.is_integer()
    )
