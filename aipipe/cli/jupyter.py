"""`aipipe jupyter`: JupyterLab on the project's notebooks."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from typing import Any

from aipipe.errors import MissingExtra, UsageError


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("jupyter", help="open JupyterLab on the project's notebooks")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to jupyter lab")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Start JupyterLab and wait for it."""
    from aipipe.settings import find_project

    project = find_project()
    if project is None:
        raise UsageError("There is no project here.", hint="`aipipe init` makes one, with notebooks.")
    if importlib.util.find_spec("jupyterlab") is None:
        raise MissingExtra("JupyterLab", "notebook")
    notebooks = project / "notebooks"
    folder = notebooks if notebooks.is_dir() else project
    return subprocess.call([sys.executable, "-m", "jupyterlab", str(folder), *arguments.arguments])
