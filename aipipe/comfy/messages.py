"""What a ComfyUI server says over its socket, taken apart without believing any of it.

Sources: the message shapes of ComfyUI 0.3.64 to 0.30; see docs/comfyui.md.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FRAME_MIME = {1: "image/jpeg", 2: "image/png"}
FEATURE_FLAGS = '{"type":"feature_flags","data":{"supports_preview_metadata":true}}'
"""First message of the client: asks for previews that name their node and prompt."""


@dataclass(frozen=True, slots=True)
class Message:
    """A text message.

    Attributes:
        type: Its type ("executing", "progress" …).
        prompt_id: The job it names, or None.
        data: The rest.
    """

    type: str
    prompt_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture sent over the socket: a preview, or the result of a node that sends pictures this way.

    Attributes:
        data: The encoded picture.
        mime: Its type as the server says.
        prompt_id: The job it belongs to, None where the server does not say.
        node_id: The node in the graph, None where the server does not say.
    """

    data: bytes
    mime: str
    prompt_id: str | None = None
    node_id: str | None = None


def loads(text: str | bytes) -> Any:
    """JSON as ComfyUI writes it: bare NaN and Infinity, which are no JSON, become None.

    Raises:
        ValueError: it is not even that.
    """
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse(raw: str | bytes) -> Message | Frame | None:
    """One socket message, or None when it is nothing a client needs or not understood."""
    return _text(raw) if isinstance(raw, str) else _binary(bytes(raw))


def _text(raw: str) -> Message | None:
    try:
        value = loads(raw)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return None
    data = value.get("data")
    data = data if isinstance(data, dict) else {}
    prompt_id = data.get("prompt_id")
    return Message(value["type"], prompt_id if isinstance(prompt_id, str) else None, data)


def _binary(raw: bytes) -> Frame | None:
    if len(raw) < 8:
        return None
    kind, number = struct.unpack(">II", raw[:8])
    if kind == 1 and number in FRAME_MIME:
        return Frame(raw[8:], FRAME_MIME[number])
    if kind == 4 and number <= len(raw) - 8:
        return _with_metadata(raw[8 : 8 + number], raw[8 + number :])
    return None


def _with_metadata(head: bytes, image: bytes) -> Frame | None:
    try:
        facts = loads(head)
    except ValueError:
        return None
    if not isinstance(facts, dict):
        return None
    node = facts.get("display_node_id") or facts.get("node_id")
    prompt = facts.get("prompt_id")
    mime = facts.get("image_type")
    return Frame(
        image,
        mime if isinstance(mime, str) else "image/jpeg",
        prompt if isinstance(prompt, str) else None,
        str(node) if node is not None else None,
    )
