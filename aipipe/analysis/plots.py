"""Plots for a paper: each returns a matplotlib Figure, in colours that colour-blind readers can tell apart."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.analysis import figures
from aipipe.analysis.comparing import interval
from aipipe.analysis.findings import check_columns, usable
from aipipe.analysis.measures import prompt_measures
from aipipe.analysis.rates import block_rates
from aipipe.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""The palette of Okabe and Ito (2008)."""
MARKERS = "osD^vPX*"
"""Shapes beside the colours: points stay apart in prints in grey."""
_STAGES = {
    "drift_translation": "translation",
    "drift_interception": "interception",
    "drift_final": "final prompt",
}
_LEVELS = ("kids", "youth", "adult", "off")
"""Safety levels from the strictest."""
_FEW = 10
"""Values that a box would hide rather than sum up; they are drawn one by one as well."""
_HERE, _KEPT = "\N{ZERO WIDTH SPACE}", "\N{NO-BREAK SPACE}"
_SCALE = 11
"""Most values of a rating scale that are drawn one by one; a slider is drawn as boxes."""


def _figure(width: float = 6.0, height: float = 3.6, **panels: Any) -> tuple[Any, Any]:
    figure = figures.figure(width, height)
    axes = figure.subplots(**panels)
    for one in axes.flat if panels else [axes]:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _rows_height(rows: int) -> float:
    """Inches for so many labelled rows and an axis."""
    return 1.0 + 0.3 * max(rows, 2)


def _label_rows(axes: Any, names: Sequence[str]) -> None:
    """Names beside the rows, the first one at the top; long ones are wrapped."""
    wrapped = [_wrapped(name) for name in names]
    size = 7 if any("\n" in name for name in wrapped) else 9
    axes.set_yticks(range(len(names)), wrapped, fontsize=size, linespacing=1.05)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _named(name: Any, n: int) -> str:
    return f"{name} (n = {n})"


def _wrapped(text: str, width: int = 34, lines: int = 2) -> str:
    """A text in few lines, broken at spaces and underscores, never before n; what is left out is marked."""
    # textwrap breaks at spaces only: an underscore gets one, the spaces of "n = 4" are none meanwhile.
    breakable = text.replace("_", f"_{_HERE} ").replace(" = ", f"{_KEPT}={_KEPT}")
    parts = textwrap.wrap(breakable, width) or [text]
    if len(parts) > lines:
        parts = [*parts[: lines - 1], parts[lines - 1] + " …"]
    return "\n".join(parts).replace(f"{_HERE} ", "").replace(_HERE, "").replace(_KEPT, " ")


def plot_drift(prompts: pd.DataFrame, by: str = "config_name", *, confidence: float = 0.95) -> Any:
    """Lexical drift along the stages, a panel each: mean per config with a bootstrap interval over inputs, and n.

    Repeats of an input are averaged first. A stage without texts has no panel.

    Args:
        prompts: `load_prompts()`.
        by: Column whose values are the rows.
        confidence: Level of the intervals.

    Raises:
        InvalidInput: no stage changed any text.
    """
    rows, _ = usable(prompts, by)
    measured = rows[[by]].assign(_input=rows.get("input_id")).join(prompt_measures(rows))
    measured["_input"] = measured["_input"].astype(object).where(measured["_input"].notna(), measured.index.astype(str))
    stages = [stage for stage in _STAGES if measured[stage].notna().any()]
    if not stages:
        raise InvalidInput(
            "No row has the texts before and after a stage.", hint='Look at prompts[["original", "interception"]].'
        )
    means = measured.groupby([by, "_input"], observed=True)[stages].mean()
    names = sorted(means.index.get_level_values(0).unique(), key=str)
    figure, panels = _figure(7.5, _rows_height(len(names)), ncols=len(stages), sharey=True, sharex=True, squeeze=False)
    for axes, stage in zip(panels[0], stages, strict=True):
        for place, name in enumerate(names):
            values = means.loc[name, stage].dropna().to_numpy()
            if len(values):
                low, high = interval(values, confidence, resamples=2000)
                _point(axes, float(values.mean()), low, high, place, 0)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_title(_STAGES[stage], fontsize=10)
        axes.grid(axis="x", color="0.9")
    figure.get_layout_engine().set(wspace=0.06)
    counts = means.notna().any(axis=1).groupby(level=0, observed=True).sum()
    _label_rows(panels[0][0], [_named(name, counts[name]) for name in names])
    figure.supxlabel("lexical drift from the text before (0: same words, 1: none shared)", fontsize=9)
    return figure


