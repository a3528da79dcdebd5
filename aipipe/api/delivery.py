"""Bytes of entities, thumbnails and whole runs, so that nothing recorded ever acts as a page of this server."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from aipipe import files
from aipipe.display.stills import still
from aipipe.errors import AipipeError, BadMedia, EntityNotFound, UnsafePath
from aipipe.media import FORMATS
from aipipe.store import Entity, Run

CHUNK = 1 << 18
THUMBNAIL_SIZES = (160, 320, 640)
MIMES = frozenset(f.mime for f in FORMATS.values())
"""Only types of our own table are ever sent: what a record claims may have been written by anybody."""
SHOWN = frozenset(
    {"image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/avif", "text/plain", "application/json"}
)
AS_TEXT = frozenset({"text/html", "text/javascript", "application/javascript", "text/css", "text/markdown"})
RECORDED_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'; sandbox"
OWN_FILES = ("metadata.json", "provenance.json", "exchanges.jsonl")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_thumbnails = threading.Semaphore(2)


def open_entity(entity: Entity) -> tuple[BinaryIO, int]:
    """The open file of an entity and its size; a link, a device or a file elsewhere is refused.

    Raises:
        EntityNotFound: the file is gone or is no plain file of its run.
    """
    return open_plain(entity.run.folder, entity.record.filename)


def open_plain(folder: Path, filename: str) -> tuple[BinaryIO, int]:
    """Open a plain file directly in `folder`, never through a link.

    Raises:
        EntityNotFound: it is gone or is no plain file.
    """
    try:
        path = files.contained(folder, filename)
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags)
    except (OSError, ValueError, UnsafePath):
        raise _gone(filename) from None
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise _gone(filename)
    return os.fdopen(descriptor, "rb", buffering=0), facts.st_size


def _gone(filename: str) -> EntityNotFound:
    return EntityNotFound(f"The file {filename[:80]!r} cannot be read.", hint="`aipipe runs verify` tells more.")


def disposition(kind: str, filename: str) -> str:
    """A Content-Disposition value that no file name can break out of (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", filename)[-120:] or "file"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename[-200:], safe='')}"


def _type_of(mime: str) -> tuple[str, str]:
    """The Content-Type to send, and inline or attachment."""
    mime = mime.partition(";")[0].strip().lower()
    if mime in AS_TEXT or mime not in MIMES:
        known = mime in AS_TEXT
        return ("text/plain; charset=utf-8", "inline") if known else ("application/octet-stream", "attachment")
    if mime.startswith("text/"):
        return f"{mime}; charset=utf-8", "inline"
    shown = mime in SHOWN or mime.startswith(("audio/", "video/"))
    return mime, "inline" if shown else "attachment"


def entity_response(request: Request, entity: Entity, *, download: bool = False) -> Response:
    """An entity's bytes with type, ETag and byte ranges (RFC 9110: one range; several give the whole).

    Raises:
        EntityNotFound: the file is gone.
    """
    file, size = open_entity(entity)
    facts = os.fstat(file.fileno())
    tag = entity.record.sha256 or hashlib.sha256(f"{facts.st_mtime_ns}-{size}-{facts.st_ino}".encode()).hexdigest()
    if size != entity.record.size:
        tag += f"-{size}-{facts.st_mtime_ns}"  # an altered file must not pass as the recorded one
    etag = f'"{tag}"'
    type_, kind = _type_of(entity.record.mime)
    headers = {
        "etag": etag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-security-policy": RECORDED_CSP,
        "content-disposition": disposition("attachment" if download else kind, entity.record.filename),
    }
    if _matches(request.headers.get("if-none-match", ""), etag):
        file.close()
        return Response(status_code=304, headers=headers)
    if_range = request.headers.get("if-range")
    wanted = request.headers.get("range", "") if if_range in (None, etag) else ""
    span = _span(wanted, size)
    if span is None:
        file.close()
        headers["content-range"] = f"bytes */{size}"
        return Response(status_code=416, headers=headers)
    first, last, partial = span
    headers["content-length"] = str(last - first + 1)
    if partial:
        headers["content-range"] = f"bytes {first}-{last}/{size}"
    if request.method == "HEAD":
        file.close()
        return Response(status_code=206 if partial else 200, headers={**headers, "content-type": type_})
    return _send(file, first, last, 206 if partial else 200, headers, type_)


def _send(file: BinaryIO, first: int, last: int, status: int, headers: dict[str, str], type_: str) -> Response:
    if last - first + 1 <= CHUNK:
        with file:
            file.seek(first)
            data = _exactly(file, last - first + 1)
        headers["content-length"] = str(len(data))
        return Response(data, status_code=status, headers=headers, media_type=type_)
    return StreamingResponse(_stream(file, first, last), status_code=status, headers=headers, media_type=type_)


def _exactly(file: BinaryIO, size: int) -> bytes:
    parts = []
    while size and (block := file.read(size)):
        parts.append(block)
        size -= len(block)
    return b"".join(parts)


async def _stream(file: BinaryIO, first: int, last: int) -> AsyncIterator[bytes]:
    left = last - first + 1
    try:
        file.seek(first)
        while left and (block := await to_thread.run_sync(file.read, min(CHUNK, left))):
            left -= len(block)
            yield block
    finally:
        file.close()


def _matches(header: str, etag: str) -> bool:
    given = [part.strip().removeprefix("W/") for part in header.split(",")]
    return "*" in given or etag in given


def _span(header: str, size: int) -> tuple[int, int, bool] | None:
    """First and last byte and whether that is a part; None when the range cannot be satisfied."""
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or not (match[1] or match[2]) or len(header) > 60:
        return 0, size - 1, False
    if not match[1]:
        count = min(int(match[2]), size)
        return (size - count, size - 1, True) if count else None
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < first:
        return 0, size - 1, False
    return (first, last, True) if first < size else None


def thumbnail(root: Path, entity: Entity, size: int) -> tuple[bytes, str]:
    """A small WebP of an image, or of a frame of a film, and its ETag, kept under the store's cache by the file's hash.

    Raises:
        EntityNotFound: the file is gone.
        BadMedia: it does not open.
    """
    digest = entity.record.sha256
    size = next((s for s in THUMBNAIL_SIZES if s >= size), THUMBNAIL_SIZES[-1])
    cached = root / ".aipipe" / "thumbnails" / f"{digest}-{size}.webp"
    known = re.fullmatch(r"[0-9a-f]{64}", digest) is not None
    if known:
        try:
            return cached.read_bytes(), f'"{digest}-{size}"'
        except OSError:
            pass
    with _thumbnails:
        data = _shrink(entity, size)
    if known:
        _keep(cached, data)
    return data, f'"{digest or hashlib.sha256(data).hexdigest()}-{size}"'


def _shrink(entity: Entity, size: int) -> bytes:
    from PIL import Image, UnidentifiedImageError

    file, _ = open_entity(entity)
    try:
        with file:
            image: Any = _still(entity, file) or Image.open(io.BytesIO(file.read()))
            image.thumbnail((size, size))
            out = io.BytesIO()
            image.convert("RGBA" if "A" in image.getbands() else "RGB").save(out, "WEBP", quality=82)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadMedia(f"{entity.record.filename} does not open as an image: {error}") from None
    return out.getvalue()


def _still(entity: Entity, file: BinaryIO) -> Any:
    if entity.media_type == "image":
        return None
    found = still(file, entity.media_type)
    if found is None:
        raise BadMedia(
            f"{entity.record.filename} gives no picture.", hint="Films need the extra: pip install aipipe[media]."
        )
    return found


def _keep(path: Path, data: bytes) -> None:
    """Write a cache file; that it cannot be written is no error, it is only made again."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)


class _Pipe(io.RawIOBase):
    """What a ZIP writer writes into; the parts are taken out as they come."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data, self.parts = b"".join(self.parts), []
        return data


def zipped(run: Run, *, own_files: bool) -> Iterator[bytes]:
    """A run as a ZIP, made while it is sent: entities and metadata.json, with `own_files` also provenance and exchanges.

    A file that is gone or altered is left out or sent as it is; the record inside the ZIP tells which.
    """
    pipe = _Pipe()
    names = [*(OWN_FILES if own_files else OWN_FILES[:1]), *(e.filename for e in run.record.entities)]
    root = re.sub(r"[^A-Za-z0-9._-]", "_", run.folder.name)
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in dict.fromkeys(names):
            try:
                file, _ = open_plain(run.folder, name)
            except AipipeError:
                continue
            packed = name.endswith((".png", ".jpg", ".webp", ".mp3", ".mp4", ".webm", ".ogg", ".flac", ".glb"))
            info = zipfile.ZipInfo(f"{root}/{name}")
            info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            with file, archive.open(info, "w", force_zip64=True) as target:
                while block := file.read(CHUNK):
                    target.write(block)
                    if pipe.parts:
                        yield pipe.take()
    yield pipe.take()
