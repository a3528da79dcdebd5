"""`aipipe runs resume` and `aipipe runs rerun`: a recorded run taken to its end, or made once more."""

from __future__ import annotations

import argparse
from typing import Any

from aipipe.cli.output import EXIT_CODES, pairs, print_json, typed
from aipipe.cli.run import models_of, summary


def add_resume(parser: argparse.ArgumentParser) -> None:
    """The arguments of `resume`."""
    parser.add_argument("run", help="id or unique prefix")


def add_rerun(parser: argparse.ArgumentParser) -> None:
    """The arguments of `rerun`: what may differ from the original."""
    parser.add_argument("run", help="id or unique prefix")
    parser.add_argument("--seed", type=int, help="another seed of the media")
    parser.add_argument("--text-seed", type=int, help="another seed of the language model")
    parser.add_argument("--mode", help="another mode")
    parser.add_argument("--safety", help="another level")
    parser.add_argument("--output", action="append", metavar="CFG", help="other output configs")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", metavar=("NAME", "VALUE"), help="over the first")
    parser.add_argument("-m", "--model", action="append", metavar="[TASK=]MODEL", help="another model for a task")
    parser.add_argument("-l", "--label", action="append", metavar="KEY=VALUE", help="labels instead of the first ones")
    parser.add_argument("--finish", action="store_true", help="also the stages that --until left out")


def resume(arguments: argparse.Namespace) -> int:
    """Finish an interrupted, failed or cancelled run; the exit code is that of its status."""
    from aipipe.lab import Lab

    with Lab(runs=arguments.runs, display=not arguments.json) as lab:
        run = lab.resume(arguments.run)
    if arguments.json:
        print_json(run.record.model_dump(mode="json"))
    else:
        print(summary(run))
    return EXIT_CODES.get(run.status, 4)


def rerun(arguments: argparse.Namespace) -> int:
    """Run it again, and say how equal the result is; the exit code is that of the new run's status."""
    from aipipe.lab import Lab

    with Lab(runs=arguments.runs, display=not arguments.json) as lab:
        run = lab.rerun(arguments.run, **_changes(arguments))
    verdict = run.reproduction
    if arguments.json:
        found = {"verdict": verdict.verdict, "first_difference": verdict.first_difference, "details": verdict.details}
        print_json({**run.record.model_dump(mode="json"), "reproduction": found})
    else:
        print(summary(run))
        print(f"compared with {run.record.parent.run_id if run.record.parent else arguments.run}: {verdict}")
    return EXIT_CODES.get(run.status, 4)


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "seed": arguments.seed,
        "text_seed": arguments.text_seed,
        "mode": arguments.mode,
        "safety": arguments.safety,
        "outputs": arguments.output,
        "parameters": {name: typed(value) for name, value in arguments.parameter or []},
        "models": models_of(arguments.model),
        "labels": pairs(arguments.label, "-l"),
    }
    changes = {name: value for name, value in changes.items() if value not in (None, {})}
    return {**changes, **({"until": None} if arguments.finish else {})}
