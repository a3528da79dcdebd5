"""Runs side by side: a matrix of inputs × configs (or seeds, levels, models), with pictures, prompts and what differs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aipipe.display.html import STYLE, escape, page
from aipipe.errors import UnknownName, UsageError
from aipipe.store import Run
from aipipe.ui.axes import ALIASES, values_of
from aipipe.ui.compare_cells import Cell, Pictures, aligned, cell_html
from aipipe.ui.gallery_rows import rows_of

PICTURES = 80
"""Most pictures of a matrix in a notebook: at 4 to 12 kB each the cell stays below 1 MB. A saved page has them all."""

TABLE = """
.aip-matrix{overflow:auto;max-height:48rem;border:1px solid var(--aip-line);border-radius:8px}
.aip .aip-matrix table{border-collapse:separate;border-spacing:0;margin:0;font-size:.95em}
.aip .aip-matrix th{position:sticky;background:var(--jp-layout-color1,var(--vscode-editor-background,Canvas));z-index:1;padding:.4rem .6rem;color:inherit}
.aip .aip-matrix thead th{top:0;z-index:2}.aip .aip-matrix tbody th{left:0;max-width:14rem;min-width:8rem;font-weight:500}
.aip .aip-matrix thead th:first-child{left:0;z-index:3}
.aip .aip-matrix .aip-chain-row td{max-width:none}.aip .aip-matrix .aip-chains th{position:static}
.aip .aip-matrix td{padding:.5rem .6rem;min-width:13rem;max-width:24rem;vertical-align:top}
.aip-pics{display:flex;flex-wrap:wrap;gap:.3rem}.aip-pics img{max-width:100%;height:auto}.aip-pics audio{width:100%;min-width:12rem}
""".strip().replace("\n", "")


@dataclass
class Comparison:
    """A matrix of runs. Made by `aipipe.compare(…)`; shows itself and saves itself as a figure.

    Attributes:
        rows, cols: What the axes are.
        row_values, col_values: Their values, in order.
        cells: (row value, column value) → runs.
        row_labels: Row value → what a person reads.
        left_out: Excluded runs that are not shown.
        reference: Column that the others are told apart from.
    """

    rows: str
    cols: str
    row_values: list[str]
    col_values: list[str]
    cells: dict[tuple[str, str], Cell]
    row_labels: dict[str, str]
    left_out: int = 0
    reference: str = ""

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
            f"{self.left_out} excluded runs left out" if self.left_out else "",
        ]
        return "; ".join(part for part in parts if part) + "."

    def html(self, *, size: int = 192, pictures: int | None = PICTURES) -> str:
        """The matrix as self-contained HTML without script.

        Args:
            size: Longest side of a picture in pixels.
            pictures: Most pictures; None for all.
        """
        show = Pictures(size, pictures)
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

    def _row(self, value: str, show: Pictures) -> str:
        cells = [self.cells.get((value, col), Cell()) for col in self.col_values]
        place = self.col_values.index(self.reference) if self.reference in self.col_values else 0
        base = cells[place].runs[:1] or next((cell.runs[:1] for cell in cells if cell.runs), [])
        tds = "".join(f"<td>{cell_html(cell, show)}</td>" for cell in cells)
        label = escape(self.row_labels.get(value, value))
        return f'<tr><th scope="row" dir="auto">{label}</th>{tds}</tr>{aligned(cells, base[0] if base else None, len(cells))}'

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


def compare(
    source: Any = None,
    rows: str = "input_id",
    cols: str = "config_name",
    *,
    reference: str | None = None,
    excluded: bool = False,
) -> Comparison:
    """Put runs side by side.

    Args:
        source: A store, folder, batch, runs, or frame with `run_id`; None: the project's store.
        rows: What a row is: a field of the record ("input_id", "seed", "safety_level", …), a task's model
            ("model_interception"), a label ("label_group"), or a column of the given frame; "config", "input", "level", "mode"
            and "model" for short.
        cols: What a column is, likewise.
        reference: Column that the texts of the others are compared with, step by step; None takes the first.
        excluded: True shows excluded runs too; otherwise the caption says how many were left out.

    Raises:
        UsageError: nothing to compare.
        UnknownName: an axis that the runs do not have, or a reference that is no column.
    """
    found = rows_of(source)
    listed = [row for row in found if excluded or not row.excluded]
    if not listed:
        why = (
            "All of them are excluded: compare(…, excluded=True)."
            if found
            else "Run something first, or name another store."
        )
        raise UsageError("There are no runs to compare.", hint=why)
    runs = [Run(row.folder) for row in listed]
    row_of, col_of = values_of(source, rows, runs), values_of(source, cols, runs)
    rows, cols = ALIASES.get(rows, rows), ALIASES.get(cols, cols)
    cells: dict[tuple[str, str], Cell] = {}
    labels: dict[str, str] = {}
    for run, listing in zip(runs, listed, strict=True):
        row, col = row_of(run), col_of(run)
        cells.setdefault((row, col), Cell()).runs.append(run)
        labels.setdefault(row, listing.text or row if rows == "input_id" else row)
    columns = _ordered(k[1] for k in cells)
    if reference is not None and reference not in columns:
        raise UnknownName("column", reference, columns)
    left_out = len(found) - len(listed)
    return Comparison(
        rows, cols, _ordered(k[0] for k in cells), columns, cells, labels, left_out, reference or columns[0]
    )


def _models(record: Any) -> set[str]:
    """The models that a run used: those its steps name, else those it was planned with."""
    used = {step.model for step in record.steps if step.model}
    return used or {model.rstrip(":") for model in record.models.values() if model}


def _ordered(values: Any) -> list[str]:
    """Numbers by size, other values as they first appear."""
    found = list(dict.fromkeys(values))
    return sorted(found, key=int) if all(value.lstrip("-").isdigit() for value in found) else found


def _axis(name: str) -> str:
    return {"input_id": "input", "config_name": "config"}.get(name, name.replace("_", " "))


def _some(values: list[str], most: int = 6) -> str:
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(values[:most]) + more