def _point(axes: Any, value: float, low: float, high: float, place: float, look: int) -> None:
    """A value with its interval, in a colour and shape of its own."""
    spread = [[max(0.0, value - low)], [max(0.0, high - value)]]
    colour, marker = COLOURS[look % len(COLOURS)], MARKERS[look % len(MARKERS)]
    axes.errorbar(value, place, xerr=spread, fmt=marker, color=colour, capsize=3, clip_on=False, zorder=3)


def plot_step_times(steps: pd.DataFrame, by: str = "step") -> Any:
    """Seconds per step as box plots with n, on a logarithmic axis; fewer than ten values are shown one by one too.

    Raises:
        InvalidInput: no step took time.
    """
    rows, _ = usable(steps, "seconds", by)
    rows = rows[rows["seconds"] > 0]
    if rows.empty:
        raise InvalidInput("No step took any time.", hint="Reused steps take none; load runs that were not reused.")
    # In the order in which a run takes them, from the top.
    names = rows[by].astype(str).drop_duplicates().tolist()
    groups = [rows.loc[rows[by].astype(str) == name, "seconds"].to_numpy(dtype=float) for name in names]
    figure, axes = _figure(height=_rows_height(len(groups)))
    _boxes(axes, groups)
    _label_rows(axes, [_named(name, len(g)) for name, g in zip(names, groups, strict=True)])
    axes.set_xscale("log")
    _plain_ticks(axes, min(g.min() for g in groups), max(g.max() for g in groups))
    axes.set_xlabel("seconds")
    return figure


def _boxes(axes: Any, groups: Sequence[Any]) -> None:
    boxes = axes.boxplot(
        groups, positions=range(len(groups)), orientation="horizontal", patch_artist=True, widths=0.6,
        flierprops={"marker": ".", "markersize": 5},
    )  # fmt: skip
    for patch in boxes["boxes"]:
        patch.set_facecolor(COLOURS[4])
    for line in boxes["medians"]:
        line.set(color=COLOURS[7], linewidth=2)
    for place, values in enumerate(groups):
        if len(values) < _FEW:
            axes.plot(values, [place] * len(values), "o", color=COLOURS[0], markersize=4, alpha=0.7, zorder=3)


def _plain_ticks(axes: Any, low: float, high: float) -> None:
    """0.1, 1, 10 instead of powers; 2 and 5 between them where the axis is short."""
    import math

    from matplotlib import ticker

    decades = math.log10(high / low) if high > low else 0.0
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0,) if decades > 2.5 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    if decades < 0.5:
        axes.set_xlim(low / 2, high * 2)


def plot_block_rates(runs: pd.DataFrame) -> Any:
    """Block rates by config and safety level, the strictest first, with Wilson intervals and n."""
    table = block_rates(runs).table
    known = {level: place for place, level in enumerate(_LEVELS)}
    rank = table["safety_level"].astype(str).map(lambda level: known.get(level, len(known)))
    table = table.assign(_rank=rank, _config=table["config_name"].astype(str)).sort_values(["_config", "_rank"])
    figure, axes = _figure(height=_rows_height(len(table)))
    names = []
    for place, row in enumerate(table.to_dict("records")):
        _point(axes, row["rate"], row["low"], row["high"], place, row["_rank"])
        first = place == 0 or row["_config"] != table["_config"].iloc[place - 1]
        names.append(_named(f"{row['_config']}, {row['safety_level']}" if first else row["safety_level"], row["n"]))
        if first and place and len(table) > table["_config"].nunique():
            axes.axhline(place - 0.5, color="0.85", linewidth=0.8)
    _label_rows(axes, names)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share blocked")
    return figure


def _row_label(text: str) -> str:
    """A text in at most three short lines, as many as stand beside a picture; ids are cut."""
    lines = textwrap.wrap(text, 24, break_long_words=False) if " " in text else [text[:16]]
    return "\n".join([*lines[:2], lines[2] + (" …" if len(lines) > 3 else "")] if len(lines) > 2 else lines)


