"""What a generator left in an image: prompts, seed and settings of a ComfyUI graph or of A1111's parameters."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_PAIR = re.compile(r'\s*([\w ./-]+):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')
_HOPS = 64
"""Links followed from a sampler to a text; more would be a loop."""


@dataclass(frozen=True, slots=True)
class Generation:
    """How an image was made, as far as it tells.

    Attributes:
        prompt: What it should show.
        negative: What it should not show.
        seed: Decimal digits.
        settings: The rest: steps, sampler, scale, model …
    """

    prompt: str | None = None
    negative: str | None = None
    seed: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def generation(info: dict[str, Any]) -> Generation | None:
    """Read the text chunks of an image; None when it carries neither a graph nor parameters."""
    parameters, graph = info.get("parameters"), info.get("prompt")
    if isinstance(graph, str):
        try:
            nodes = json.loads(graph)
        except (ValueError, RecursionError):
            return Generation(prompt=graph or None)
        return _from_graph(nodes if isinstance(nodes, dict) else {})
    return _from_parameters(parameters) if isinstance(parameters, str) else None


def _from_parameters(text: str) -> Generation:
    """Prompt, then a line `Negative prompt:`, then one line of `Name: value` pairs that starts with Steps."""
    body, found, pairs = text.rpartition("\nSteps:")
    body = body if found else text
    prompt, _, negative = body.partition("\nNegative prompt:")
    settings = {k.strip(): v.strip().strip('"') for k, v in _PAIR.findall("Steps:" + pairs)} if found else {}
    seed = settings.pop("Seed", "")
    return Generation(prompt.strip() or None, negative.strip() or None, seed if seed.isdecimal() else None, settings)


def _from_graph(nodes: dict[str, Any]) -> Generation:
    inputs = {name: n["inputs"] for name, n in nodes.items() if isinstance(n, dict) and type(n.get("inputs")) is dict}
    guided = [v for v in inputs.values() if "positive" in v]
    sampler: dict[str, Any] = next((v for v in guided if "seed" in v or "noise_seed" in v), guided[0] if guided else {})
    positive, negative = _texts(inputs, sampler.get("positive")), _texts(inputs, sampler.get("negative"))
    if not positive:
        # A graph without a sampler of the usual kind: all its texts, for there is no telling them apart.
        positive = [t for name, n in nodes.items() if name in inputs and _encodes(n) for t in _own(inputs[name])]
    seeds = [s for v in (sampler, *inputs.values()) for k in ("seed", "noise_seed") if type(s := v.get(k)) is int]
    settings: dict[str, Any] = {
        k: sampler[k] for k in ("steps", "cfg", "sampler_name", "scheduler", "denoise") if k in sampler
    }
    models = [v[k] for v in inputs.values() for k in ("ckpt_name", "unet_name") if isinstance(v.get(k), str)]
    return Generation(
        "\n".join(dict.fromkeys(positive)) or None,
        "\n".join(dict.fromkeys(negative)) or None,
        str(seeds[0]) if seeds else None,
        {**settings, **({"model": models[0]} if models else {})},
    )


def _encodes(node: dict[str, Any]) -> bool:
    return "TextEncode" in str(node.get("class_type", ""))


def _own(inputs: dict[str, Any]) -> list[str]:
    return [v for k, v in inputs.items() if isinstance(v, str) and v and k.startswith(("text", "prompt", "string"))]


def _texts(inputs: dict[str, dict[str, Any]], link: Any) -> list[str]:
    """Texts that reach a socket, through nodes that pass a conditioning or a text on."""
    waiting, found = [link], list[str]()
    seen: set[str] = set()
    while waiting and len(seen) < _HOPS:
        link = waiting.pop(0)
        name = str(link[0]) if isinstance(link, list) and link else None
        if name is None or name in seen or name not in inputs:
            continue
        seen.add(name)
        own = _own(inputs[name])
        found += own
        passing = ("conditioning", "positive", "text", "prompt", "string")
        waiting += [v for k, v in inputs[name].items() if k.startswith(passing) and isinstance(v, list) and not own]
    return found
