"""From a folder to validated definitions, one by one; names and stages follow from where a file lies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from aipipe.catalog import original, sources
from aipipe.catalog.problems import Problem, short
from aipipe.catalog.sources import Source, Unreadable
from aipipe.catalog.wording import place_of as _place_of
from aipipe.catalog.wording import plain
from aipipe.definitions import Chunk, Config, Definition, MediaPreferences, Pipeline
from aipipe.errors import near_names

Kind = Literal["chunk", "pipeline", "config"]
STAGES = ("interception", "output", "pre_interception", "pre_output")
MODELS: Mapping[Kind, type[Definition]] = {"chunk": Chunk, "pipeline": Pipeline, "config": Config}
NO_DEFINITIONS = frozenset({"terms", "schemas", "samples", "notebooks"})
"""Folders beside the definitions that hold something else."""
_SKIPPED = ("readme", "output_config_defaults")


@dataclass(frozen=True, slots=True)
class Item:
    """One definition and where it comes from."""

    kind: Kind
    name: str
    definition: Definition
    source: Source


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one file gave when it had this size and time of change."""

    stamp: tuple[int, int]
    item: Item | None
    problems: tuple[Problem, ...]
    rest: Item | None = None
    """What is in order of a definition with problems: its references are checked too, so that all errors are told at once."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file, what it holds, and what its folder says about name and stage."""

    path: Path
    kind: Kind
    stage: str = ""
    prefix: str = ""


def signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of change of all files below `folder`."""
    return tuple((str(path), *_stamp(path)) for path in _tree(folder))


def load_folder(
    folder: Path, known: Mapping[Path, Loaded]
) -> tuple[list[Item], list[Problem], dict[Path, Loaded], dict[str, Any]]:
    """Read every definition below `folder`.

    Args:
        folder: The folder; a missing one is empty.
        known: What earlier reads gave; files that did not change are not read again.

    Returns:
        Definitions, problems, what each file gave, and the graphs of workflows/ by name.
    """
    items: list[Item] = []
    problems: list[Problem] = []
    files: dict[Path, Loaded] = {}
    graphs: dict[str, Any] = {}
    for path in _tree(folder):
        relative = path.relative_to(folder).parts
        if "workflows" in relative[:-1] and path.suffix.lower() == ".json":
            _graph(path, graphs, problems)
            continue
        place = _place(path, relative)
        if place is None:
            continue
        stamp = _stamp(path)
        before = known.get(path)
        loaded = before if before is not None and before.stamp == stamp else _load(place, stamp)
        files[path] = loaded
        problems += loaded.problems
        if loaded.item is not None:
            items.append(loaded.item)
    return items, problems, files, graphs


def _tree(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    stack = [str(folder)]
    found: list[str] = []
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.name.startswith((".", "_")):
                    continue
                if entry.is_dir():
                    stack.append(entry.path)
                elif entry.name.lower().endswith(sources.SUFFIXES):
                    found.append(entry.path)
    for name in sorted(found):
        yield Path(name)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)


def _place(path: Path, relative: tuple[str, ...]) -> Place | None:
    folders = list(relative[:-1])
    if path.stem.lower() in _SKIPPED or NO_DEFINITIONS.intersection(folders):
        return None
    if folders[:1] == ["configs"]:
        folders = folders[1:]
    if folders[:1] == ["chunks"]:
        return Place(path, "chunk") if path.suffix.lower() == ".json" else None
    if folders[:1] == ["pipelines"]:
        return Place(path, "pipeline") if path.suffix.lower() == ".json" else None
    if folders[:1] == ["user_configs"] and len(folders) > 1:
        return Place(path, "config", prefix=f"u_{folders[1]}_")
    stage = next((folder for folder in folders if folder in STAGES), "")
    return Place(path, "config", stage, f"{stage}/" if stage.startswith("pre_") else "")


def _graph(path: Path, graphs: dict[str, Any], problems: list[Problem]) -> None:
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(graph, dict):
            raise ValueError("it is no graph")
        graphs[path.stem] = graph
    except (ValueError, OSError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        problems.append(
            Problem(short(path), line, f"is not a readable workflow: {error}.", "Export it again.", path.stem)
        )


def _load(place: Place, stamp: tuple[int, int]) -> Loaded:
    try:
        source = sources.read(place.path)
    except Unreadable as error:
        problem = error.problem
        named = Problem(problem.file, problem.line, problem.message, problem.repair, place.prefix + place.path.stem)
        return Loaded(stamp, None, (named,))
    name = place.prefix + place.path.stem
    if place.kind == "chunk" and original.is_proxy(source.values):
        return Loaded(stamp, None, ())
    values: dict[str, Any] = {}
    try:
        values = _present(source.values, place)
        name = str(values["name"])
        definition = MODELS[place.kind].model_validate(values)
    except ValidationError as error:
        problems = tuple(_problems(error, source, MODELS[place.kind], name))
        return Loaded(stamp, None, problems, _rest(place.kind, name, values, error, source))
    except (TypeError, AttributeError, ValueError, KeyError, RecursionError) as error:
        # A value of another kind than any version of the format has; one file must not take the others with it.
        message = f"does not have the shape of a {place.kind}: {error}."
        repair = f"Compare it with a shipped one: aipipe configs show dada, or the JSON Schema of a {place.kind}."
        return Loaded(stamp, None, (Problem(short(place.path), 1, message, repair, name),))
    return Loaded(stamp, Item(place.kind, name, definition, source), ())


def _rest(kind: Kind, name: str, values: Mapping[str, Any], error: ValidationError, source: Source) -> Item | None:
    wrong = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
    kept = {key: value for key, value in values.items() if key not in wrong}
    try:
        return Item(kind, name, MODELS[kind].model_validate({**kept, "name": name}), source)
    except (ValidationError, TypeError, AttributeError, ValueError):
        return None


def _present(values: dict[str, Any], place: Place) -> dict[str, Any]:
    values = {key: value for key, value in values.items() if key != "$schema"}
    if place.kind == "chunk":
        found = original.chunk(values)
    elif place.kind == "pipeline":
        found = original.pipeline({"name": place.path.stem, **values})
    else:
        if "output" in values and "media_preferences" in values:
            raise ValueError("it has output and media_preferences, which say the same; keep one of them")
        if values.keys() >= {"pipeline", "workflow_type"} and values["pipeline"] != values["workflow_type"]:
            raise ValueError("it has pipeline and workflow_type, which say the same; keep one of them")
        if isinstance(values.get("name"), dict) and "title" in values:
            raise ValueError("it has title and a name in several languages, which say the same; keep one of them")
        found = original.config(values)
        if place.stage:
            found.setdefault("stage", place.stage)
    if not isinstance(found.get("name"), str):
        found["name"] = place.prefix + place.path.stem
    elif place.prefix.startswith("u_") and not found["name"].startswith(place.prefix):
        found["name"] = place.prefix + found["name"]
    return found


def _problems(error: ValidationError, source: Source, model: type[BaseModel], name: str) -> Iterator[Problem]:
    told: set[tuple[Any, ...]] = set()
    for item in error.errors():
        loc = _place_of(tuple(item["loc"]))
        if loc in told:
            continue  # the other ways in which a value could have been right
        told.add(loc)
        key = ".".join(str(part) for part in loc)
        message, repair = f"{key}: {plain(item)}.", ""
        if item["type"] == "extra_forbidden":
            known = _fields(model, loc)
            near = near_names(str(loc[-1]), known)
            message = f"{key}: unknown key."
            repair = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
        elif item["type"] == "missing":
            message, repair = f"{key}: is missing.", "Add it."
        yield Problem(short(source.path), source.line(loc), message, repair, name)


def _fields(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    nested: dict[str, type[BaseModel]] = {"media_preferences": MediaPreferences}
    if len(loc) > 1 and loc[0] in ("inputs", "examples", "media_preferences"):
        from aipipe.definitions import Example, InputField, InputNeeds

        nested |= {"examples": Example, "inputs": InputNeeds if model is Pipeline else InputField}
        return list(nested[str(loc[0])].model_fields)
    return [*model.model_fields, *(["output"] if model is Config else [])]
