"""How a batch is run: what changes nothing about its cases."""

from __future__ import annotations

import numbers
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from aipipe.errors import UnknownName, UsageError, near_names

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
        queue: Jobs, of anybody, that may wait at each ComfyUI server of a generator before its cases wait here instead; 0 for any
            number.
        storage: fsspec address at which the workers of a cluster without a shared disk leave what they made; "" for a shared disk.
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
    queue: int = 8
    storage: str = ""

    def __post_init__(self) -> None:
        for name in ("max_attempts", "block", "queue"):
            _number(name, getattr(self, name), whole=True)
        _number("patience", self.patience)
        if self.timeout is not None and _number("timeout", self.timeout, whole=True) < 1:
            raise UsageError(
                f"timeout={self.timeout!r} is too small.",
                hint="Seconds for one notebook cell, at least 1; None for no limit.",
            )
        if not isinstance(self.storage, str):
            raise UsageError(f"storage={self.storage!r} is no address.", hint="For example s3://bucket/folder.")
        if not isinstance(self.fail_fast, bool):
            raise UsageError(f"fail_fast={self.fail_fast!r} is neither True nor False.")
        if not isinstance(self.limits, Mapping):
            raise UsageError(f"limits={self.limits!r} is no mapping.", hint='For example limits={"comfyui": 1}.')
        for service, limit in self.limits.items():
            if _number(f"limits[{service!r}]", limit, whole=True) < 1:
                raise UsageError(f"limits[{service!r}]={limit!r} would let no case run.", hint="At least 1.")
        for name, known in (("keep_notebooks", KEEP), ("engine", ENGINES), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name}={getattr(self, name)!r} is unknown.", hint=f"One of {', '.join(known)}.")
        for name, least in (("max_attempts", 1), ("block", 1), ("patience", 0), ("queue", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name}={getattr(self, name)!r} is too small.", hint=f"At least {least}.")


def options_of(given: Mapping[str, Any]) -> Options:
    """Options of keyword arguments.

    Raises:
        UsageError: one is unknown, or its value is.
    """
    unknown = sorted(set(given) - set(Options.__dataclass_fields__))
    if unknown:
        near = near_names(unknown[0], list(Options.__dataclass_fields__))
        raise UsageError(
            f"A batch has no option {', '.join(unknown)}." + (f" Did you mean {near[0]!r}?" if near else ""),
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
        elif value is not None and value is not False:  # 0 is a value, though it equals False
            found += [word, str(value)]
    return found


def check_workers(workers: Any) -> int:
    """The number of workers.

    Raises:
        UsageError: it is no whole number of at least 1.
    """
    number = _number("workers", workers, whole=True)
    if number < 1:
        raise UsageError(f"workers={workers!r} would do nothing.", hint="At least 1.")
    return int(number)


def check_services(limits: Mapping[str, int], known: Collection[str]) -> None:
    """Refuse limits of services that the settings do not have.

    Raises:
        UnknownName: it names the nearest.
    """
    for name in limits:
        if name not in known:
            raise UnknownName("service to limit", name, known)


def _number(name: str, value: Any, *, whole: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral if whole else numbers.Real):
        raise UsageError(f"{name}={value!r} is no {'whole ' if whole else ''}number.")
    return float(value)
