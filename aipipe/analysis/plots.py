"""Plots for a paper: each returns a matplotlib Figure, in colours that colour-blind readers can tell apart."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.analysis import figures
from aipipe.analysis.findings import check_columns, usable
from aipipe.analysis.measures import prompt_measures
from aipipe.analysis.rates import block_rates

if TYPE_CHECKING:
    import pandas as pd

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""The palette of Okabe and Ito (2008)."""
MARKERS = "osD^vPX*"
"""Shapes beside the colours: lines that lie on each other, and prints in grey, stay readable."""


def _figure(width: float = 6.0, height: float = 3.6) -> tuple[Any, Any]:
    figure = figures.figure(width, height)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_prop_cycle(color=list(COLOURS))
    return figure, axes


def _legend(figure: Any) -> None:
    """A legend beside the plot, where it covers no data."""
    figure.legend(loc="outside right upper", frameon=False)


def plot_drift(prompts: pd.DataFrame, by: str = "config_name") -> Any:
    """Lexical drift along the stages, mean per config with n."""
    check_columns(prompts, by)
    measured = prompts[[by]].join(prompt_measures(prompts))
    stages = ["drift_translation", "drift_interception", "drift_final"]
    figure, axes = _figure(width=7.5)
    for number, (name, rows) in enumerate(measured.groupby(by, observed=True)):
        look = {"marker": MARKERS[number % len(MARKERS)], "markersize": 9 - number % len(MARKERS) * 0.5, "alpha": 0.85}
        means = [rows[s].mean() for s in stages]
        axes.plot(range(3), means, **look, clip_on=False, label=f"{name} (n = {len(rows)})")
    axes.set_xticks(range(3), ["translation", "interception", "final prompt"])
    axes.set_ylim(0, 1)
    axes.set_ylabel("lexical drift")
    _legend(figure)
    return figure


def plot_step_times(steps: pd.DataFrame, by: str = "step") -> Any:
    """Seconds per step as box plots with n, on a logarithmic axis."""
    rows, _ = usable(steps, "seconds", by)
    rows = rows[rows["seconds"] > 0]
    # In the order in which a run takes them, from the top.
    order = rows[by].astype(str).drop_duplicates().tolist()[::-1]
    groups = [(name, rows.loc[rows[by].astype(str) == name, "seconds"].to_numpy()) for name in order]
    figure, axes = _figure(height=1.2 + 0.4 * len(groups))
    boxes = axes.boxplot([g for _, g in groups], orientation="horizontal", patch_artist=True, widths=0.6)
    for patch in boxes["boxes"]:
        patch.set_facecolor(COLOURS[4])
    for line in boxes["medians"]:
        line.set(color=COLOURS[7], linewidth=2)
    axes.set_yticks(range(1, len(groups) + 1), [f"{name} (n = {len(g)})" for name, g in groups])
    axes.set_xscale("log")
    axes.set_xlabel("seconds")
    return figure


def plot_block_rates(runs: pd.DataFrame) -> Any:
    """Block rates by config and safety level with Wilson intervals and n."""
    table = block_rates(runs).table
    figure, axes = _figure(height=1.2 + 0.4 * len(table))
    levels = list(dict.fromkeys(table["safety_level"].astype(str)))
    for place, row in enumerate(table.to_dict("records")):
        colour = COLOURS[levels.index(str(row["safety_level"])) % len(COLOURS)]
        spread = [[row["rate"] - row["low"]], [row["high"] - row["rate"]]]
        axes.errorbar(row["rate"], place, xerr=spread, fmt="o", color=colour, capsize=3, clip_on=False)
    names = [f"{r['config_name']}, {r['safety_level']} (n = {r['n']})" for r in table.to_dict("records")]
    axes.set_yticks(range(len(table)), names)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share blocked")
    return figure


def _row_label(text: str) -> str:
    """A text in at most three short lines, as many as stand beside a picture; ids are cut."""
    lines = textwrap.wrap(text, 24, break_long_words=False) if " " in text else [text[:16]]
    return "\n".join([*lines[:2], lines[2] + (" …" if len(lines) > 3 else "")] if len(lines) > 2 else lines)


def plot_ratings(ratings: pd.DataFrame, by: str = "criterion") -> Any:
    """Distribution of ratings per criterion, as shares with n."""
    rows, _ = usable(ratings, "value", by)
    figure, axes = _figure(width=7.5)
    groups = list(rows.groupby(by, observed=True))
    values = sorted(rows["value"].unique())
    for number, (name, group) in enumerate(groups):
        shares = group["value"].value_counts(normalize=True).reindex(values, fill_value=0)
        places = [i + (number - (len(groups) - 1) / 2) * 0.8 / len(groups) for i in range(len(values))]
        axes.bar(places, shares.to_numpy(), width=0.8 / len(groups), label=f"{name} (n = {len(group)})")
    axes.set_xticks(range(len(values)), [f"{v:g}" for v in values])
    axes.set_xlabel("rating")
    axes.set_ylabel("share")
    _legend(figure)
    return figure


def plot_images(
    media: pd.DataFrame,
    rows: str = "input_id",
    cols: str = "config_name",
    *,
    labels: Mapping[str, str] | None = None,
) -> Any:
    """Matrix of images: the first readable image of each cell.

    Args:
        media: Rows of `load_media`.
        rows: Column whose values are the rows.
        cols: Column whose values are the columns.
        labels: What to write beside a row instead of its value: an input's text instead of its id.
    """
    from PIL import Image

    check_columns(media, "readable", "media_type")
    found, _ = usable(media[media["readable"].fillna(False).astype(bool)], rows, cols, "filename", "folder")
    found = found[found["media_type"] == "image"]
    down, across = sorted(found[rows].astype(str).unique()), sorted(found[cols].astype(str).unique())
    figure = figures.figure(1.8 * len(across) + 0.6, 1.8 * len(down) + 0.4, photographic=True)
    grid = figure.subplots(len(down), len(across), squeeze=False)
    for i, row in enumerate(down):
        for j, col in enumerate(across):
            axes = grid[i][j]
            axes.set_xticks([])
            axes.set_yticks([])
            if i == 0:
                axes.set_title(col, fontsize=9)
            if j == 0:
                axes.set_ylabel(_row_label((labels or {}).get(row, row)), fontsize=8)
            cell = found[(found[rows].astype(str) == row) & (found[cols].astype(str) == col)]
            axes.spines[:].set_visible(False)
            if len(cell):
                holder = Path(str(cell["folder"].iloc[0]))
                # An older record may be a single file; its media then lie beside it.
                folder = holder if holder.is_dir() else holder.parent
                with Image.open(folder / str(cell["filename"].iloc[0])) as image:
                    axes.imshow(image.convert("RGB").resize((256, 256)))
    return figure
