"""What a generator left in a file: prompts, seed and settings of a ComfyUI graph or of A1111's parameters.

PNG has text chunks of these names. JPEG and WebP have none: ComfyUI writes `prompt:{…}` and `workflow:{…}` into EXIF tags of
a WebP, A1111 and its relatives write their parameters into EXIF's UserComment, and some programs write either into XMP.
"""

from __future__ import annotations

import html
import json
import re
import struct
import warnings
from pathlib import Path
from typing import Any

from aipipe.analysis.dialects.common import digits
from aipipe.analysis.graphs import Generation, read_graph
from aipipe.analysis.reading import Unreadable, read_bytes
from aipipe.media import by_filename

_PAIR = re.compile(r'\s*([\w ./-]+):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')
_NAMES = ("prompt", "workflow", "parameters")
_PREFIXED = re.compile(r"(prompt|workflow)\s*:\s*(?=\{)", re.IGNORECASE)
_XMP = re.compile(r"<(exif:UserComment|dc:description)\b[^>]*>(.*?)</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_LONGEST = 4_000_000
"""Characters of an XMP packet that are looked at: a graph has some ten thousand."""


def chunks(image: Any) -> dict[str, str]:
    """The texts a generator left in an open Pillow image, by name: prompt, workflow, parameters."""
    found = {str(k): v for k, v in image.info.items() if k in _NAMES and isinstance(v, str)}
    if not found:
        for text in (*_exif_texts(image), *_xmp_texts(image.info.get("xmp"))):
            for name, value in _named(text).items():
                found.setdefault(name, value)
    return found


def texts_of(path: Path) -> dict[str, str]:
    """The texts a generator left in a file of any kind, by name; empty where there are none or it does not open."""
    if by_filename(path.name).media_type != "image":
        return tags_of(path)
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return chunks(image) or animated(image, path)
    except Exception:  # noqa: BLE001  decoders raise whatever a broken file provokes; folders hold all sorts
        return {}


def animated(image: Any, path: Path) -> dict[str, str]:
    """What ComfyUI leaves in an animated PNG: a chunk of its own, which Pillow does not tell of."""
    return graphs_of(path) if image.format == "PNG" and getattr(image, "is_animated", False) else {}


def tags_of(path: Path) -> dict[str, str]:
    """What lies in the tags of a sound or film, as PyAV tells; where it is not installed, the graphs among its bytes."""
    try:
        import av
    except ImportError:
        return graphs_of(path)
    try:
        with av.open(str(path), mode="r") as container:
            tags = {str(k).lower(): v for k, v in container.metadata.items() if v}
    except (av.FFmpegError, OSError, ValueError):
        return {}
    return {n: tags[n] for n in _NAMES if n in tags} or _of_comment(tags.get("comment", ""))


def _of_comment(comment: str) -> dict[str, str]:
    """Graphs in a film's comment, where ComfyUI's usual extension for films keeps them together."""
    try:
        held = json.loads(comment)
    except (ValueError, RecursionError):
        return {}
    told = {n: held[n] for n in _NAMES if held.get(n)} if isinstance(held, dict) else {}
    return {n: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for n, v in told.items()}


def graphs_of(path: Path) -> dict[str, str]:
    """The graphs in a file of a format that Pillow does not know, as the texts they were."""
    from aipipe.comfy.embedded import graphs_in

    try:
        found = zip(("prompt", "workflow"), graphs_in(read_bytes(str(path))[0]), strict=True)
    except (Unreadable, ValueError, struct.error, RecursionError):
        return {}
    return {name: json.dumps(graph, ensure_ascii=False) for name, graph in found if graph is not None}


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
        return read_graph(nodes if isinstance(nodes, dict) else {})
    return _from_parameters(parameters) if isinstance(parameters, str) else None


def _from_parameters(text: str) -> Generation:
    """Prompt, then a line `Negative prompt:`, then one line of `Name: value` pairs that starts with Steps.

    Either text may be missing, with its line. SwarmUI and others write the same facts as JSON.
    """
    if (made := _from_json(text)) is not None:
        return made
    body, found, pairs = f"\n{text}".rpartition("\nSteps:")
    body = body if found else f"\n{text}"
    prompt, _, negative = body.partition("\nNegative prompt:")
    settings = {k.strip(): v.strip().strip('"') for k, v in _PAIR.findall("Steps:" + pairs)} if found else {}
    seed = settings.pop("Seed", "")
    return Generation(prompt.strip() or None, negative.strip() or None, seed if seed.isdecimal() else None, settings)


def _from_json(text: str) -> Generation | None:
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return None
    facts = found.get("sui_image_params", found) if isinstance(found, dict) else None
    if not isinstance(facts, dict) or not isinstance(facts.get("prompt"), str):
        return None
    negatives = [facts.get(k) for k in ("negativeprompt", "negative_prompt")]
    negative = next((v for v in negatives if isinstance(v, str) and v), None)
    rest = {k: v for k, v in facts.items() if k not in ("prompt", "negativeprompt", "negative_prompt", "seed")}
    return Generation(facts["prompt"] or None, negative, digits(facts.get("seed")), rest)
