"""Plans as TOML files: the arguments of `Batch`, beside the prompts and the notebook that they name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from aipipe.errors import InvalidPlan, near_names

GRID_KEYS = (
    "configs", "inputs", "seeds", "text_seeds", "levels", "modes", "outputs", "models", "parameters", "repeats", "include", "exclude",
)  # fmt: skip
OTHER_KEYS = ("study", "participant", "session", "notebook", "runs", "order_seed")
PATHS = ("inputs", "notebook")


def read_plan_file(path: Path) -> dict[str, Any]:
    """The arguments that a plan file gives; its relative paths start at its own folder.

    Raises:
        InvalidPlan: it cannot be read, or has a key nobody knows.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidPlan(f"{path} cannot be read: {error}.", hint="docs/batches shows a plan.") from None
    known = (*GRID_KEYS, *OTHER_KEYS)
    unknown = sorted(set(document) - set(known))
    if unknown:
        near = near_names(unknown[0], known)
        raise InvalidPlan(
            f"{path} has unknown keys: {', '.join(unknown)}." + (f" Did you mean {near[0]!r}?" if near else ""),
            hint=f"Known: {', '.join(known)}.",
        )
    return {
        name: (path.parent / value).resolve() if name in PATHS and isinstance(value, str) else value
        for name, value in document.items()
    }
