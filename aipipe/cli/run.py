"""`aipipe run`: one recorded run, shown live."""

from __future__ import annotations

import argparse
import importlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from aipipe import language, timestamps
from aipipe.cli.output import EXIT_CODES, add_json, add_runs, pairs, print_json, typed

if TYPE_CHECKING:
    from aipipe.store import Run

TEXT_TASKS = ("translation", "safety", "interception")
"""Tasks that any language model can do; `vision` needs one that sees."""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "run", help="run a config on a text", description='Run a config: aipipe run dada "Eine Blume auf der Wiese"'
    )
    parser.add_argument("config", help="name of a config; `aipipe configs list` lists them")
    parser.add_argument("text", nargs="*", help="one text for each input of the config")
    parser.add_argument("--mode", help="eco, fast, embedded or echo (default: settings, else what answers)")
    parser.add_argument("--safety", help="kids, youth, adult or off")
    parser.add_argument("--output", action="append", metavar="CFG", help="output config; may be given several times")
    parser.add_argument("--seed", type=int, help="seed of the media")
    parser.add_argument("--text-seed", type=int, default=None, help="seed of the language model (default 0)")
    parser.add_argument(
        "-p", "--parameter", nargs=2, action="append", metavar=("NAME", "VALUE"), help="sampling or media parameter"
    )
    parser.add_argument("-l", "--label", action="append", metavar="KEY=VALUE", help="label of the run")
    parser.add_argument(
        "-m",
        "--model",
        action="append",
        metavar="[TASK=]MODEL",
        help="model for a task, for example interception=mistral-nemo; without a task, for all that are texts",
    )
    parser.add_argument("--image", action="append", metavar="FILE", help="input image")
    parser.add_argument("--until", help="pre_interception or interception: end the run there")
    parser.add_argument("--study", help="study the run belongs to")
    parser.add_argument("--participant", help="pseudonym of the author")
    add_runs(parser)
    add_json(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Run it, print where the result lies, and return the exit code of its status."""
    threading.Thread(target=_warm_up, name="aipipe-warm-up").start()
    from aipipe.lab import Lab

    with Lab(runs=arguments.runs, display=not arguments.json) as lab:
        _offer_model(lab, arguments)
        run = lab.run(
            arguments.config,
            *arguments.text,
            mode=arguments.mode,
            safety=arguments.safety,
            outputs=arguments.output,
            seed=arguments.seed,
            text_seed=arguments.text_seed,
            parameters={name: typed(value) for name, value in arguments.parameter or []} or None,
            labels=pairs(arguments.label, "-l") or None,
            models=models_of(arguments.model) or None,
            images=arguments.image,
            until=arguments.until,
            study=arguments.study,
            participant=arguments.participant,
        )
    if arguments.json:
        print_json(run.record.model_dump(mode="json"))
    else:
        print(summary(run))
    return EXIT_CODES.get(run.status, 4)


def _warm_up() -> None:
    """Load what the first steps need while the settings are read and the servers are asked."""
    importlib.import_module("httpcore")
    importlib.import_module("httpx")
    language.prepare()


def models_of(items: list[str] | None) -> dict[str, str]:
    """Task → model of the `-m` options; a model without a task answers every task that is a text and has none of its own.

    Raises:
        UsageError: a model that is empty, or a task without one.
    """
    bare = [item for item in items or [] if item and "=" not in item]
    named = [item for item in items or [] if item not in bare]
    return {task: model for model in bare for task in TEXT_TASKS} | pairs(named, "-m")


def summary(run: Run) -> str:
    """Where everything lies, and how to open it in a notebook."""
    lines = []
    if run.reason is not None:
        lines.append(f"{run.status}: {run.reason.message}")
    pictures = [e for e in run.entities if e.type.startswith("output_")]
    lines += [f"{entity.media_type}: {entity.path}" for entity in pictures]
    lines.append(f"run folder: {run.folder}")
    own = own_seconds(run)
    if own is not None:
        lines.append(f"time: {run.seconds:.1f} s, of which aipipe itself {own * 1000:.0f} ms")
    lines.append(f'in a notebook: import aipipe; aipipe.open_run("{run.folder}")')
    return "\n".join(lines)


def own_seconds(run: Run) -> float | None:
    """Seconds in which no model, check or generator worked: planning, detection of the language, recording, showing.

    Steps may lie within each other (the check of a picture belongs to its making), so their union counts, not their sum.
    None while the run goes on.
    """
    if run.seconds is None:
        return None
    busy, reached = 0.0, 0.0
    spans = sorted((timestamps.parse(s.started).timestamp(), s.seconds) for s in run.record.steps if s.started)
    for begin, seconds in spans:
        busy += max(0.0, begin + seconds - max(begin, reached))
        reached = max(reached, begin + seconds)
    return max(0.0, run.seconds - busy)


def _offer_model(lab: Any, arguments: argparse.Namespace) -> None:
    """On a terminal, offer to fetch the embedded model when the run will need it; elsewhere the run says so itself."""
    if arguments.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    mode = arguments.mode or lab.settings.mode
    if mode == "embedded":
        from aipipe.cli.models import ensure_model

        ensure_model(lab.settings)
