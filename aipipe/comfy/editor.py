"""From the editor's form of a graph to the API form that servers run. Nothing is dropped without a line in the report.

Covers what the editor resolves itself before it sends a graph: reroutes, primitives, Get/Set, bypassed and muted nodes,
notes, subgraphs within subgraphs, and the control of seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aipipe.comfy.scopes import BYPASSED, MUTED, Scope, build, kind_of, title_of
from aipipe.comfy.widgets import widget_values
from aipipe.errors import InvalidDefinition

NOTES = (
    "Note",
    "MarkdownNote",
    "Note Plus (mtb)",
    "Label (rgthree)",
    "Fast Groups Bypasser (rgthree)",
    "Fast Groups Muter (rgthree)",
)
REROUTES = ("Reroute", "Reroute (rgthree)", "ReroutePrimitive|pysssss")
BROADCAST = (
    "Anything Everywhere",
    "Anything Everywhere?",
    "Anything Everywhere3",
    "Prompts Everywhere",
    "Seed Everywhere",
)


@dataclass(frozen=True, slots=True)
class Note:
    """One line of a conversion report.

    Attributes:
        kind: "muted", "bypassed", "note", "resolved", "seed_control", "dropped_link", "unknown_node", "values" or "broken".
        message: What was done, with title and id.
        node_id: The node.
        level: "info" for what the editor does as well, "warning" for what may change the result.
    """

    kind: str
    message: str
    node_id: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did."""

    notes: tuple[Note, ...]

    @property
    def warnings(self) -> tuple[Note, ...]:
        """What may change the result."""
        return tuple(n for n in self.notes if n.level == "warning")

    def lines(self) -> list[str]:
        """The report as text."""
        return [f"{n.level}: {n.message}" for n in self.notes]

    def __repr__(self) -> str:
        return "\n".join([f"Conversion with {len(self.warnings)} warnings", *self.lines()])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.display import sheet_bundle

        return sheet_bundle(
            repr(self),
            "Conversion",
            facts=f"{len(self.warnings)} warnings",
            head=("", "node", "note"),
            rows=[(n.level, n.node_id, n.message) for n in self.notes],
        )


def convert(document: Mapping[str, Any], info: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], Conversion]:
    """Convert an editor graph.

    Args:
        document: The editor's document.
        info: Node descriptions of a server; without them values of unusual nodes may have no names.

    Returns:
        The graph in API form, and the report.

    Raises:
        InvalidDefinition: values that cannot be named without a server, or a document that is broken.
    """
    converter = _Converter(build(document), info)
    graph = converter.run()
    if converter.problems:
        raise InvalidDefinition(
            "The editor's graph cannot be converted without loss:\n  " + "\n  ".join(converter.problems),
            hint="Give a server that has these nodes: Workflow.load(file, server=server), or use Export (API).",
            problems=converter.problems,
        )
    if not graph:
        raise InvalidDefinition("The editor's graph has no active node.", hint="Are all nodes muted?", problems=[])
    return graph, Conversion(tuple(converter.notes))


