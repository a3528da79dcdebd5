"""What a server lacks for a graph in any case, asked before hours of other work: nodes and model files.

`check` is the thorough look of a person who writes a workflow and reads every node description of the server (megabytes).
This one asks only for the classes of one graph, and reports only what cannot be right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aipipe.comfy import graphs
from aipipe.comfy.check import Problem, problems
from aipipe.errors import ComfyError, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aipipe.comfy.server import Server

CERTAIN = ("unknown_node", "missing_model")


def require_parts(servers: Sequence[Server], graph: Mapping[str, Any]) -> None:
    """Make sure that at least one server has the nodes and model files of a graph.

    Raises:
        Rejected: none of those that answer has them; what the first one lacks is named.
        ComfyError: none answers.
    """
    lacking: list[tuple[str, list[Problem]]] = []
    silent: list[ComfyError] = []
    for server in servers:
        try:
            missing = missing_parts(server, graph)
        except ComfyError as error:
            silent.append(error)
            continue
        if not missing:
            return
        lacking.append((server.url, missing))
    if not lacking:
        raise silent[0]
    url, missing = lacking[0]
    others = f" (and {len(lacking) - 1} other servers)" if len(lacking) > 1 else ""
    raise Rejected(
        f"{url}{others} cannot run this graph:\n  " + "\n  ".join(p.message for p in missing),
        hint=_hint(missing),
        node_id=missing[0].node_id,
        problems=missing,
    )


def missing_parts(server: Server, graph: Mapping[str, Any]) -> list[Problem]:
    """Nodes and model files of a graph that a server does not have.

    Raises:
        ComfyError: it does not answer.
    """
    classes = sorted({graphs.class_of(graph, node_id) for node_id in graph})
    known = {name: server.node_info(name) for name in classes}
    found = _certain(graph, known)
    # What was read earlier may be old: a model file may have been added since.
    return _certain(graph, {name: server.node_info(name, fresh=True) for name in classes}) if found else []


def _certain(graph: Mapping[str, Any], info: Mapping[str, Any]) -> list[Problem]:
    known = {name: described for name, described in info.items() if described}
    return [p for p in problems(graph, known) if p.kind in CERTAIN]


def _hint(missing: Sequence[Problem]) -> str:
    if any(p.kind == "unknown_node" for p in missing):
        return "Install the node pack that brings the missing node, or choose another output: --output NAME."
    return "Put the file into the server's models folder, name one it has (-p checkpoint FILE), or choose another --output."
