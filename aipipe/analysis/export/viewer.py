"""A static page of the exported runs that opens by double click; every recorded text is escaped."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aipipe.analysis.export.built import runs_of
from aipipe.analysis.reading import Unreadable, contained, parse

_SHOWN = ("image", "video", "audio", "music")
_SIGNS = {"video": "▶ film", "audio": "♪ sound", "music": "♪ music"}


def write_viewer(base: Path, *, hours: bool = True) -> None:
    """Write index.html beside runs/.

    Args:
        base: Folder of the export.
        hours: Whether the times of the runs tell more than their day and order.
    """
    runs = sorted(runs_of(base), key=lambda pair: (str(pair[1].get("timestamp")), pair[0].name))
    count = f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"
    style, script = (_asset(f"viewer.{kind}") for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{count}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # No request, and no script but the one with this hash: what is recorded cannot act, even if escaping had a hole.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file:; "
        f"media-src 'self' file:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'\">"
        f"<style>{style}</style></head><body><h1>{count}</h1><p class=papers>{_papers(base)}</p>"
        '<div class="tools" hidden><input type="search" placeholder="Search texts, names, ids" aria-label="Search">'
        '<output aria-live="polite"></output>'
        "<small><kbd>/</kbd> search · <kbd>j</kbd> <kbd>k</kbd> next and previous run · <kbd>Esc</kbd> show all</small></div>"
        f'<nav aria-label="Overview">{"".join(_thumb(f, run) for f, run in runs)}</nav>'
        f"<main>{''.join(_card(f, run, hours) for f, run in runs)}</main>"
        f'<script id="viewer">{script}</script></body></html>'
    )
    (base / "index.html").write_text(page, encoding="utf-8")


def _asset(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _papers(base: Path) -> str:
    tables = [name for name in ("runs.csv", "entities.csv") if (base / name).is_file()]
    return " · ".join(
        f'<a href="{name}">{name}</a>' for name in ("datasheet.md", "codebook.md", *tables, "manifest.json")
    )


def _facts(run: dict[str, Any], hours: bool) -> str:
    when = str(run.get("timestamp") or "")[: 16 if hours else 10].replace("T", " ")
    facts = (run.get("config_name"), run.get("safety_level"), run.get("status"), when)
    return " · ".join(escape(str(v)) for v in facts if v)


def _entities(run: dict[str, Any]) -> list[dict[str, Any]]:
    entities = run.get("entities")
    return [e for e in entities if isinstance(e, dict)] if isinstance(entities, list) else []


def _prompt(folder: Path, run: dict[str, Any]) -> str:
    """The first text of a run, which says best what a run is about."""
    texts = (_read(folder, e) for e in _entities(run) if e.get("media_type") == "text")
    return next((text for text in texts if text), "")


def _short(text: str, length: int = 120) -> str:
    flat = " ".join(text.split())
    return escape(flat if len(flat) <= length else f"{flat[:length]}…")


def _thumb(folder: Path, run: dict[str, Any]) -> str:
    outputs = [e for e in _entities(run) if e.get("media_type") in _SHOWN and str(e.get("type")).startswith("output")]
    picture = next((e for e in outputs if e.get("media_type") == "image"), None)
    other = _SIGNS.get(str(outputs[0].get("media_type")), "") if outputs else escape(str(run.get("status")))
    top = f'<img loading="lazy" alt="" src="{_link(folder, picture)}">' if picture else f"<b>{other}</b>"
    return f'<a href="#{escape(folder.name)}">{top}<span dir="auto">{_short(_prompt(folder, run))}</span></a>'


def _card(folder: Path, run: dict[str, Any], hours: bool) -> str:
    entities = _entities(run)
    prompt = _prompt(folder, run)
    media = "".join(_medium(folder, e, prompt) for e in entities if e.get("media_type") in _SHOWN)
    name = escape(folder.name)
    more = [_named(k, str(run[k])) for k in ("participant", "session", "seed") if run.get(k) not in (None, "")]
    labels = run.get("labels")
    more += [f"{k}: {v}" for k, v in labels.items()] if isinstance(labels, dict) else []
    small = escape(" · ".join([folder.name, *more]))
    head = f"<header><h2>{_facts(run, hours)}</h2><small>{small}</small></header>"
    return (
        f'<article id="{name}" tabindex="-1" {_facets(run, entities)}>{head}<dl>{_texts(folder, entities)}</dl>'
        f"<div>{media}</div></article>"
    )


def _named(kind: str, value: str) -> str:
    return value if value.startswith(kind) else f"{kind} {value}"  # a pseudonym names its kind already


def _facets(run: dict[str, Any], entities: list[dict[str, Any]]) -> str:
    """What the page filters by, each a list of words."""
    names = {"config": "config_name", "safety": "safety_level"}
    values = {k: [run.get(names.get(k, k))] for k in ("config", "safety", "status", "participant", "session")}
    values["media"] = [e.get("media_type") for e in entities if e.get("media_type") in _SHOWN]
    told = {k: sorted({str(v) for v in found if v not in (None, "")}) for k, found in values.items()}
    return " ".join(f'data-{k}="{escape(json.dumps(v))}"' for k, v in told.items())


def _link(folder: Path, entity: dict[str, Any]) -> str:
    return f"runs/{quote(folder.name)}/{quote(str(entity.get('filename', '')))}"


def _title(entity: dict[str, Any]) -> str:
    return escape(str(entity.get("type")).replace("_", " "))


def _medium(folder: Path, entity: dict[str, Any], prompt: str) -> str:
    title, link = _title(entity), _link(folder, entity)
    about = f"{title}: {_short(prompt)}" if prompt else title
    if entity.get("media_type") == "image":
        inner = f'<a href="{link}"><img loading="lazy" src="{link}" alt="{about}"></a>'
    else:
        tag = "video" if entity.get("media_type") == "video" else "audio"
        inner = f'<{tag} controls preload="none" src="{link}" aria-label="{about}"></{tag}>'
    return f"<figure>{inner}<figcaption>{title}</figcaption></figure>"


def _texts(folder: Path, entities: list[dict[str, Any]]) -> str:
    """Every text and verdict; one that repeats an earlier text of the run says so, so that changes stand out."""
    before: dict[str, str] = {}
    lines = []
    for entity in entities:
        if entity.get("media_type") in _SHOWN:
            continue
        title, link, filename = _title(entity), _link(folder, entity), str(entity.get("filename", ""))
        text = _read(folder, entity)
        if text is None:
            said = f"<dd>{escape(filename)} (not there)</dd>"
        elif entity.get("media_type") != "text":
            said = f'<dd>{_verdict(text)}<a href="{link}">{escape(filename)}</a></dd>'
        elif text in before:
            said = f'<dd class="same">the same as the {before[text]}</dd>'
        else:
            said, before[text] = f'<dd dir="auto">{escape(text)}</dd>', title
        lines.append(f"<dt>{title}</dt>{said}")
    return "".join(lines)


def _read(folder: Path, entity: dict[str, Any]) -> str | None:
    filename = str(entity.get("filename", ""))
    path = folder / filename
    if not contained(filename) or path.is_symlink() or not path.is_file():
        return None
    # A text of megabytes is no page; the file itself is one click away in the folder.
    with path.open("rb") as stream:
        return stream.read(1 << 20).decode("utf-8", errors="replace")


def _verdict(text: str) -> str:
    """What a recorded safety decision says, before the link to all of it."""
    try:
        value = parse(text.encode())
    except Unreadable:
        return ""
    safe = value.get("safe") if isinstance(value, dict) else None
    return {True: "passed, ", False: "blocked, "}[safe] if isinstance(safe, bool) else "not judged, "
