"""Inputs are refused before a run begins, so that bad input leaves no folder behind."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aipipe.errors import InvalidInput
from aipipe.settings import Limits


def check_texts(texts: Iterable[Any], limits: Limits) -> tuple[str, ...]:
    """The texts, if each is a non-empty string of acceptable length.

    Raises:
        InvalidInput: names the text, what is wrong with it, and the limit.
    """
    checked = []
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise InvalidInput(
                f"Text {number} is {type(text).__name__}, not a string.",
                hint='Give each input as text: lab.run("dada", "a flower").',
            )
        if not text.strip():
            raise InvalidInput(f"Text {number} is empty.", hint="Write at least one word.")
        if len(text) > limits.input_chars:
            raise InvalidInput(
                f"Text {number} has {len(text):,} characters; the limit is {limits.input_chars:,}.",
                hint="Shorten it, or raise limits.input_chars in aipipe.toml.",
            )
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidInput(
                f"Text {number} holds a lone surrogate, which no file can store.", hint="Read the file as UTF-8 again."
            ) from None
        checked.append(text)
    return tuple(checked)


def read_images(images: Iterable[Any], limits: Limits) -> tuple[bytes, ...]:
    """Encoded image files from paths, bytes or PIL images.

    Raises:
        InvalidInput: a file that is missing, too large, or not an image.
    """
    return tuple(_read_image(number, image, limits) for number, image in enumerate(images, start=1))


def _read_image(number: int, image: Any, limits: Limits) -> bytes:
    from aipipe.media import SNIFF_BYTES, sniff

    if isinstance(image, (str, Path)):
        path = Path(image).expanduser()
        try:
            if path.stat().st_size > limits.image_bytes:
                raise InvalidInput(
                    f"Image {number} ({path}) is larger than {limits.image_bytes:,} bytes.", hint="Make it smaller."
                )
            data = path.read_bytes()
        except OSError as error:
            raise InvalidInput(f"Image {number} cannot be read: {error}", hint="Check the path.") from None
    elif isinstance(image, (bytes, bytearray)):
        data = bytes(image)
    elif hasattr(image, "save"):
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        data = buffer.getvalue()
    else:
        raise InvalidInput(f"Image {number} is {type(image).__name__}.", hint="Give a path, bytes or a PIL image.")
    if sniff(data[:SNIFF_BYTES]).media_type != "image":
        raise InvalidInput(f"Image {number} is not an image file.", hint="PNG, JPEG and WebP work everywhere.")
    return data


def image_hashes(images: tuple[bytes, ...]) -> tuple[str, ...]:
    """SHA-256 of each image file."""
    return tuple(hashlib.sha256(image).hexdigest() for image in images)


def input_id(texts: tuple[str, ...], hashes: tuple[str, ...]) -> str:
    """The id of an input that has none of its own: 16 hex digits of the hash of its texts and images."""
    joined = "\x1f".join((*texts, *hashes))
    return hashlib.sha256(joined.encode()).hexdigest()[:16]
