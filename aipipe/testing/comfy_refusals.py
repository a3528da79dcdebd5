"""How the fake ComfyUI refuses a graph, in the words of a real one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aipipe.testing.comfy_nodes import INPUTS


def refusal(graph: dict[str, Any], checkpoints: Sequence[str]) -> dict[str, Any] | None:
    """The body of the answer 400 to a graph, or None if the server takes it."""
    for node, given in graph.items():
        if given.get("class_type") not in INPUTS:
            return _missing_node(node, given)
        name = given.get("inputs", {}).get("ckpt_name")
        if name is not None and name not in checkpoints:
            return _missing_checkpoint(node, given, name, checkpoints)
    return None


def _missing_node(node: str, given: dict[str, Any]) -> dict[str, Any]:
    kind = str(given.get("class_type"))
    title = str((given.get("_meta") or {}).get("title") or kind)
    error = {
        "type": "missing_node_type",
        "message": f"Node '{title}' not found. The custom node may not be installed.",
        "details": f"Node ID '#{node}'",
        "extra_info": {"node_id": node, "class_type": kind, "node_title": title},
    }
    return {"error": error, "node_errors": {}}


def _missing_checkpoint(node: str, given: dict[str, Any], name: str, checkpoints: Sequence[str]) -> dict[str, Any]:
    fault = {
        "type": "value_not_in_list",
        "message": "Value not in list",
        "details": f"ckpt_name: '{name}' not in {list(checkpoints)}",
        "extra_info": {"input_name": "ckpt_name", "input_config": None, "received_value": name},
    }
    error = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": ""}
    of_node = {"errors": [fault], "dependent_outputs": [], "class_type": given["class_type"]}
    return {"error": {**error, "extra_info": {}}, "node_errors": {node: of_node}}
