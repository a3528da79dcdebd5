"""A workflow: an immutable ComfyUI graph with inputs that are set by name."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.comfy import addressing, graphs
from aipipe.comfy.uploads import File
from aipipe.errors import InvalidInput

if TYPE_CHECKING:
    from aipipe.comfy.check import Report
    from aipipe.comfy.editor import Conversion
    from aipipe.comfy.knobs import Knobs
    from aipipe.comfy.server import Server

RANDOM = "random"
"""As the value of a seed: chosen when the job is submitted, returned and recorded."""


class Workflow:
    """An immutable ComfyUI graph.

    Attributes:
        graph: The graph in API form: node id → `{"class_type", "inputs", "_meta"}`. A copy: changes to it change nothing.
        editor: The graph as the editor saved it, or None.
        conversion: What the conversion from the editor's form did, or None for a graph that was in API form.
        aliases: Short name → addresses of inputs ("prompt" → "#6.text").
        name: Where it came from.
    """

    def __init__(
        self,
        graph: Mapping[str, Any],
        *,
        editor: Mapping[str, Any] | None = None,
        conversion: Conversion | None = None,
        aliases: Mapping[str, tuple[str, ...]] | None = None,
        server: Server | None = None,
        name: str = "workflow",
    ) -> None:
        if not graphs.is_api(graph):
            raise InvalidInput(
                "This is no ComfyUI graph in API form.",
                hint="Load files with comfy.Workflow.load(path); it reads the editor's form too.",
            )
        self._graph: dict[str, Any] = {str(k): copy.deepcopy(dict(v)) for k, v in graph.items()}
        self._editor = copy.deepcopy(dict(editor)) if editor else None
        self.conversion = conversion
        self._aliases = dict(aliases) if aliases is not None else None
        self.server = server
        self.name = name

    @classmethod
    def load(cls, source: Any, *, server: Server | None = None, name: str = "") -> Workflow:
        """Read a workflow.

        Args:
            source: Path of a JSON file in API or editor form, or of a PNG, WebP or MP4 that holds its graph; the bytes of
                one; JSON text; a dict; a Workflow.
            server: A server whose node descriptions make conversion, choices and ranges exact.
            name: Its name; the file's name without it.

        Raises:
            InvalidInput: no workflow in it.
            InvalidDefinition: an editor graph that cannot be converted without loss.
        """
        from aipipe.comfy.loading import load

        return load(source, server=server, name=name)

    @classmethod
    def of(cls, source: Any) -> Workflow:
        """`source` itself if it is a workflow, else loaded."""
        return source if isinstance(source, Workflow) else cls.load(source)

    # ---- reading ---------------------------------------------------------------------------------------------------

    @property
    def graph(self) -> dict[str, Any]:
        """The graph in API form, without files that wait for their upload (those show as their names)."""
        plain = self.graph_copy()
        for node in plain.values():
            for key, value in node.get("inputs", {}).items():
                if isinstance(value, File):
                    node["inputs"][key] = value.name
        return plain

    @property
    def editor(self) -> dict[str, Any] | None:
        """The graph as the editor saved it."""
        return copy.deepcopy(self._editor)

    def graph_copy(self) -> dict[str, Any]:
        """The graph with everything in it, files that wait for their upload included."""
        return {
            k: {**v, "inputs": {n: copy.copy(x) for n, x in dict(v.get("inputs", {})).items()}}
            for k, v in self._graph.items()
        }

    def editor_copy(self) -> dict[str, Any]:
        """The editor's graph, {} without one."""
        return copy.deepcopy(self._editor or {})

    @property
    def aliases(self) -> dict[str, tuple[str, ...]]:
        """Short names of inputs, found by following links: prompt, negative, seed, width, height, steps, cfg, image."""
        if self._aliases is None:
            from aipipe.comfy.adopting import find_aliases

            self._aliases = find_aliases(self._graph)
        return dict(self._aliases)

    @property
    def inputs(self) -> tuple[addressing.Input, ...]:
        """All inputs that are values, with their addresses; choices and ranges where a server is known."""
        return tuple(addressing.all_inputs(self._graph, self._describe))

    @property
    def seeds(self) -> dict[str, str]:
        """Address → seed as a decimal string."""
        return graphs.seeds(self._graph)

    def __getitem__(self, name: str) -> Any:
        return self.input(name).value

    def input(self, name: str) -> addressing.Input:
        """The input that `name` means: an alias, "Title.input", "Class.input", "#12.input" or a unique input name.

        Raises:
            UnknownName: no such input; names near ones.
            AmbiguousInput: several; lists the candidates.
        """
        return addressing.find(self._graph, name, self.aliases, self._describe)[0]

    def __iter__(self) -> Iterator[str]:
        return iter(i.address for i in self.inputs)

    def __len__(self) -> int:
        return len(self._graph)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workflow) and self._graph == other._graph

    def __hash__(self) -> int:
        return hash(graphs.fingerprint(self._graph))

    def __repr__(self) -> str:
        return f"<Workflow {self.name}: {len(self._graph)} nodes>"

    def _ipython_key_completions_(self) -> list[str]:
        return [*self.aliases, *(i.address for i in self.inputs)]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.comfy.view import workflow_bundle

        return workflow_bundle(self)

    # ---- making others ---------------------------------------------------------------------------------------------

    def on(self, server: Server) -> Workflow:
        """The same workflow, with choices and ranges of this server."""
        return self._like(self._graph, server=server)

    def with_inputs(self, values: Mapping[str, Any] | None = None, **more: Any) -> Workflow:
        """A new workflow with these inputs set; this one stays as it is.

        Args:
            values: Name → value. Names as in `input`; a value may be a file: path of an existing picture, bytes, a Pillow
                image, an array, an http(s) address, `comfy.File.of(...)`. A seed may be "random": chosen at submission.
            more: The same as keywords, for aliases.

        Raises:
            UnknownName, AmbiguousInput: see `input`.
            InvalidInput: a value the input cannot take.
        """
        graph = self.graph_copy()
        for name, value in {**(values or {}), **more}.items():
            for found in addressing.find(self._graph, name, self.aliases, self._describe, linked=True):
                graph[found.node_id]["inputs"][found.name] = addressing.fitting(found, value, self._graph)
        return self._like(graph)

    def with_lora(self, lora: str, strength: float = 1.0, clip_strength: float | None = None) -> Workflow:
        """A new workflow with a LoRA loader between every model loader and what uses it.

        Raises:
            InvalidInput: the graph has no model loader.
        """
        from aipipe.comfy.lora import insert

        return self._like(
            insert(self.graph_copy(), lora, strength, strength if clip_strength is None else clip_strength)
        )

    def knobs(self, **names: str) -> Knobs:
        """A function with these inputs as typed parameters: `wf.knobs(text="Positive.text")(text="a heron")` → workflow."""
        from aipipe.comfy.knobs import Knobs

        return Knobs(self, names)

    def check(self, server: Server | None = None) -> Report:
        """Problems that a server would find, before any time is spent.

        Raises:
            InvalidInput: no server is known.
        """
        from aipipe.comfy.check import check

        target = server or self.server
        if target is None:
            raise InvalidInput(
                "No server is known to check against.", hint="wf.check(server), or Workflow.load(…, server=…)."
            )
        return check(self, target)

    def save(self, path: str | Path) -> Path:
        """Write the graph in API form."""
        target = Path(path)
        target.write_text(json.dumps(self.graph, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        return target

    def resolved(self, server: Server) -> Workflow:
        """The workflow as it is sent: seeds chosen, files uploaded to this server."""
        graph = self.graph_copy()
        for node in graph.values():
            for key, value in node.get("inputs", {}).items():
                if isinstance(value, File):
                    node["inputs"][key] = server.upload(value)
                elif key in graphs.SEED_INPUTS and value == RANDOM:
                    node["inputs"][key] = random.SystemRandom().randrange(2**53)
        return self._like(graph)

    def _like(self, graph: Mapping[str, Any], server: Server | None = None) -> Workflow:
        new = Workflow.__new__(Workflow)
        new._graph = dict(graph)
        new._editor, new.conversion, new._aliases = self._editor, self.conversion, self._aliases
        new.server, new.name = server or self.server, self.name
        return new

    def _describe(self, class_type: str) -> Mapping[str, Any] | None:
        return self.server.node_info(class_type) if self.server is not None else None
