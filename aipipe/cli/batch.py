"""`aipipe batch`: a grid of runs, from the command line."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from aipipe.cli.output import add_json, add_runs, pairs, print_json, typed

ACTIONS = ("status", "watch", "retry", "join", "report", "pause", "resume", "drain", "stop")


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "batch",
        help="run configs × inputs × seeds",
        description="aipipe batch PLAN.toml | --configs a,b --inputs FILE --seeds 3 ; aipipe batch status|watch|retry|join|report|pause|resume|drain|stop ID",
    )
    parser.add_argument("what", nargs="?", help=f"a plan (.toml), or {', '.join(ACTIONS)}")
    parser.add_argument("id", nargs="?", default="", help="id of a batch or its beginning (default: the newest)")
    parser.add_argument("--configs", help="names, with commas")
    parser.add_argument("--inputs", metavar="FILE", help=".txt, .csv, .tsv or .jsonl")
    parser.add_argument("--seeds", default=None, help="3 means 1,2,3; also 1,2,3 or 5-9; 7, means seed 7 alone")
    parser.add_argument("--levels", help="safety levels, with commas")
    parser.add_argument("--modes", help="modes, with commas")
    parser.add_argument("--outputs", help="output configs, with commas")
    parser.add_argument(
        "-p", "--parameter", nargs=2, action="append", metavar=("NAME", "VALUE"), help="parameter of every case"
    )
    parser.add_argument("-m", "--model", action="append", metavar="TASK=MODEL", help="model for a task")
    parser.add_argument("--repeats", type=int, help="runs of each combination")
    parser.add_argument("--notebook", metavar="FILE", help="case notebook (default: the one that ships)")
    parser.add_argument("--no-notebook", action="store_true", help="run cases straight in the workers")
    parser.add_argument("--workers", type=int, default=1, help="cases at the same time")
    parser.add_argument("--executor", default="local", help="local, dask, or the address of a dask scheduler")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="ID",
        help="continue (this is the default); an ID must be of the same plan",
    )
    parser.add_argument("--new", action="store_true", help="start anew even if this plan was run before")
    parser.add_argument("--retry", action="store_true", help="give failed cases new attempts")
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first failure")
    parser.add_argument(
        "--keep-notebooks", choices=("all", "failed", "none"), default="all", help="which executed notebooks stay"
    )
    parser.add_argument(
        "--engine", choices=("aipipe", "papermill"), default="aipipe",
        help="aipipe forks warm kernels, papermill starts a fresh one for each case (default: aipipe)",
    )  # fmt: skip
    parser.add_argument(
        "--schedule", choices=("auto", "cases", "text_first"), default="auto",
        help="text_first: the texts of a block of cases before their media (default: where both share a GPU)",
    )  # fmt: skip
    parser.add_argument(
        "--block", type=int, default=60, metavar="N", help="cases in a block of text_first (default: 60)"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=1800,
        metavar="SECONDS",
        help="how long to wait for a lost server (default: 1800)",
    )
    parser.add_argument(
        "--max-attempts",
        type=int,
        default=3,
        metavar="N",
        help="failures of a case until it is left alone (default: 3)",
    )
    parser.add_argument(
        "--limit", action="append", metavar="SERVICE=N", help="cases that may need a service at the same time"
    )
    parser.add_argument(
        "--queue", type=int, default=8, metavar="N", help="jobs that may wait at ComfyUI before cases wait (default: 8)"
    )
    parser.add_argument(
        "--storage",
        default="",
        metavar="ADDRESS",
        help="fsspec address for a cluster without a shared disk (s3://bucket/folder)",
    )
    parser.add_argument("--timeout", type=int, metavar="SECONDS", help="time limit of one notebook cell")
    parser.add_argument("--cause", help="with retry: only cases that failed this way")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    parser.add_argument("--study", help="study the runs belong to")
    parser.add_argument("--participant", help="pseudonym of the author")
    parser.add_argument("--session", help="session, for example a lesson")
    add_runs(parser)
    add_json(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Plan, run, or report; 0 all completed or blocked, 4 some failed."""
    from aipipe.batch import Batch

    if arguments.what in ACTIONS:
        return _existing(Batch.open(arguments.id, runs=arguments.runs), arguments)
    _check_what(arguments.what)
    batch = _planned(arguments)
    if arguments.resume:
        known = Batch.open(arguments.resume, runs=arguments.runs)
        if known.plan.plan_hash != batch.plan.plan_hash:
            from aipipe.errors import InvalidPlan

            raise InvalidPlan(
                f"Batch {known.batch_id} has another plan than this one.",
                hint="Leave the ID out to start or continue this plan.",
            )
        batch = known
    if arguments.dry_run:
        facts = batch.dry_run()
        print_json(facts) if arguments.json else _print_dry(facts)
        return 0
    status = batch.run(
        arguments.workers, executor=arguments.executor, new=arguments.new, retry=arguments.retry, display=not arguments.json,
        **_options(arguments),
    )  # fmt: skip
    return _end(batch, status, arguments)


