"""By what runs are told apart: fields of the record under their usual names, models of tasks, labels, columns of a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from aipipe.errors import UnknownName
from aipipe.records import RunRecord

if TYPE_CHECKING:
    import pandas as pd

    from aipipe.store import Run

ALIASES = {
    "config": "config_name",
    "input": "input_id",
    "level": "safety_level",
    "mode": "execution_mode",
    "model": "model_interception",
    "tag": "tags",
}
"""Short words, as arguments of a run have them."""
PLAIN = (str, int, float, bool, type(None))


def values_of(source: Any, axis: str, runs: Sequence[Run], *, what: str = "axis") -> Callable[[Run], str]:
    """A function from a run to its value on an axis, "(none)" where it has none.

    Args:
        source: What the runs came from; a frame's own columns come first.
        axis: A column of the frame, a field of the record ("config_name", or "config" for short), a task's model
            ("model_interception"), a label ("label_group"), "status", or "tags": all tags of a run as one value.
        runs: The runs.
        what: What the name is called in an error.

    Raises:
        UnknownName: the runs have no such value; the nearest names are told.
    """
    frame: pd.DataFrame | None = source if hasattr(source, "columns") else None
    if frame is not None and axis in frame.columns:
        column = frame[axis].astype(object).where(frame[axis].notna(), None)
        known = dict(zip(frame["run_id"].astype(str), column, strict=True))
        return lambda run: word(known.get(run.run_id))
    name = ALIASES.get(axis, axis)
    names = _names(runs, frame)
    if name not in names:
        # Under its long name a short word finds its neighbours: "model" stands for a task's model.
        raise UnknownName(what, name, names)
    if name == "status":
        return lambda run: word(run.status)
    if name == "tags":
        return lambda run: word(", ".join(sorted(run.tags)))
    for prefix, field in (("model_", "models"), ("label_", "labels")):
        if name.startswith(prefix):
            key = name.removeprefix(prefix)
            return lambda run: word(getattr(run.record, field).get(key))
    return lambda run: word(getattr(run.record, name))


def word(value: Any) -> str:
    """A value as the name of a row or column."""
    return "(none)" if value is None or value == "" else str(value)


def _names(runs: Sequence[Run], frame: pd.DataFrame | None) -> list[str]:
    fields = [
        name for name in RunRecord.model_fields if all(isinstance(getattr(run.record, name), PLAIN) for run in runs)
    ]
    models = {f"model_{task}" for run in runs for task in run.record.models}
    labels = {f"label_{key}" for run in runs for key in run.record.labels}
    columns = [str(column) for column in frame.columns] if frame is not None else []
    return ["status", "tags", *fields, *sorted(models), *sorted(labels), *columns]
