"""From what a server says to the typed error that tells a person the cause and the next step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aipipe.comfy import graphs
from aipipe.comfy.machine import Ending
from aipipe.comfy.packs import pack_of
from aipipe.errors import Cancelled, ComfyError, Lost, NodeFailed, OutOfMemory, Partial, Rejected, TimedOut, Unreachable

OUT_OF_MEMORY = ("outofmemory", "out of memory", "allocation on device", "hip out of memory")
MEMORY_HINT = (
    "Make the picture smaller or the batch shorter, or free the memory first: server.free(). "
    "Other programs on the same graphics card count too."
)


def rejected(answer: Any, graph: graphs.Graph, job_id: str, server: str) -> Rejected:
    """The error for a graph that did not validate.

    Args:
        answer: The parsed body of the 400 answer, or its text.
        graph: The graph as sent.
        job_id: Id under which it was sent.
        server: Address of the server.
    """
    error = answer.get("error") if isinstance(answer, Mapping) else answer
    node_errors = answer.get("node_errors") if isinstance(answer, Mapping) else None
    node_errors = dict(node_errors) if isinstance(node_errors, Mapping) else {}
    lines = list(problem_lines(node_errors, graph))
    kind, message, details, extra = _error_parts(error)
    missing = _missing_class(kind, message, details, extra, graph)
    node = missing[0] if missing else next(iter(node_errors), None)
    if missing:
        text = f"{server} has no node {missing[1]!r} (node {missing[0]}: {graphs.title(graph, missing[0])})."
        pack = pack_of(missing[1], graph.get(missing[0]))
        hint = f"Install {pack or 'the custom node pack that brings it'}, or take that node out of the graph."
    elif lines:
        text = f"{server} refused the graph:\n  " + "\n  ".join(lines)
        hint = "server.check(workflow) names such values before a job is sent."
    else:
        text = f"{server} refused the graph: {message}" + (f" ({details})" if details else "")
        hint = "If no reason is given, look for a circle of links: server.check(workflow)."
    return Rejected(
        text,
        hint=hint,
        job_id=job_id,
        reason=kind,
        node_errors=node_errors,
        node_id=node,
        node_title=graphs.title(graph, node) if node else None,
        node_class=missing[1] if missing else (graphs.class_of(graph, node) if node else None),
    )


def _error_parts(error: Any) -> tuple[str, str, str, Mapping[str, Any]]:
    if not isinstance(error, Mapping):
        return "", str(error or "no reason given").strip()[:500], "", {}
    extra = error.get("extra_info")
    return (
        str(error.get("type") or ""),
        str(error.get("message") or "no reason given"),
        str(error.get("details") or ""),
        extra if isinstance(extra, Mapping) else {},
    )


def _missing_class(
    kind: str, message: str, details: str, extra: Mapping[str, Any], graph: graphs.Graph
) -> tuple[str, str] | None:
    """Node id and class of a node that the server does not have; two generations of servers say it differently."""
    if kind == "missing_node_type" and extra.get("node_id") is not None:
        node = str(extra["node_id"])
        return node, str(extra.get("class_type") or graphs.class_of(graph, node))
    if kind in ("invalid_prompt", "missing_node_type") and "'#" in details:
        node = details.partition("'#")[2].partition("'")[0]
        return node, graphs.class_of(graph, node)
    return None


def problem_lines(node_errors: Mapping[str, Any], graph: graphs.Graph) -> Iterator[str]:
    """One line for each problem: node title, input, what is wrong, what is allowed."""
    for node_id, described in node_errors.items():
        errors = described.get("errors") if isinstance(described, Mapping) else None
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, Mapping):
                yield f"{graphs.title(graph, str(node_id))} (#{node_id}): {_problem(error)}"


def _problem(error: Mapping[str, Any]) -> str:
    extra = error.get("extra_info")
    extra = extra if isinstance(extra, Mapping) else {}
    name = str(extra.get("input_name") or "")
    message = str(error.get("message") or error.get("type") or "unknown problem")
    details = str(error.get("details") or "")
    shown = [p for p in (message, details if details not in (name, message) else "") if p]
    return (f"{name}: " if name else "") + "; ".join(shown)[:600]


def node_failed(detail: Mapping[str, Any] | None, graph: graphs.Graph, job_id: str, server: str) -> NodeFailed:
    """The error for a node that raised while it ran."""
    data = detail or {}
    node = str(data.get("node_id") or "")
    kind = str(data.get("exception_type") or "")
    cause = str(data.get("exception_message") or "the server gives no reason").strip()
    name = graphs.title(graph, node) if node in graph else str(data.get("node_type") or node or "a node")
    out_of_memory = any(sign in f"{kind} {cause}".lower() for sign in OUT_OF_MEMORY)
    traceback = data.get("traceback")
    where = f"{name} (#{node}, {data.get('node_type') or graphs.class_of(graph, node)})" if node else name
    error = OutOfMemory if out_of_memory else NodeFailed
    return error(
        f"{where} failed: {kind + ': ' if kind else ''}{cause}",
        hint=MEMORY_HINT if out_of_memory else "The attribute traceback holds the server's lines.",
        job_id=job_id,
        server=server,
        node_id=node or None,
        node_title=name if node else None,
        node_class=str(data.get("node_type") or graphs.class_of(graph, node)) or None,
        cause=cause,
        exception_type=kind,
        traceback=[str(line) for line in traceback] if isinstance(traceback, list) else [],
    )


def of_ending(ending: Ending, graph: graphs.Graph, job_id: str, server: str, limits: Any) -> ComfyError | None:
    """The error of a job that did not succeed, None for success."""
    again = f"server.job({job_id!r}) finds it again, server.job({job_id!r}).cancel() stops it."
    match ending.outcome:
        case "success":
            return None
        case "error":
            return node_failed(ending.detail, graph, job_id, server)
        case "interrupted":
            node = str((ending.detail or {}).get("node_id") or "") or None
            return Cancelled(
                f"Job {job_id} was cancelled at {server}.",
                hint="Submit the workflow again to make it after all.",
                job_id=job_id,
                node_id=node,
                node_title=graphs.title(graph, node) if node else None,
                node_class=graphs.class_of(graph, node) if node else None,
            )
        case "lost":
            return Lost(
                f"{server} no longer knows job {job_id}: it was restarted, or somebody deleted the job.",
                hint="Submit the workflow again.",
                job_id=job_id,
            )
        case "unreachable":
            return Unreachable(
                f"{server} has not answered for {limits.unreachable:g} s while job {job_id} was under way.",
                hint=f"If the server is still there: {again}",
                job_id=job_id,
            )
        case "silent":
            return TimedOut(
                f"Job {job_id} runs at {server}, but gave no sign for {limits.silence:g} s.",
                hint=again,
                job_id=job_id,
                limit="silence",
            )
        case "overtime":
            return TimedOut(
                f"Job {job_id} at {server} took longer than {limits.total:g} s.",
                hint=again,
                job_id=job_id,
                limit="total",
            )


def partial(lines: list[str], graph: graphs.Graph, job_id: str, server: str, **data: Any) -> Partial:
    """The error for a job of which only a part was accepted or produced."""
    node = data.get("node_id")
    return Partial(
        f"{server} made only a part of job {job_id}:\n  " + "\n  ".join(lines),
        hint="Correct the named nodes, or take what there is: run(workflow, allow_partial=True).",
        job_id=job_id,
        node_title=graphs.title(graph, node) if node else None,
        node_class=graphs.class_of(graph, node) if node else None,
        **data,
    )
