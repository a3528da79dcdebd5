"""Adopt a researcher's own graph: find what a run sets in it, and make an output config of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.comfy import addressing, graphs
from aipipe.comfy.tracing import Found, Place, trace
from aipipe.errors import UsageError

if TYPE_CHECKING:
    from aipipe.comfy.workflow import Workflow

NAME = re.compile(r"[a-z0-9][a-z0-9_\-]{0,63}")


def find_aliases(graph: graphs.Graph) -> dict[str, tuple[str, ...]]:
    """Short names of inputs → addresses, found by following links."""
    found = trace(graph)
    named = {name: tuple(f"#{node}.{key}" for node, key in places) for name, places in found.places.items()}
    if "negative_prompt" in named:
        named["negative"] = named["negative_prompt"]
    return named


@dataclass(frozen=True)
class Adopted:
    """A graph with a map of its inputs.

    Attributes:
        workflow: The graph.
        places: Name → where the value goes.
        outputs: Ids of the nodes whose files are the result.
        media_type: What it makes.
        notes: What a person should look at.
    """

    workflow: Workflow
    places: Mapping[str, tuple[Place, ...]]
    outputs: tuple[str, ...]
    media_type: str
    notes: tuple[str, ...] = field(default=())

    @property
    def prompt(self) -> str:
        """The text that the prompt's input holds now; "" without one."""
        return str(self._value("prompt") or "")

    @property
    def negative(self) -> str:
        """The text that the negative prompt's input holds now; "" without one."""
        return str(self._value("negative_prompt") or "")

    def _value(self, name: str) -> Any:
        return next((self.value_at(place) for place in self.places.get(name, ())), None)

    def value_at(self, place: Place) -> Any:
        """What the graph holds at a place now."""
        node, key = place
        return graphs.inputs(self.workflow.graph, node).get(key)

    def chunk(self, name: str) -> dict[str, Any]:
        """The output chunk: graph, input map and output map, as `aipipe.definitions.Chunk` reads it."""
        graph = self.workflow.graph
        inputs: dict[str, Any] = {}
        for called, places in self.places.items():
            fields = [
                {"node_id": node, "field": f"inputs.{key}", "default": _default(called, graph, node, key)}
                for node, key in places
            ]
            inputs[called] = fields[0] if len(fields) == 1 else fields
        output: dict[str, Any] = {"node_id": self.outputs[0] if len(self.outputs) == 1 else list(self.outputs)}
        if self.workflow.editor:
            output["extra_pnginfo"] = {"workflow": self.workflow.editor}
        return {
            "name": name,
            "kind": "media",
            "description": f"Adopted from {self.workflow.name}.",
            "runner": "comfyui",
            "media_type": self.media_type,
            "workflow": graph,
            "inputs": inputs,
            "output": output,
        }

    def config(self, name: str) -> dict[str, Any]:
        """The output config that uses the chunk."""
        return {
            "name": name,
            "stage": "output",
            "pipeline": "image_text_media_generation" if "image" in self.places else "single_text_media_generation",
            "chunk": f"output_{name}",
            "title": {"en": name.replace("_", " ").capitalize()},
            "description": {"en": f"Adopted from {self.workflow.name}."},
            "media_preferences": {"default_output": self.media_type},
        }

    def write(self, folder: str | Path, name: str) -> tuple[Path, Path]:
        """Write config and chunk below a project's config folder and return their paths.

        Raises:
            UsageError: a name that is no file name, or one that is taken.
        """
        if not NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name for a config.", hint="Use small letters, digits, _ and -.")
        base = Path(folder)
        config, chunk = base / "output" / f"{name}.json", base / "chunks" / f"output_{name}.json"
        taken = [p for p in (config, chunk) if p.exists()]
        if taken:
            raise UsageError(f"{taken[0]} exists already.", hint="Choose another name, or remove that file.")
        for path, value in ((chunk, self.chunk(f"output_{name}")), (config, self.config(name))):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        return config, chunk

    def rows(self) -> list[tuple[str, str, str]]:
        """The mapping as (name, where, value now)."""
        graph = self.workflow.graph
        return [
            (name, f"{graphs.title(graph, node)} (#{node}).{key}", str(graphs.inputs(graph, node).get(key))[:120])
            for name, places in self.places.items()
            for node, key in places
        ]

    def __repr__(self) -> str:
        lines = [f"  {name:16} {where} = {value}" for name, where, value in self.rows()]
        saves = ", ".join(f"{graphs.title(self.workflow.graph, n)} (#{n})" for n in self.outputs)
        return "\n".join([f"Adopted {self.workflow.name}: {self.media_type} from {saves}", *lines, *self.notes])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.display import sheet_bundle

        saves = ", ".join(f"{graphs.title(self.workflow.graph, n)} (#{n})" for n in self.outputs)
        return sheet_bundle(
            repr(self),
            f"Adopted {self.workflow.name}",
            facts=f"{self.media_type} from {saves}",
            head=("name", "where", "value now"),
            rows=self.rows(),
            notes=self.notes,
        )


