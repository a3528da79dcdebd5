"""New config files, and the JSON Schemas that let an editor complete them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from aipipe.catalog.checks import check_name
from aipipe.catalog.library import Catalog
from aipipe.catalog.problems import Problem, error_of
from aipipe.definitions import Chunk, Config, Pipeline
from aipipe.errors import InvalidInput

SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"


def new_config(catalog: Catalog, name: str, source: str, folder: Path) -> Path:
    """Write a Markdown config that begins as a copy of another one.

    Args:
        catalog: Where `source` is looked up.
        name: Name of the new config, and of its file.
        source: Config to start from.
        folder: Where the file goes; made if it is missing.

    Returns:
        The file.

    Raises:
        UnknownName: no config `source`.
        InvalidDefinition: a name that cannot be a file's.
        InvalidInput: the name or the file exists already.
    """
    faults = list(check_name(name))
    if "/" in name or faults:
        raise error_of(
            [Problem("", None, f"{name!r} is no usable name.", "Use letters, digits, - and _.", name)], "New config"
        )
    if name in [config.name for config in catalog.configs()]:
        raise InvalidInput(f"There is a config {name!r} already.", hint="Choose another name.")
    path = folder / f"{name}.md"
    text = as_markdown(catalog.config(source), name)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidInput(f"{path} exists already.", hint="Choose another name, or change that file.") from None
    return path


def as_markdown(config: Config, name: str) -> str:
    """The config as front matter and body, under a new name."""
    import yaml

    several = not isinstance(config.context, str) and len(config.context) > 1
    left_out = (
        {"name"} if several else {"name", "context"}
    )  # a body has one language; several stand in the front matter
    values: dict[str, Any] = config.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
    front = yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=110) if values else ""
    return f"---\nname: {name}\n{front}---\n" + ("" if several else f"{config.context_text()}\n")


def schema(kind: str) -> dict[str, Any]:
    """JSON Schema of a `config`, `pipeline` or `chunk` file.

    A file's name may be left out, as it follows from the file, and configs know two shorthands: `output`, and title
    and description as one string.
    """
    models: dict[str, type[BaseModel]] = {"config": Config, "pipeline": Pipeline, "chunk": Chunk}
    document: dict[str, Any] = models[kind].model_json_schema()
    document["$schema"] = SCHEMA_URL
    document["title"] = f"aipipe {kind}"
    required = [key for key in document.get("required", []) if key != "name"]
    document["required"] = required
    properties = document["properties"]
    properties["$schema"] = {"type": "string", "description": "Address of this schema, for editors."}
    if kind == "config":
        properties["output"] = {
            "description": "A media type, or one or several output configs; short for media_preferences.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        }
        for key in ("title", "description"):
            properties[key] = {**properties[key], "type": ["object", "string"]}
        properties["tags"] = {"description": "Language → tags, or a list.", "type": ["object", "array"]}
    return document
