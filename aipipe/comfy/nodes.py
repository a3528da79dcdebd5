"""Node descriptions of a server (`object_info`), in all dialects of one answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NUMBERS = ("INT", "FLOAT")
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


@dataclass(frozen=True, slots=True)
class Spec:
    """What a node class says of one input.

    Attributes:
        name: Name; sub-inputs of a dynamic choice are dotted.
        kind: "INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", or a type of links ("MODEL", "*", "MESH,FILE_3D").
        required: It must be there.
        choices: Offered values of a COMBO.
        minimum: Smallest number.
        maximum: Largest number.
        default: Value of a new node.
        options: Everything else the node says.
        dynamic: Value → inputs that come with it, for a dynamic choice.
    """

    name: str
    kind: str = ""
    required: bool = False
    choices: tuple[Any, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    default: Any = None
    options: Mapping[str, Any] | None = None
    dynamic: Mapping[str, Mapping[str, Any]] | None = None

    @property
    def tooltip(self) -> str:
        """The node's explanation of the input."""
        return str((self.options or {}).get("tooltip") or "")

    @property
    def is_widget(self) -> bool:
        """True when the editor shows a field for it, rather than only a socket."""
        return self.kind in WIDGETS and not (self.options or {}).get("forceInput")

    @property
    def multiple(self) -> bool:
        """True when several choices may be taken."""
        options = self.options or {}
        return bool(options.get("multiselect") or options.get("multi_select"))


def _spec(name: str, described: Any, *, required: bool) -> Spec:
    parts = list(described) if isinstance(described, (list, tuple)) else [described]
    kind = parts[0] if parts else ""
    options = parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {}
    if isinstance(kind, list):
        return Spec(name, "COMBO", required, tuple(kind), default=options.get("default"), options=options)
    kind = str(kind)
    offered = options.get("options")
    if kind == "COMBO" and isinstance(offered, list):
        return Spec(name, "COMBO", required, tuple(offered), default=options.get("default"), options=options)
    if kind.startswith("COMFY_DYNAMICCOMBO") and isinstance(offered, list):
        ways = {str(o["key"]): o.get("inputs") or {} for o in offered if isinstance(o, Mapping) and "key" in o}
        default = options.get("default", next(iter(ways), None))
        return Spec(name, "COMBO", required, tuple(ways), default=default, options=options, dynamic=ways)
    return Spec(
        name,
        kind,
        required,
        minimum=_number(options.get("min")) if kind in NUMBERS else None,
        maximum=_number(options.get("max")) if kind in NUMBERS else None,
        default=options.get("default"),
        options=options,
    )


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _sections(described: Mapping[str, Any], prefix: str = "") -> Iterator[Spec]:
    for section in ("required", "optional"):
        fields = described.get(section)
        for name, field in fields.items() if isinstance(fields, Mapping) else ():
            yield _spec(prefix + str(name), field, required=section == "required")


def specs(info: Mapping[str, Any] | None, values: Mapping[str, Any] | None = None) -> list[Spec]:
    """Inputs of a node class in the order of the editor.

    Args:
        info: The class's description.
        values: Values of a node: sub-inputs of its dynamic choices are listed after them.
    """
    described = (info or {}).get("input")
    if not isinstance(described, Mapping):
        return []
    return list(_expanded(_ordered(info or {}, list(_sections(described))), values))


def _ordered(info: Mapping[str, Any], found: list[Spec]) -> list[Spec]:
    order = info.get("input_order")
    if not isinstance(order, Mapping):
        return found
    names = [n for section in ("required", "optional") for n in (order.get(section) or [])]
    rank = {name: i for i, name in enumerate(names)}
    return sorted(found, key=lambda s: rank.get(s.name, len(rank)))


def _expanded(found: list[Spec], values: Mapping[str, Any] | None) -> Iterator[Spec]:
    for spec in found:
        yield spec
        if spec.dynamic is not None and values is not None:
            way = spec.dynamic.get(str(values.get(spec.name, spec.default)))
            if way is not None:
                yield from _expanded(list(_sections(way, f"{spec.name}.")), values)


def spec_of(info: Mapping[str, Any] | None, name: str) -> Spec | None:
    """What a class says of the input `name`, None if it has none; of a dynamic choice every way counts."""
    described = (info or {}).get("input")
    if not isinstance(described, Mapping):
        return None
    todo = list(_sections(described))
    while todo:
        spec = todo.pop()
        if spec.name == name:
            return spec
        for way in (spec.dynamic or {}).values():
            todo += _sections(way, f"{spec.name}.")
    return None


def is_output(info: Mapping[str, Any] | None) -> bool:
    """True for a class that can end a graph."""
    return bool((info or {}).get("output_node"))
