"""Media types: one table, and sniffing by content. Claims of servers and file names are never believed."""

from __future__ import annotations

import json
from dataclasses import dataclass

MEDIA_TYPES = ("text", "json", "image", "audio", "music", "video", "3d", "code", "other")
SNIFF_BYTES = 4096
"""How many leading bytes `sniff` wants to see."""


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: extension without dot, MIME type, media type."""

    extension: str
    mime: str
    media_type: str


FORMATS: dict[str, Format] = {
    f.extension: f
    for f in (
        Format("txt", "text/plain", "text"),
        Format("md", "text/markdown", "text"),
        Format("json", "application/json", "json"),
        Format("png", "image/png", "image"),
        Format("jpg", "image/jpeg", "image"),
        Format("webp", "image/webp", "image"),
        Format("gif", "image/gif", "image"),
        Format("bmp", "image/bmp", "image"),
        Format("tiff", "image/tiff", "image"),
        Format("avif", "image/avif", "image"),
        Format("svg", "image/svg+xml", "image"),
        Format("exr", "image/x-exr", "image"),
        Format("wav", "audio/wav", "audio"),
        Format("mp3", "audio/mpeg", "audio"),
        Format("flac", "audio/flac", "audio"),
        Format("ogg", "audio/ogg", "audio"),
        Format("opus", "audio/ogg", "audio"),
        Format("m4a", "audio/mp4", "audio"),
        Format("mid", "audio/midi", "music"),
        Format("mp4", "video/mp4", "video"),
        Format("webm", "video/webm", "video"),
        Format("mkv", "video/x-matroska", "video"),
        Format("avi", "video/x-msvideo", "video"),
        Format("mov", "video/quicktime", "video"),
        Format("glb", "model/gltf-binary", "3d"),
        Format("gltf", "model/gltf+json", "3d"),
        Format("obj", "model/obj", "3d"),
        Format("ply", "model/ply", "3d"),
        Format("stl", "model/stl", "3d"),
        Format("js", "text/javascript", "code"),
        Format("html", "text/html", "code"),
        Format("zip", "application/zip", "other"),
        Format("safetensors", "application/x-safetensors", "other"),
        Format("bin", "application/octet-stream", "other"),
    )
}

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"BM", "bmp"),
    (0, b"II*\x00", "tiff"),
    (0, b"MM\x00*", "tiff"),
    (0, b"\x76\x2f\x31\x01", "exr"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (0, b"MThd", "mid"),
    (0, b"glTF", "glb"),
    (0, b"ply\n", "ply"),
    (0, b"PK\x03\x04", "zip"),
)


def sniff(head: bytes, *, complete: bool = False) -> Format:
    """The format of a file by its first bytes.

    Args:
        head: The first `SNIFF_BYTES` bytes, or the whole file if it is shorter.
        complete: True when `head` is the whole file, which lets JSON and text be told apart.

    Returns:
        The format; `FORMATS["bin"]` when nothing is recognised.
    """
    for offset, magic, extension in _MAGIC:
        if head[offset : offset + len(magic)] == magic and not (extension == "bmp" and not _is_bmp(head)):
            return FORMATS[extension]
    return _container(head) or _mpeg_audio(head) or _text(head, complete=complete) or FORMATS["bin"]


def _is_bmp(head: bytes) -> bool:
    return len(head) >= 26 and head[6:10] == b"\0\0\0\0" and head[14] in (12, 40, 52, 56, 64, 108, 124)


def _container(head: bytes) -> Format | None:
    if head[:4] == b"RIFF":
        kinds = {b"WAVE": "wav", b"WEBP": "webp", b"AVI ": "avi"}
        return FORMATS[kinds[head[8:12]]] if head[8:12] in kinds else None
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"avif", b"avis"):
            return FORMATS["avif"]
        if brand == b"qt  ":
            return FORMATS["mov"]
        return FORMATS["m4a" if brand in (b"M4A ", b"M4B ") else "mp4"]
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return FORMATS["webm" if b"webm" in head[:64] else "mkv"]
    return None


def _mpeg_audio(head: bytes) -> Format | None:
    # Frame sync, then a version, layer, bit rate and sample rate that are not the reserved values.
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate, frequency = head[2] >> 4, head[2] >> 2 & 3
    return FORMATS["mp3"] if version != 1 and layer == 1 and rate not in (0, 15) and frequency != 3 else None


def _text(head: bytes, *, complete: bool) -> Format | None:
    if b"\0" in head:
        return None
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if complete or error.start < len(head) - 4:
            return None
        text = head[: error.start].decode("utf-8")
    start = text.lstrip("\ufeff \t\r\n")[:400].lower()
    if start.startswith("<svg") or (start.startswith("<?xml") and "<svg" in start):
        return FORMATS["svg"]
    if start.startswith(("<!doctype html", "<html")):
        return FORMATS["html"]
    if complete and start[:1] in ("{", "["):
        try:
            json.loads(text)
        except ValueError:
            return FORMATS["txt"]
        return FORMATS["json"]
    return FORMATS["txt"]


def by_filename(filename: str) -> Format:
    """The format that a file name claims; `FORMATS["bin"]` when the extension is unknown."""
    extension = filename.rpartition(".")[2].lower()
    extension = {"jpeg": "jpg", "tif": "tiff", "midi": "mid", "htm": "html"}.get(extension, extension)
    return FORMATS.get(extension, FORMATS["bin"])
