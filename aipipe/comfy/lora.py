"""Put a LoRA loader between the model loaders of a graph and everything that uses them."""

from __future__ import annotations

from typing import Any

from aipipe.comfy import graphs
from aipipe.errors import InvalidInput

MODEL_LOADERS = {"CheckpointLoaderSimple": (0, 1), "CheckpointLoader": (0, 1), "UNETLoader": (0, None)}
"""Class → slots of model and text encoder."""
LORA = ("LoraLoader", "LoraLoaderModelOnly")


def insert(graph: dict[str, Any], lora: str, strength: float, clip_strength: float) -> dict[str, Any]:
    """The graph with one more LoRA, after those that are there.

    Raises:
        InvalidInput: no model loader, or a strength that is no number.
    """
    loaders = [n for n in graph if graphs.class_of(graph, n) in MODEL_LOADERS]
    if not loaders:
        raise InvalidInput(
            "This graph has no model loader that a LoRA could follow.",
            hint=f"Known loaders: {', '.join(MODEL_LOADERS)}.",
        )
    for value in (strength, clip_strength):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidInput(f"The strength of a LoRA cannot be {value!r}.", hint="Give a number, 1.0 for full.")
    for loader in loaders:
        _after(graph, loader, lora, float(strength), float(clip_strength))
    return graph


def _after(graph: dict[str, Any], loader: str, lora: str, strength: float, clip_strength: float) -> None:
    slots = MODEL_LOADERS[graphs.class_of(graph, loader)]
    model: tuple[str, int] = (loader, slots[0])
    clip: tuple[str, int] | None = (loader, slots[1]) if slots[1] is not None else None
    while (following := _lora_after(graph, model)) is not None:  # behind the LoRAs that are there already
        model = (following, 0)
        clip = (following, 1) if graphs.class_of(graph, following) == "LoraLoader" else clip
    if clip is not None and not _takers(graph, clip):
        clip = None
    new = _free_id(graph)
    rerouted = {model: (new, 0), **({clip: (new, 1)} if clip is not None else {})}
    for node in graph.values():
        for name, value in node.get("inputs", {}).items():
            if graphs.is_link(value) and (str(value[0]), value[1]) in rerouted:
                node["inputs"][name] = list(rerouted[str(value[0]), value[1]])
    inputs: dict[str, Any] = {"lora_name": lora, "strength_model": strength, "model": list(model)}
    if clip is not None:
        inputs |= {"strength_clip": clip_strength, "clip": list(clip)}
    kind = "LoraLoader" if clip is not None else "LoraLoaderModelOnly"
    graph[new] = {"class_type": kind, "inputs": inputs, "_meta": {"title": f"LoRA {lora}"}}


def _lora_after(graph: dict[str, Any], place: tuple[str, int]) -> str | None:
    takers = _takers(graph, place)
    only = {node for node, name in takers if name == "model" and graphs.class_of(graph, node) in LORA}
    return next(iter(only)) if len(only) == 1 and len(takers) == 1 else None


def _takers(graph: dict[str, Any], place: tuple[str, int]) -> list[tuple[str, str]]:
    return [(node, name) for node, name, slot in graphs.users(graph, place[0]) if slot == place[1]]


def _free_id(graph: dict[str, Any]) -> str:
    numbers = [int(n) for n in graph if n.isdigit()]
    return str(max(numbers, default=0) + 1)