def _default(called: str, graph: graphs.Graph, node: str, key: str) -> Any:
    """What a run without the value sends: the graph's own value, but never its seed, prompt or picture."""
    if called in ("prompt", "seed") or called.startswith("image"):
        return None
    return graphs.inputs(graph, node).get(key)


def adopt(workflow: Any, **mapping: Any) -> Adopted:
    """Find prompt, negative prompt, seed, size, steps, images and outputs of a graph.

    Args:
        workflow: A workflow, or what `Workflow.load` takes.
        mapping: Corrections: name → address of an input, several addresses, or None for "there is none"; `output` takes
            titles or ids of nodes, `media_type` what they make.

    Raises:
        UnknownName, AmbiguousInput: a correction that names nothing, or too much.
    """
    from aipipe.comfy.workflow import Workflow

    loaded = Workflow.of(workflow)
    found = trace(loaded.graph)
    outputs = mapping.pop("output", None)
    media_type = mapping.pop("media_type", None)
    places = {name: tuple(known) for name, known in found.places.items()}
    for name, wanted in mapping.items():
        called = "negative_prompt" if name == "negative" else name
        others = {k: v for k, v in places.items() if k != called}
        if wanted is None:
            places = others
            continue
        chosen = _chosen(loaded, wanted)
        places = {k: tuple(p for p in v if p not in chosen) for k, v in others.items()}
        places = {called: chosen, **{k: v for k, v in places.items() if v}}
    nodes = tuple(_node(loaded, o) for o in _as_list(outputs)) if outputs is not None else tuple(found.savers)
    notes = [*found.notes, *_doubts(places, found)]
    return Adopted(loaded, places, nodes, str(media_type or found.media_type), tuple(notes))


def _as_list(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, (list, tuple)) else [str(value)]


def _chosen(workflow: Workflow, wanted: Any) -> tuple[Place, ...]:
    graph = workflow.graph
    return tuple((i.node_id, i.name) for w in _as_list(wanted) for i in addressing.find(graph, w, {}, linked=True))


def _node(workflow: Workflow, name: str) -> str:
    from aipipe.errors import UnknownName

    graph = workflow.graph
    for node in graph:
        if name.removeprefix("#") == node or graphs.title(graph, node) == name:
            return node
    raise UnknownName("node of the workflow", name, [graphs.title(graph, n) for n in graph])


def _doubts(places: Mapping[str, Any], found: Found) -> list[str]:
    doubts = []
    if "prompt" not in places and not any("unclear" in n for n in found.notes):
        doubts.append("No prompt was found; name it with prompt='#id.input'.")
    if "seed" not in places:
        doubts.append("No seed was found; the graph makes the same thing every time.")
    return doubts
