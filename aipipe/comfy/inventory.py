"""What a server has: version and devices, nodes, model files, packs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aipipe.comfy import graphs
from aipipe.errors import AipipeError, BadAnswer, ComfyError, ServiceError

if TYPE_CHECKING:
    from aipipe.comfy.server import Server

MODEL_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".sft", ".gguf", ".bin")


class Inventory:
    """Facts of one server, kept after the first question."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stats: Mapping[str, Any] | None = None
        self._nodes: dict[str, Any] = {}
        self._info: dict[str, Any] | None = None

    def system_stats(self) -> dict[str, Any]:
        """Version, memory and devices as the server tells them."""
        answer = self._server.http.get_json("/system_stats", timeout=self._server.connect_timeout + 5)
        if not isinstance(answer, dict) or "system" not in answer:
            raise BadAnswer(
                f"{self._server.url} answers, but not as ComfyUI does.",
                hint="Check the address, and the path if there is one.",
            )
        self._stats = answer
        return answer

    def cached_stats(self) -> Mapping[str, Any] | None:
        """`system_stats` of an earlier call, asked now if there was none; None when it cannot be had."""
        if self._stats is None:
            try:
                self.system_stats()
            except ServiceError:
                return None
        return self._stats

    def object_info(self, *, fresh: bool = False) -> dict[str, Any]:
        """Descriptions of all nodes the server has, kept after the first call."""
        if self._info is None or fresh:
            answer = self._server.http.get_json("/object_info")
            if not isinstance(answer, dict):
                raise BadAnswer(
                    f"{self._server.url}/object_info is no list of nodes.", hint="Is this a ComfyUI server?"
                )
            self._info = answer
        return self._info

    def node_info(self, name: str, *, fresh: bool = False) -> dict[str, Any] | None:
        """Description of one node class, None if the server does not have it."""
        if self._info is not None and not fresh:
            return self._info.get(name)
        if fresh or name not in self._nodes:
            answer = self._server.http.get_json(f"/object_info/{quote(name, safe='')}")
            self._nodes[name] = answer.get(name) if isinstance(answer, dict) else None
        found: dict[str, Any] | None = self._nodes[name]
        return found

    def packs_of(self, graph: graphs.Graph) -> list[str]:
        """Custom node packs that a graph uses, as far as the server tells."""
        found = set()
        for name in {graphs.class_of(graph, n) for n in graph}:
            try:
                info = self.node_info(name)
            except (AipipeError, ComfyError):
                continue
            module = str((info or {}).get("python_module") or "")
            if module.startswith("custom_nodes."):
                found.add(module.removeprefix("custom_nodes."))
        return sorted(found)

    def models(self) -> list[str]:
        """Names of all model files that loaders of this server offer."""
        from aipipe.comfy.nodes import specs

        found: set[str] = set()
        for name, info in self.object_info().items():
            if "oader" in name:
                for spec in specs(info):
                    found.update(str(c) for c in spec.choices or () if str(c).lower().endswith(MODEL_SUFFIXES))
        return sorted(found)
