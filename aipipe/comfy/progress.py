"""How far the nodes of a running graph are, as the socket tells it: for views, never for decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aipipe import events
from aipipe.comfy.messages import Message


class GraphProgress:
    """Progress of one job's nodes, whose ids are given with their titles.

    Attributes:
        node: The node that runs, "" before the first.
        done: Nodes that are finished or were taken from the cache.
        cached: Nodes that the server took from its cache.
    """

    def __init__(self, job_id: str, nodes: Mapping[str, str]) -> None:
        self.node = ""
        self.done: set[str] = set()
        self.cached: set[str] = set()
        self._job_id = job_id
        self._titles = dict(nodes)
        self._pace: tuple[str, float, float] | None = None

    def on_message(self, message: Message, now: float) -> list[events.Event]:
        """Take a message about this job; those that tell nothing of nodes change nothing."""
        handler = {
            "execution_cached": self._on_cached,
            "executing": self._on_executing,
            "progress": self._on_progress,
            "progress_state": self._on_progress_state,
            "executed": self._on_executed,
        }.get(message.type)
        return handler(message.data, now) if handler else []

    def _on_cached(self, data: Mapping[str, Any], now: float) -> list[events.Event]:
        nodes = data.get("nodes")
        for node in nodes if isinstance(nodes, list) else []:
            self.cached.add(str(node))
            self.done.add(str(node))
        return []

    def _on_executing(self, data: Mapping[str, Any], now: float) -> list[events.Event]:
        node = str(data.get("display_node") or data.get("node"))
        if self.node and self.node != node:
            self.done.add(self.node)
        self.node = node
        return [self._at(node, 0, 0, now)]

    def _on_executed(self, data: Mapping[str, Any], now: float) -> list[events.Event]:
        node = data.get("display_node") or data.get("node")
        if node is not None:
            self.done.add(str(node))
        return []

    def _on_progress(self, data: Mapping[str, Any], now: float) -> list[events.Event]:
        value, maximum = _number(data.get("value")), _number(data.get("max"))
        if value is None or maximum is None or maximum <= 0:
            return []
        return [self._at(str(data.get("node") or self.node), value, maximum, now)]

    def _on_progress_state(self, data: Mapping[str, Any], now: float) -> list[events.Event]:
        nodes = data.get("nodes")
        for node in nodes.values() if isinstance(nodes, dict) else ():
            if isinstance(node, dict) and node.get("state") == "finished":
                self.done.add(str(node.get("display_node_id") or node.get("node_id")))
        return []

    def _at(self, node: str, value: float, maximum: float, now: float) -> events.NodeProgress:
        rate = eta = None
        if maximum > 0:
            if self._pace is None or self._pace[0] != node or value <= self._pace[1]:
                self._pace = (node, value, now)
            elif now > self._pace[2]:
                rate = (value - self._pace[1]) / (now - self._pace[2])
                eta = max(maximum - value, 0.0) / rate
        return events.NodeProgress(
            run_id=self._job_id,
            node_id=node,
            title=self._titles.get(node, node),
            value=value,
            maximum=maximum,
            rate=rate,
            eta=eta,
            nodes_done=len(self.done & set(self._titles)),
            nodes_total=len(self._titles),
        )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if value == value and abs(value) != float("inf") else None
