"""Facts of media files: size, dimensions, duration, perceptual hash, embedded prompt, and whether they open."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from aipipe.analysis.embedded import animated, chunks, generation, tags_of
from aipipe.analysis.extract import listed
from aipipe.analysis.items import Item, facts_of, first
from aipipe.analysis.reading import contained, is_plain
from aipipe.errors import BadMedia
from aipipe.media import SNIFF_BYTES, sniff

MEDIA = ("image", "audio", "music", "video", "3d", "code")
TIMED = ("audio", "music", "video")
MAX_PIXELS = 200_000_000
"""Larger images are described but not decoded for a hash."""


def media(run: Item, folder: str) -> list[Item]:
    """One row per media entity, given or made."""
    return [_row(run, e, folder) for e in listed(run, "entities") if _is_media(e)]


def _is_media(entity: Item) -> bool:
    kind = str(entity.get("type", ""))
    return entity.get("media_type") in MEDIA and (kind.startswith("output_") or kind == "input_image")


def _row(run: Item, entity: Item, folder: str) -> Item:
    facts = facts_of(entity)
    found = inspect(folder, entity.get("filename"), str(entity.get("media_type")))
    return {
        **entity,
        "seed": first(facts.get("seed"), run.get("seed")),
        "width": first(found.get("width"), facts.get("width")),
        "height": first(found.get("height"), facts.get("height")),
        "duration": first(facts.get("duration"), facts.get("duration_seconds"), found.get("duration")),
        "frames": first(found.get("frames"), facts.get("frames")),
        "phash": found.get("phash"),
        "embedded_prompt": found.get("embedded_prompt"),
        "readable": found["readable"],
        "problem": found.get("problem"),
    }


def inspect(folder: str, filename: Any, media_type: str) -> Item:
    """Open one media file and describe it; never raises for a bad file."""
    if not isinstance(filename, str) or not contained(filename):
        return {"readable": False, "problem": "its name leaves the run folder"}
    path = Path(folder) / filename
    if not is_plain(path):
        return {"readable": False, "problem": "the file is missing"}
    try:
        with path.open("rb") as stream:
            head = stream.read(SNIFF_BYTES)
    except OSError as error:
        return {"readable": False, "problem": error.strerror or str(error)}
    known = sniff(head, complete=len(head) < SNIFF_BYTES)
    if media_type == "image" and known.extension != "svg":
        return _image(path)
    if media_type in TIMED and known.media_type in ("audio", "video"):
        return _timed(path, media_type)
    if media_type != "code" and known.media_type in ("other", "text", "json"):
        return {"readable": False, "problem": f"its bytes are {known.mime}, not {media_type}"}
    return {"readable": True}


def _image(path: Path) -> Item:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                found: Item = {
                    "width": image.width,
                    "height": image.height,
                    "frames": int(getattr(image, "n_frames", 1)),
                    "embedded_prompt": _embedded(chunks(image) or animated(image, path)),
                }
                if image.width * image.height <= MAX_PIXELS:
                    found["phash"] = phash(image)
        return {**found, "readable": True}
    except Exception as error:  # noqa: BLE001  decoders raise whatever a broken file provokes
        return {"readable": False, "problem": f"it does not open as an image: {error}"}


def phash(image: Any) -> str:
    """64-bit perceptual hash: sign of the lowest 8 × 8 DCT-II terms of the 32 × 32 luminance against their median.

    The method is the common "pHash" of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions"
    (2010). Distance between two hashes is the number of differing bits.
    """
    import numpy as np

    pixels = np.asarray(image.convert("L").resize((32, 32)), dtype="float64")
    n = np.arange(32)
    basis = np.cos(np.pi * np.outer(np.arange(8), 2 * n + 1) / 64)
    low = (basis @ pixels @ basis.T).ravel()
    bits = low > np.median(low[1:])
    bits[0] = False
    return f"{int(''.join('1' if b else '0' for b in bits), 2):016x}"


def _timed(path: Path, media_type: str) -> Item:
    """Sound or film: decoded where PyAV is installed, by its header elsewhere."""
    from aipipe.probing import probe

    try:
        found = probe(path, media_type)
    except (BadMedia, OSError) as error:
        return {"readable": False, "problem": str(error)}
    return {"readable": True, **found.facts(), "embedded_prompt": _embedded(tags_of(path))}


def _embedded(info: dict[str, Any]) -> str | None:
    """The prompt that a generator left in an image."""
    found = generation(info)
    return found.prompt if found is not None else None
