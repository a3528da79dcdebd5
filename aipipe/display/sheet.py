"""A small sheet for values that are no run: a title, a state, a table, notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aipipe.display.html import escape, page, pill

ROWS = 200
"""Most rows of a table in a cell; the rest is counted."""


def sheet(
    title: str,
    *,
    state: tuple[str, str] | None = None,
    facts: str = "",
    head: Sequence[str] = (),
    rows: Iterable[Sequence[Any]] = (),
    notes: Iterable[str] = (),
    label: str = "",
) -> str:
    """HTML of a value; everything given is escaped.

    Args:
        title: What it is.
        state: A word and the kind that colours it ("completed", "failed", …).
        facts: A dim line beside the title.
        head: Names of the columns.
        rows: Cells of the table.
        notes: Lines below the table.
        label: Name of the group for screen readers; the title if "".
    """
    shown = f'<div class="aip-head"><span class="aip-title">{escape(title)}</span>'
    shown += (pill(*state) if state else "") + f'<span class="aip-facts">{escape(facts)}</span></div>'
    listed = [list(row) for row in rows]
    if listed:
        shown += _table(head, listed)
    shown += "".join(f'<div class="aip-note" dir="auto">{escape(note)}</div>' for note in notes)
    return page(shown, label=label or title)


def sheet_bundle(text: str, title: str, **parts: Any) -> dict[str, Any]:
    """The rich display of a value: `sheet(title, **parts)` and `text`."""
    return {"text/html": sheet(title, **parts), "text/plain": text}


def _table(head: Sequence[str], rows: list[list[Any]]) -> str:
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td dir="auto">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows[:ROWS]
    )
    more = f'<div class="aip-note">… and {len(rows) - ROWS:,} more rows</div>' if len(rows) > ROWS else ""
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>{more}"
