"""The graph that ComfyUI leaves in the files it writes: PNG, WebP and JPEG, MP4 and MOV, WebM and FLAC and Ogg."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

from aipipe.comfy import graphs
from aipipe.comfy.messages import loads

MAX_TEXT = 64_000_000
CONTAINERS = (b"moov", b"udta", b"ilst", b"trak", b"mdia", b"minf")


def graphs_in(data: bytes) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The graph in API form and the editor's graph of a file, None where it holds none."""
    api: dict[str, Any] | None = None
    editor: dict[str, Any] | None = None
    for text in texts_in(data):
        value = _parsed(text)
        for found in (value, value.get("prompt"), value.get("workflow")) if value else ():
            inner = _parsed(found) if isinstance(found, str) else found
            if api is None and graphs.is_api(inner):
                api = inner
            elif editor is None and graphs.is_editor(inner):
                editor = inner
    return api, editor


def _parsed(text: str) -> dict[str, Any] | None:
    start = text.find("{")
    if start < 0 or start > 200:
        return None
    try:
        value = loads(text[start : text.rfind("}") + 1])
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def texts_in(data: bytes) -> Iterator[str]:
    """All texts of a file's metadata that may hold JSON."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        yield from _png(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        yield from _riff(data)
    elif data[:2] == b"\xff\xd8":
        yield from _jpeg(data)
    elif data[4:8] == b"ftyp":
        yield from _boxes(data, 0, len(data))
    elif data[:4] in (b"\x1a\x45\xdf\xa3", b"fLaC", b"OggS") or data[:3] == b"ID3":
        yield from _braces(data)


def _png(data: bytes) -> Iterator[str]:
    at = 8
    while at + 12 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        if kind == b"tEXt":
            yield body.partition(b"\0")[2].decode("latin-1" if not _is_utf8(body) else "utf-8")
        elif kind == b"zTXt":
            yield _inflate(body.partition(b"\0")[2][1:]).decode("latin-1")
        elif kind == b"iTXt":
            yield _international(body)
        elif kind == b"comf":  # animated PNGs of ComfyUI
            yield body.partition(b"\0")[2].decode("utf-8", "replace")
        elif kind == b"eXIf":
            yield from _exif(body)
        at += 12 + size


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _international(body: bytes) -> str:
    _, _, rest = body.partition(b"\0")
    packed = rest[:1] == b"\x01"
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return (_inflate(text) if packed else text).decode("utf-8", "replace")


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MAX_TEXT)
    except zlib.error:
        return b""


def _riff(data: bytes) -> Iterator[str]:
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack("<4sI", data[at : at + 8])
        if kind == b"EXIF":
            yield from _exif(data[at + 8 : at + 8 + size])
        elif kind == b"XMP ":
            yield data[at + 8 : at + 8 + size].decode("utf-8", "replace")
        at += 8 + size + (size & 1)


def _jpeg(data: bytes) -> Iterator[str]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        size = struct.unpack(">H", data[at + 2 : at + 4])[0]
        if data[at + 1] == 0xE1:
            yield from _exif(data[at + 4 : at + 2 + size])
        elif data[at + 1] == 0xFE:
            yield data[at + 4 : at + 2 + size].decode("utf-8", "replace")
        at += 2 + size


def _exif(data: bytes) -> Iterator[str]:
    """Every text of the first directory: ComfyUI writes `prompt:{…}` and `workflow:{…}` into Model and Make."""
    start = data.find(b"II*\0") if b"II*\0" in data[:16] else data.find(b"MM\0*")
    if start < 0 or len(data) < start + 8:
        return
    order = "<" if data[start : start + 2] == b"II" else ">"
    base = data[start:]
    todo, seen = [struct.unpack(order + "I", base[4:8])[0]], set()
    while todo:
        at = todo.pop()
        if at in seen or at + 2 > len(base):
            continue
        seen.add(at)
        count = struct.unpack(order + "H", base[at : at + 2])[0]
        for n in range(count):
            entry = base[at + 2 + 12 * n : at + 14 + 12 * n]
            if len(entry) < 12:
                break
            tag, kind, length, where = struct.unpack(order + "HHII", entry)
            if tag == 0x8769:
                todo.append(where)
            elif kind in (1, 2, 7) and 4 < length <= MAX_TEXT:
                yield _exif_text(base[where : where + length])


def _exif_text(raw: bytes) -> str:
    if raw[:8] == b"UNICODE\0":
        return raw[8:].decode("utf-16-be" if raw[8:9] == b"\0" else "utf-16-le", "replace")
    return raw.removeprefix(b"ASCII\0\0\0").rstrip(b"\0").decode("utf-8", "replace")


def _boxes(data: bytes, at: int, end: int) -> Iterator[str]:
    """Texts of the metadata boxes of MP4 and MOV, without the media data."""
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        head = 8
        if size == 1 and at + 16 <= end:
            size, head = struct.unpack(">Q", data[at + 8 : at + 16])[0], 16
        size = size or end - at
        if size < head or at + size > end:
            return
        if kind in CONTAINERS:
            yield from _boxes(data, at + head, at + size)
        elif kind == b"meta":
            yield from _braces(data[at + head : at + size])
        elif kind[:1] == b"\xa9" or kind == b"uuid":
            yield data[at + head : at + size].decode("utf-8", "replace")
        at += size


def _braces(data: bytes) -> Iterator[str]:
    """JSON objects that begin with an item of a graph, cut out by matching their braces."""
    at = 0
    text = data[:MAX_TEXT]
    while (at := text.find(b'{"', at)) >= 0:
        end = _closing(text, at)
        if end is None:
            at += 2
            continue
        if end - at > 30:
            yield text[at:end].decode("utf-8", "replace")
        at = end


def _closing(text: bytes, at: int) -> int | None:
    depth, quoted, escaped = 0, False, False
    for n in range(at, len(text)):
        c = text[n]
        if escaped:
            escaped = False
        elif quoted:
            if c == 0x5C:
                escaped = True
            elif c == 0x22:
                quoted = False
        elif c == 0x22:
            quoted = True
        elif c in (0x7B, 0x5B):
            depth += 1
        elif c in (0x7D, 0x5D):
            depth -= 1
            if depth == 0:
                return n + 1
        elif c < 0x09:
            return None
    return None
