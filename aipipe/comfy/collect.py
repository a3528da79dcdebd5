"""Fetch what a job made: stream every file to disk, hash it, type it by its content."""

from __future__ import annotations

import hashlib
import os
import time
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aipipe.comfy import graphs
from aipipe.comfy.history import FileRef, TextRef
from aipipe.comfy.http import Http
from aipipe.comfy.messages import Frame
from aipipe.comfy.results import Folder, Output, free_name
from aipipe.errors import BadOutput, ComfyError, StorageFull, Unreachable
from aipipe.files import FULL
from aipipe.media import FORMATS, SNIFF_BYTES, Format, by_filename, sniff

CHUNK = 1 << 18
TRIES = 4
DEVICE_NAMES = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in "0123456789¹²³")}
"""Names that Windows keeps for itself, whatever their extension."""
STEM, SUFFIX = 120, 20
"""Bytes of a name kept before and after its last dot."""


class Gone(ComfyError):
    """The server named a file that it no longer has; `ref` says which."""

    ref: FileRef


def fetch(http: Http, ref: FileRef, graph: graphs.Graph, folder: Folder, *, max_bytes: int) -> Output:
    """Stream one file to disk.

    Raises:
        Gone: 404: deleted since it was cached, or a temporary file of a server that was restarted.
        Unreachable: the connection broke several times.
        BadOutput: the file is larger than `max_bytes`, came short, or has a name that no address can carry.
        StorageFull: no room here.
    """
    part = free_name(folder.path, f".{safe_name(ref.filename)}.part")
    for attempt in range(TRIES):
        try:
            size, digest, head = _stream(http, ref, part, max_bytes)
            break
        except (Unreachable, _Short) as error:
            part.unlink(missing_ok=True)
            if attempt == TRIES - 1:
                raise BadOutput(str(error), node_id=ref.node_id) if isinstance(error, _Short) else error from None
            time.sleep(0.1 * 3**attempt)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    path = free_name(folder.path, safe_name(ref.filename))
    part.replace(path)
    found = recognise(head, ref.filename, complete=size <= len(head))
    return Output(
        node_id=ref.node_id,
        node_title=graphs.title(graph, ref.node_id),
        node_class=graphs.class_of(graph, ref.node_id),
        media_type=_kind(path, found),
        mime=found.mime,
        filename=ref.filename,
        path=path,
        bytes=size,
        sha256=digest,
        temporary=ref.type == "temp",
    )


class _Short(Exception):
    pass


def _stream(http: Http, ref: FileRef, part: Path, max_bytes: int) -> tuple[int, str, bytes]:
    query = {"filename": ref.filename, "subfolder": ref.subfolder, "type": ref.type}
    if not all(_sendable(value) for value in query.values()):
        raise BadOutput(
            f"{http.access.url} named a file that cannot be asked for: {ref.subfolder!r}, {ref.filename!r} is not Unicode.",
            hint="Give the node that saves it a filename_prefix of letters and digits.",
            node_id=ref.node_id,
        )
    with http.open("GET", "/view", query=query) as answer:
        if answer.status_code == 404:
            raise Gone(f"{http.access.url} no longer has {ref.filename!r}.", ref=ref, node_id=ref.node_id)
        if answer.status_code != 200:
            raise BadOutput(
                f"{http.access.url} answered {answer.status_code} for the file {ref.filename!r}.",
                status=answer.status_code,
                node_id=ref.node_id,
            )
        promised = answer.headers.get("content-length", "")
        if promised.isdigit() and int(promised) > max_bytes:
            raise _too_large(ref, int(promised), max_bytes)
        digest, size, head = hashlib.sha256(), 0, b""
        try:
            with part.open("wb") as stream:
                for chunk in answer.iter_bytes(CHUNK):
                    size += len(chunk)
                    if size > max_bytes:
                        raise _too_large(ref, size, max_bytes)
                    if len(head) < SNIFF_BYTES:
                        head = (head + chunk)[:SNIFF_BYTES]
                    digest.update(chunk)
                    stream.write(chunk)
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull(
                    f"There is no room for {ref.filename!r} in {part.parent}.", hint="Make room, then fetch it again."
                ) from error
            raise
    if promised.isdigit() and size != int(promised) and "content-encoding" not in answer.headers:
        raise _Short(f"{ref.filename!r} came short: {size} of {promised} bytes.")
    return size, digest.hexdigest(), head


def _sendable(text: str) -> bool:
    """Whether a name fits into an address: half of a surrogate pair, which JSON can carry, has no UTF-8."""
    return not any(0xD800 <= ord(c) <= 0xDFFF for c in text)


