"""Graphs written in Python: `comfy.Builder`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aipipe.comfy import addressing
from aipipe.comfy.check import fits
from aipipe.comfy.nodes import Spec, specs
from aipipe.comfy.workflow import Workflow
from aipipe.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

    from aipipe.comfy.server import Server


@dataclass(frozen=True, slots=True)
class Slot:
    """One output of a node that is being built: what another node's input takes.

    Attributes:
        node_id: Id of the node.
        slot: Number of the output, from 0.
        kind: Its type ("MODEL"), "" where no server describes the node.
    """

    node_id: str
    slot: int
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is being built. Give it, or one of its outputs, to other nodes.

    `node[0]` and `node["VAE"]` are single outputs; `model, clip, vae = node` takes all of them, in order.

    Attributes:
        node_id: Its id in the graph.
        class_type: Its class.
        outputs: Its outputs; empty where no server describes the node.
        names: The outputs' names, in the same order.
    """

    node_id: str
    class_type: str
    outputs: tuple[Slot, ...] = ()
    names: tuple[str, ...] = ()

    def __getitem__(self, which: int | str) -> Slot:
        if isinstance(which, int):
            if not self.outputs:
                return Slot(self.node_id, which)
            if 0 <= which < len(self.outputs):
                return self.outputs[which]
            raise IndexError(
                f"{self.class_type} has {len(self.outputs)} outputs, so there is none with number {which}."
            )
        self._must_be_described()
        found = [o for o, name in zip(self.outputs, self.names, strict=True) if which in (name, o.kind)]
        if len(found) != 1:
            raise UnknownName(f"output of {self.class_type}", which, self.names, hint="A number always works: node[0].")
        return found[0]

    def __iter__(self) -> Iterator[Slot]:
        self._must_be_described()
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def __bool__(self) -> bool:
        return True

    def _must_be_described(self) -> None:
        if not self.outputs:
            raise InvalidInput(
                f"No server tells which outputs {self.class_type} has.",
                hint="Take them by number, node[0], or name a server: comfy.Builder(server).",
            )


