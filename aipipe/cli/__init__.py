"""The command line: `aipipe COMMAND …`, also as `python -m aipipe`.

Every command lives in a module of its own with `add_parser(subparsers)`; its handler takes the parsed arguments and
returns an exit code: 0 completed, 2 bad usage or input, 3 blocked by safety, 4 failed, 130 cancelled.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from aipipe import __version__
from aipipe.cli.output import fail, use_utf8
from aipipe.errors import AipipeError

COMMANDS = (
    "run",
    "init",
    "batch",
    "configs",
    "runs",
    "watch",
    "load",
    "export",
    "serve",
    "comfy",
    "models",
    "jupyter",
    "doctor",
)
"""Modules of this package, in the order of the help text."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="aipipe", description="Run multi-stage AI art pipelines, record every run, look at what came out."
    )
    top.add_argument("--version", action="version", version=f"aipipe {__version__}")
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"aipipe.cli.{name}").add_parser(subparsers)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    use_utf8()
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.handler(arguments)
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`); a traceback would tell nobody anything.
        sys.stderr.close()
        return 0
    except AipipeError as error:
        return fail(error, as_json=getattr(arguments, "json", False))
    return code
