"""What commands share: one JSON document on stdout, errors with their next step on stderr."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from typing import Any

from aipipe.errors import AipipeError

EXIT_CODES = {"completed": 0, "blocked": 3, "failed": 4, "cancelled": 130}


def use_utf8() -> None:
    """Let texts of any language be printed, whatever the console's code page."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(encoding="utf-8", errors="replace")


def print_json(document: Any) -> None:
    """Print one JSON document and nothing else."""
    print(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def fail(error: AipipeError, *, as_json: bool) -> int:
    """Report an error and return its exit code."""
    if as_json:
        print_json({"error": error.as_dict()})
    else:
        print(f"aipipe: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  next: {error.hint}", file=sys.stderr)
    return error.exit_code


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Add `--runs DIR`."""
    parser.add_argument("--runs", metavar="DIR", help="folder of the store (default: the project's)")


def typed(value: str) -> Any:
    """A parameter from the command line: JSON where it is JSON (numbers, true, lists), else text."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def pairs(items: list[str] | None, option: str) -> dict[str, str]:
    """`KEY=VALUE` items as a dict.

    Raises:
        UsageError: an item without `=`.
    """
    from aipipe.errors import UsageError

    found = {}
    for item in items or []:
        key, sign, value = item.partition("=")
        if not sign or not key:
            raise UsageError(f"{option} {item!r} is not KEY=VALUE.", hint=f"For example {option} group=A.")
        found[key] = value
    return found
