"""A new project: settings with every key commented, configs, prompts, notebooks."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from aipipe.settings import FILE_NAME

GITIGNORE = "runs/*\n!runs/README.md\n.ipynb_checkpoints/\n"
PROMPTS = """id,text
flower,Eine Blume auf der Wiese
heron,a heron at the edge of a lake
city,Eine Stadt im Regen bei Nacht
silence,the silence between two thoughts
"""
RUNS = "# runs/\n\nOne folder per run. Git ignores everything here except this page.\n"


def init_project(folder: Path) -> tuple[list[Path], list[Path]]:
    """Make `folder` a project.

    Args:
        folder: The folder; made if missing.

    Returns:
        The files that were made, and those that were there and stay as they are.
    """
    made: list[Path] = []
    kept: list[Path] = []
    for path, content in _contents().items():
        target = folder / path
        if target.exists():
            kept.append(target)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        made.append(target)
    return made, kept


def _contents() -> dict[str, bytes]:
    template = files("aipipe.lab") / "template"
    contents = {
        FILE_NAME: template.joinpath(FILE_NAME).read_bytes(),
        "configs/README.txt": template.joinpath("configs.txt").read_bytes(),
        "prompts.csv": PROMPTS.encode(),
        ".gitignore": GITIGNORE.encode(),
        "runs/README.md": RUNS.encode(),
    }
    return contents | {f"notebooks/{name}": item.read_bytes() for name, item in _notebooks(shipped_notebooks())}


def shipped_notebooks() -> Traversable:
    """The starter notebooks: in the wheel beside the definitions, in a checkout at its top."""
    installed = files("aipipe.data").joinpath("notebooks")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "notebooks"


def _notebooks(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for item in sorted(folder.iterdir(), key=lambda i: i.name):
        if item.is_dir():
            found += _notebooks(item, f"{prefix}{item.name}/")
        elif item.name.endswith(".ipynb"):
            found.append((prefix + item.name, item))
    return found
