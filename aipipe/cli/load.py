"""`aipipe load`: frames of the store as CSV, Parquet or JSON lines."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from aipipe.cli.output import add_json, add_runs, print_json

FRAMES = ("runs", "entities", "steps", "safety", "media", "errors", "prompts", "batch", "ratings")
SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl"}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("load", help="write a frame of the store to a file", description=__doc__)
    parser.add_argument("frame", nargs="?", default="runs", choices=FRAMES, help="which frame (default: runs)")
    parser.add_argument("--out", required=True, metavar="FILE", help="a file ending in .csv, .parquet or .jsonl")
    parser.add_argument("--columns", help="names of wanted columns, with commas")
    parser.add_argument("--where", help="condition, for example: status == 'completed'")
    parser.add_argument("--since", help="only runs from this date on")
    parser.add_argument("--texts", action="store_true", help="add the texts (runs, entities, safety)")
    add_runs(parser)
    add_json(parser)
    parser.set_defaults(handler=_load)


def _load(arguments: argparse.Namespace) -> int:
    from aipipe import analysis
    from aipipe.analysis.export.package import write_table
    from aipipe.errors import UsageError

    path = Path(arguments.out)
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path.name} ends in no known format.", hint="Use .csv, .parquet or .jsonl.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", hint="Make it first.")
    options: dict[str, Any] = {"where": arguments.where}
    if arguments.columns:
        options["columns"] = [name.strip() for name in arguments.columns.split(",")]
    for name, wanted, allowed in (
        ("since", arguments.since, arguments.frame not in ("batch", "ratings")),
        ("texts", arguments.texts, arguments.frame in ("runs", "entities", "safety")),
    ):
        if wanted and not allowed:
            raise UsageError(f"--{name} does not apply to {arguments.frame}.")
        if wanted:
            options[name] = wanted
    frame = getattr(analysis, f"load_{arguments.frame}")(arguments.runs, **options)
    report = frame.attrs["report"]
    frame.attrs = {}
    write_table(frame, path.with_suffix(""), [kind])
    path = path.with_suffix(f".{kind}")
    if arguments.json:
        print_json({**report, "out": str(path)})
    else:
        print(f"{report}\nWritten: {path}")
    return 0
