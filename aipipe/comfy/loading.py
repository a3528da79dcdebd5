"""Workflows from files: API or editor form, JSON, or pictures and videos that carry their graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.comfy import graphs
from aipipe.comfy.messages import loads
from aipipe.comfy.workflow import Workflow
from aipipe.errors import InvalidInput

if TYPE_CHECKING:
    from aipipe.comfy.server import Server

MAX_FILE = 2_000_000_000
HINT = "Save it in ComfyUI with Workflow > Export, or Export (API)."


def load(source: Any, *, server: Server | None = None, name: str = "") -> Workflow:
    """Read a workflow; see `Workflow.load`."""
    if isinstance(source, Workflow):
        return source.on(server) if server is not None else source
    if isinstance(source, Mapping):
        return from_document(source, server=server, name=name or "workflow")
    if isinstance(source, (bytes, bytearray)):
        return _from_bytes(bytes(source), server, name or "workflow")
    text = str(source)
    if isinstance(source, str) and text.lstrip().startswith("{"):
        return from_document(_json(text, "the text"), server=server, name=name or "workflow")
    path = Path(text).expanduser()
    try:
        if path.stat().st_size > MAX_FILE:
            raise InvalidInput(f"{path} is too large for a workflow.", hint=HINT)
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror or error}.",
            hint="Check the path; it counts from the current folder.",
        ) from error
    return _from_bytes(data, server, name or path.stem)


def _from_bytes(data: bytes, server: Server | None, name: str) -> Workflow:
    from aipipe.comfy.embedded import graphs_in

    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"["):
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{name} is no text in UTF-8.", hint=HINT) from error
        return from_document(_json(text, name), server=server, name=name)
    api, editor = graphs_in(data)
    if api is None and editor is None:
        raise InvalidInput(
            f"{name} holds no ComfyUI graph.",
            hint="Many programs and messengers remove it from pictures. Use the file as ComfyUI wrote it. " + HINT,
        )
    if api is not None:
        return Workflow(api, editor=editor, server=server, name=name)
    assert editor is not None
    return from_document(editor, server=server, name=name)


def _json(text: str, name: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise InvalidInput(f"{name} is no valid JSON: {error}.", hint=HINT) from error


def from_document(value: Any, *, server: Server | None, name: str) -> Workflow:
    """A workflow from a parsed document in any of the forms that are about: bare, or wrapped as a server keeps it."""
    if graphs.is_api(value):
        return Workflow(value, server=server, name=name)
    if graphs.is_editor(value):
        return _from_editor(value, server, name)
    if isinstance(value, Mapping):
        for key in ("prompt", "workflow", "graph", "output"):
            inner = value.get(key)
            if isinstance(inner, str) and inner.lstrip().startswith("{"):
                inner = _json(inner, name)
            if graphs.is_api(inner):
                editor = value.get("workflow")
                return Workflow(inner, editor=editor if graphs.is_editor(editor) else None, server=server, name=name)
            if graphs.is_editor(inner):
                return _from_editor(inner, server, name)
    raise InvalidInput(f"{name} is no ComfyUI workflow.", hint=HINT)


def _from_editor(value: Mapping[str, Any], server: Server | None, name: str) -> Workflow:
    from aipipe.comfy.editor import convert

    graph, report = convert(value, server.object_info() if server is not None else None)
    return Workflow(graph, editor=value, conversion=report, server=server, name=name)