def _check_what(what: str | None) -> None:
    """A word that is neither an action nor a file is a slip of the pen.

    Raises:
        UnknownName: it names the nearest action.
    """
    from pathlib import Path

    from aipipe.errors import UnknownName

    if what and not what.endswith(".toml") and not Path(what).exists():
        raise UnknownName("plan file or action", what, ACTIONS)


def _existing(batch: Any, arguments: argparse.Namespace) -> int:
    if arguments.what in ("pause", "resume", "drain", "stop"):
        getattr(batch, arguments.what)()
        print(f"batch {batch.batch_id}: {arguments.what} was said; its processes hear it within a second")
        return 0
    if arguments.what == "watch":
        status = batch.watch()
        return 0 if status.clean or not status.done else 4
    if arguments.what == "retry":
        status = batch.retry(
            arguments.cause, workers=arguments.workers, executor=arguments.executor, display=not arguments.json,
            **_options(arguments),
        )  # fmt: skip
        return _end(batch, status, arguments)
    if arguments.what == "join":
        status = batch.join(
            arguments.workers, executor=arguments.executor, retry=arguments.retry, display=not arguments.json,
            **_options(arguments),
        )  # fmt: skip
        return _end(batch, status, arguments)
    if arguments.what == "report":
        print(batch.report())
        return 0
    found = batch.snapshot
    print_json(found.as_dict()) if arguments.json else print(found)
    return 0 if found.status.clean or not found.status.done else 4


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    limits = {name: _number(value) for name, value in pairs(arguments.limit, "--limit").items()}
    names = (
        "max_attempts", "fail_fast", "keep_notebooks", "timeout", "engine", "schedule", "block", "patience", "queue", "storage",
    )  # fmt: skip
    return {**{name: getattr(arguments, name) for name in names}, "limits": limits}


def _number(text: str) -> int:
    from aipipe.errors import UsageError

    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"--limit {text!r} is no number of cases.", hint="For example --limit comfyui=1.")
    return int(text)


def _end(batch: Any, status: Any, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json(status.as_dict())
    else:
        print(status)
        print(f"report: {batch.folder / 'report.html'}")
    return 0 if status.clean else 4


def _planned(arguments: argparse.Namespace) -> Any:
    from pathlib import Path

    from aipipe.batch import Batch

    more: dict[str, Any] = {
        "configs": _names(arguments.configs), "inputs": Path(arguments.inputs).expanduser().resolve() if arguments.inputs else None,
        "seeds": seeds(arguments.seeds) if arguments.seeds else None, "levels": _names(arguments.levels), "modes": _names(arguments.modes),
        "outputs": _names(arguments.outputs), "models": pairs(arguments.model, "-m") or None, "repeats": arguments.repeats,
        "parameters": {n: typed(v) for n, v in arguments.parameter or []} or None, "study": arguments.study,
        "participant": arguments.participant, "runs": arguments.runs, "notebook": False if arguments.no_notebook else arguments.notebook, "session": arguments.session,
    }  # fmt: skip
    given = {k: v for k, v in more.items() if v is not None}
    if arguments.what:
        return Batch.load(arguments.what, **given)
    return Batch(**given)


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def seeds(text: str) -> list[int]:
    """Seeds of `3` (1 to 3), `1,2,3`, `5-9`, or `7,` (seed 7 alone).

    Raises:
        UsageError: none of these.
    """
    from aipipe.errors import UsageError

    try:
        if "," in text:
            return [n for part in text.split(",") if part.strip() for n in _range(part)]
        return _range(text) if "-" in text else list(range(1, int(text) + 1))
    except ValueError:
        raise UsageError(
            f"--seeds {text!r} is no list of seeds.", hint="3, or 1,2,3, or 5-9, or 7, for seed 7 alone."
        ) from None


def _range(part: str) -> list[int]:
    first, dash, last = part.strip().partition("-")
    return list(range(int(first), int(last) + 1)) if dash else [int(first)]


def _print_dry(facts: dict[str, Any]) -> None:
    print(
        f"{facts['cases']} cases ({facts['left']} left to do, {facts['excluded']} excluded), {facts['model_calls']} model calls, {facts['media']} media"
    )
    hours = "unknown: no run of this mode yet" if facts["hours"] is None else f"about {facts['hours']} h on one worker"
    print(f"time {hours}; about {facts['bytes'] / 1e9:.2f} GB in {facts['files']} files")
    for service, use in facts["paid"].items():
        print(f"  paid {service}: {_use(use)}")
    for column, role in facts["columns"].items():
        print(f"  column {column}: {role}")
    print("nothing was started", file=sys.stderr)


def _use(use: dict[str, Any]) -> str:
    if not use["tokens_in"]:
        return f"{use['calls']} media"
    source = "as recorded steps took" if use["measured"] else "estimated from lengths"
    return f"{use['calls']} calls, about {use['tokens_in']:,} tokens in and {use['tokens_out']:,} out ({source})"
