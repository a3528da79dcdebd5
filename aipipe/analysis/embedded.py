"""What a generator left in a file: prompts, seed and settings of a ComfyUI graph or of A1111's parameters.

PNG has text chunks of these names. JPEG and WebP have none: ComfyUI writes `prompt:{…}` and `workflow:{…}` into EXIF tags of
a WebP, A1111 and its relatives write their parameters into EXIF's UserComment, and some programs write either into XMP.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field
from typing import Any

_PAIR = re.compile(r'\s*([\w ./-]+):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')
_NAMES = ("prompt", "workflow", "parameters")
_PREFIXED = re.compile(r"(prompt|workflow)\s*:\s*(?=\{)", re.IGNORECASE)
_XMP = re.compile(r"<(exif:UserComment|dc:description)\b[^>]*>(.*?)</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_LONGEST = 4_000_000
"""Characters of an XMP packet that are looked at: a graph has some ten thousand."""
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


def chunks(image: Any) -> dict[str, str]:
    """The texts a generator left in an open Pillow image, by name: prompt, workflow, parameters."""
    found = {str(k): v for k, v in image.info.items() if k in _NAMES and isinstance(v, str)}
    if not found:
        for text in (*_exif_texts(image), *_xmp_texts(image.info.get("xmp"))):
            for name, value in _named(text).items():
                found.setdefault(name, value)
    return found


def _exif_texts(image: Any) -> list[str]:
    try:
        exif = image.getexif()
        values = [*exif.values(), exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT)]
    except Exception:  # noqa: BLE001  a broken block raises whatever it provokes, and tells nothing
        return []
    comment = image.info.get("comment")
    return [t for v in (*values, comment) if (t := _text(v))]


def _text(value: Any) -> str:
    """A text of EXIF, whose comments begin with eight bytes that name their encoding."""
    if isinstance(value, str):
        return value.strip("\0 ")
    if not isinstance(value, bytes):
        return ""
    data: bytes = value
    head, body = data[:8], data[8:]
    if head == b"UNICODE\0":
        # The byte order is the file's own; a text of ours is mostly Latin, so one half of its bytes is zero.
        order = "utf-16-be" if body[::2].count(0) >= body[1::2].count(0) else "utf-16-le"
        return body.decode(order, errors="replace").strip("\0 ")
    if head in (b"ASCII\0\0\0", b"\0" * 8):
        data = body
    return data.decode("utf-8", errors="replace").strip("\0 ")


def _xmp_texts(packet: Any) -> list[str]:
    """Descriptions of an XMP packet, by pattern instead of an XML parser: the packet is anybody's."""
    text = packet.decode("utf-8", errors="replace") if isinstance(packet, bytes) else packet
    if not isinstance(text, str):
        return []
    return [html.unescape(_TAG.sub("", inner)).strip() for _, inner in _XMP.findall(text[:_LONGEST])]


def _named(text: str) -> dict[str, str]:
    """A text under the name it says, or as parameters where it looks like them; anybody else's words are none."""
    if (match := _PREFIXED.match(text)) is not None:
        return {match[1].lower(): text[match.end() :]}
    if text.startswith("Steps:") or "\nSteps:" in text:
        return {"parameters": text}
    return {}


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
