"""A comparison as a printed figure: PDF and SVG with real text, or PNG."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.display.html import visible
from aipipe.errors import BadMedia, EntityNotFound, MissingExtra, UsageError
from aipipe.store import Run

if TYPE_CHECKING:
    from aipipe.ui.compare import Comparison

FORMATS = (".pdf", ".svg", ".png")
POINTS = 6.5
"""Size of the texts in points: the smallest most journals allow is 6."""

PROMPT_LINES = 4


def save_figure(comparison: Comparison, target: Path, *, width: float, dpi: int, texts: bool) -> Path:
    """Draw the matrix `width` millimetres wide; see `Comparison.save`.

    Raises:
        UsageError: an unknown ending, or sizes that make no picture.
        MissingExtra: matplotlib is not installed.
    """
    if target.suffix.lower() not in FORMATS:
        raise UsageError(
            f"{target.suffix or target.name!r} is no format of a figure.", hint="Use .html, .pdf, .svg or .png."
        )
    if not 20 <= width <= 2_000 or not 30 <= dpi <= 1_200:
        raise UsageError(f"width={width} mm at {dpi} dpi makes no figure.", hint="For example width=180, dpi=300.")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("Saving a figure", "analysis") from None
    # Text stays text in the file, so that it can be searched and set again.
    with (
        warnings.catch_warnings(),
        rc_context(
            {"svg.fonttype": "none", "pdf.fonttype": 42, "font.family": "DejaVu Sans", "text.parse_math": False}
        ),
    ):
        figure = Figure(dpi=dpi)
        # A sign that the font lacks is drawn as a box; a warning for each of them helps nobody.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _draw(figure, comparison, width / 25.4, texts=texts, pixels=round(width / 25.4 * dpi))
        figure.savefig(target, dpi=dpi, metadata=_metadata(target, comparison))
    return target


def _draw(figure: Any, comparison: Comparison, inches: float, *, texts: bool, pixels: int) -> None:
    columns, rows = len(comparison.col_values), len(comparison.row_values)
    line = POINTS * 1.3 / 72
    gap, label = 0.06, min(1.1, inches * 0.14)
    side = (inches - label) / columns - gap
    text_height = (PROMPT_LINES + 0.5) * line if texts else gap
    caption = textwrap.wrap(comparison.caption, max(20, int(inches * 72 / (POINTS * 0.52))))
    top, bottom = 2 * line, (len(caption) + 1) * line
    height = top + rows * (side + text_height) + bottom
    figure.set_size_inches(inches, height)
    letters = max(8, int(side * 72 / (POINTS * 0.56)))

    def write(x: float, y: float, text: str, **more: Any) -> None:
        figure.text(x / inches, 1 - y / height, visible(text), fontsize=POINTS, va="top", **more)

    for c, col in enumerate(comparison.col_values):
        write(label + c * (side + gap), 0.3 * line, textwrap.shorten(col, letters, placeholder="…"), weight="bold")
    for r, row in enumerate(comparison.row_values):
        y = top + r * (side + text_height)
        name = textwrap.wrap(comparison.row_labels.get(row, row), max(6, int(label * 72 / (POINTS * 0.6))))[:10]
        write(0.0, y, "\n".join(name))
        for c, col in enumerate(comparison.col_values):
            x = label + c * (side + gap)
            cell = comparison.cells.get((row, col))
            place = (x / inches, 1 - (y + side) / height, side / inches, side / height)
            _picture(figure, place, cell.runs[0] if cell and cell.runs else None, max(64, pixels // columns))
            if texts and cell and cell.runs:
                prompt = textwrap.wrap(_prompt(cell.runs[0]), letters)
                shown = (
                    prompt[:PROMPT_LINES]
                    if len(prompt) <= PROMPT_LINES
                    else [*prompt[: PROMPT_LINES - 1], prompt[PROMPT_LINES - 1][: letters - 1] + "…"]
                )
                write(x, y + side + 0.3 * line, "\n".join(shown))
    write(0.0, height - bottom + 0.5 * line, "\n".join(caption), color="0.35")


def _prompt(run: Run) -> str:
    from aipipe.ui.compare import _prompt as prompt

    return prompt(run)


def _picture(figure: Any, place: tuple[float, float, float, float], run: Run | None, pixels: int) -> None:
    axes = figure.add_axes(place)
    axes.set_axis_off()
    image = _image(run, pixels) if run is not None else None
    if image is not None:
        axes.imshow(image, interpolation="lanczos", aspect="equal")
        return
    word = "no run" if run is None else (run.status if run.status != "completed" else "no picture")
    axes.text(0.5, 0.5, word, ha="center", va="center", fontsize=POINTS, color="0.4", transform=axes.transAxes)


def _image(run: Run, pixels: int) -> Any:
    entity = next((e for e in run.entities if e.type == "output_image"), None)
    if entity is None:
        return None
    try:
        image = entity.image.convert("RGB")
    except (BadMedia, EntityNotFound):
        return None
    image.thumbnail((pixels, pixels))
    return image


def _metadata(target: Path, comparison: Comparison) -> dict[str, str]:
    """Caption and alternative text inside the file, each format in its own words."""
    alternative = "; ".join(
        f"{comparison.row_labels.get(row, row)[:80]}, {col}: {_prompt(cell.runs[0])[:160]}"
        for (row, col), cell in comparison.cells.items()
        if cell.runs
    )
    if target.suffix.lower() == ".pdf":
        return {"Title": comparison.caption, "Subject": alternative}
    return {"Title": comparison.caption, "Description": alternative}
