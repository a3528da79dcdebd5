"""Inputs by name: alias, title, class, id. Several candidates are an error that lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aipipe.comfy import graphs
from aipipe.comfy.nodes import Spec, spec_of
from aipipe.comfy.uploads import File, is_file_value
from aipipe.errors import InvalidInput, UnknownName, UsageError, near_names

Describe = Callable[[str], Mapping[str, Any] | None]
FILE_INPUTS = ("image", "audio", "video", "file", "mask", "model_file", "upload")
LOADERS = ("LoadImage", "LoadImageMask", "LoadAudio", "LoadVideo", "LoadImageOutput", "VHS_LoadVideo", "Load3D")


class AmbiguousInput(UsageError):
    """A name that fits several inputs; `candidates` lists their addresses."""

    candidates: list[str]


@dataclass(frozen=True, slots=True)
class Input:
    """One input of one node.

    Attributes:
        node_id: Id of the node.
        node_title: Its title.
        node_class: Its class.
        name: Name of the input.
        value: Its value now; a link as `[node id, slot]`.
        choices: Values the server offers, None if it is no choice or no server is known.
        minimum: Smallest number, None if unknown.
        maximum: Largest number, None if unknown.
        kind: "INT", "FLOAT", "STRING", "BOOLEAN", "COMBO" or a type of ComfyUI; "" if unknown.
        tooltip: The node's own explanation.
    """

    node_id: str
    node_title: str
    node_class: str
    name: str
    value: Any
    choices: tuple[Any, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    kind: str = ""
    tooltip: str = ""

    @property
    def address(self) -> str:
        """The address that is always unique."""
        return f"#{self.node_id}.{self.name}"

    @property
    def label(self) -> str:
        """The address as people say it."""
        return f"{self.node_title}.{self.name}"


def _no_description(class_type: str) -> None:
    return None


def make(graph: graphs.Graph, node_id: str, name: str, describe: Describe = _no_description) -> Input:
    """The input `name` of a node."""
    kind = graphs.class_of(graph, node_id)
    spec = spec_of(describe(kind), name) or Spec(name)
    return Input(
        node_id=node_id,
        node_title=graphs.title(graph, node_id),
        node_class=kind,
        name=name,
        value=graphs.inputs(graph, node_id).get(name),
        choices=spec.choices,
        minimum=spec.minimum,
        maximum=spec.maximum,
        kind=spec.kind,
        tooltip=spec.tooltip,
    )


def all_inputs(graph: graphs.Graph, describe: Describe = _no_description) -> Iterator[Input]:
    """All inputs that hold values, not links."""
    for node_id in graph:
        for name, value in graphs.inputs(graph, node_id).items():
            if not graphs.is_link(value):
                yield make(graph, node_id, name, describe)


def find(
    graph: graphs.Graph,
    name: str,
    aliases: Mapping[str, Sequence[str]],
    describe: Describe = _no_description,
    *,
    linked: bool = False,
) -> list[Input]:
    """The inputs that a name means; more than one only for an alias of several.

    Raises:
        UnknownName, AmbiguousInput.
    """
    for alias in (name, {"negative_prompt": "negative"}.get(name, name)):
        if alias in aliases:
            return [make(graph, *_split_id(address), describe) for address in aliases[alias]]
    found = _by_address(graph, name, describe) or _by_input_name(graph, name)
    if len(found) > 1:
        candidates = [
            f"#{node}.{key} ({graphs.title(graph, node)}, {graphs.class_of(graph, node)})" for node, key in found
        ]
        raise AmbiguousInput(
            f"{name!r} fits {len(found)} inputs: {', '.join(candidates)}.",
            hint="Use the address with #.",
            candidates=[f"#{node}.{key}" for node, key in found],
        )
    if not found:
        known = [*aliases, *(i.label for i in all_inputs(graph)), *(i.address for i in all_inputs(graph))]
        raise UnknownName("input of the workflow", name, known)
    here = make(graph, *found[0], describe)
    if linked and graphs.is_link(here.value):
        source = _value_behind(graph, here)
        if source is None:
            raise UsageError(
                f"{here.label} is fed by {graphs.title(graph, str(here.value[0]))} (#{here.value[0]}), not by a value.",
                hint="Set an input of that node.",
            )
        return [make(graph, *source, describe)]
    return [here]


def _split_id(address: str) -> tuple[str, str]:
    node, _, name = address.removeprefix("#").partition(".")
    return node, name


def _by_address(graph: graphs.Graph, name: str, describe: Describe) -> list[tuple[str, str]]:
    """Every cut at a dot, because titles and inputs may both hold dots; ids before titles before classes."""
    cuts = [(name[:i], name[i + 1 :]) for i, c in enumerate(name) if c == "."]
    for match in (_is_id, _is_title, _is_class):
        found = [
            (node, key)
            for node_part, key in cuts
            for node in graph
            if match(graph, node, node_part) and _has(graph, node, key, describe)
        ]
        if found:
            return found
    return []


def _is_id(graph: graphs.Graph, node: str, text: str) -> bool:
    return node == text.removeprefix("#")


def _is_title(graph: graphs.Graph, node: str, text: str) -> bool:
    return graphs.title(graph, node) == text


def _is_class(graph: graphs.Graph, node: str, text: str) -> bool:
    return graphs.class_of(graph, node) == text


def _has(graph: graphs.Graph, node: str, key: str, describe: Describe) -> bool:
    return key in graphs.inputs(graph, node) or spec_of(describe(graphs.class_of(graph, node)), key) is not None


def _by_input_name(graph: graphs.Graph, name: str) -> list[tuple[str, str]]:
    return [(i.node_id, i.name) for i in all_inputs(graph) if i.name == name]


def _value_behind(graph: graphs.Graph, here: Input) -> tuple[str, str] | None:
    """The one value of a node that does nothing but hold it, such as a primitive."""
    source = str(here.value[0])
    values = [(k, v) for k, v in graphs.inputs(graph, source).items() if not graphs.is_link(v)]
    plain = len(values) == len(graphs.inputs(graph, source)) == 1 and here.value[1] == 0
    return (source, values[0][0]) if plain else None


def fitting(here: Input, value: Any, graph: graphs.Graph) -> Any:
    """The value as the graph holds it: files wrapped, choices and ranges checked where they are known.

    Raises:
        InvalidInput: a choice that is not offered, a number out of range, a type that cannot go into a graph.
    """
    if isinstance(value, File) or is_file_value(value) or (isinstance(value, Path)):
        return File.of(value)
    if isinstance(value, str) and _takes_files(here) and Path(value).is_file() and value not in (here.choices or ()):
        return File.of(Path(value))
    if isinstance(value, str) and _takes_files(here) and value.startswith(("http://", "https://")):
        return File.of(value)
    if graphs.is_link(value) and str(value[0]) in graph and isinstance(value, list):
        return [str(value[0]), value[1]]
    if here.name in graphs.SEED_INPUTS:
        return _seed(here, value)
    if value is None or not isinstance(value, (str, int, float, bool, list, dict)):
        raise InvalidInput(
            f"{here.label} cannot be set to a {type(value).__name__}.", hint="Give a text, number or file."
        )
    _in_range(here, value)
    return value


def _takes_files(here: Input) -> bool:
    return here.name in FILE_INPUTS or here.node_class.startswith(LOADERS)


def _seed(here: Input, value: Any) -> Any:
    if value == "random":
        return value
    try:
        number = int(value) if not isinstance(value, (bool, float)) else -1
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number <= graphs.MAX_SEED:
        raise InvalidInput(
            f"{here.label} cannot be {value!r}.", hint='A seed is a whole number from 0 to 2^64 - 1, or "random".'
        )
    return number


def _in_range(here: Input, value: Any) -> None:
    if here.choices is not None and not isinstance(value, list) and value not in here.choices:
        near = near_names(str(value), [str(c) for c in here.choices])
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise InvalidInput(
            f"{here.label} cannot be {value!r}.{meant}",
            hint=f"Offered: {', '.join(map(str, here.choices[:30])) or 'none'}.",
        )
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = here.minimum, here.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise InvalidInput(f"{here.label} cannot be {value}.", hint=f"The range is {low} to {high}.")