class Builder:
    """Writes a graph node by node.

        g = comfy.Builder(server)
        model, clip, vae = g.CheckpointLoaderSimple(ckpt_name="sd15.safetensors")
        text = g.CLIPTextEncode(clip=clip, text="a heron", title="Positive")
        …
        g.SaveImage(images=g.VAEDecode(samples=latent, vae=vae), title="Final")
        server.run(g.workflow("heron"))

    With a server, classes, inputs, types and choices are checked as they are written, and what is left out takes the node's
    own default, as in the editor. Without one everything is taken as it is; `check()` looks at it later.

    Args:
        server: Whose nodes these are.
    """

    def __init__(self, server: Server | None = None) -> None:
        self.server = server
        self._graph: dict[str, Any] = {}

    def __getattr__(self, class_type: str) -> Callable[..., Node]:
        if class_type.startswith("_"):
            raise AttributeError(class_type)
        return partial(self._called, class_type)

    def __dir__(self) -> list[str]:
        known = self.server.object_info() if self.server is not None else {}
        return [*super().__dir__(), *(name for name in known if name.isidentifier())]

    def __len__(self) -> int:
        return len(self._graph)

    def __repr__(self) -> str:
        return f"<Builder: {len(self._graph)} nodes>"

    def node(self, class_type: str, inputs: Mapping[str, Any] | None = None, *, title: str = "") -> Node:
        """Add a node; the way for classes and inputs whose names Python does not take.

        Args:
            class_type: Class of the node.
            inputs: Input → value, node, output of a node, or a file (path, bytes, picture, array).
            title: Its title in the editor, for `result["Title"]` and `with_inputs`; its class if none is given.

        Raises:
            UnknownName: the server has no such class, or the class no such input.
            InvalidInput: an input that is missing, of another type, or a value that is not offered.
            AmbiguousInput: a node with several outputs that fit.
        """
        described = self._described(class_type)
        node_id = str(len(self._graph) + 1)
        given = dict(inputs or {})
        known = {spec.name: spec for spec in specs(described, given)} if described is not None else {}
        graph = {
            **self._graph,
            node_id: {"class_type": class_type, "inputs": {}, "_meta": {"title": title or class_type}},
        }
        graph[node_id]["inputs"] = {
            name: self._value(graph, node_id, name, value, known, described) for name, value in given.items()
        }
        if described is not None:
            self._complete(graph[node_id]["inputs"], class_type, known)
        self._graph = graph  # only now: a refused node leaves nothing behind
        kinds = list((described or {}).get("output") or [])
        names = tuple(str(n) for n in (described or {}).get("output_name") or kinds)
        outputs = tuple(Slot(node_id, slot, str(kind)) for slot, kind in enumerate(kinds))
        return Node(node_id, class_type, outputs, names)

    def workflow(self, name: str = "workflow") -> Workflow:
        """What was built so far, as a workflow; building may go on and changes it no more."""
        return Workflow(self._graph, server=self.server, name=name)

    def _called(self, class_type: str, /, *, title: str = "", **inputs: Any) -> Node:
        return self.node(class_type, inputs, title=title)

    def _described(self, class_type: str) -> Mapping[str, Any] | None:
        described = self._describe(class_type)
        if described is None and self.server is not None:
            raise UnknownName("node class", class_type, self.server.object_info())
        return described

    def _value(
        self, graph: dict[str, Any], node_id: str, name: str, value: Any, known: Mapping[str, Spec], described: Any
    ) -> Any:
        spec = known.get(name)
        class_type = graph[node_id]["class_type"]
        if spec is None and described is not None and not any(s.kind.startswith("COMFY_") for s in known.values()):
            raise UnknownName(f"input of {class_type}", name, known)
        if isinstance(value, (Node, Slot)):
            source = _fitting_slot(value, spec, class_type, name)
            if source.node_id not in self._graph:
                raise InvalidInput(
                    f"{class_type}.{name} gets a node of another graph.", hint="Build it with one Builder."
                )
            return [source.node_id, source.slot]
        here = addressing.make(graph, node_id, name, self._describe)
        return addressing.fitting(here, value, graph)

    def _describe(self, class_type: str) -> Mapping[str, Any] | None:
        return self.server.node_info(class_type) if self.server is not None else None

    @staticmethod
    def _complete(inputs: dict[str, Any], class_type: str, known: Mapping[str, Spec]) -> None:
        """What the editor would put into a new node's fields; a socket that must be filled has no default."""
        for name, spec in known.items():
            if name in inputs or not spec.required:
                continue
            if spec.default is not None:
                inputs[name] = spec.default
            elif spec.choices:
                inputs[name] = spec.choices[0]
            elif spec.kind not in ("", "COMFY_AUTOGROW_V3"):
                raise InvalidInput(f"{class_type} needs the input {name!r} ({spec.kind}).", hint="Name it in the call.")


def _fitting_slot(value: Node | Slot, spec: Spec | None, class_type: str, name: str) -> Slot:
    """The output that goes into an input: the one that was named, else the only one of its type."""
    if isinstance(value, Slot):
        if spec is not None and value.kind and not fits(value.kind, spec):
            raise InvalidInput(f"{class_type}.{name} needs {spec.kind}, not {value.kind}.", hint="Take another output.")
        return value
    if len(value.outputs) <= 1 or spec is None:
        return _fitting_slot(value[0], spec, class_type, name)
    found = [o for o in value.outputs if fits(o.kind, spec)]
    if not found:
        raise InvalidInput(
            f"{class_type}.{name} needs {spec.kind}; {value.class_type} gives {', '.join(o.kind for o in value.outputs)}.",
            hint="Give another node.",
        )
    if len(found) > 1:
        raise addressing.AmbiguousInput(
            f"Several outputs of {value.class_type} fit {class_type}.{name}.",
            hint="Name one: node[0].",
            candidates=[f"node[{o.slot}]" for o in found],
        )
    return found[0]
