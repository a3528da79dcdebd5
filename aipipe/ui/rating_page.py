"""The page of a rater: in a cell, or packed into one file. Nothing in it names a condition."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from pydantic import BaseModel, Field

from aipipe import timestamps
from aipipe.display.bare import PICTURE, PLAYED, bare_media, bare_picture
from aipipe.display.html import escape, page, text_block
from aipipe.errors import AipipeError, InvalidInput
from aipipe.store import Entity, Run
from aipipe.ui import front_end
from aipipe.ui.rating import RatingTask, Shown, key_of, told
from aipipe.ui.rating_items import Item

STATIC_PLACES, STATIC_PICTURE = 3, 240
"""How many places a page without a kernel shows, and how large."""


class Rater(anywidget.AnyWidget):
    """The rating page in a cell. Made by `task.rate("anna")`.

    Attributes:
        task: Criteria, scale, kind and length, as the page needs them.
        done: Positions that have an answer.
    """

    _esm = front_end.asset("rating.js")
    _css = front_end.asset("rating.css")
    task = traitlets.Dict().tag(sync=True)
    done: traitlets.List[int] = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, task: RatingTask, rater: str) -> None:
        self._task, self._rater = task, rater
        self._order = task.order(rater)
        known = task.answered(rater)
        done = [s.position for s in self._order if (key_of(s.item, s.other), s.repeat) in known]
        super().__init__(task=outline(task, len(self._order)), done=done)
        self.on_msg(self._message)
        front_end.answer_while_busy(self)

    def _message(self, widget: Any, content: Any, buffers: Any) -> None:
        if not isinstance(content, dict):
            return
        try:
            position = int(content.get("position", -1))
            if not 0 <= position < len(self._order):
                return
            if content.get("type") == "show":
                parts, pictures = contents(self._task, self._order[position])
                given = self._task.answered(self._rater).get(_place(self._order[position]), {})
                self.send({"type": "item", "position": position, "parts": parts, "given": given}, buffers=pictures)
            elif content.get("type") == "answer":
                self._task.record(
                    self._rater, self._order[position], dict(content.get("answers") or {}),
                    seconds=float(content.get("seconds") or 0), comment=str(content.get("comment") or "")[:2_000],
                )  # fmt: skip
                self.done = sorted({*self.done, position})
                self.send({"type": "saved", "position": position})
        except (AipipeError, OSError, ValueError, TypeError) as error:
            self.send({"type": "error", "message": str(error)})

    def __repr__(self) -> str:
        return f"<Rater {self._rater!r} of {self._task.name!r}: {len(self.done)} of {len(self._order)} answered>"

    def _ipython_display_(self) -> None:
        """Shows the widget over its static form, which stays in the notebook."""
        front_end.show(self, self._static_form())

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return super()._repr_mimebundle_(**kwargs) if front_end.live() else self._static_form()

    def _static_form(self) -> dict[str, str]:
        return {"text/html": self._static(), "text/plain": repr(self)}

    def _static(self) -> str:
        """The question and the first things to rate, as blind as the page itself; answering needs a kernel."""
        asked = self._task
        scale = "left, right or equal" if asked.kind == "pairwise" else f"1 to {asked.scale}"
        body = (
            f'<div class="aip-head"><span class="aip-title">{escape(", ".join(asked.criteria))}: {scale}</span>'
            f'<span class="aip-facts">{len(self.done)} of {len(self._order)} answered by {escape(self._rater)}</span></div>'
        )
        for place in self._order[:STATIC_PLACES]:
            parts, pictures = contents(asked, place, STATIC_PICTURE)
            shown = "".join(_figure(part, picture) for part, picture in zip(parts, pictures, strict=True))
            body += f'<div class="aip-media" style="margin-bottom:.6rem">{shown}</div>'
        return page(body + '<div class="aip-note">Answering needs a running kernel, or a packed page.</div>')


def _place(shown: Shown) -> tuple[str, bool]:
    return key_of(shown.item, shown.other), shown.repeat


def _figure(part: dict[str, Any], picture: bytes) -> str:
    """One thing to rate, with what the page itself shows beside it: the input, and a name where a task is not blind."""
    beside = "".join(
        f'<div class="aip-facts" dir="auto">{escape(part[key])}</div>' for key in ("name", "input") if part.get(key)
    )
    if not picture:
        return beside + text_block(part["text"])
    kind = part["mime"].partition("/")[0]
    if kind != "image":
        return f'{beside}<div class="aip-note">a {"film" if kind == "video" else "sound"} to rate</div>'
    source = f"data:image/webp;base64,{base64.b64encode(picture).decode()}"
    return f'<figure style="max-width:{STATIC_PICTURE}px">{beside}<img alt="picture to rate" src="{source}"></figure>'


def outline(task: RatingTask, count: int) -> dict[str, Any]:
    """What a page must know of a task: no item, no order, no condition."""
    return {"kind": task.kind, "criteria": list(task.criteria), "scale": task.scale, "count": count}


def contents(task: RatingTask, shown: Shown, size: int = PICTURE) -> tuple[list[dict[str, str]], list[bytes]]:
    """The one or two things to show: texts and MIME types, and pictures, sounds or films without a trace of their origin.

    Raises:
        MissingExtra: there are sounds or films, and PyAV is not installed.
        BadMedia: one of them does not open, or no browser plays it.
    """
    parts: list[dict[str, str]] = []
    media: list[bytes] = []
    for item in (shown.item, shown.other):
        if item is None:
            continue
        entity = task.entity(item)
        shown_, mime = _bare(entity, item.media_type, size)
        run = Run(item.folder)
        parts.append({
            "text": "" if shown_ else entity.text,
            "mime": mime,
            "input": _input(run) if task.show_input else "",
            "name": "" if task.blind else run.config_name,
        })  # fmt: skip
        media.append(shown_)
    return parts, media


def _bare(entity: Entity, media_type: str, size: int) -> tuple[bytes, str]:
    if media_type == "image":
        return bare_picture(entity.path, size), "image/webp"
    return bare_media(entity.path, media_type) if media_type in PLAYED else (b"", "")


def _input(run: Run) -> str:
    return "\n".join(e.text for e in run.all("input"))


def pack(task: RatingTask, path: Path, rater: str) -> Path:
    """Write the whole order of `rater` into one HTML file; see `RatingTask.pack`."""
    shown = []
    order = task.order(rater)
    for place in order:
        parts, pictures = contents(task, place)
        encoded = [base64.b64encode(data).decode() for data in pictures]
        shown.append({"token": task.token(rater, place), "parts": parts, "pictures": encoded})
    data = {"task": outline(task, len(order)), "name": task.name, "rater": rater, "items": shown}
    # Inside a script element only "<" can end it or begin a comment.
    embedded = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    path.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Rating</title>'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob: data:; media-src blob:\">"
        f"<style>:root{{color-scheme:light dark}}body{{margin:1.5rem}}{front_end.asset('rating.css')}</style></head>"
        f'<body><main id="rating"></main><script type="application/json" id="data">{embedded}</script>'
        f'<script type="module">{front_end.asset("rating.js").replace("export default", "const unused =")}\n'
        'mountPacked(document.getElementById("rating"), JSON.parse(document.getElementById("data").textContent));'
        "</script></body></html>",
        encoding="utf-8",
    )
    return path


def collect(task: RatingTask, path: Path) -> int:
    """Take over one answer file; see `RatingTask.collect`."""
    try:
        found = _AnswerFile.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{path} holds no answers: {error}", hint="Collect the file that the packed page saved."
        ) from None
    if found.task != task.name:
        raise InvalidInput(f"{path} belongs to the task {found.task!r}, not {task.name!r}.")
    rater = found.rater
    places = {task.token(rater, place): place for place in every_place(task)}
    known = task.history(rater)
    lines: list[dict[str, Any]] = []
    count = 0
    for answer in found.answers:
        place = places.get(answer.token)
        if place is None:
            raise InvalidInput(
                f"{path} answers something that {rater!r} was not asked.", hint="Was the task or file changed?"
            )
        shown, seconds = replace(place, position=answer.position), answer.seconds or 0.0
        # All of a file is checked before any of it is written.
        made = task.lines(rater, shown, answer.answers, seconds, answer.comment, answer.answered)
        if not all(told(line, timed=answer.at is not None) in known for line in made):
            lines += made
            count += 1
    task.append(rater, lines)
    return count


class _Answer(BaseModel):
    """One answer as a packed page saves it."""

    token: str
    answers: dict[str, Any]
    position: int = -1
    seconds: float | None = 0.0
    comment: str = ""
    at: int | None = Field(None, ge=0, le=32_503_680_000_000, description="When it was given, ms since 1970.")

    @property
    def answered(self) -> str | None:
        if self.at is None:
            return None
        return timestamps.text(datetime.fromtimestamp(self.at / 1000, UTC))


class _AnswerFile(BaseModel):
    """The file that a packed page saves."""

    task: str
    rater: str
    answers: list[_Answer]


def every_place(task: RatingTask) -> Iterator[Shown]:
    """Every place a page may have asked for, both ways round: what was left out meanwhile still counts."""
    both: list[tuple[Item, Item | None]] = [(item, None) for item in task.items] if not task.pairs else []
    for a, b in task.pairs:
        both += [(a, b), (b, a)]
    for one, other in both:
        for repeat in (False, True):
            yield Shown(-1, one, other, repeat)
