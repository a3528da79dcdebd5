"""`aipipe comfy`: run, check and adopt graphs; nodes and jobs of a server; cancel one job."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.cli.output import add_json, pairs, print_json, typed
from aipipe.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from aipipe.comfy.adopting import Adopted
    from aipipe.comfy.pool import Pool
    from aipipe.comfy.server import Server
    from aipipe.comfy.workflow import Workflow
    from aipipe.events import Event


def add_parser(subparsers: Any) -> None:
    """Add the command and its own commands."""
    parser = subparsers.add_parser("comfy", help="graphs and jobs of ComfyUI servers")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    run = _action(actions, "run", "run a graph and fetch everything it makes", handle_run)
    run.add_argument("file", help="graph in API or editor form, or a PNG, WebP or MP4 that holds one")
    run.add_argument(
        "--set", action="append", metavar="NAME=VALUE", help="set an input: prompt=…, seed=7, Title.input=…"
    )
    run.add_argument("--save-to", default=".", metavar="DIR", help="folder for the files (default: here)")
    run.add_argument("--timeout", type=float, metavar="SECONDS", help="longest wait")
    run.add_argument("--allow-partial", action="store_true", help="take what there is")

    check = _action(actions, "check", "find what a server would refuse, without running anything", handle_check)
    check.add_argument("file")

    adopt = _action(actions, "adopt", "make an output config of a graph", handle_adopt)
    adopt.add_argument("file")
    adopt.add_argument("--name", help="name of the output config (default: the file's)")
    adopt.add_argument("--map", action="append", metavar="NAME=INPUT", help="correct the mapping: prompt='#6.text'")
    adopt.add_argument("--output", metavar="NODE", help="title or id of the node whose files are the result")
    adopt.add_argument("--configs", metavar="DIR", help="folder to write into (default: the project's)")
    adopt.add_argument("--dry-run", action="store_true", help="show the mapping and write nothing")
    adopt.add_argument("--no-picture", action="store_true", help="make no first picture")

    nodes = _action(actions, "nodes", "list the nodes of a server, or describe one", handle_nodes)
    nodes.add_argument("name", nargs="?", help="a node class, or a part of names")

    _action(actions, "jobs", "list running, waiting and finished jobs", handle_jobs)
    cancel = _action(actions, "cancel", "cancel exactly one job", handle_cancel)
    cancel.add_argument("job_id")


def _action(actions: Any, name: str, text: str, handler: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text)
    parser.add_argument(
        "--url", action="append", metavar="URL", help="server; several times for several (default: the project's)"
    )
    parser.add_argument("--token-env", metavar="NAME", help="environment variable that holds a bearer token")
    add_json(parser)
    parser.set_defaults(handler=handler)
    return parser


@contextlib.contextmanager
def _connected(arguments: argparse.Namespace) -> Iterator[Server | Pool]:
    from aipipe import comfy
    from aipipe.settings import find_project, load

    urls, token = arguments.url, arguments.token_env
    if not urls:
        runner = load(find_project()).runners.get("comfyui")
        urls = [*(runner.urls if runner else []), *([runner.url] if runner and runner.url else [])]
        token = token or (runner.key_env if runner else "")
    with comfy.connect(*urls, auth=comfy.bearer(env=token) if token else None) as server:
        yield server


def _first(server: Server | Pool) -> Server:
    """A server whose node descriptions count."""
    from aipipe.comfy.pool import Pool

    return server.healthy()[0] if isinstance(server, Pool) else server


def handle_run(arguments: argparse.Namespace) -> int:
    """Run a graph; files go into a folder."""
    from aipipe import comfy
    from aipipe.events import Watch

    with _connected(arguments) as server:
        values = {name: typed(value) for name, value in pairs(arguments.set, "--set").items()}
        workflow = comfy.Workflow.load(arguments.file, server=_first(server)).with_inputs(values)
        _warn_of_conversion(workflow)
        bar = _Bar() if sys.stderr.isatty() else None
        try:
            result = server.run(
                workflow,
                save_to=arguments.save_to,
                timeout=arguments.timeout,
                allow_partial=arguments.allow_partial,
                watch=Watch(bar.on_event) if bar else Watch(),
            )
        finally:
            if bar:
                bar.close()
    if arguments.json:
        print_json(_result_document(result))
        return 0
    for output in result.outputs:
        print(f"{output.node_title}: {output.path if output.path is not None else output.text}")
    for name, seed in result.seeds.items():
        print(f"seed {name} = {seed}")
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def _warn_of_conversion(workflow: Workflow) -> None:
    for note in workflow.conversion.warnings if workflow.conversion is not None else ():
        print(f"warning: {note.message}", file=sys.stderr)


def _result_document(result: Any) -> dict[str, Any]:
    fields = ("node_id", "node_title", "media_type", "mime", "filename", "text", "bytes", "sha256", "temporary")
    return {
        "job_id": result.job_id,
        "server": result.server,
        "seeds": dict(result.seeds),
        "warnings": list(result.warnings),
        "outputs": [
            {**{f: getattr(o, f) for f in fields}, "path": str(o.path) if o.path else None} for o in result.outputs
        ],
    }


def handle_check(arguments: argparse.Namespace) -> int:
    """List problems; 0 without, 1 with errors."""
    from aipipe import comfy

    with _connected(arguments) as server:
        workflow = comfy.Workflow.load(arguments.file, server=_first(server))
        report = server.check(workflow)
    notes = workflow.conversion.notes if workflow.conversion is not None else ()
    if arguments.json:
        fields = ("kind", "level", "node_id", "input", "message", "suggestions")
        print_json(
            {
                "ok": report.ok,
                "server": report.server,
                "problems": [{f: getattr(p, f) for f in fields} for p in report.problems],
                "conversion": [{"kind": n.kind, "level": n.level, "message": n.message} for n in notes],
            }
        )
    else:
        for note in notes:
            print(f"{note.level}: {note.message}")
        print(report)
    return 0 if report.ok else 1


def handle_adopt(arguments: argparse.Namespace) -> int:
    """Show the mapping, run preflight and one picture, write one config."""
    from aipipe import comfy

    name = arguments.name or Path(arguments.file).stem.lower().replace(" ", "_")
    mapping: dict[str, Any] = dict(pairs(arguments.map, "--map"))
    if arguments.output:
        mapping["output"] = arguments.output
    with contextlib.ExitStack() as stack:
        server = None
        if not (arguments.dry_run and arguments.no_picture):
            server = stack.enter_context(_connected(arguments))
        workflow = comfy.Workflow.load(arguments.file, server=_first(server) if server is not None else None)
        _warn_of_conversion(workflow)
        adopted = comfy.adopt(workflow, **mapping)
        if not arguments.json:
            print(adopted)
        if server is not None:
            server.check(workflow).raise_for_errors()
            if not arguments.no_picture and not arguments.dry_run:
                _first_picture(server, adopted)
    written = [] if arguments.dry_run else [str(p) for p in adopted.write(_folder(arguments), name)]
    if arguments.json:
        rows = [{"name": n, "where": w, "value": v} for n, w, v in adopted.rows()]
        print_json(
            {"name": name, "media_type": adopted.media_type, "inputs": rows, "notes": adopted.notes, "written": written}
        )
    for path in written if not arguments.json else ():
        print(f"written {path}")
    return 0


def _first_picture(server: Server | Pool, adopted: Adopted) -> None:
    result = server.run(adopted.workflow)
    made = [o for node in adopted.outputs for o in result.outputs if o.node_id == node]
    if not made:
        raise UsageError("The mapped output made nothing.", hint="Name the node that saves the result with --output.")
    print(f"first result: {made[0].filename} ({made[0].media_type}, {made[0].bytes} bytes)", file=sys.stderr)


def _folder(arguments: argparse.Namespace) -> Path:
    from aipipe.settings import config_folders, find_project, load

    if arguments.configs:
        return Path(arguments.configs)
    project = find_project()
    return config_folders(project, load(project))[0]


def handle_nodes(arguments: argparse.Namespace) -> int:
    """List node classes, or describe one."""
    from aipipe.comfy.nodes import specs

    with _connected(arguments) as server:
        info = server.object_info()
    wanted = arguments.name
    if wanted in info:
        if arguments.json:
            print_json(info[wanted])
            return 0
        print(f"{wanted}: {info[wanted].get('description') or info[wanted].get('display_name') or ''}")
        for spec in specs(info[wanted]):
            limits = f" {spec.minimum}…{spec.maximum}" if spec.minimum is not None else ""
            choices = f" one of {', '.join(map(str, spec.choices[:20]))}" if spec.choices is not None else ""
            print(f"  {spec.name}: {spec.kind}{limits}{choices}{'' if spec.required else ' (optional)'}")
        return 0
    names = sorted(n for n in info if not wanted or wanted.lower() in n.lower())
    if wanted and not names:
        raise UnknownName("node", wanted, info)
    if arguments.json:
        print_json(names)
    else:
        print("\n".join(names))
    return 0


def handle_jobs(arguments: argparse.Namespace) -> int:
    """List jobs."""
    with _connected(arguments) as server:
        rows = server.jobs()
    if arguments.json:
        print_json(rows)
    else:
        for row in rows:
            print(f"{row['job_id']}  {row['status']:10} {row['nodes']} nodes  {row.get('server', '')}".rstrip())
    return 0


def handle_cancel(arguments: argparse.Namespace) -> int:
    """Cancel one job; 0 when it was waiting or running, 1 when not."""
    with _connected(arguments) as server:
        done = server.cancel_job(arguments.job_id)
    if arguments.json:
        print_json({"job_id": arguments.job_id, "cancelled": done})
    else:
        print("cancelled" if done else "nothing to cancel: the job had ended, or is not known")
    return 0 if done else 1


class _Bar:
    """One line of progress on a terminal."""

    def on_event(self, event: Event) -> None:
        """Show queue place, node and steps."""
        from aipipe.events import NodeProgress, QueueChanged

        text = ""
        if isinstance(event, QueueChanged):
            text = f"waiting, {event.position} before it"
        elif isinstance(event, NodeProgress):
            share = int(20 * event.value / event.maximum) if event.maximum else 0
            bar = f"[{'#' * share}{'.' * (20 - share)}] {event.value:g}/{event.maximum:g}" if event.maximum else ""
            left = f", {event.eta:.0f} s left" if event.eta else ""
            text = f"{event.nodes_done}/{event.nodes_total} {event.title} {bar}{left}"
        if text:
            sys.stderr.write(f"\r\x1b[K{text[:100]}")
            sys.stderr.flush()

    def close(self) -> None:
        """End the line."""
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
