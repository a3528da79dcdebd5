"""`aipipe init`: a new project."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("init", help="make a new project: settings, configs, notebooks")
    parser.add_argument("folder", nargs="?", default=".", help="folder of the project (default: this one)")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Write what is missing; never overwrite."""
    from aipipe.lab.project import init_project

    folder = Path(arguments.folder)
    made, kept = init_project(folder)
    for path in made:
        print(f"made  {path}")
    for path in kept:
        print(f"kept  {path} (it was there)")
    print(f'Next: cd {folder} && aipipe run dada "a flower on the meadow" --mode embedded, or `aipipe jupyter`.')
    return 0