def plot_ratings(ratings: pd.DataFrame, by: str = "criterion", *, value: str = "value") -> Any:
    """Distribution of ratings with n: a bar per criterion, split into shares, from dark (low) to light (high).

    A single criterion has a column per value; a scale of more than eleven values is drawn as boxes. Values of a scale
    of whole numbers that nobody gave keep their place.

    Args:
        ratings: `load_ratings()`.
        by: Column whose values are the rows: criterion, config_name, rater …
        value: Column of the rating; words are drawn in alphabetical order.
    """
    import pandas as pd

    rows, _ = usable(ratings, value, by)
    groups = [(str(name), group[value]) for name, group in rows.groupby(by, observed=True)]
    scale = _scale(rows[value])
    labels = [_named(name, len(group)) for name, group in groups]
    if len(scale) > _SCALE and pd.api.types.is_numeric_dtype(rows[value]):
        figure, axes = _figure(height=_rows_height(len(groups)))
        _boxes(axes, [group.to_numpy(dtype=float) for _, group in groups])
        _label_rows(axes, labels)
        axes.set_xlabel("rating")
        return figure
    shares = [
        group.value_counts(normalize=True).reindex(scale, fill_value=0).to_numpy(dtype=float) for _, group in groups
    ]
    said = [f"{v:g}" if isinstance(v, int | float) else str(v) for v in scale]
    if len(groups) == 1:
        figure, axes = _figure()
        axes.bar(range(len(scale)), shares[0], width=0.8, color=COLOURS[0])
        axes.set_xticks(range(len(scale)), [_wrapped(text, 14) for text in said])
        axes.set_xlabel("rating")
        axes.set_ylabel("share")
        axes.set_title(labels[0], fontsize=10)
        return figure
    figure, axes = _figure(width=7.5, height=_rows_height(len(groups)) + 0.4)
    _shares(axes, shares, said)
    _label_rows(axes, labels)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of ratings")
    figure.legend(loc="outside upper center", ncols=min(len(said), 11 if max(map(len, said)) < 4 else 4), frameon=False,
                  handlelength=1, columnspacing=1, title="rating", title_fontsize=9)  # fmt: skip
    return figure


def _scale(values: Any) -> list[Any]:
    """The values of a scale in order; whole numbers without gaps."""
    given = sorted(values.unique().tolist(), key=lambda v: v if isinstance(v, int | float) else str(v))
    if all(isinstance(v, int | float) and float(v).is_integer() for v in given):
        return [float(v) for v in range(int(given[0]), int(given[-1]) + 1)] if given[-1] - given[0] <= 100 else given
    return given


def _shares(axes: Any, shares: Sequence[Any], said: Sequence[str]) -> None:
    """Stacked bars in a row of colours that darkens evenly, also in print without colours; large shares are written."""
    from matplotlib import colormaps

    colours = colormaps["cividis"]
    for number, text in enumerate(said):
        tone = number / max(1, len(said) - 1)
        widths = [row[number] for row in shares]
        starts = [row[:number].sum() for row in shares]
        axes.barh(
            range(len(shares)), widths, left=starts, height=0.75, color=colours(tone), edgecolor="white", label=text
        )
        for place, (start, width) in enumerate(zip(starts, widths, strict=True)):
            if width >= 0.08:
                ink = "white" if tone < 0.5 else "black"
                axes.text(start + width / 2, place, f"{width:.0%}", ha="center", va="center", color=ink, fontsize=8)


def plot_images(
    media: pd.DataFrame,
    rows: str = "input_id",
    cols: str = "config_name",
    *,
    labels: Mapping[str, str] | None = None,
    most: int = 24,
) -> Any:
    """Matrix of images: the first readable image of each cell.

    A figure for a page: more rows or columns than `most` are left out, and the figure says so.

    Args:
        media: Rows of `load_media`.
        rows: Column whose values are the rows.
        cols: Column whose values are the columns.
        labels: What to write beside a row instead of its value: an input's text instead of its id.
        most: Most rows, and most columns.
    """
    from PIL import Image

    check_columns(media, "readable", "media_type")
    found, _ = usable(media[media["readable"].fillna(False).astype(bool)], rows, cols, "filename", "folder")
    found = found[found["media_type"] == "image"]
    if found.empty:
        raise InvalidInput("No readable image is there.", hint='Look at media[["media_type", "readable", "problem"]].')
    every = {name: sorted(found[name].astype(str).unique()) for name in (rows, cols)}
    down, across = every[rows][:most], every[cols][:most]
    side = min(1.8, 16 / len(across), max(1.0, 24 / len(down)))
    figure = figures.figure(side * len(across) + 0.6, side * len(down) + 0.5, photographic=True)
    left = [f"{most} of {len(names)} {name}" for name, names in every.items() if len(names) > most]
    if left:
        figure.supxlabel(f"shown: {', '.join(left)}", fontsize=9)
    grid = figure.subplots(len(down), len(across), squeeze=False)
    for i, row in enumerate(down):
        for j, col in enumerate(across):
            axes = grid[i][j]
            axes.set_xticks([])
            axes.set_yticks([])
            if i == 0:
                axes.set_title(_wrapped(col, max(8, int(side * 12)), 3), fontsize=9 if side > 1.2 else 7)
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
