"""Checks across definitions: every name that one definition uses must exist in another."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from aipipe.catalog import languages
from aipipe.catalog.parameters import LOOP, SAMPLING, TASKS, check_values, takes
from aipipe.definitions import Chunk, Config, InputField, Pipeline
from aipipe.errors import InvalidInput, UnknownName, near_names
from aipipe.rendering import KNOWN, placeholders

RUNNERS = ("comfyui", "sketch", "placeholder", "openai_images")
BACKEND_NAMES = ("ollama", "lmstudio", "llamacpp", "openai", "openrouter", "embedded", "echo")
SLIP = 0.8
"""Likeness from which an unknown name is taken for a misspelt one."""
STYLES = ("", "scene", "dada", "bauhaus", "line")
RESERVED = frozenset(
    {
        "con",
        "prn",
        "aux",
        "nul",
        *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)),
        "readme",
        "output_config_defaults",
    }
)
"""Names of devices on Windows, and of files that the catalog passes over."""
_NUMBERED = re.compile(r"TEXT_\d+", re.IGNORECASE)
_NAME = re.compile(r"[^\s\x00-\x1f\\:*?\"<>|](?:[^\x00-\x1f\\:*?\"<>|]{0,98}[^\s\x00-\x1f\\:*?\"<>|])?")


@dataclass(frozen=True, slots=True)
class Fault:
    """A problem without its file: where in the definition, what, and the repair."""

    loc: tuple[str | int, ...]
    message: str
    repair: str = ""


def unknown(loc: tuple[str | int, ...], kind: str, name: str, known: Iterable[str]) -> Fault:
    """A name that does not exist, with a suggestion."""
    names = sorted(known)
    near = near_names(name, names)
    repair = f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else f"Known: {', '.join(names[:30])}."
    return Fault(loc, f"there is no {kind} {name!r}.", repair)


def check_name(name: str) -> Iterator[Fault]:
    """A name must be printable and fit into a file name, apart from the slash of the system's own configs."""
    if not _NAME.fullmatch(name) or ".." in name.split("/") or name.startswith("/"):
        yield Fault(("name",), f"{name!r} is no usable name.", "Use up to 100 letters, digits, - and _.")
    elif name.startswith(("_", ".")):
        yield Fault(("name",), f"a file {name!r} would be passed over.", "Begin the name with a letter or digit.")
    elif name.rpartition("/")[2].partition(".")[0].casefold() in RESERVED:
        yield Fault(("name",), f"{name!r} is a reserved name.", "Windows, or this catalog, means something else by it.")


def check_chunk(chunk: Chunk, workflows: Mapping[str, Any]) -> Iterator[Fault]:
    """A chunk must be complete for its kind, and its input map must fit its graph."""
    if chunk.kind == "text":
        if not (chunk.template or chunk.system):
            yield Fault(("template",), "a text chunk needs a template.", 'Write "template": "{{PREVIOUS_OUTPUT}}".')
        if chunk.task not in TASKS:
            yield unknown(("task",), "task", chunk.task, TASKS)
        if chunk.answer == "text" and chunk.answer_schema is not None:
            yield Fault(("answer_schema",), 'an answer_schema needs answer "json".', 'Write "answer": "json".')
        return
    if chunk.runner not in RUNNERS:
        brought = entry_points(group="aipipe.runners").names
        if chunk.runner not in brought:
            yield unknown(("runner",), "runner kind", chunk.runner, [*RUNNERS, *sorted(brought)])
    if chunk.media_type in (None, "text"):
        yield Fault(("media_type",), "a media chunk needs a media_type.", 'For example "media_type": "image".')
    if chunk.runner == "comfyui":
        yield from _check_workflow(chunk, workflows)


