"""`%%aipipe CONFIG …`: the cell's text is run under a config."""

from __future__ import annotations

from typing import Any

from aipipe.errors import UsageError

USAGE = "%%aipipe dada --safety kids --seed 7 --output sketch"


def register(shell: Any) -> None:
    """Add the cell magic to an IPython shell; done by `%load_ext aipipe`."""

    def aipipe(line: str, cell: str) -> Any:
        """Run the cell's text under a config, for example %%aipipe dada --safety kids."""
        from aipipe.lab import Lab

        config, options = parse(line)
        lab = shell.user_ns.get("lab")
        lab = lab if isinstance(lab, Lab) else Lab()
        run = lab.run(config, cell.strip(), **options)
        shell.user_ns["run"] = run
        return run

    shell.register_magic_function(aipipe, "cell", "aipipe")


def parse(line: str) -> tuple[str, dict[str, Any]]:
    """Config and options of the magic's line.

    Raises:
        UsageError: no config, or an option it does not know.
    """
    import argparse
    import shlex

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> Any:
            raise UsageError(f"%%aipipe: {message}", hint=f"For example {USAGE}")

    parser = Parser("%%aipipe", add_help=False)
    parser.add_argument("config")
    for name in ("mode", "safety", "until", "study", "participant"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--output", action="append", dest="outputs")
    values = vars(parser.parse_args(shlex.split(line)))
    config = values.pop("config")
    return config, {name: value for name, value in values.items() if value is not None}
