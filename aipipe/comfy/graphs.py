"""Facts about a graph in API form: nodes, titles, links, seeds. Pure functions on plain dicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

SEED_INPUTS = ("seed", "noise_seed")
MAX_SEED = 2**64 - 1
Graph = Mapping[str, Any]


def is_api(value: Any) -> TypeGuard[dict[str, Any]]:
    """True for a graph in API form: node id → node with class_type."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(n, Mapping) and isinstance(n.get("class_type"), str) for n in value.values())
    )


def is_editor(value: Any) -> TypeGuard[dict[str, Any]]:
    """True for a graph as the editor saves it: lists of nodes and links."""
    return isinstance(value, Mapping) and isinstance(value.get("nodes"), list) and "links" in value


def is_link(value: Any) -> TypeGuard[Sequence[Any]]:
    """True for `[node id, slot]`."""
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and isinstance(value[0], (str, int))
        and not isinstance(value[0], bool)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
    )


def title(graph: Graph, node_id: str) -> str:
    """Title of a node, else its class, else its id."""
    node = graph.get(node_id)
    if not isinstance(node, Mapping):
        return node_id
    meta = node.get("_meta")
    named = meta.get("title") if isinstance(meta, Mapping) else None
    return str(named or node.get("class_type") or node_id)


def titles(graph: Graph) -> dict[str, str]:
    """Node id → title."""
    return {node_id: title(graph, node_id) for node_id in graph}


def class_of(graph: Graph, node_id: str) -> str:
    """Class of a node, "" where it is unknown."""
    node = graph.get(node_id)
    return str(node.get("class_type", "")) if isinstance(node, Mapping) else ""


def inputs(graph: Graph, node_id: str) -> Mapping[str, Any]:
    """Inputs of a node."""
    node = graph.get(node_id)
    found = node.get("inputs") if isinstance(node, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def links(graph: Graph) -> Iterator[tuple[str, str, str, int]]:
    """All links as (node, input, source node, slot)."""
    for node_id in graph:
        for name, value in inputs(graph, node_id).items():
            if is_link(value):
                yield node_id, name, str(value[0]), value[1]


def users(graph: Graph, node_id: str) -> list[tuple[str, str, int]]:
    """Who takes an output of this node: (node, input, slot)."""
    return [(node, name, slot) for node, name, source, slot in links(graph) if source == node_id]


def upstream(graph: Graph, node_id: str) -> list[str]:
    """This node and all that it depends on, nearest first."""
    found, todo = [node_id], [node_id]
    while todo:
        here = todo.pop(0)
        for value in inputs(graph, here).values():
            if is_link(value) and str(value[0]) in graph and str(value[0]) not in found:
                found.append(str(value[0]))
                todo.append(str(value[0]))
    return found


def ends(graph: Graph) -> list[str]:
    """Nodes whose outputs nobody takes."""
    used = {source for _, _, source, _ in links(graph)}
    return [node_id for node_id in graph if node_id not in used]


def seeds(graph: Graph) -> dict[str, str]:
    """Address → seed as a decimal string, for every seed that is a value."""
    found = {}
    for node_id in graph:
        for name, value in inputs(graph, node_id).items():
            if name in SEED_INPUTS and isinstance(value, int) and not isinstance(value, bool):
                found[f"{title(graph, node_id)}#{node_id}.{name}"] = str(value)
    return found


def sends_pictures(class_type: str) -> bool:
    """True for nodes that send their pictures over the socket instead of writing files."""
    return "websocket" in class_type.lower()


def order(graph: Graph, node_id: str) -> tuple[int, str]:
    """A sort key that puts nodes in the order of the graph."""
    ids = list(graph)
    return (ids.index(node_id) if node_id in graph else len(ids), node_id)


def fingerprint(graph: Graph) -> str:
    """Hash of the graph without titles: equal for graphs that do the same."""
    plain = {k: {"class_type": v.get("class_type"), "inputs": v.get("inputs")} for k, v in graph.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False, default=repr).encode()).hexdigest()
