"""How a batch is run: what changes nothing about its cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aipipe.errors import UsageError

ENGINES = ("aipipe", "papermill")
KEEP = ("all", "failed", "none")
SCHEDULES = ("auto", "cases", "text_first")


@dataclass(frozen=True)
class Options:
    """How a batch is run; nothing here changes what a case makes.

    Attributes:
        max_attempts: Failures of one case until it is left alone.
        fail_fast: The first failure stops the batch.
        keep_notebooks: all, failed or none.
        timeout: Seconds one notebook cell may take; None for no limit.
        engine: "aipipe" (warm kernels) or "papermill" (fresh ones).
        schedule: "cases", "text_first", or "auto", which takes text_first where language model and ComfyUI share a GPU.
        block: Cases whose texts are made before their media, with text_first.
        patience: Seconds for which cases wait for a server that is away.
        limits: Name of a service → cases that may need it at the same time.
    """

    max_attempts: int = 3
    fail_fast: bool = False
    keep_notebooks: str = "all"
    timeout: int | None = None
    engine: str = "aipipe"
    schedule: str = "auto"
    block: int = 60
    patience: float = 1800.0
    limits: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in (("keep_notebooks", KEEP), ("engine", ENGINES), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name}={getattr(self, name)!r} is unknown.", hint=f"One of {', '.join(known)}.")
        for name, least in (("max_attempts", 1), ("block", 1), ("patience", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name}={getattr(self, name)!r} is too small.", hint=f"At least {least}.")


def options_of(given: Mapping[str, Any]) -> Options:
    """Options of keyword arguments.

    Raises:
        UsageError: one is unknown, or its value is.
    """
    unknown = set(given) - set(Options.__dataclass_fields__)
    if unknown:
        raise UsageError(
            f"A batch has no option {', '.join(sorted(unknown))}.",
            hint=f"Options: {', '.join(Options.__dataclass_fields__)}.",
        )
    return Options(**given)


def arguments_of(options: Mapping[str, Any]) -> list[str]:
    """Options as `aipipe batch` takes them."""
    found: list[str] = []
    for name, value in options.items():
        word = f"--{name.replace('_', '-')}"
        if name == "limits":
            found += [part for pair in dict(value).items() for part in ("--limit", "=".join(map(str, pair)))]
        elif value is True:
            found.append(word)
        elif value not in (None, False):
            found += [word, str(value)]
    return found
