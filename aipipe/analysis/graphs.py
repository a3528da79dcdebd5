"""What a ComfyUI graph says about the medium it made: texts, seed, settings.

A graph is anybody's: nodes of extensions have any names and inputs. So links are followed from a sampler by the names that
nodes of ComfyUI and its usual extensions give to texts and conditionings, and what leads nowhere is left unsaid: a missing
prompt is better than the negative one in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Inputs = dict[str, dict[str, Any]]
"""Node id → inputs of the node: plain values, or links `[node id, slot]`."""

_TEXTS = ("text", "prompt", "string", "tags", "lyrics")
_TEXTS_OF_ENCODERS = ("clip_l", "clip_g", "t5xxl", "llama", "value")
_PASSING = ("conditioning", *_TEXTS)
_SETTINGS = ("steps", "cfg", "sampler_name", "scheduler", "denoise")
_NUMBERS = ("seed", "noise_seed", "value", "int")
_SIDES = ("positive", "negative")
_HOPS = 64
"""Nodes looked at on the way from a sampler to its texts; more would be a loop."""


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


def read_graph(nodes: dict[str, Any]) -> Generation:
    """Read a graph in API form."""
    classes = {str(k): str(n.get("class_type", "")) for k, n in nodes.items() if isinstance(n, dict)}
    inputs = {str(k): n["inputs"] for k, n in nodes.items() if str(k) in classes and type(n.get("inputs")) is dict}
    sampler, guide = _sampler(inputs, classes)
    walk = _Walk(inputs, classes)
    negative = walk.texts(guide.get("negative"))
    positive = walk.texts(guide.get("positive", guide.get("conditioning")))
    if not positive:
        # No sampler of a known kind, or none that says where its text comes from: all texts, but for the negative ones.
        encoders = [v for k, v in inputs.items() if "TextEncode" in classes[k]]
        positive = [t for v in encoders for k, t in v.items() if _is_text(k, t) and t not in negative]
    others = [sampler, guide, *inputs.values()]
    seeds = (_number(inputs, v.get(k)) for v in others for k in ("seed", "noise_seed"))
    settings = {k: next((f for v in others if (f := _plain(inputs, v.get(k))) is not None), None) for k in _SETTINGS}
    models = [v[k] for v in inputs.values() for k in ("ckpt_name", "unet_name") if isinstance(v.get(k), str)]
    settings["model"] = models[0] if models else None
    return Generation(
        "\n".join(dict.fromkeys(positive)) or None,
        "\n".join(dict.fromkeys(negative)) or None,
        next((str(s) for s in seeds if s is not None), None),
        {k: v for k, v in settings.items() if v is not None},
    )


def _sampler(inputs: Inputs, classes: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The node that samples, and the one that guides it, which is mostly the same."""
    guided = [v for v in inputs.values() if "positive" in v]
    own = next((v for v in guided if "seed" in v or "noise_seed" in v), None)
    if own is not None:
        return own, own
    for node in inputs.values():
        # The custom samplers: noise, guider and sampler are nodes of their own.
        guide = inputs.get(_target(node.get("guider")) or "")
        if guide is not None:
            return inputs.get(_target(node.get("noise")) or "", node), guide
    guides = [v for k, v in inputs.items() if "Guider" in classes[k] and "conditioning" in v]
    first: dict[str, Any] = next(iter([*guided, *guides]), {})
    return first, first


@dataclass(frozen=True, slots=True)
class _Walk:
    """Follows links from a socket upwards, in the order of the inputs."""

    inputs: Inputs
    classes: dict[str, str]

    def texts(self, start: Any) -> list[str]:
        """Texts that reach a socket."""
        if isinstance(start, str):
            return [start] if start else []
        found: list[str] = []
        self._follow(start, found, set())
        return found

    def _follow(self, link: Any, found: list[str], seen: set[tuple[str, int]]) -> None:
        name = _target(link)
        # A conditioning that was set to zero says nothing, whatever it was made from.
        if name not in self.inputs or name is None or "ZeroOut" in self.classes[name]:
            return
        slot = 1 if len(link) > 1 and link[1] == 1 else 0
        if (name, slot) in seen or len(seen) >= _HOPS:
            return
        seen.add((name, slot))
        own = self.inputs[name]
        # A node that takes both sides (ControlNet, inpainting) gives them back in the same order.
        side = _SIDES[slot if "negative" in own else 0]
        for key, value in own.items():
            if _is_text(key, value):
                found.append(value)
            elif isinstance(value, list) and (key == side or not key or key.startswith(_PASSING)):
                self._follow(value, found, seen)


def _target(link: Any) -> str | None:
    """Node that a link comes from; None for a plain value."""
    return str(link[0]) if isinstance(link, list) and link else None


def _is_text(key: str, value: Any) -> bool:
    return isinstance(value, str) and bool(value) and (key.startswith(_TEXTS) or key in _TEXTS_OF_ENCODERS)


def _number(inputs: Inputs, value: Any) -> int | None:
    """A whole number, given in place or by a node that holds it."""
    for _ in range(_HOPS):
        if type(value) is int:
            return value
        node = inputs.get(_target(value) or "")
        if node is None:
            return None
        value = next((node[k] for k in _NUMBERS if k in node), None)
    return None


def _plain(inputs: Inputs, value: Any) -> Any:
    """A setting, given in place or by a node that holds it."""
    if isinstance(value, list):
        value = inputs.get(_target(value) or "", {}).get("value")
    return value if isinstance(value, str | int | float) else None
