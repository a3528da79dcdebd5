"""Include and exclude rules: which cases a plan leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aipipe.errors import near_names

if TYPE_CHECKING:
    from aipipe.batch.plan import Case

Rule = Mapping[str, Any]
ALIASES = {
    "config_name": "config", "level": "safety", "safety_level": "safety", "execution_mode": "mode", "id": "input_id",
    "outputs": "output", "models": "model", "input": "text", "images": "image",
}  # fmt: skip
"""Other spellings of fields: those of columns in data frames, and plurals."""
SHOWN = 8


def left_out(case: Case, include: Iterable[Rule], exclude: Iterable[Rule]) -> bool:
    """Whether the rules leave a case out: it meets one to exclude, or none of those to include."""
    facts = _facts(case)
    wanted = list(include)
    return any(_meets(facts, rule) for rule in exclude) or (
        bool(wanted) and not any(_meets(facts, rule) for rule in wanted)
    )


def problems(include: Iterable[Rule], exclude: Iterable[Rule], cases: Sequence[Case]) -> list[str]:
    """Rules that do nothing: a field or a value that no case has is a slip of the pen, and would silently run too much."""
    values: dict[str, dict[str, None]] = {}
    for case in cases:
        for name, found in _facts(case).items():
            values.setdefault(name, {}).update(dict.fromkeys(map(str, found)))
    listed: list[str] = []
    for kind, given in (("include", include), ("exclude", exclude)):
        for rule in given:
            for field, wanted in rule.items():
                listed += _of_field(f"{kind} {dict(rule)!r}", field, wanted, values)
            if not rule:
                listed.append(f"{kind}: an empty rule meets every case")
    return list(dict.fromkeys(listed))


def _of_field(what: str, field: str, wanted: Any, values: Mapping[str, Mapping[str, None]]) -> list[str]:
    name = ALIASES.get(field, field)
    if name not in values:
        known = sorted(values)
        near = near_names(str(field), [*known, *ALIASES])
        return [
            f"{what}: no case has a field {field!r}; "
            + (f"did you mean {near[0]!r}?" if near else f"fields: {', '.join(known)}")
        ]
    there = values[name]
    return [
        f"{what}: no case has {field}={value!r}; there are {', '.join(list(there)[:SHOWN])}{' …' if len(there) > SHOWN else ''}"
        for value in _several(wanted)
        if str(value) not in there
    ]


def _facts(case: Case) -> dict[str, tuple[Any, ...]]:
    """Field → its values; several where a case has several texts, outputs or models."""
    names = ("config", "seed", "text_seed", "safety", "mode", "repeat")
    return {
        **{k: (v,) for k, v in {**case.labels, **case.parameters, **case.notebook_parameters}.items()},
        **{name: (getattr(case, name),) for name in names},
        **({"input_id": (case.input_id,)} if case.input_id is not None else {}),
        "output": case.outputs or ("",),
        "text": case.texts,
        "image": case.images,
        "model": tuple(dict.fromkeys((*case.models.values(), *(m.partition(":")[2] for m in case.models.values())))),
    }  # fmt: skip


def _meets(facts: Mapping[str, tuple[Any, ...]], rule: Rule) -> bool:
    def one(field: str, wanted: Any) -> bool:
        there = {str(value) for value in facts.get(ALIASES.get(field, field), ())}
        return any(str(value) in there for value in _several(wanted))

    return bool(rule) and all(one(field, wanted) for field, wanted in rule.items())


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple, set, frozenset, range)) else [value]
