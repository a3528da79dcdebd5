"""A comparison as a printed figure: PDF and SVG with real text, or PNG."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.display.html import visible
from aipipe.display.stills import still
from aipipe.errors import BadMedia, EntityNotFound, MissingExtra, UsageError
from aipipe.store import Run
from aipipe.ui.compare_cells import prompt_of
from aipipe.ui.figure_fonts import fonts_for, kinds
from aipipe.ui.figure_text import is_rtl, wrap

if TYPE_CHECKING:
    from aipipe.ui.compare import Comparison

FORMATS = (".pdf", ".svg", ".png")
POINTS = 6.5
"""Size of the texts in points: the smallest most journals allow is 6."""

PROMPT_LINES = 4
MOST_INCHES, MOST_PIXELS = 200.0, 65_000
"""PDF readers and image programs end there."""

RLM = "\u200f"
"""Right-to-left mark: invisible, gives a line its direction."""


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
    families, note = _fonts(comparison, target, texts)
    # Text stays text in the file, so that it can be searched and set again.
    settings: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "font.family": families, "text.parse_math": False}
    with warnings.catch_warnings(), rc_context(settings), _quiet_font_search():
        figure = Figure(dpi=dpi)
        # One warning and a line in the figure say it all; one for each sign helps nobody.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _draw(figure, comparison, width / 25.4, texts=texts, pixels=round(width / 25.4 * dpi), note=note)
        figure.savefig(target, dpi=dpi, metadata=_metadata(target, comparison))
    if target.suffix.lower() == ".svg":
        _let_lines_run_their_way(target)
    if note:
        warnings.warn(
            f"{target.name}: {note} Install a font that has them (for example Noto Sans CJK, Symbola), "
            "or save as .svg or .html, which are drawn with the fonts of who looks at them.",
            stacklevel=3,
        )
    return target


def _fonts(comparison: Comparison, target: Path, texts: bool) -> tuple[list[str], str]:
    """Font families for all texts, and what to say of characters that none of them has."""
    shown = [*comparison.row_labels.values(), *comparison.row_values, *comparison.col_values, comparison.caption]
    shown += [prompt_of(cell.runs[0]) for cell in comparison.cells.values() if cell.runs] if texts else []
    families, missing = fonts_for(visible(text) for text in shown)
    if target.suffix.lower() == ".svg":  # who opens it draws the text, with fonts of its own
        return [*families, "sans-serif"], ""
    if not missing:
        return families, ""
    return families, f"Boxes stand for {len(missing)} characters that no font here has ({kinds(missing)})."


@contextmanager
def _quiet_font_search() -> Iterator[None]:
    """That a font for a rare script has no bold face is nothing a person must know."""
    logger = logging.getLogger("matplotlib.font_manager")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _let_lines_run_their_way(target: Path) -> None:
    """Say in an SVG that every line takes its direction from its own letters."""
    text = target.read_text(encoding="utf-8")
    target.write_text(text.replace("</style>", "text{unicode-bidi:plaintext}</style>", 1), encoding="utf-8")


def _draw(figure: Any, comparison: Comparison, inches: float, *, texts: bool, pixels: int, note: str) -> None:
    columns, rows = len(comparison.col_values), len(comparison.row_values)
    line = POINTS * 1.3 / 72
    gap, label = 0.06, min(1.1, inches * 0.14)
    side = (inches - label) / columns - gap
    text_height = (PROMPT_LINES + 0.5) * line if texts else gap
    said = f"{comparison.caption} {note}".strip()
    caption = wrap(said, max(20, int(inches * 72 / (POINTS * 0.52))))
    top, bottom = 2 * line, (len(caption) + 1) * line
    height = top + rows * (side + text_height) + bottom
    if height > MOST_INCHES or height * figure.dpi > MOST_PIXELS:
        raise UsageError(
            f"{rows} rows make a figure {height * 2.54:.0f} cm high.",
            hint="Compare fewer inputs, save .html, or choose a smaller width or dpi.",
        )
    figure.set_size_inches(inches, height)
    letters = max(8, int(side * 72 / (POINTS * 0.56)))

    def write(x: float, y: float, lines: list[str], room: float, **more: Any) -> None:
        # Each line is a text of its own: only then does an SVG keep where a line that runs to the left begins. The mark
        # at its start gives it the direction of the whole text, whatever letter comes first in it.
        rtl = is_rtl(" ".join(lines))
        for number, shown in enumerate(lines):
            place = ((x + room if rtl else x) / inches, 1 - (y + (number + 0.75) * line) / height)
            look = {"fontsize": POINTS, "va": "baseline", "ha": "right" if rtl else "left", **more}
            figure.text(*place, RLM + visible(shown) if rtl else visible(shown), **look)

    for c, col in enumerate(comparison.col_values):
        write(label + c * (side + gap), 0.3 * line, wrap(col, letters, 1), side, weight="bold")
    for r, row in enumerate(comparison.row_values):
        y = top + r * (side + text_height)
        name = wrap(comparison.row_labels.get(row, row), max(6, int(label * 72 / (POINTS * 0.6))), 10)
        write(0.0, y, name, label - gap)
        for c, col in enumerate(comparison.col_values):
            x = label + c * (side + gap)
            cell = comparison.cells.get((row, col))
            place = (x / inches, 1 - (y + side) / height, side / inches, side / height)
            _picture(figure, place, cell.runs[0] if cell and cell.runs else None, max(64, pixels // columns))
            if texts and cell and cell.runs:
                write(x, y + side + 0.3 * line, wrap(prompt_of(cell.runs[0]), letters, PROMPT_LINES), side)
    write(0.0, height - bottom + 0.5 * line, caption, inches, color="0.35")


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
    media = [e for e in run.entities if e.type.startswith("output_")]
    entity = next((e for e in media if e.media_type == "image"), media[0] if media else None)
    if entity is None:
        return None
    try:
        image = entity.image if entity.media_type == "image" else still(entity.path, entity.media_type)
    except (BadMedia, EntityNotFound):
        return None
    if image is None:
        return None
    image = image.convert("RGB")
    image.thumbnail((pixels, pixels))
    return image


def _metadata(target: Path, comparison: Comparison) -> dict[str, str]:
    """Caption and alternative text inside the file, each format in its own words."""
    alternative = "; ".join(
        f"{comparison.row_labels.get(row, row)[:80]}, {col}: {prompt_of(cell.runs[0])[:160]}"
        for (row, col), cell in comparison.cells.items()
        if cell.runs
    )
    if target.suffix.lower() == ".pdf":
        return {"Title": comparison.caption, "Subject": alternative}
    return {"Title": comparison.caption, "Description": alternative}
