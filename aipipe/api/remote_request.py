"""What a remote lab sends, and the server's refusals as the errors that a local lab would raise."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from aipipe import errors

_SAME_NAME = {"schema", "outputs", "seed", "text_seed", "parameters", "models", "until", "prompt", "labels", "study"}
_SAME_NAME |= {"participant", "session", "input_id", "tags", "run_id", "user_id", "context"}
_RENAMED = {"mode": "execution_mode", "safety": "safety_level"}


def body_of(texts: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `RemoteLab.start` as the body of a request.

    Raises:
        UnknownName: an argument that a server does not take.
    """
    body: dict[str, Any] = {"input_text": texts[0]} if len(texts) == 1 else {"input_texts": list(texts)}
    if not texts and "parent" in options:
        body = {}
    for name, value in options.items():
        if name in _SAME_NAME:
            body[name] = value
        elif name in _RENAMED:
            body[_RENAMED[name]] = value
        elif name == "output":
            body["outputs"] = [value] if isinstance(value, str) else list(value)
        elif name in ("image", "images"):
            images = [value] if name == "image" else list(value)
            body.setdefault("images", []).extend(_encoded(image) for image in images)
        elif name == "parent":
            body["parent"] = getattr(value, "run_id", value)
        else:
            known = sorted([*_SAME_NAME, *_RENAMED, "image", "images", "output", "parent"])
            raise errors.UnknownName("argument", name, known)
    return {name: value for name, value in body.items() if value is not None}


def _encoded(image: Any) -> str:
    if isinstance(image, (str, Path)):
        try:
            image = Path(image).expanduser().read_bytes()
        except OSError as error:
            raise errors.InvalidInput(
                f"The image {image} cannot be read: {error.strerror}.", hint="Name a file that is there."
            ) from None
    elif not isinstance(image, bytes):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        image = buffer.getvalue()
    return base64.b64encode(image).decode("ascii")


def unreachable(url: str, error: Exception) -> errors.Unavailable:
    """Nobody answers at `url`."""
    return errors.Unavailable(f"No aipipe server answers at {url}: {error}.", hint="Start one: aipipe serve")


def refusal(answer: httpx.Response) -> errors.AipipeError:
    """The server's refusal as the error a local lab would raise."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    message = str(body.get("error") or f"The server answered {answer.status_code}.")
    hint = str(body.get("hint") or "")
    if answer.status_code in (429, 503) and body.get("type") != "Unavailable":
        wait = answer.headers.get("retry-after", "")
        return errors.Overloaded(message, hint=hint, retry_after=float(wait) if wait.isdigit() else None)
    kind = getattr(errors, str(body.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, errors.AipipeError)):
        kind = errors.UsageError if answer.status_code in (400, 404) else errors.Refused
    if answer.status_code == 401:
        hint = "Give the operator's token: aipipe.connect(url, token=…), or the variable AIPIPE_SERVE_TOKEN."
    if kind is errors.UnknownName:
        return _unknown_name(message, hint, body)
    made: errors.AipipeError = kind(message, hint=hint)
    return made


def _unknown_name(message: str, hint: str, body: Mapping[str, Any]) -> errors.UnknownName:
    """As a local lab raises it: with the names that look alike; the message stays the server's own."""
    suggestions = [str(name) for name in body.get("suggestions") or ()]
    known = [str(name) for name in body.get("known") or suggestions]
    error = errors.UnknownName(str(body.get("kind") or "name"), str(body.get("name") or ""), known, hint=hint)
    error.message = message
    error.args = (message,)
    error.suggestions = suggestions
    return error
