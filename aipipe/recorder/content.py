"""What can be saved as an entity, as a stream of bytes with a hint of its type."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from aipipe.errors import InvalidInput
from aipipe.media import FORMATS, SNIFF_BYTES, Format, sniff


def open_content(content: Any) -> tuple[BinaryIO, Format | None, bool]:
    """Open anything an entity may be made of.

    Args:
        content: str, dict, list, pydantic model, bytes, path, binary stream, PIL image, array or figure.

    Returns:
        A stream, its format where the kind of content decides it (else it is sniffed), and whether to close the stream.

    Raises:
        InvalidInput: NaN, a lone surrogate, or a kind of content that has no bytes.
        OSError: a path that cannot be read.
    """
    if isinstance(content, str):
        return io.BytesIO(_encode(content)), FORMATS["txt"], True
    if isinstance(content, (bytes, bytearray, memoryview)):
        return io.BytesIO(bytes(content)), None, True
    if isinstance(content, Path):
        return content.open("rb"), None, True
    if hasattr(content, "read"):
        return content, None, False
    picture = _picture(content)
    if picture is not None:
        return io.BytesIO(picture), FORMATS["png"], True
    return io.BytesIO(to_json(content)), FORMATS["json"], True


def to_json(content: Any) -> bytes:
    """Strict, deterministic UTF-8 JSON of a dict, list, number or pydantic model.

    Raises:
        InvalidInput: NaN or infinity, or something JSON cannot say.
    """
    value = content.model_dump(mode="json") if hasattr(content, "model_dump") else content
    if not isinstance(value, (Mapping, list, tuple, int, float, bool, type(None))):
        raise InvalidInput(
            f"Content of type {type(content).__name__} cannot be saved.",
            hint="Give text, a dict or list, bytes, a path, a binary stream, a PIL image, an array or a figure.",
        )
    try:
        return _encode(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)) + b"\n"
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"The content is not valid JSON: {error}", hint="NaN and infinity have no place in JSON."
        ) from None


def _encode(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"The text holds a lone surrogate at position {error.start}.", hint="Read the source as UTF-8."
        ) from None


def _picture(content: Any) -> bytes | None:
    """PNG bytes of a PIL image, a figure or an array, recognised by what they can do."""
    buffer = io.BytesIO()
    if hasattr(content, "savefig"):
        content.savefig(buffer, format="png")
    elif hasattr(content, "save") and hasattr(content, "getbands"):
        content.save(buffer, format="PNG")
    elif hasattr(content, "__array_interface__"):
        from PIL import Image

        Image.fromarray(content).save(buffer, format="PNG")
    else:
        return None
    return buffer.getvalue()


def decide_format(hint: Format | None, head: bytes, size: int) -> Format:
    """The format: the content's own, else what the first bytes say."""
    return hint or sniff(head, complete=size <= SNIFF_BYTES)
