"""Runs side by side: a matrix of inputs × configs (or seeds, levels, models), with pictures, prompts and what differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.display.chain import chain
from aipipe.display.diff import word_diff
from aipipe.display.html import STYLE, escape, folded, page, pill, text_block
from aipipe.display.media_view import data_uri, thumbnail
from aipipe.errors import UsageError
from aipipe.store import Run
from aipipe.ui.gallery_rows import rows_of
from aipipe.ui.thumbnails import Thumbnails

if TYPE_CHECKING:
    import pandas as pd

PICTURES = 80
"""Most pictures of a matrix in a notebook: at 4 to 12 kB each the cell stays below 1 MB. A saved page has them all."""

TABLE = """
.aip-matrix{overflow:auto;max-height:48rem;border:1px solid var(--aip-line);border-radius:8px}
.aip .aip-matrix table{border-collapse:separate;border-spacing:0;margin:0;font-size:.95em}
.aip .aip-matrix th{position:sticky;background:var(--jp-layout-color1,var(--vscode-editor-background,Canvas));z-index:1;padding:.4rem .6rem;color:inherit}
.aip .aip-matrix thead th{top:0;z-index:2}.aip .aip-matrix tbody th{left:0;max-width:14rem;min-width:8rem;font-weight:500}
.aip .aip-matrix thead th:first-child{left:0;z-index:3}
.aip .aip-matrix td{padding:.5rem .6rem;min-width:13rem;max-width:24rem;vertical-align:top}
.aip-pics{display:flex;flex-wrap:wrap;gap:.3rem}.aip-pics img{max-width:100%;height:auto}
""".strip().replace("\n", "")


@dataclass
class Cell:
    """The runs of one row and column."""

    runs: list[Run] = field(default_factory=list)


@dataclass
class Comparison:
    """A matrix of runs. Made by `aipipe.compare(…)`; shows itself and saves itself as a figure.

    Attributes:
        rows, cols: What the axes are.
        row_values, col_values: Their values, in order.
        cells: (row value, column value) → runs.
    """

    rows: str
    cols: str
    row_values: list[str]
    col_values: list[str]
    cells: dict[tuple[str, str], Cell]
    row_labels: dict[str, str]

    @property
    def runs(self) -> list[Run]:
        """Every run of the matrix."""
        return [run for cell in self.cells.values() for run in cell.runs]

    @property
    def caption(self) -> str:
        """What a figure's caption must say: n, axes, models, seeds, levels, outcomes."""
        records = [run.record for run in self.runs]
        models = sorted({m for record in records for m in _models(record)})
        seeds = sorted({record.seed for record in records if record.seed is not None}, key=lambda s: (len(s), s))
        levels = sorted({record.safety_level for record in records if record.safety_level})
        other = [f"{sum(r.status == s for r in records)} {s}" for s in ("blocked", "failed", "cancelled")]
        parts = [
            f"n = {len(records)} runs, {len(self.row_values)} {_axis(self.rows)} × {len(self.col_values)} {_axis(self.cols)}",
            f"models {_some(models)}" if models else "",
            f"seeds {_some(seeds)}" if seeds else "",
            f"safety {_some(levels)}" if levels else "",
            *(text for text in other if not text.startswith("0 ")),
        ]
        return "; ".join(part for part in parts if part) + "."

    def html(self, *, size: int = 192, pictures: int | None = PICTURES) -> str:
        """The matrix as self-contained HTML without script.

        Args:
            size: Longest side of a picture in pixels.
            pictures: Most pictures; None for all.
        """
        show = _Pictures(size, pictures)
        head = "".join(f'<th scope="col">{escape(value)}</th>' for value in self.col_values)
        body = "".join(self._row(value, show) for value in self.row_values)
        table = f'<table><thead><tr><th scope="col">{escape(_axis(self.rows))}</th>{head}</tr></thead><tbody>{body}</tbody></table>'
        left = (
            f'<div class="aip-note">{show.left_out} pictures are left out here; save() has them all.</div>'
            if show.left_out
            else ""
        )
        return page(
            f'<style>{TABLE}</style><div class="aip-matrix" tabindex="0" role="region" aria-label="comparison">{table}</div>'
            f'{left}<div class="aip-note">{escape(self.caption)}</div>',
            label="comparison",
        )

    def _row(self, value: str, show: _Pictures) -> str:
        cells = [self.cells.get((value, col), Cell()) for col in self.col_values]
        first = next((_prompt(cell.runs[0]) for cell in cells if cell.runs), "")
        tds = "".join(f"<td>{_cell_html(cell, first, place, show)}</td>" for place, cell in enumerate(cells))
        return f'<tr><th scope="row" dir="auto">{escape(self.row_labels.get(value, value))}</th>{tds}</tr>'

    def save(self, path: str | Path, *, width: float = 180.0, dpi: int = 300, texts: bool = True) -> Path:
        """Write the matrix as .html, .pdf, .svg or .png, with caption and alternative text.

        Args:
            path: Where; the ending says the format.
            width: Width in millimetres (180 is two columns of most journals).
            dpi: Resolution of the pictures.
            texts: False leaves the prompts out.

        Raises:
            UsageError: another ending, or a width or resolution that makes no picture.
            MissingExtra: pdf, svg and png need the extra `analysis`.
        """
        target = Path(path)
        for name, value in (("width", width), ("dpi", dpi)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 100_000:
                raise UsageError(f"{name}={value!r} makes no picture.", hint="width is in millimetres, dpi per inch.")
        if not target.absolute().parent.is_dir():
            raise UsageError(f"There is no folder {target.parent}.", hint="Make it first.")
        if target.suffix.lower() in (".html", ".htm"):
            title = f"<title>{escape(self.caption)}</title>"
            document = (
                f'<!doctype html><html lang="en"><head><meta charset="utf-8">{title}<style>:root{{color-scheme:light dark}}'
                f"body{{margin:1.5rem}}{STYLE}.aip{{max-width:none}}.aip .aip-matrix{{max-height:none}}</style></head>"
                f"<body>{self.html(size=max(96, round(width / 25.4 * 96)), pictures=None)}</body></html>"
            )
            target.write_text(document, encoding="utf-8")
            return target
        from aipipe.ui.compare_figure import save_figure

        return save_figure(self, target, width=width, dpi=dpi, texts=texts)

    def __repr__(self) -> str:
        lines = [f"comparison: {self.caption}"]
        for value in self.row_values:
            counts = ", ".join(f"{col} {len(self.cells.get((value, col), Cell()).runs)}" for col in self.col_values)
            lines.append(f"  {self.row_labels.get(value, value)[:60]}: {counts}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/html": self.html(), "text/plain": repr(self)}


def compare(source: Any = None, rows: str = "input_id", cols: str = "config_name") -> Comparison:
    """Put runs side by side.

    Args:
        source: A store, folder, batch, runs, or frame with `run_id`; None: the project's store.
        rows: What a row is: a field of the record ("input_id", "seed", "safety_level", …), a task's model
            ("model_interception"), a label ("label_group"), or a column of the given frame.
        cols: What a column is, likewise.

    Raises:
        UsageError: nothing to compare, or an axis that the runs do not have.
    """
    listed = rows_of(source)
    if not listed:
        raise UsageError("There are no runs to compare.", hint="Run something first, or name another store.")
    runs = [Run(row.folder) for row in listed]
    row_of, col_of = _values(source, rows, runs), _values(source, cols, runs)
    cells: dict[tuple[str, str], Cell] = {}
    labels: dict[str, str] = {}
    for run, listing in zip(runs, listed, strict=True):
        row, col = row_of(run), col_of(run)
        cells.setdefault((row, col), Cell()).runs.append(run)
        labels.setdefault(row, listing.text or row if rows == "input_id" else row)
    return Comparison(rows, cols, _ordered(k[0] for k in cells), _ordered(k[1] for k in cells), cells, labels)


def _values(source: Any, axis: str, runs: list[Run]) -> Callable[[Run], str]:
    frame: pd.DataFrame | None = source if hasattr(source, "columns") else None
    if frame is not None and axis in frame.columns:
        column = frame[axis].astype(object).where(frame[axis].notna(), None)
        known = dict(zip(frame["run_id"].astype(str), column, strict=True))
        return lambda run: _word(known.get(run.run_id))
    if axis.startswith("model_"):
        return lambda run: _word(run.record.models.get(axis.removeprefix("model_")))
    if axis.startswith("label_"):
        return lambda run: _word(run.record.labels.get(axis.removeprefix("label_")))
    if not all(hasattr(run.record, axis) for run in runs):
        raise UsageError(
            f"The runs have no {axis!r}.",
            hint="Use input_id, config_name, seed, safety_level, model_interception, label_…",
        )
    return lambda run: _word(run.status if axis == "status" else getattr(run.record, axis))


def _models(record: Any) -> set[str]:
    """The models that a run used: those its steps name, else those it was planned with."""
    used = {step.model for step in record.steps if step.model}
    return used or {model.rstrip(":") for model in record.models.values() if model}


def _word(value: Any) -> str:
    return "(none)" if value is None or value == "" else str(value)


def _ordered(values: Any) -> list[str]:
    """Numbers by size, other values as they first appear."""
    found = list(dict.fromkeys(values))
    return sorted(found, key=int) if all(value.lstrip("-").isdigit() for value in found) else found


def _axis(name: str) -> str:
    return {"input_id": "input", "config_name": "config"}.get(name, name.replace("_", " "))


def _some(values: list[str], most: int = 6) -> str:
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(values[:most]) + more


def _prompt(run: Run) -> str:
    texts = [link.text for link in chain(run) if link.entity.type in ("interception", "interception_edit")]
    return texts[-1] if texts else ""


class _Pictures:
    """Makes pictures until the page has enough."""

    def __init__(self, size: int, most: int | None) -> None:
        self._size = size
        self._most = most
        self._made = 0
        self.left_out = 0

    def of(self, run: Run) -> str:
        if self._most is not None and self._made >= self._most:
            self.left_out += any(e.media_type == "image" for e in run.entities if e.type.startswith("output_"))
            return ""
        data, note = self._bytes(run)
        if not data:
            return f'<div class="aip-note">{escape(note)}</div>' if run.status == "completed" else ""
        self._made += 1
        seed = f"seed {run.record.seed}: " if run.record.seed is not None else ""
        alt = escape(f"{seed}{_prompt(run)[:200]}")
        return f'<img alt="{alt}" title="{escape(run.run_id)}" src="{data_uri(data, "image/webp")}">'

    def _bytes(self, run: Run) -> tuple[bytes, str]:
        if self._size <= 256:
            return Thumbnails(run.folder.parent, self._size).of(run.folder)
        entity = next((e for e in run.entities if e.type == "output_image"), None)
        return (thumbnail(entity.path, self._size, 400_000) or b"", "does not open") if entity else (b"", "no picture")


def _cell_html(cell: Cell, first: str, place: int, show: _Pictures) -> str:
    if not cell.runs:
        return '<span class="aip-note">no run</span>'
    pictures = "".join(show.of(run) for run in cell.runs)
    pills = "".join(pill(run.status) for run in cell.runs if run.status != "completed")
    prompts = list(dict.fromkeys(_prompt(run) for run in cell.runs))
    texts = "".join(text_block(prompt[:1_200]) for prompt in prompts[:3] if prompt)
    different = ""
    if place and prompts[0] and first and prompts[0] != first:
        different = folded("against the first column", word_diff(first, prompts[0]))
    steps = "".join(
        f'<div class="aip-label"><b>{escape(link.label)}</b></div>{text_block(link.text[:1_200])}'
        for link in chain(cell.runs[0])
        if link.text
    )
    return f'<div class="aip-pics">{pictures}</div>{pills}{texts}{different}{folded("prompt chain", steps)}'
