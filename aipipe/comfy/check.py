"""Preflight: what a server would find wrong with a graph, and more, before any time is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aipipe.comfy import graphs
from aipipe.comfy.nodes import Spec, is_output, specs
from aipipe.comfy.packs import pack_of
from aipipe.comfy.uploads import File
from aipipe.errors import Rejected, near_names

if TYPE_CHECKING:
    from aipipe.comfy.server import Server
    from aipipe.comfy.workflow import Workflow

MODELS = (".safetensors", ".ckpt", ".pt", ".pth", ".sft", ".gguf", ".bin", ".onnx")
ANY = "*"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: "unknown_node", "missing_input", "missing_model", "missing_file", "not_offered", "out_of_range",
            "wrong_type", "dead_link", "cycle", "no_output" or "unknown_input".
        message: What is wrong, with title and input.
        node_id: The node, "" for the whole graph.
        input: The input, "" for the whole node.
        suggestions: Values that would do.
        level: "error", or "warning" for what the server ignores.
    """

    kind: str
    message: str
    node_id: str = ""
    input: str = ""
    suggestions: tuple[str, ...] = ()
    level: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class Report:
    """All problems of a workflow at a server; true when there is no error."""

    server: str
    problems: tuple[Problem, ...]

    def __bool__(self) -> bool:
        return self.ok

    @property
    def ok(self) -> bool:
        """True when the server would take the whole graph."""
        return not self.errors

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What the server would refuse."""
        return tuple(p for p in self.problems if p.level == "error")

    def raise_for_errors(self) -> None:
        """Raise what is wrong.

        Raises:
            Rejected: with all problems.
        """
        if self.errors:
            first = self.errors[0]
            raise Rejected(
                f"The graph does not fit {self.server}:\n  " + "\n  ".join(p.message for p in self.errors),
                hint="Correct the named inputs.",
                node_id=first.node_id or None,
                problems=list(self.problems),
            )

    def __repr__(self) -> str:
        if not self.problems:
            return f"No problems at {self.server}."
        return "\n".join(
            [f"{len(self.problems)} problems at {self.server}:", *(f"  {p.level}: {p.message}" for p in self.problems)]
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.display import sheet_bundle

        return sheet_bundle(
            repr(self),
            "Check of the workflow",
            state=("fits", "completed") if self.ok else ("does not fit", "failed"),
            facts=self.server,
            head=("", "node", "input", "problem", "perhaps"),
            rows=[(p.level, p.node_id, p.input, p.message, ", ".join(p.suggestions)) for p in self.problems],
        )


def check(workflow: Workflow, server: Server) -> Report:
    """Check a workflow against a server's node descriptions; see `Problem` for what is found."""
    return Report(server.url, tuple(problems(workflow.graph_copy(), server.object_info(), server)))


def problems(
    graph: Mapping[str, Any],
    info: Mapping[str, Any],
    server: Server | None = None,
) -> Iterator[Problem]:
    """Problems of a graph under the descriptions of a server's nodes."""
    for node_id in graph:
        kind = graphs.class_of(graph, node_id)
        if kind not in info:
            yield _unknown_node(graph, node_id, info)
        else:
            yield from _inputs(graph, node_id, info, server)
    yield from _cycles(graph)
    if not any(is_output(info.get(graphs.class_of(graph, n))) for n in graph):
        yield Problem("no_output", "No node of the graph saves or shows anything.")


def _unknown_node(graph: graphs.Graph, node_id: str, info: Mapping[str, Any]) -> Problem:
    kind = graphs.class_of(graph, node_id)
    pack = pack_of(kind, graph[node_id])
    near = tuple(near_names(kind, list(info)))
    message = f"{graphs.title(graph, node_id)} (#{node_id}): the server has no node {kind!r}."
    if pack:
        message += f" It comes with {pack}."
    elif near:
        message += f" Did you mean {' or '.join(near)}?"
    return Problem("unknown_node", message, node_id, suggestions=near)


def _inputs(graph: graphs.Graph, node_id: str, info: Mapping[str, Any], server: Server | None) -> Iterator[Problem]:
    values = graphs.inputs(graph, node_id)
    known = specs(info[graphs.class_of(graph, node_id)], values)
    for spec in known:
        if spec.name not in values:
            if spec.required and spec.dynamic is None and spec.kind not in ("", "COMFY_AUTOGROW_V3"):
                yield _problem(graph, node_id, spec.name, "missing_input", "is missing")
            continue
        value = values[spec.name]
        if graphs.is_link(value):
            yield from _link(graph, node_id, spec, value, info)
        else:
            yield from _value(graph, node_id, spec, value, server)
    names = {s.name for s in known}
    for name, value in values.items():
        if name in names:
            continue
        if graphs.is_link(value):
            if str(value[0]) not in graph:
                yield _problem(
                    graph, node_id, name, "dead_link", f"comes from node {value[0]}, which is not in the graph"
                )
        elif not any(s.kind.startswith("COMFY_") for s in known):
            near = near_names(name, sorted(names))
            meant = f"; did you mean {near[0]}?" if near else ""
            yield _problem(graph, node_id, name, "unknown_input", f"is not known to the node{meant}", near, "warning")


def _problem(
    graph: graphs.Graph,
    node_id: str,
    name: str,
    kind: str,
    text: str,
    near: Any = (),
    level: Literal["error", "warning"] = "error",
) -> Problem:
    message = (
        f"{graphs.title(graph, node_id)} (#{node_id}).{name} {text.rstrip('?')}{'?' if text.endswith('?') else '.'}"
    )
    return Problem(kind, message, node_id, name, tuple(str(n) for n in near), level)


