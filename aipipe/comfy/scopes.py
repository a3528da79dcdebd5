"""The editor's document as scopes: the graph itself, and one scope for every place where a subgraph is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aipipe.errors import InvalidDefinition

MUTED, BYPASSED = 2, 4
MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Link:
    """A link from an output to an input."""

    source: str
    slot: int
    target: str
    target_slot: int


@dataclass
class Scope:
    """One graph: the document's, or a subgraph where it is used.

    Attributes:
        nodes: Id → node.
        links: Id → link.
        prefix: Ids of the subgraph nodes around it, joined; "" for the document.
        parent: The scope around it.
        instance_id: Id of the node in the parent that stands for it.
        entrance: Id that links use for the subgraph's inputs.
        exit: Id that links use for its outputs.
        input_names: Names of its inputs, in order.
        instances: Ids of nodes that stand for subgraphs → their scopes.
        promoted: Values that the node around it shows and holds: node id → input → value.
    """

    nodes: dict[str, Mapping[str, Any]]
    links: dict[Any, Link]
    prefix: str = ""
    parent: Scope | None = None
    instance_id: str = ""
    entrance: str = "-10"
    exit: str = "-20"
    input_names: list[str] = field(default_factory=list)
    instances: dict[str, Scope] = field(default_factory=dict)
    promoted: dict[str, dict[str, Any]] = field(default_factory=dict)

    def key(self, node_id: str) -> str:
        """Id of a node in the converted graph: subgraphs and node joined with colons, as servers show them."""
        return f"{self.prefix}{node_id}"

    def walk(self) -> Iterator[Scope]:
        """This scope and all active ones within."""
        yield self
        for node_id, inner in self.instances.items():
            if self.nodes[node_id].get("mode", 0) not in (MUTED, BYPASSED):
                yield from inner.walk()


def kind_of(node: Mapping[str, Any]) -> str:
    """Class of an editor node."""
    return str(node.get("type") or node.get("class_type") or "")


def title_of(node: Mapping[str, Any]) -> str:
    """Title of an editor node, else its name, else its class."""
    properties = node.get("properties")
    named = properties.get("Node name for S&R") if isinstance(properties, Mapping) else None
    return str(node.get("title") or named or kind_of(node) or "node")


def build(document: Mapping[str, Any]) -> Scope:
    """The scopes of a document.

    Raises:
        InvalidDefinition: no valid nodes, or subgraphs that contain themselves.
    """
    definitions = document.get("definitions")
    listed = definitions.get("subgraphs") if isinstance(definitions, Mapping) else None
    known = {str(d["id"]): d for d in listed or [] if isinstance(d, Mapping) and "id" in d}
    return _scope(document, known, depth=0)


def _scope(graph: Mapping[str, Any], known: Mapping[str, Any], *, depth: int, **more: Any) -> Scope:
    if depth > MAX_DEPTH:
        raise InvalidDefinition("A subgraph contains itself.", hint="Repair it in ComfyUI.", problems=[])
    listed = graph.get("nodes")
    listed = listed if isinstance(listed, list) else []
    nodes = {str(n["id"]): _tidy(n) for n in listed if isinstance(n, Mapping) and "id" in n and kind_of(n)}
    if len(nodes) != len(listed):
        raise InvalidDefinition(
            "The editor's graph has nodes without id or class, or two with the same id.",
            hint="Repair it in ComfyUI.",
            problems=[],
        )
    scope = Scope(nodes, dict(_links(graph.get("links"))), **more)
    for node_id, node in nodes.items():
        definition = known.get(kind_of(node))
        if definition is None:
            continue
        inner = _scope(
            definition,
            known,
            depth=depth + 1,
            prefix=f"{scope.prefix}{node_id}:",
            parent=scope,
            instance_id=node_id,
            entrance=_end(definition, "inputNode", "-10"),
            exit=_end(definition, "outputNode", "-20"),
            input_names=[str(i.get("name")) for i in definition.get("inputs") or [] if isinstance(i, Mapping)],
        )
        inner.promoted = _promoted(node)
        scope.instances[node_id] = inner
    return scope


def _tidy(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node with every part in the form that it should have; what is none of it is left out."""
    properties = node.get("properties")
    tidy = {**node, "properties": properties if isinstance(properties, Mapping) else {}}
    for key in ("inputs", "outputs"):
        slots = node.get(key)
        tidy[key] = [s for s in slots if isinstance(s, Mapping)] if isinstance(slots, list) else []
    for slot in tidy["inputs"]:
        if isinstance(slot.get("link"), (list, dict)):
            raise InvalidDefinition(
                "A link of the editor's graph is broken.", hint="Repair it in ComfyUI.", problems=[]
            )
    return tidy


def _end(definition: Mapping[str, Any], key: str, default: str) -> str:
    described = definition.get(key)
    return str(described["id"]) if isinstance(described, Mapping) and "id" in described else default


def _links(raw: Any) -> Iterator[tuple[Any, Link]]:
    listed = list(raw.values()) if isinstance(raw, Mapping) else raw
    for link in listed if isinstance(listed, list) else []:
        if isinstance(link, Mapping) and isinstance(link.get("id"), (int, str)):
            yield (
                link.get("id"),
                Link(
                    str(link.get("origin_id")),
                    _whole(link.get("origin_slot", 0)),
                    str(link.get("target_id")),
                    _whole(link.get("target_slot", 0)),
                ),
            )
        elif isinstance(link, (list, tuple)) and len(link) >= 5 and isinstance(link[0], (int, str)):
            yield link[0], Link(str(link[1]), _whole(link[2]), str(link[3]), _whole(link[4]))


def _whole(value: Any) -> int:
    """A slot number; a slot that nothing has, for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 1_000_000


def _promoted(node: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Values of inner nodes that the subgraph's node shows, where it holds values for them."""
    properties = node.get("properties")
    shown = properties.get("proxyWidgets") if isinstance(properties, Mapping) else None
    held = node.get("widgets_values")
    found: dict[str, dict[str, Any]] = {}
    if isinstance(shown, list) and isinstance(held, list) and len(shown) == len(held):
        for place, value in zip(shown, held, strict=True):
            if isinstance(place, (list, tuple)) and len(place) >= 2 and str(place[0]) != "-1" and value is not None:
                found.setdefault(str(place[0]), {})[str(place[1])] = value
    return found
