"""From a finished job to its result: every file fetched, what is missing named, what the server had lost made again."""

from __future__ import annotations

import copy
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aipipe import events
from aipipe.comfy import failures, graphs, history
from aipipe.comfy.collect import Gone, fetch, of_frame, of_text, server_facts
from aipipe.comfy.machine import Ending, JobMachine
from aipipe.comfy.messages import Frame
from aipipe.comfy.results import Folder, Output, Result
from aipipe.errors import BadOutput
from aipipe.events import Watch

if TYPE_CHECKING:
    from aipipe.comfy.jobs import Job

FRESH = "_aipipe_fresh"
"""An input that no node has: servers ignore it, but it makes a cached node run again."""
SPEAKING = ("Save", "Preview")
"""Class names that begin like this write files, so that their silence is a loss."""


def gather(job: Job, ending: Ending, machine: JobMachine, pictures: Sequence[Frame], watch: Watch) -> Result:
    """Fetch everything that a successful job made.

    Raises:
        Partial: an output node was refused, blocked or made nothing, and that is not allowed.
        Unreachable, BadOutput, StorageFull: a file cannot be fetched.
    """
    entry = ending.entry or {}
    folder = job.folder or Folder()
    pictures = list(pictures)
    if machine.ending is ending and any(graphs.sends_pictures(graphs.class_of(job.graph, n)) for n in job.graph):
        pictures = _late_pictures(job, pictures)
    found, gone = _fetch_all(job, entry, folder)
    found += [of_frame(frame, number, job.graph, folder) for number, frame in enumerate(pictures, 1)]
    warnings = [_blocked_line(job, b) for b in machine.blocked]
    if gone:
        again = _make_again(job, gone, watch)
        found = [o for o in found if o.node_id not in {g.node_id for g in gone}] + again
        warnings.append("Files of the server's cache were gone and were made again: " + _names(gone))
    missing = _missing(job, entry, found)
    lines = [*failures.problem_lines(job.node_errors, job.graph), *warnings[: len(machine.blocked)], *missing]
    if lines and not job.allow_partial and (job.node_errors or missing):
        node = next(iter(job.node_errors), None) or (machine.blocked[0].get("node_id") if machine.blocked else None)
        raise failures.partial(
            lines, job.graph, job.job_id, job.server.url, node_id=node, node_errors=job.node_errors, outputs=found
        )
    found.sort(key=lambda o: graphs.order(job.graph, o.node_id))
    return Result(
        job_id=job.job_id,
        server=job.server.url,
        outputs=tuple(found),
        seeds=job.seeds,
        graph=job.graph,
        facts=_facts(job, entry),
        warnings=(*warnings, *failures.problem_lines(job.node_errors, job.graph), *missing),
        folder=folder.path,
        _owner=folder,
    )


def _fetch_all(job: Job, entry: Any, folder: Folder) -> tuple[list[Output], list[history.FileRef]]:
    found: list[Output] = []
    gone: list[history.FileRef] = []
    for ref in history.outputs_of(entry):
        if isinstance(ref, history.TextRef):
            found.append(of_text(ref, job.graph))
            continue
        try:
            found.append(fetch(job.server.http, ref, job.graph, folder, max_bytes=job.server.max_bytes))
        except BadOutput as error:
            error.job_id = job.job_id
            error.node_title = graphs.title(job.graph, ref.node_id)
            error.node_class = graphs.class_of(job.graph, ref.node_id)
            raise
        except Gone:
            if ref.sure:
                gone.append(ref)
            else:
                found.append(
                    of_text(history.TextRef(ref.node_id, f"{ref.subfolder}/{ref.filename}".strip("/")), job.graph)
                )
    return found, gone


def _late_pictures(job: Job, pictures: list[Frame]) -> list[Frame]:
    """Pictures over the socket have no other way: those still on it are waited for, shortly."""
    end = time.monotonic() + 1.0
    wanted = {n for n in job.graph if graphs.sends_pictures(graphs.class_of(job.graph, n))}
    while not wanted <= {p.node_id for p in pictures} and time.monotonic() < end:
        time.sleep(0.02)
        pictures = list(job._inbox.pictures)
    return pictures


def _make_again(job: Job, gone: Sequence[history.FileRef], watch: Watch) -> list[Output]:
    """Run the nodes whose cached files are gone once more, everything before them still from the cache."""
    nodes = {ref.node_id for ref in gone}
    if job.is_repeat:
        raise failures.partial(
            [f"{ref.filename}: the server names it and does not have it" for ref in gone],
            job.graph,
            job.job_id,
            job.server.url,
            node_id=gone[0].node_id,
        )
    message = f"The server's cache names files that are gone ({_names(gone)}); these nodes run again."
    watch.emit(events.Notice(run_id=job.job_id, message=message))
    graph = copy.deepcopy(job.graph)
    for node in nodes & set(graph):
        graph[node]["inputs"] = {**graph[node].get("inputs", {}), FRESH: secrets.token_hex(8)}
    repeat = job.server.submit(graph, save_to=job.folder.path if job.folder else None, allow_partial=True)
    repeat.is_repeat = True
    result = repeat.wait(watch=watch)
    job.folder = repeat.folder or result._owner
    return [o for o in result.outputs if o.node_id in nodes]


def _names(refs: Sequence[history.FileRef]) -> str:
    return ", ".join(ref.filename for ref in refs[:5]) + (" …" if len(refs) > 5 else "")


def _missing(job: Job, entry: Any, found: Sequence[Output]) -> list[str]:
    """Output nodes that should have written something and did not."""
    made = {o.node_id for o in found}
    lines = []
    expected = history.expected_outputs(entry) or graphs.ends(job.graph)
    for node in expected:
        kind = graphs.class_of(job.graph, node)
        if node in made or node not in job.graph:
            continue
        if graphs.sends_pictures(kind):
            lines.append(
                f"{graphs.title(job.graph, node)} (#{node}): its pictures came over the socket and were missed"
            )
        elif kind.startswith(SPEAKING):
            lines.append(f"{graphs.title(job.graph, node)} (#{node}): made nothing; its branch was blocked or empty")
    return lines


def _blocked_line(job: Job, data: Any) -> str:
    node = str(data.get("node_id") or "")
    return f"{graphs.title(job.graph, node)} (#{node}): blocked: {str(data.get('exception_message') or '').strip()}"


def _facts(job: Job, entry: Any) -> dict[str, Any]:
    return {
        "server": job.server.url,
        "job_id": job.job_id,
        **server_facts(job.server.cached_stats()),
        "custom_nodes": job.server.packs_of(job.graph),
        "cached_nodes": history.cached_of(entry),
        "server_seconds": history.seconds_of(entry),
    }