def _link(graph: graphs.Graph, node_id: str, spec: Spec, value: Any, info: Mapping[str, Any]) -> Iterator[Problem]:
    source, slot = str(value[0]), value[1]
    if source not in graph:
        yield _problem(graph, node_id, spec.name, "dead_link", f"comes from node {source}, which is not in the graph")
        return
    described = info.get(graphs.class_of(graph, source))
    if described is None:
        return
    outputs = described.get("output") or []
    if not 0 <= slot < len(outputs):
        yield _problem(
            graph, node_id, spec.name, "dead_link", f"wants output {slot} of node {source}, which has {len(outputs)}"
        )
    elif not fits(outputs[slot], spec):
        text = f"needs {spec.kind}, but {graphs.title(graph, source)} (#{source}) gives {outputs[slot]}"
        yield _problem(graph, node_id, spec.name, "wrong_type", text)


def fits(given: Any, spec: Spec) -> bool:
    """Whether an output of type `given` may go into an input."""
    if isinstance(given, list) or spec.kind == "COMBO" or spec.kind.startswith("COMFY_"):
        return True
    wanted, offered = set(spec.kind.split(",")), set(str(given).split(","))
    return bool(wanted & offered) or ANY in wanted or ANY in offered or "COMBO" in offered


def _value(graph: graphs.Graph, node_id: str, spec: Spec, value: Any, server: Server | None) -> Iterator[Problem]:
    if isinstance(value, File):
        return
    if spec.choices is not None:
        yield from _choice(graph, node_id, spec, value, server)
    elif spec.kind in ("INT", "FLOAT"):
        yield from _number(graph, node_id, spec, value)
    elif spec.kind.isupper() and not _holds_values(spec) and isinstance(value, (list, tuple)):
        yield _problem(graph, node_id, spec.name, "dead_link", f"holds {value!r}, which is no link")


def _holds_values(spec: Spec) -> bool:
    return spec.kind in ("STRING", "BOOLEAN", "IMAGE_UPLOAD", ANY) or spec.kind.startswith("COMFY_")


def _choice(graph: graphs.Graph, node_id: str, spec: Spec, value: Any, server: Server | None) -> Iterator[Problem]:
    choices = [str(c) for c in spec.choices or ()]
    if spec.choices is None or value in spec.choices or (spec.multiple and isinstance(value, list)):
        return
    options = spec.options or {}
    upload = any(
        options.get(k) for k in ("image_upload", "audio_upload", "video_upload", "file_upload", "animated_image_upload")
    )
    if upload:
        if server is not None and _on_server(server, str(value)):
            return
        yield _problem(
            graph, node_id, spec.name, "missing_file", f"names the file {value!r}, which the server does not have"
        )
        return
    near = near_names(str(value), choices)
    meant = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    offered = (
        f" (offered: {', '.join(choices[:12]) or 'nothing'}{' …' if len(choices) > 12 else ''})" if not near else ""
    )
    if str(value).lower().endswith(MODELS):
        text = f"names the model {value!r}, which the server does not have{meant}{offered}"
        yield _problem(graph, node_id, spec.name, "missing_model", text, near)
    else:
        yield _problem(graph, node_id, spec.name, "not_offered", f"cannot be {value!r}{meant}{offered}", near)


def _on_server(server: Server, name: str) -> bool:
    """True when an input file is there; files in subfolders are not in the list of choices but work."""
    import re

    kind = "input"
    marked = re.fullmatch(r"(.*) \[(input|output|temp)\]", name)
    if marked:
        name, kind = marked[1], marked[2]
    folder, _, file = name.replace("\\", "/").rpartition("/")
    with server.http.open("GET", "/view", query={"filename": file, "subfolder": folder, "type": kind}) as answer:
        return answer.status_code == 200


def _number(graph: graphs.Graph, node_id: str, spec: Spec, value: Any) -> Iterator[Problem]:
    try:
        number = float(value) if not isinstance(value, (list, dict)) and value is not None else None
    except (TypeError, ValueError):
        number = None
    if number is None:
        yield _problem(graph, node_id, spec.name, "wrong_type", f"needs a number and holds {value!r}")
    elif (spec.minimum is not None and number < spec.minimum) or (spec.maximum is not None and number > spec.maximum):
        yield _problem(
            graph, node_id, spec.name, "out_of_range", f"is {value}; the range is {spec.minimum} to {spec.maximum}"
        )


def _cycles(graph: graphs.Graph) -> Iterator[Problem]:
    """Circles of links, each once, found without recursion."""
    done: set[str] = set()
    for start in graph:
        path: list[str] = []
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            node, index = stack.pop()
            if index == 0:
                if node in path:
                    circle = [*path[path.index(node) :], node]
                    names = " → ".join(f"{graphs.title(graph, n)} (#{n})" for n in reversed(circle))
                    yield Problem("cycle", f"The links form a circle: {names}.", node)
                    return
                if node in done:
                    continue
                path.append(node)
            sources = [
                str(v[0]) for v in graphs.inputs(graph, node).values() if graphs.is_link(v) and str(v[0]) in graph
            ]
            if index < len(sources):
                stack.append((node, index + 1))
                stack.append((sources[index], 0))
            else:
                done.add(node)
                path.pop()
