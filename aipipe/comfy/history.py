"""From a history entry to the list of what a job made; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

FILE_LIKE_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".fbx", ".ksplat", ".splat", ".spz", ".usdz")
TEXT_KEYS = ("text", "string", "strings")


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file at the server.

    Attributes:
        node_id: Node of the sent graph that made it.
        filename: Its name there.
        subfolder: Its folder below the root of its kind.
        type: "output", "temp" or "input".
        sure: False where the name was only guessed from a string.
        key: The key of the node's result that named it.
    """

    node_id: str
    filename: str
    subfolder: str = ""
    type: str = "output"
    sure: bool = True
    key: str = ""


@dataclass(frozen=True, slots=True)
class TextRef:
    """A text result of a node."""

    node_id: str
    text: str
    key: str = ""


def outputs_of(entry: Mapping[str, Any]) -> list[FileRef | TextRef]:
    """Every file and text of every node. Nodes of expanded sub-graphs count as the node of the sent graph."""
    found: list[FileRef | TextRef] = []
    outputs, meta = entry.get("outputs"), entry.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    if not isinstance(outputs, Mapping):
        return found
    for raw, result in outputs.items():
        described = meta.get(raw)
        shown = described.get("display_node") if isinstance(described, Mapping) else None
        node = str(shown or raw)
        if isinstance(result, Mapping):
            found.extend(_of_node(node, result))
    seen: set[FileRef | TextRef] = set()
    return [f for f in found if not (f in seen or seen.add(f))]  # type: ignore[func-returns-value]


def _of_node(node: str, result: Mapping[str, Any]) -> Iterator[FileRef | TextRef]:
    files: set[str] = set()
    for key, items in result.items():
        for item in items if isinstance(items, list) else [items]:
            if isinstance(item, Mapping) and isinstance(item.get("filename"), str) and item["filename"]:
                files.add(item["filename"])
                yield FileRef(
                    node, item["filename"], str(item.get("subfolder") or ""), str(item.get("type") or "output"), key=key
                )
            elif isinstance(item, str) and key in TEXT_KEYS:
                yield TextRef(node, item, key)
            elif isinstance(item, str) and item.lower().endswith(FILE_LIKE_SUFFIXES):
                folder, _, name = item.replace("\\", "/").rpartition("/")
                if name not in files:
                    yield FileRef(node, name, folder, "output", sure=False, key=key)


def expected_outputs(entry: Mapping[str, Any]) -> list[str]:
    """Ids of the output nodes that the server meant to run."""
    item = entry.get("prompt")
    if isinstance(item, (list, tuple)) and len(item) >= 5 and isinstance(item[4], list):
        return [str(node) for node in item[4]]
    return []


def graph_of(entry_or_item: Any) -> dict[str, Any] | None:
    """The graph of a history entry or queue item."""
    item = entry_or_item.get("prompt") if isinstance(entry_or_item, Mapping) else entry_or_item
    if isinstance(item, (list, tuple)) and len(item) >= 3 and isinstance(item[2], dict):
        return item[2]
    return None


def seconds_of(entry: Mapping[str, Any]) -> float | None:
    """Seconds between the first and the last message of the history, by the server's clock."""
    status = entry.get("status")
    messages = status.get("messages") if isinstance(status, Mapping) else None
    times = [
        m[1]["timestamp"]
        for m in (messages if isinstance(messages, list) else [])
        if isinstance(m, (list, tuple))
        and len(m) == 2
        and isinstance(m[1], Mapping)
        and isinstance(m[1].get("timestamp"), (int, float))
    ]
    return (max(times) - min(times)) / 1000 if len(times) > 1 else None


def cached_of(entry: Mapping[str, Any]) -> list[str]:
    """Nodes that the server took from its cache."""
    status = entry.get("status")
    messages = status.get("messages") if isinstance(status, Mapping) else None
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, (list, tuple)) and len(message) == 2 and message[0] == "execution_cached":
            nodes = message[1].get("nodes") if isinstance(message[1], Mapping) else None
            return [str(n) for n in nodes] if isinstance(nodes, list) else []
    return []