def _check_workflow(chunk: Chunk, workflows: Mapping[str, Any]) -> Iterator[Fault]:
    graph: Any = chunk.workflow
    if isinstance(graph, str):
        if graph not in workflows:
            yield unknown(("workflow",), "workflow file", graph, workflows)
            return
        graph = workflows[graph]
    if not isinstance(graph, Mapping) or not graph:
        yield Fault(("workflow",), "a comfyui chunk needs a workflow in API form.", "Save it with `Export (API)`.")
        return
    nodes = {key: node for key, node in graph.items() if isinstance(node, Mapping)}
    for key, node in graph.items():
        if not isinstance(node, Mapping) or "class_type" not in node:
            yield Fault(
                ("workflow", key),
                f"node {key!r} has no class_type.",
                "The editor's format is no API format: export again.",
            )
            return
    for name, places in chunk.inputs.items():
        for place in places if isinstance(places, tuple) else (places,):
            yield from _check_place(name, place, nodes)
    wanted = chunk.output.get("node_id")
    for node_id in wanted if isinstance(wanted, list) else [wanted] if wanted else []:
        if str(node_id) not in nodes:
            yield unknown(("output", "node_id"), "node", str(node_id), nodes)


def _check_place(name: str, place: InputField, nodes: Mapping[str, Any]) -> Iterator[Fault]:
    loc = ("inputs", name)
    if place.node_id not in nodes:
        yield unknown((*loc, "node_id"), "node", place.node_id, nodes)
        return
    head, _, field = place.field.partition(".")
    inputs = nodes[place.node_id].get("inputs")
    inputs = inputs if isinstance(inputs, Mapping) else {}
    if head != "inputs" or not field:
        yield Fault((*loc, "field"), f"{place.field!r} is no field of a node.", 'Write "inputs.NAME".')
    elif field.split(".")[0] not in inputs:
        yield unknown((*loc, "field"), f"input of node {place.node_id}", field, inputs)


def check_pipeline(pipeline: Pipeline, chunks: Mapping[str, Chunk]) -> Iterator[Fault]:
    """A pipeline's chunks must exist and fit its kind."""
    for index, name in enumerate(pipeline.chunks):
        if name not in chunks:
            yield unknown(("chunks", index), "chunk", name, chunks)
        elif chunks[name].kind == "media" and pipeline.kind in ("text", "recursive"):
            yield Fault(
                ("chunks", index), f"chunk {name!r} makes media; stage 2 rewrites text.", "Name it in a config."
            )
    if pipeline.kind in ("text", "recursive") and not pipeline.chunks:
        yield Fault(("chunks",), f"a pipeline of kind {pipeline.kind} needs a chunk.", 'For example ["rewrite"].')
    if pipeline.kind == "recursive" and len(pipeline.chunks) > 1:
        yield Fault(("chunks",), "a recursive pipeline has exactly one chunk.", "Keep the one that is repeated.")


def check_config(
    config: Config,
    pipelines: Mapping[str, Pipeline],
    chunks: Mapping[str, Chunk],
    outputs: Iterable[str],
) -> Iterator[Fault]:
    """Everything that a config names must exist.

    Args:
        config: What is checked.
        pipelines: All pipelines.
        chunks: All chunks.
        outputs: Names of all output configs.
    """
    if config.pipeline not in pipelines:
        yield unknown(("pipeline",), "pipeline", config.pipeline, pipelines)
        return
    if config.stage == "output":
        yield from _check_output(config, chunks)
    if config.task and config.task not in TASKS:
        yield unknown(("task",), "task", config.task, TASKS)
    if config.style not in STYLES:
        yield unknown(("style",), "style", config.style, STYLES[1:])
    names = set(outputs)
    for index, name in enumerate(config.media_preferences.output_configs):
        if name not in names:
            yield unknown(("media_preferences", "output_configs", index), "output config", name, names)
    yield from _check_placeholders(config, pipelines[config.pipeline], chunks)
    yield from _check_parameters(config, pipelines[config.pipeline], chunks)
    yield from _check_model(config)


def _check_parameters(config: Config, pipeline: Pipeline, chunks: Mapping[str, Chunk]) -> Iterator[Fault]:
    """Values that no model accepts, and names that are a slip of the pen away from one that something takes.

    A name that resembles nothing stays: it may be a preference for an output that is not there.
    """
    try:
        check_values(config.parameters)
    except InvalidInput as error:
        name = error.message.partition(" ")[0]
        yield Fault(("parameters", name), f"{error.message}", "")
    if pipeline.kind == "recursive":
        yield from _check_loop(config.parameters, {**pipeline.parameters, **config.parameters})
    known = {*SAMPLING, *LOOP, *pipeline.parameters, "model", "seed"}
    known |= {
        name
        for chunk in chunks.values()
        for name in (*chunk.parameters, *(takes(chunk) if chunk.kind == "media" else ()))
    }
    used = {name.casefold() for text in _texts_of(config, pipeline, chunks) for name in placeholders(text)}
    for name in config.parameters:
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=SLIP) if name not in known else []
        if near and name.casefold() not in used:
            yield Fault(("parameters", name), f"nothing takes a parameter {name!r}.", f"Did you mean {near[0]!r}?")