class _Converter:
    def __init__(self, root: Scope, info: Mapping[str, Any] | None) -> None:
        self.root = root
        self.info = info
        self.notes: list[Note] = []
        self.problems: list[str] = []

    def run(self) -> dict[str, Any]:
        graph = {}
        for scope in self.root.walk():
            for node_id, node in scope.nodes.items():
                made = self._node(scope, node_id, node)
                if made is not None:
                    graph[scope.key(node_id)] = made
        return graph

    def _say(
        self, kind: str, scope: Scope, node_id: str, text: str, level: Literal["info", "warning"] = "info"
    ) -> None:
        key = scope.key(node_id)
        note = Note(kind, f"{title_of(scope.nodes.get(node_id, {}))} (#{key}) {text}", key, level)
        if note not in self.notes:
            self.notes.append(note)

    def _node(self, scope: Scope, node_id: str, node: Mapping[str, Any]) -> dict[str, Any] | None:
        kind, mode = kind_of(node), node.get("mode", 0)
        if node_id in scope.instances and mode not in (MUTED, BYPASSED):
            self._say("resolved", scope, node_id, "is a subgraph; its nodes stand in its place.")
            return None
        if kind in NOTES:
            self._say("note", scope, node_id, "is a note for people.")
            return None
        if kind in REROUTES or kind in ("PrimitiveNode", "GetNode", "SetNode"):
            self._say("resolved", scope, node_id, "only passes on what it gets; its users take it directly.")
            return None
        if mode == MUTED:
            self._say("muted", scope, node_id, "is muted and left out.")
            return None
        if mode == BYPASSED:
            self._say("bypassed", scope, node_id, "is bypassed; what it gets goes on behind it.")
            return None
        if kind in BROADCAST:
            self.problems.append(f"{title_of(node)} (#{scope.key(node_id)}) sends its input to nodes without links.")
            return None
        return self._active(scope, node_id, node, kind)

    def _active(self, scope: Scope, node_id: str, node: Mapping[str, Any], kind: str) -> dict[str, Any]:
        key = scope.key(node_id)
        if self.info is not None and kind not in self.info:
            self._say(
                "unknown_node", scope, node_id, f"has the class {kind!r}, which the server does not have.", "warning"
            )
        values, remarks, problem = widget_values(node, kind, (self.info or {}).get(kind))
        if problem:
            self.problems.append(f"{title_of(node)} (#{key}): {problem}")
        for level, remark in remarks:
            self._say("seed_control" if level == "info" else "values", scope, node_id, remark, level)
        values.update(scope.promoted.get(node_id, {}))
        inputs = dict(values)
        for slot in node.get("inputs") or []:
            if slot.get("link") is None:
                continue
            name = str(slot.get("name"))
            found = self._origin(scope, slot["link"], str(slot.get("type", "*")))
            if found is None:
                kept = name in values
                text = f"loses the link into {name!r}" + ("; its own value is used." if kept else ".")
                self._say("dropped_link", scope, node_id, text, "info" if kept or slot.get("shape") == 7 else "warning")
            else:
                inputs[name] = found.value if isinstance(found, _Value) else list(found)
        properties = node.get("properties") or {}
        meta: dict[str, Any] = {"title": title_of(node)}
        pack = properties.get("cnr_id") or properties.get("aux_id")
        if pack and pack != "comfy-core":
            meta["pack"] = str(pack)
        return {"class_type": kind, "inputs": inputs, "_meta": meta}

    def _origin(self, scope: Scope, link_id: Any, wanted: str) -> tuple[str, int] | _Value | None:
        """What really feeds a link: an output of an active node, a value, or nothing."""
        seen: set[tuple[int, Any]] = set()
        while (id(scope), link_id) not in seen:
            seen.add((id(scope), link_id))
            link = scope.links.get(link_id)
            if link is None:
                return None
            step = self._step(scope, link.source, link.slot, wanted)
            if step is None or isinstance(step, (_Value, tuple)):
                return step
            scope, link_id = step.scope, step.link_id
        return None

    def _step(self, scope: Scope, source: str, slot: int, wanted: str) -> tuple[str, int] | _Value | _Further | None:
        if source == scope.entrance:
            return self._through_entrance(scope, slot)
        node = scope.nodes.get(source)
        if node is None or node.get("mode", 0) == MUTED:
            return None
        kind = kind_of(node)
        if node.get("mode", 0) == BYPASSED:
            return _further(scope, _passing(node, slot, wanted))
        if source in scope.instances:
            inner = scope.instances[source]
            link = next((k for k, v in inner.links.items() if v.target == inner.exit and v.target_slot == slot), None)
            return _Further(inner, link) if link is not None else None
        if kind in REROUTES:
            return _further(scope, next(iter(node.get("inputs") or []), None))
        if kind == "PrimitiveNode":
            held = node.get("widgets_values")
            return _Value(held[0]) if isinstance(held, list) and held else None
        if kind == "GetNode":
            return self._get(scope, source, node)
        if kind == "SetNode":
            return _further(scope, next(iter(node.get("inputs") or []), None))
        return scope.key(source), slot

    def _through_entrance(self, scope: Scope, slot: int) -> _Value | _Further | None:
        assert scope.parent is not None
        outer = scope.parent.nodes[scope.instance_id]
        slots = outer.get("inputs") or []
        name = scope.input_names[slot] if slot < len(scope.input_names) else None
        here = next((s for s in slots if s.get("name") == name), None) if name is not None else None
        here = here or (slots[slot] if slot < len(slots) else None)
        if here is not None and here.get("link") is not None:
            return _Further(scope.parent, here["link"])
        if here is not None and here.get("widget"):
            held = outer.get("widgets_values")
            widgets = [s for s in slots if s.get("widget")]
            place = next((n for n, s in enumerate(widgets) if s is here), 0)
            if isinstance(held, list) and place < len(held):
                return _Value(held[place])
        return None

    def _get(self, scope: Scope, node_id: str, node: Mapping[str, Any]) -> _Further | None:
        name = next(iter(node.get("widgets_values") or []), None)
        here: Scope | None = scope
        while here is not None:
            for other in here.nodes.values():
                if kind_of(other) == "SetNode" and next(iter(other.get("widgets_values") or []), None) == name:
                    return _further(here, next(iter(other.get("inputs") or []), None))
            here = here.parent
        self._say("broken", scope, node_id, f"gets {name!r}, which nothing sets.", "warning")
        return None


@dataclass(frozen=True, slots=True)
class _Value:
    value: Any


@dataclass(frozen=True, slots=True)
class _Further:
    scope: Scope
    link_id: Any


def _further(scope: Scope, slot: Mapping[str, Any] | None) -> _Further | None:
    return _Further(scope, slot["link"]) if slot is not None and slot.get("link") is not None else None


def _passing(node: Mapping[str, Any], slot: int, wanted: str) -> Mapping[str, Any] | None:
    """The input that goes through a bypassed node to its output `slot`: the same place first, then the first that fits."""
    outputs = node.get("outputs") or []
    kind = str(outputs[slot].get("type", "*")) if slot < len(outputs) else wanted
    inputs = node.get("inputs") or []
    candidates: Iterator[Any] = (s for s in [*inputs[slot : slot + 1], *inputs] if _same(str(s.get("type", "*")), kind))
    return next(candidates, None)


def _same(one: str, other: str) -> bool:
    return "*" in (one, other) or bool(set(one.split(",")) & set(other.split(",")))
