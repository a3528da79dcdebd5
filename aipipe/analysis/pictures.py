"""Measures of pictures, each with its source: light and colour, equal and nearly equal ones."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from aipipe.analysis.findings import check_columns
from aipipe.errors import BadMedia

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("brightness", "contrast", "colourfulness", "entropy")
_ROWS = 256
"""Pictures that are compared with all others at once: enough for numpy, few enough for memory."""


@overload
def image_measures(source: str | Path) -> dict[str, float]: ...
@overload
def image_measures(source: pd.DataFrame) -> pd.DataFrame: ...
def image_measures(source: str | Path | pd.DataFrame) -> dict[str, float] | pd.DataFrame:
    """Brightness, contrast and colour of an image, or of each image of `load_media()`.

    Args:
        source: Path of a picture, or a frame with folder and filename.

    Returns:
        `brightness` (mean luminance, 0 to 1), `contrast` (RMS: standard deviation of luminance; Peli 1990),
        `colourfulness` (Hasler & Süsstrunk 2003, on 0-255 channels), `entropy` (bits of the luminance histogram); of a
        frame one row per row, joined by its index, without values where there is no picture that opens.

    Raises:
        BadMedia: the path does not open as an image.
    """
    if isinstance(source, str | Path):
        return _measured(Path(source))
    import pandas as pd

    check_columns(source, "folder", "filename")
    rows = [
        _measured_or_nothing(folder, name) for folder, name in zip(source["folder"], source["filename"], strict=True)
    ]
    return pd.DataFrame(rows, index=source.index, columns=list(MEASURES), dtype="float64")


def _measured_or_nothing(folder: Any, name: Any) -> dict[str, float]:
    try:
        return _measured(Path(folder) / name)
    except (BadMedia, TypeError):
        return {}


def _measured(path: Path) -> dict[str, float]:
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as image:
            opaque = _on_white(image)
            pixels = np.asarray(opaque, dtype="float64")
            levels = np.asarray(opaque.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadMedia(
            f"{str(path)[:200]} does not open as an image: {error}",
            hint="Pass the path of a picture: folder / filename.",
        ) from error
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    warm, cool = red - green, (red + green) / 2 - blue
    colour = math.hypot(warm.std(), cool.std()) + 0.3 * math.hypot(warm.mean(), cool.mean())
    share = np.bincount(levels.ravel(), minlength=256) / levels.size
    share = share[share > 0]
    return {
        "brightness": float(levels.mean() / 255),
        "contrast": float(levels.std() / 255),
        "colourfulness": float(colour),
        "entropy": float(-(share * np.log2(share)).sum()) + 0.0,
    }


def _on_white(image: Any) -> Any:
    """The picture as one sees it on a page; the colours under transparent pixels are not to be seen."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")


def duplicates(media: pd.DataFrame, *, distance: int = 4) -> pd.DataFrame:
    """Pairs of equal and nearly equal images of `load_media()`.

    Args:
        media: Frame with run_id, filename, sha256, phash.
        distance: Largest number of differing bits of the 64-bit perceptual hash (Zauner 2010) that counts as near.

    Returns:
        One row per pair: both runs and files, `bits`, and `same_bytes`.
    """
    import numpy as np
    import pandas as pd

    check_columns(media, "run_id", "filename", "sha256", "phash")
    rows = media.dropna(subset=["phash"]).reset_index(drop=True)
    hashes = np.array([int(h, 16) for h in rows["phash"]], dtype=np.uint64)
    found = [_near(hashes, start, distance) for start in range(0, len(hashes), _ROWS)]
    one, other, bits = np.concatenate(found, axis=1) if found else np.zeros((3, 0), dtype=np.int64)
    first, second = rows.iloc[one].reset_index(drop=True), rows.iloc[other].reset_index(drop=True)
    same = (first["sha256"] == second["sha256"]).fillna(False).astype(bool)
    return pd.DataFrame(
        {
            "run_id": first["run_id"],
            "filename": first["filename"],
            "other_run_id": second["run_id"],
            "other_filename": second["filename"],
            "bits": bits,
            "same_bytes": same,
        }
    )


def _near(hashes: Any, start: int, distance: int) -> Any:
    """Pairs of the rows from `start` with all after each: their two places and the bits that differ."""
    import numpy as np

    differ = hashes[start : start + _ROWS, None] ^ hashes[None, start:]
    bits = _ones()[differ.view(np.uint16)].reshape(*differ.shape, 4).sum(axis=2, dtype=np.int64)
    one, other = np.nonzero(np.triu(bits <= distance, 1))
    return np.stack([one + start, other + start, bits[one, other]])


@cache
def _ones() -> Any:
    """How many bits are set in each number of 16 bits; numpy counts them itself only from version 2."""
    import numpy as np

    return np.array([number.bit_count() for number in range(2**16)], dtype=np.uint8)