def _check_loop(own: Mapping[str, Any], merged: Mapping[str, Any]) -> Iterator[Fault]:
    """Iterations and languages that no run could follow; told at the value that the config itself gives."""
    try:
        languages.sequence(merged, 0)
    except (InvalidInput, UnknownName) as error:
        codes = {name: own.get(name) for name in ("languages", "final_language")}
        named = [n for n, value in codes.items() if value is not None and _unknown_language(value)]
        name = next((n for n in LOOP if error.message.startswith(f"{n} ")), named[0] if named else "iterations")
        if name in own:
            yield Fault(("parameters", name), f"{error.message}", error.hint or "")


def _unknown_language(value: Any) -> bool:
    return any(str(code) not in languages.NAMES for code in (value if isinstance(value, (list, tuple)) else (value,)))


def _texts_of(config: Config, pipeline: Pipeline, chunks: Mapping[str, Chunk]) -> Iterator[str]:
    yield from (config.context,) if isinstance(config.context, str) else config.context.values()
    for name in pipeline.chunks:
        if name in chunks:
            yield from (chunks[name].system, chunks[name].template)


def _check_model(config: Config) -> Iterator[Fault]:
    """A backend in a fixed model's name that is a slip of the pen away from one that exists."""
    backend, mark, _ = config.model.partition(":")
    if mark and backend not in BACKEND_NAMES:
        near = difflib.get_close_matches(backend, BACKEND_NAMES, n=1, cutoff=SLIP)
        if near:
            yield Fault(("model",), f"there is no backend {backend!r}.", f"Did you mean {near[0]!r}?")


def _check_output(config: Config, chunks: Mapping[str, Chunk]) -> Iterator[Fault]:
    if not config.chunk:
        yield Fault(
            ("chunk",), "an output config needs the media chunk it fills.", 'For example "chunk": "output_sketch".'
        )
    elif config.chunk not in chunks:
        yield unknown(("chunk",), "chunk", config.chunk, [n for n, c in chunks.items() if c.kind == "media"])
    elif chunks[config.chunk].kind != "media":
        yield Fault(("chunk",), f"chunk {config.chunk!r} makes text, not media.", "Name a media chunk.")


def _check_placeholders(config: Config, pipeline: Pipeline, chunks: Mapping[str, Chunk]) -> Iterator[Fault]:
    known = {name.casefold() for name in (*KNOWN, *pipeline.parameters, *config.parameters)}
    known |= {name.casefold() for name in pipeline.inputs.names}
    for text in (config.context,) if isinstance(config.context, str) else config.context.values():
        for name in placeholders(text):
            if name.casefold() in ("context", "instruction", "instructions"):
                yield Fault(("context",), f"the context holds the placeholder {name}, which is itself.", "Remove it.")
    if pipeline.kind not in ("text", "recursive"):
        return
    contexts = (config.context,) if isinstance(config.context, str) else tuple(config.context.values())
    for chunk_name in pipeline.chunks:
        chunk = chunks[chunk_name]
        here = known | {name.casefold() for name in chunk.parameters}
        for loc, texts in ((("pipeline",), (chunk.system, chunk.template)), (("context",), contexts)):
            for name in (name for text in texts for name in placeholders(text)):
                if name.casefold() not in here and not _NUMBERED.fullmatch(name):
                    where = f"chunk {chunk_name!r}" if loc == ("pipeline",) else "the context"
                    yield Fault(
                        loc,
                        f"{where} uses the placeholder {name}, which nothing fills.",
                        unknown(loc, "placeholder", name, here).repair,
                    )
        known |= {str(key).casefold() for key in (chunk.answer_schema or {}).get("properties", {})}
