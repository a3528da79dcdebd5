"""`aipipe configs`: list, show, check and make definitions."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from aipipe import settings as settings_module
from aipipe.catalog import Catalog
from aipipe.catalog.problems import short
from aipipe.catalog.writing import new_config
from aipipe.definitions import Config
from aipipe.errors import InvalidInput


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's parser."""
    parser = subparsers.add_parser("configs", help="list, show, check and make configs")
    parser.set_defaults(handler=listed, stage=None, json=False)
    commands = parser.add_subparsers(dest="configs_command")
    command = commands.add_parser("list", help="all configs with what they do")
    command.add_argument("--stage", choices=["interception", "output", "pre_interception", "pre_output"])
    _finish(command, listed)
    command = commands.add_parser("show", help="one config with context, examples and file")
    command.add_argument("name")
    _finish(command, shown)
    command = commands.add_parser("check", help="check the project's definitions, or a folder or file")
    command.add_argument("path", nargs="?")
    _finish(command, checked)
    command = commands.add_parser("new", help="a new config, copied from another one, as a Markdown file")
    command.add_argument("name")
    command.add_argument("--from", dest="source", default="dada", metavar="CONFIG")
    command.add_argument("--folder", help="where to put it (default: the project's configs folder)")
    _finish(command, made)


def _finish(command: argparse.ArgumentParser, handler: Any) -> None:
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.set_defaults(handler=handler)


def listed(args: argparse.Namespace) -> int:
    """`aipipe configs list`."""
    catalog, language = _catalog()
    found = catalog.configs(args.stage)
    if args.json:
        _print_json([_summary(catalog, config) for config in found])
        return 0
    width = max((len(config.name) for config in found), default=0)
    for config in found:
        print(f"{config.name:<{width}}  {_text(config.description, language) or _text(config.title, language)}")
    _warn(catalog)
    return 0


def shown(args: argparse.Namespace) -> int:
    """`aipipe configs show NAME`."""
    catalog, language = _catalog()
    config = catalog.config(args.name)
    path = catalog.path(config.name)
    if args.json:
        document = {**config.model_dump(mode="json"), "file": str(path) if path else ""}
        _print_json(document)
        return 0
    print(f"{config.name}: {_text(config.title, language)}\n{_text(config.description, language)}\n")
    inputs = catalog.pipeline(config.pipeline).inputs
    for label, value in (
        ("stage", config.stage),
        ("pipeline", config.pipeline),
        ("inputs", ", ".join(inputs.names) or f"{inputs.texts} texts"),
        ("output", ", ".join(config.media_preferences.output_configs) or config.media_preferences.default_output),
        ("parameters", json.dumps(config.parameters, ensure_ascii=False) if config.parameters else ""),
        ("file", short(path) if path else ""),
    ):
        if value:
            print(f"{label:<11}{value}")
    if config.context:
        print(f"\n{config.context_text(language)}")
    for example in config.examples:
        print(f"\n  {example.input}\n  → {example.output}")
    return 0


PARTS = ("chunks", "pipelines", "workflows", "user_configs", "interception", "output", "pre_interception", "pre_output")
"""Folders within a folder of definitions."""


def checked(args: argparse.Namespace) -> int:
    """`aipipe configs check [PATH]`: 0 clean, 1 problems found."""
    if args.path:
        path = Path(args.path)
        if not path.exists():
            raise InvalidInput(f"{path} does not exist.", hint="Name a folder or a definition file.")
        folder = path if path.is_dir() else _root_of(path)
        catalog = Catalog.load([folder], strict=False)
        problems = [p for p in catalog.problems if path.is_dir() or Path(p.file).name == path.name]
    else:
        catalog, _ = _catalog()
        problems = list(catalog.problems)
    if args.json:
        _print_json({"problems": [problem.as_dict() for problem in problems]})
    else:
        for problem in problems:
            print(problem)
        count = f"{len(problems)} problem{'s' * (len(problems) > 1)}."
        print(count if problems else f"All is well: {len(catalog.configs())} configs.")
    return 1 if problems else 0


def _root_of(path: Path) -> Path:
    """The folder of definitions that a file belongs to: what holds its chunks/, pipelines/ or stage."""
    folder = path.resolve().parent
    while folder.name in PARTS or folder.parent.name == "user_configs":
        folder = folder.parent
    return folder


def made(args: argparse.Namespace) -> int:
    """`aipipe configs new NAME --from CONFIG`."""
    catalog, _ = _catalog()
    folder = Path(args.folder) if args.folder else _own_folder()
    path = new_config(catalog, args.name, args.source, folder)
    if args.json:
        _print_json({"name": args.name, "file": str(path)})
    else:
        print(f'{short(path)}\nChange it, then: aipipe run {args.name} "…"')
    return 0


def _catalog() -> tuple[Catalog, str]:
    project = settings_module.find_project()
    loaded = settings_module.load(project)
    base = project or Path.cwd()
    return Catalog.load([base / folder for folder in loaded.configs], strict=False), loaded.language


def _own_folder() -> Path:
    project = settings_module.find_project()
    names = settings_module.load(project).configs
    return (project or Path.cwd()) / (names[0] if names else "configs")


def _summary(catalog: Catalog, config: Config) -> dict[str, Any]:
    path = catalog.path(config.name)
    return {
        "name": config.name,
        "stage": config.stage,
        "title": config.title,
        "description": config.description,
        "pipeline": config.pipeline,
        "default_output": config.media_preferences.default_output,
        "output_configs": list(config.media_preferences.output_configs),
        "tags": {language: list(tags) for language, tags in config.tags.items()},
        "shipped": catalog.is_shipped(config.name),
        "file": str(path) if path else "",
    }


def _text(texts: dict[str, str], language: str) -> str:
    return texts.get(language) or texts.get("en") or next(iter(texts.values()), "")


def _warn(catalog: Catalog) -> None:
    if catalog.problems:
        print(f"\n{len(catalog.problems)} problems in your own definitions: aipipe configs check")


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))
