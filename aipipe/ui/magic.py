"""`%%aipipe dada --safety kids`: the text of a cell as the input of a run."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
from typing import Any, NoReturn

from aipipe.errors import UsageError

_labs: dict[str, Any] = {}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%%aipipe: {message}.", hint=self.format_usage().strip())


def parser() -> argparse.ArgumentParser:
    """The options of the first line."""
    options = _Parser(prog="%%aipipe", add_help=False, description="Run a config on the text of this cell.")
    options.add_argument("config", help="name of a config, or of a variable that holds one")
    options.add_argument("--mode", help="eco, fast, embedded or echo")
    options.add_argument("--safety", help="kids, youth, adult or off")
    options.add_argument("--output", action="append", dest="outputs", help="output config; may be repeated")
    options.add_argument("--seed", type=int, help="seed of the media")
    options.add_argument("--until", help="pre_interception or interception ends the run there")
    options.add_argument("-p", nargs=2, action="append", dest="parameters", metavar=("NAME", "VALUE"))
    options.add_argument("-l", action="append", dest="labels", metavar="KEY=VALUE")
    options.add_argument("--runs", help="folder of the store")
    options.add_argument("--name", default="run", help="variable that gets the run (default: run)")
    options.add_argument("--start", action="store_true", help="run beside the cell, with a Cancel button")
    return options


def arguments(line: str) -> tuple[argparse.Namespace, dict[str, Any]]:
    """The first line as a namespace and the options of `lab.run`.

    Raises:
        UsageError: the line cannot be understood; the hint shows the usage.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"%%aipipe: {error}.", hint="Close every quotation mark.") from None
    found = parser().parse_args(words)
    options = {k: getattr(found, k) for k in ("mode", "safety", "outputs", "seed", "until") if getattr(found, k)}
    if found.seed == 0:
        options["seed"] = 0
    if found.parameters:
        options["parameters"] = {name: _value(value) for name, value in found.parameters}
    if found.labels:
        pairs = [label.partition("=") for label in found.labels]
        if any(not key or not sign for key, sign, _ in pairs):
            raise UsageError("%%aipipe: a label is KEY=VALUE.", hint="%%aipipe dada -l group=A")
        options["labels"] = {key: value for key, _, value in pairs}
    return found, options


def _value(text: str) -> Any:
    """A number, true, false or list where it reads as one, else the text."""
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text


def texts_of(cell: str) -> list[str]:
    """The texts of a cell: one, or several between lines of three dashes for configs with several inputs."""
    parts: list[list[str]] = [[]]
    for line in cell.splitlines():
        if line.strip() == "---":
            parts.append([])
        else:
            parts[-1].append(line)
    return ["\n".join(part).strip() for part in parts]


def register(shell: Any) -> None:
    """Add the cell magic to an IPython shell."""

    def aipipe(line: str, cell: str) -> Any:
        """Run a config on the text of this cell: %%aipipe CONFIG [--mode M] [--safety L] [--output CFG] [--seed N]."""
        found, options = arguments(line)
        config = shell.user_ns.get(found.config, found.config)
        from aipipe.definitions import Config

        lab = _lab(found.runs)
        work = lab.start if found.start else lab.run
        run = work(config if isinstance(config, Config) else found.config, *texts_of(cell), **options)
        shell.user_ns[found.name] = run
        return run

    shell.register_magic_function(aipipe, magic_kind="cell", magic_name="aipipe")


def _lab(runs: str | None) -> Any:
    """One lab per store, so that services are chosen once."""
    from aipipe.lab import Lab

    if (runs or "") not in _labs:
        _labs[runs or ""] = Lab(runs=runs)
    return _labs[runs or ""]
