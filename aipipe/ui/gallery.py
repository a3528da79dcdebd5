"""A gallery of runs: a grid that scrolls through tens of thousands, filters, tags, and gives its selection to Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from aipipe.annotations import Annotations
from aipipe.display.html import escape, page, pill
from aipipe.display.media_view import data_uri
from aipipe.errors import AipipeError
from aipipe.ui import front_end
from aipipe.ui.detail import detail_of
from aipipe.ui.gallery_rows import Row, describe, pack, rows_of
from aipipe.ui.thumbnails import Thumbnails

if TYPE_CHECKING:
    import pandas as pd

    from aipipe.lab.runs import Runs

STATIC_RUNS = 24
"""Runs in the static form; their thumbnails stay below 100 kB together."""

AT_ONCE = 200
"""Most thumbnails of one answer."""


class Gallery(anywidget.AnyWidget):
    """Many runs in one cell. Made by `aipipe.gallery(…)`.

    Attributes:
        height: Height of the grid in pixels.
        chosen: Positions of the selected runs.
    """

    _esm = front_end.asset("gallery.js")
    _css = front_end.asset("gallery.css")
    rows = traitlets.Bytes(b"").tag(sync=True)
    height = traitlets.Int(560).tag(sync=True)
    chosen: traitlets.List[int] = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, rows: list[Row], height: int = 560) -> None:
        self._rows = rows
        self._thumbnails: dict[Path, Thumbnails] = {}
        super().__init__(rows=pack(rows), height=height)
        self.on_msg(self._message)
        front_end.answer_while_busy(self)

    @property
    def selected(self) -> Runs:
        """The selected runs, in the order of the gallery; they have `.frame()`, `.compare()`."""
        from aipipe.lab.runs import Runs
        from aipipe.store import Run

        return Runs(Run(self._rows[i].folder) for i in sorted(self.chosen) if 0 <= i < len(self._rows))

    @property
    def selected_ids(self) -> list[str]:
        """Ids of the selected runs."""
        return [self._rows[i].run_id for i in sorted(self.chosen) if 0 <= i < len(self._rows)]

    @property
    def frame(self) -> pd.DataFrame:
        """The selected runs as `aipipe.load_runs` gives them; all runs when none is selected."""
        from aipipe.analysis import load_runs

        roots = sorted({row.folder.parent for row in self._rows})
        if not roots:
            import pandas as pd

            return pd.DataFrame({"run_id": []})
        ids = self.selected_ids or [row.run_id for row in self._rows]
        found = load_runs(roots)
        chosen: pd.DataFrame = found[found["run_id"].isin(ids)]
        return chosen

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<Gallery {describe(self._rows)}>"

    def _ipython_display_(self) -> None:
        """Shows the widget over its static form, which stays in the notebook."""
        front_end.show(self, self._static_form())

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return super()._repr_mimebundle_(**kwargs) if front_end.live() else self._static_form()

    def _static_form(self) -> dict[str, str]:
        return {"text/html": static_html(self._rows), "text/plain": repr(self)}

    def _message(self, widget: Any, content: Any, buffers: Any) -> None:
        """Answer the page. Whatever goes wrong is said in the page: an exception here would be seen by nobody."""
        if not isinstance(content, dict):
            return
        answer = {"thumbs": self._thumbs, "detail": self._detail, "annotate": self._annotate}.get(
            str(content.get("type"))
        )
        if answer is None:
            return
        try:
            answer(content)
        except (AipipeError, OSError, ValueError, TypeError) as error:
            self.send({"type": "error", "message": str(error)})

    def _positions(self, content: dict[str, Any], most: int) -> list[int]:
        wanted = [int(i) for i in content.get("rows", [])]
        return [i for i in wanted if 0 <= i < len(self._rows)][:most]

    def _thumbs(self, content: dict[str, Any]) -> None:
        positions = self._positions(content, AT_ONCE)
        made = [self.thumbnail(i) for i in positions]
        self.send(
            {"type": "thumbs", "rows": positions, "notes": [note for _, note in made]},
            buffers=[data for data, _ in made],
        )

    def thumbnail(self, position: int) -> tuple[bytes, str]:
        """The small picture of a row, or why there is none."""
        folder = self._rows[position].folder
        kept = self._thumbnails.setdefault(folder.parent, Thumbnails(folder.parent))
        return kept.of(folder)

    def _detail(self, content: dict[str, Any]) -> None:
        for position in self._positions(content, 1):
            found, picture, sound = detail_of(self._rows[position].folder)
            self.send({"type": "detail", "row": position, "detail": found}, buffers=[picture, sound])

    def _annotate(self, content: dict[str, Any]) -> None:
        """Tag, star or exclude, as append-only lines beside the runs."""
        act, value = str(content.get("act")), str(content.get("value") or "").strip()
        positions = self._positions(content, len(self._rows))
        for position in positions:
            row = self._rows[position]
            apply_act(Annotations(row.folder.parent), row, act, value)
        changed = [[self._rows[i].tags, self._rows[i].starred, self._rows[i].excluded] for i in positions]
        self.send({"type": "annotated", "rows": positions, "changed": changed})


def apply_act(notes: Annotations, row: Row, act: str, value: str) -> None:
    """One act on one run: recorded first, then shown.

    Raises:
        UsageError: an empty tag, an exclusion without a reason.
        RecordingError: the disk refused.
    """
    if act in ("star", "unstar"):
        notes.star(row.run_id, on=act == "star")
        row.starred = act == "star"
    elif act == "exclude":
        notes.exclude(row.run_id, value)
        row.excluded = True
    elif act == "include":
        notes.include(row.run_id)
        row.excluded = False
    elif act == "tag":
        names = [name.strip() for name in value.split(",") if name.strip()]
        notes.tag(row.run_id, names)
        row.tags = list(dict.fromkeys([*row.tags, *names]))
    elif act == "untag":
        notes.untag(row.run_id, [value])
        row.tags = [tag for tag in row.tags if tag != value]
    else:
        raise ValueError(f"no act {act!r}")


def gallery(source: Any = None, *, height: int = 560) -> Gallery:
    """Show runs as a grid of pictures.

    Filters, sorting and search work in the page; arrows, Enter, Space, s, t, x by keyboard. Selected runs are
    `gallery.selected` (runs) and `gallery.frame` (one row per run).

    Args:
        source: A store, folder, batch, run, list of runs, or frame with `run_id`; None: the project's store.
        height: Height of the grid in pixels.

    Returns:
        The gallery; a program that executes notebooks stores its first runs as plain HTML.

    Raises:
        UsageError, RunNotFound: nothing that holds runs.
    """
    return Gallery(rows_of(source), height)


def static_html(rows: list[Row], most: int = STATIC_RUNS) -> str:
    """The first runs as a page without script."""
    stores: dict[Path, Thumbnails] = {}
    cells = "".join(_cell(row, stores) for row in rows[:most])
    rest = f'<div class="aip-note">and {len(rows) - most:,} more</div>' if len(rows) > most else ""
    grid = f'<div style="display:flex;flex-wrap:wrap;gap:.6rem">{cells}</div>'
    return page(
        f'<div class="aip-head"><span class="aip-facts">{describe(rows)}</span></div>{grid}{rest}', label="runs"
    )


def _cell(row: Row, stores: dict[Path, Thumbnails]) -> str:
    kept = stores.setdefault(row.folder.parent, Thumbnails(row.folder.parent, 96))
    data, note = kept.of(row.folder)
    alt = escape(row.prompt or row.text or row.run_id)
    style = "width:112px;height:112px;object-fit:cover;border-radius:6px;background:var(--aip-soft)"
    picture = (
        f'<img alt="{alt}" src="{data_uri(data, "image/webp")}" style="{style}">'
        if data
        else f'<div style="{style};padding:.4rem;overflow:hidden" class="aip-note">{escape(note)}</div>'
    )
    status = "" if row.status == "completed" else pill(row.status)
    return (
        f'<figure style="margin:0;width:112px">{picture}<figcaption class="aip-note" style="overflow-wrap:anywhere">'
        f"{escape(row.config)} {status}<br>{escape(row.text[:60])}</figcaption></figure>"
    )
