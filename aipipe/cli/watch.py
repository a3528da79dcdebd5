"""`aipipe watch`: follow a run of any process."""

from __future__ import annotations

import argparse
from typing import Any

from aipipe.cli.output import EXIT_CODES, add_runs
from aipipe.cli.run import summary
from aipipe.cli.runs import open_store


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("watch", help="follow a run of any process until it ends")
    parser.add_argument("run", help="id or unique prefix")
    add_runs(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Follow the run and return the exit code of its status."""
    from aipipe.ui.watching import watch

    run = watch(open_store(arguments).open(arguments.run))
    print(summary(run))
    return EXIT_CODES.get(run.status, 4)