def _too_large(ref: FileRef, size: int, limit: int) -> BadOutput:
    return BadOutput(
        f"{ref.filename!r} has {size} bytes or more, over the limit of {limit}.",
        hint="Raise it: comfy.connect(url, max_bytes=…), or limits.media_bytes in aipipe.toml.",
        node_id=ref.node_id,
    )


def of_text(ref: TextRef, graph: graphs.Graph) -> Output:
    """A text result."""
    data = ref.text.encode("utf-8", "surrogatepass")
    return Output(
        node_id=ref.node_id,
        node_title=graphs.title(graph, ref.node_id),
        node_class=graphs.class_of(graph, ref.node_id),
        media_type="text",
        mime="text/plain",
        text=ref.text,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def of_frame(frame: Frame, number: int, graph: graphs.Graph, folder: Folder) -> Output:
    """A picture that came over the socket."""
    found = sniff(frame.data[:SNIFF_BYTES])
    node = frame.node_id or ""
    path = free_name(folder.path, f"socket_{safe_name(node)}_{number:05}.{found.extension}")
    path.write_bytes(frame.data)
    return Output(
        node_id=node,
        node_title=graphs.title(graph, node),
        node_class=graphs.class_of(graph, node),
        media_type=_kind(path, found),
        mime=found.mime,
        filename=path.name,
        path=path,
        bytes=len(frame.data),
        sha256=hashlib.sha256(frame.data).hexdigest(),
    )


def recognise(head: bytes, filename: str, *, complete: bool) -> Format:
    """The format by content; the name decides only among kinds whose bytes look alike."""
    found, claimed = sniff(head, complete=complete), by_filename(filename)
    if found.extension == "bin" and filename.lower().endswith((".latent", ".safetensors")):
        return FORMATS["safetensors"]
    if found.extension in ("txt", "json") and claimed.media_type in ("code", "3d", "json", "text"):
        return claimed
    if found.extension == "mp4" and claimed.extension in ("m4a", "mov"):
        return claimed
    if found.extension == "ogg" and claimed.extension == "opus":
        return claimed
    return found


def _kind(path: Path, found: Format) -> str:
    if path.suffix.lower() == ".latent":
        return "latent"
    if found.extension in ("webp", "png", "gif") and _frames(path) > 1:
        return "animation"
    return found.media_type


def _frames(path: Path) -> int:
    """Number of frames by the container's own counters, without decoding."""
    data = path.read_bytes() if path.stat().st_size < 64_000_000 else b""
    if data[:4] == b"\x89PNG":
        at = data.find(b"acTL", 8, 4096)
        return int.from_bytes(data[at + 4 : at + 8], "big") if at > 0 else 1
    if data[:4] == b"RIFF":
        return data.count(b"ANMF")
    return 2 if data[:3] == b"GIF" and (b"NETSCAPE2.0" in data or data.count(b"\x00\x21\xf9\x04") > 1) else 1


def safe_name(name: str) -> str:
    """A file name that stays in its folder on every system, and shows what it is."""
    base = os.path.basename(name.replace("\\", "/"))  # noqa: PTH119  a server's name is no path of this system
    # Control and direction characters (gnp.exe may be shown as exe.png), and halves of pairs, which no disk takes.
    base = "".join("_" if unicodedata.category(c) in ("Cc", "Cf", "Cs") or c in '<>:"|?*' else c for c in base)
    base = base.strip(". ") or "file"
    if _cut(base.split(".")[0], STEM).strip().upper() in DEVICE_NAMES:
        base = f"_{base}"
    stem, dot, suffix = base.rpartition(".")
    short = f"{_cut(stem, STEM)}.{_cut(suffix.lstrip(' '), SUFFIX)}" if dot else _cut(base, STEM)
    return short.rstrip(". ")  # a cut may lay bare what Windows drops from a name's end


def _cut(text: str, size: int) -> str:
    """The beginning of a text in at most `size` bytes of UTF-8: disks count bytes, not characters."""
    return text.encode("utf-8")[:size].decode("utf-8", "ignore")


def server_facts(stats: Mapping[str, Any] | None) -> dict[str, Any]:
    """What provenance says of a server: version, system, devices, without paths and arguments."""
    system = (stats or {}).get("system")
    system = system if isinstance(system, Mapping) else {}
    devices = (stats or {}).get("devices")
    return {
        "comfyui_version": system.get("comfyui_version"),
        "python_version": str(system.get("python_version") or "").split(" ")[0] or None,
        "pytorch_version": system.get("pytorch_version"),
        "os": system.get("os"),
        "devices": [
            {k: d.get(k) for k in ("name", "type", "vram_total", "vram_free")}
            for d in (devices if isinstance(devices, list) else [])
            if isinstance(d, Mapping)
        ],
    }
