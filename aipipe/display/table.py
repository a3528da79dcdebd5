"""Small tables of plain values, as HTML and as text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def table_html(rows: Sequence[dict[str, str]]) -> str:
    """Rows as an HTML table; every value is escaped."""
    if not rows:
        return "<p>nothing</p>"
    head = "".join(f"<th scope='col' style='text-align:left'>{escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>"
        + "".join(f"<td style='text-align:left;vertical-align:top'>{escape(v)}</td>" for v in row.values())
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def table_text(rows: Sequence[dict[str, str]]) -> str:
    """Rows as aligned text, one line each."""
    if not rows:
        return "nothing"
    names = list(rows[0])
    width = {n: min(60, max(len(n), *(len(r[n]) for r in rows))) for n in names}
    lines = ["  ".join(n.ljust(width[n]) for n in names)]
    lines += ["  ".join(r[n].replace("\n", " ")[: width[n]].ljust(width[n]) for n in names).rstrip() for r in rows]
    return "\n".join(lines)
