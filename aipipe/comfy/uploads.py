"""Files that go into a workflow: named by their content, sent once, to the server that runs the job."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.errors import InvalidInput, Refused
from aipipe.media import SNIFF_BYTES, by_filename, sniff

if TYPE_CHECKING:
    from aipipe.comfy.server import Server

SUBFOLDER = "aipipe"
MAX_DOWNLOAD = 200_000_000


@dataclass(frozen=True, slots=True)
class File:
    """A file for an input of a workflow.

    Attributes:
        data: Its bytes.
        name: Name at the server, made from the hash of the content.
        mask_of: Name of the picture at the server whose mask this is, "" for other files.
    """

    data: bytes
    name: str
    mask_of: str = ""

    def __repr__(self) -> str:
        return f"File({self.name}, {len(self.data)} bytes)"

    @classmethod
    def of(cls, source: Any, *, name: str = "", mask_of: str = "") -> File:
        """A file from a path, bytes, stream, Pillow image, array or http(s) address.

        With `mask_of` it is a mask: what is transparent in it, or white where nothing is transparent, is masked.

        Raises:
            InvalidInput: an empty or missing file, or nothing a file can be made of.
        """
        if isinstance(source, File):
            return source
        data, given = _read(source)
        if not data:
            raise InvalidInput(f"The file {name or given or 'given'} is empty.", hint="Choose a file with content.")
        data = _as_mask(data) if mask_of else data
        found = sniff(data[:SNIFF_BYTES], complete=len(data) <= SNIFF_BYTES)
        claimed = by_filename(name or given)
        extension = found.extension if found.extension not in ("bin", "txt") else claimed.extension
        suffix = Path(name or given).suffix.lower()
        if found.extension == "bin" and suffix:
            extension = suffix[1:]
        return cls(data, f"{hashlib.sha256(data).hexdigest()[:24]}.{extension}", mask_of)


def is_file_value(value: Any) -> bool:
    """True for what can only be meant as a file: bytes, a stream, a picture, an array."""
    return (
        isinstance(value, (bytes, bytearray, memoryview, File))
        or hasattr(value, "__array_interface__")
        or (hasattr(value, "save") and hasattr(value, "mode") and hasattr(value, "size"))
        or (hasattr(value, "read") and not isinstance(value, Path))
    )


def _read(source: Any) -> tuple[bytes, str]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), ""
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        return _download(source), source.partition("?")[0].rpartition("/")[2]
    if isinstance(source, (str, Path)):
        path = Path(source).expanduser()
        try:
            return path.read_bytes(), path.name
        except OSError as error:
            raise InvalidInput(
                f"{path} cannot be read: {error.strerror or error}.",
                hint="Check the path; it counts from the current folder.",
            ) from error
    if hasattr(source, "save") and hasattr(
        source, "mode"
    ):  # before arrays: a Pillow image is one too, of its raw values
        return _png(source), "image.png"
    if hasattr(source, "__array_interface__"):
        return _png(_image_of_array(source)), "array.png"
    if hasattr(source, "read"):
        return bytes(source.read()), str(getattr(source, "name", ""))
    raise InvalidInput(
        f"A {type(source).__name__} is no file.", hint="Give a path, bytes, a Pillow image, an array or an address."
    )


def _png(image: Any) -> bytes:
    """A picture as RGB or RGBA: servers from 0.30 on fail at grey and palette pictures."""
    from PIL import Image

    stream = io.BytesIO()
    if image.mode in (
        "I",
        "I;16",
        "I;16B",
        "I;16L",
    ):  # sixteen bits: a plain conversion would clip, so take the high ones
        image = Image.frombytes("L", image.size, image.convert("I").convert("I;16").tobytes()[1::2])
    see_through = "A" in image.getbands() or "transparency" in image.info
    image.convert("RGBA" if see_through else "RGB").save(stream, "PNG")
    return stream.getvalue()


def _as_mask(data: bytes) -> bytes:
    """The mask as servers read it, which is the transparent part; in a picture without transparency white is meant."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            if "A" in image.getbands() or "transparency" in image.info:
                return data
            mask = image.convert("L")
    except (OSError, UnidentifiedImageError) as error:
        raise InvalidInput(
            f"The mask is no picture: {error}.", hint="Give a picture that is white where it hides."
        ) from error
    whole = Image.new("RGBA", mask.size)
    whole.putalpha(ImageOps.invert(mask))
    return _png(whole)


def _image_of_array(array: Any) -> Any:
    import numpy as np
    from PIL import Image

    values = np.asarray(array)
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (1, 3, 4)):
        raise InvalidInput(
            f"An array of shape {values.shape} is no picture.", hint="Give height × width, or height × width × 3 or 4."
        )
    if values.dtype.kind == "f":
        values = np.clip(np.nan_to_num(values), 0, 1) * 255 + 0.5
    elif values.dtype == bool:
        values = values * 255
    elif values.dtype == np.uint16:
        values = values >> 8
    values = np.clip(values, 0, 255).astype("uint8")
    return Image.fromarray(values[:, :, 0] if values.ndim == 3 and values.shape[2] == 1 else values)


def _download(url: str) -> bytes:
    import httpx

    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=60) as answer:
            answer.raise_for_status()
            data = bytearray()
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) > MAX_DOWNLOAD:
                    raise InvalidInput(f"The file at {url} is larger than {MAX_DOWNLOAD} bytes.")
            return bytes(data)
    except httpx.HTTPError as error:
        raise InvalidInput(
            f"{url.partition('?')[0]} cannot be fetched: {error}.", hint="Download it and give the path."
        ) from error


def upload(server: Server, file: File) -> str:
    """Send a file unless the server has it, and return the name a workflow uses for it.

    Raises:
        Refused: the server does not take it.
        Unreachable: no answer.
    """
    query = {"filename": file.name, "subfolder": SUBFOLDER, "type": "input"}
    if not file.mask_of:
        with server.http.open("GET", "/view", query=query) as answer:
            if answer.status_code == 200 and answer.headers.get("content-length") == str(len(file.data)):
                return f"{SUBFOLDER}/{file.name}"
    form = {"subfolder": SUBFOLDER, "type": "input"}
    path = "/upload/image"
    if file.mask_of:
        path = "/upload/mask"
        folder, _, name = file.mask_of.rpartition("/")
        form["original_ref"] = json.dumps({"filename": name, "subfolder": folder, "type": "input"})
    answer = server.http.post(path, files={"image": (file.name, file.data, "application/octet-stream")}, data=form)
    if answer.status_code == 413:
        raise Refused(
            f"{server.url} takes no file of {len(file.data)} bytes.", hint="Start it with a larger --max-upload-size."
        )
    try:
        reply: Any = answer.json() if answer.status_code == 200 else None
        name, folder = str(reply["name"]), str(reply.get("subfolder") or "")
    except (ValueError, TypeError, KeyError):
        raise Refused(
            f"{server.url} did not take the file {file.name} ({answer.status_code}).",
            hint="Look into the server's log.",
        ) from None
    return f"{folder}/{name}" if folder else name
