"""`aipipe runs`: list, show, resume, rerun, verify, doctor, merge, prune, erase."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.cli import again
from aipipe.cli.output import add_json, add_runs, print_json
from aipipe.cli.run import summary

if TYPE_CHECKING:
    from aipipe.store import Store


def add_parser(subparsers: Any) -> None:
    """Add the command and its actions."""
    parser = subparsers.add_parser("runs", help="list, show and look after recorded runs")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = _action(actions, "list", _list, "newest first")
    listing.add_argument("--config", help="only this config")
    listing.add_argument("--status", help="only this status")
    listing.add_argument("-n", "--limit", type=int, default=30, help="how many (default 30; 0: all)")
    _action(actions, "show", _show, "one run with its texts").add_argument("run", help="id or unique prefix")
    again.add_resume(_action(actions, "resume", again.resume, "finish an interrupted, failed or cancelled run"))
    again.add_rerun(_action(actions, "rerun", again.rerun, "make a run once more and say how equal it is"))
    _action(actions, "verify", _verify, "missing, altered, extra and orphaned files").add_argument("run", nargs="*")
    doctor = _action(actions, "doctor", _doctor, "repair what can be repaired (dry run without --apply)")
    doctor.add_argument("--apply", action="store_true", help="do it")
    merge = _action(actions, "merge", _merge, "take over the runs of another store (dry run without --apply)")
    merge.add_argument("other", help="folder of the other store")
    merge.add_argument("--apply", action="store_true", help="do it")
    prune = _action(actions, "prune", _prune, "delete runs by status or age (a list without --yes)")
    prune.add_argument("--status", action="append", help="only runs of this status")
    prune.add_argument("--older-than", type=float, metavar="DAYS", help="only runs older than this")
    prune.add_argument("--yes", action="store_true", help="delete them")
    erase = _action(actions, "erase", _erase, "remove runs and every copy of their content (dry run without --apply)")
    erase.add_argument("--participant", help="all runs of this pseudonym")
    erase.add_argument("--run", action="append", help="this run")
    erase.add_argument("--apply", action="store_true", help="do it")


def open_store(arguments: argparse.Namespace) -> Store:
    """The store that `--runs` names, else the project's."""
    from aipipe import settings
    from aipipe.store import Store

    project = settings.find_project()
    return Store(settings.store_folder(project, settings.load(project), arguments.runs))


def _action(actions: Any, name: str, handler: Any, help_: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_, description=help_)
    add_runs(parser)
    add_json(parser)
    parser.set_defaults(handler=handler)
    return parser


def _list(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    filters = {k: v for k, v in (("config_name", arguments.config), ("status", arguments.status)) if v}
    rows: list[dict[str, Any]] = []
    for run in store.filter(**filters) if filters else store:
        if arguments.limit and len(rows) >= arguments.limit:
            break
        record = run.record
        rows.append(
            {
                "run_id": run.run_id,
                "timestamp": record.timestamp,
                "config_name": record.config_name,
                "status": run.status,
                "execution_mode": record.execution_mode,
                "safety_level": record.safety_level,
                "seconds": record.seconds,
                "progress": record.current_state.progress,
            }
        )
    if arguments.json:
        print_json(rows)
        return 0
    if not rows:
        print(f'No runs in {store.path}. Make one: aipipe run dada "a flower on the meadow"')
        return 0
    from rich.console import Console
    from rich.table import Column, Table

    # Ids are copied: they are never cut.
    name, created = Column("run", no_wrap=True, min_width=36), Column("created", no_wrap=True)
    table = Table(name, created, "config", "status", "mode", "safety", "seconds", box=None)
    for row in rows:
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        table.add_row(
            row["run_id"],
            str(row["timestamp"])[:19].replace("T", " "),
            row["config_name"],
            row["status"],
            row["execution_mode"],
            row["safety_level"],
            seconds,
        )
    console = Console()
    Console(width=max(console.width, 112)).print(table)
    if store.problems:
        print(f"{len(store.problems)} folder(s) could not be read: `aipipe runs verify` tells why.")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    run = open_store(arguments).open(arguments.run)
    if arguments.json:
        print_json({**run.record.model_dump(mode="json"), "status": run.status})
        return 0
    print(run._repr_mimebundle_()["text/plain"])
    print(summary(run))
    return 0


def _report(report: Any, arguments: argparse.Namespace, *, clean: bool) -> int:
    if arguments.json:
        print_json(report.as_dict())
    else:
        print(report)
    return 0 if clean else 1


def _verify(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    ids = [store.open(name).run_id for name in arguments.run] or None
    report = store.verify(ids)
    return _report(report, arguments, clean=report.clean)


def _doctor(arguments: argparse.Namespace) -> int:
    report = open_store(arguments).doctor(apply=arguments.apply)
    return _report(report, arguments, clean=report.clean)


def _merge(arguments: argparse.Namespace) -> int:
    report = open_store(arguments).merge(Path(arguments.other), apply=arguments.apply)
    return _report(report, arguments, clean=not report.conflicts)  # runs to take over are no problem found


def _prune(arguments: argparse.Namespace) -> int:
    report = open_store(arguments).prune(
        status=arguments.status, older_than_days=arguments.older_than, apply=arguments.yes
    )
    return _report(report, arguments, clean=True)


def _erase(arguments: argparse.Namespace) -> int:
    report = open_store(arguments).erase(
        participant=arguments.participant, run_ids=arguments.run, apply=arguments.apply
    )
    return _report(report, arguments, clean=True)
