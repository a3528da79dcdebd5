"""A static page of the exported runs that opens by double click; every recorded text is escaped."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aipipe.analysis.reading import Unreadable, contained, parse

_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
nav ol { columns: 21rem; column-gap: 3rem; padding-left: 1.8rem; font-size: .9rem; } a { color: inherit; }
article { border: 1px solid #8886; border-radius: .6rem; padding: 1rem; margin: 1rem 0; display: grid; gap: .25rem 1.5rem;
  grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); align-items: start; }
header { grid-column: 1 / -1; } h2 { font-size: 1.05rem; margin: 0; } small { opacity: .75; overflow-wrap: anywhere; }
dl { margin: 0; } dt { font-weight: 600; margin-top: .5rem; font-size: .85rem; opacity: .8; }
dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: .5rem 0 0; } figcaption { font-size: .85rem; opacity: .8; }
img, video, audio { max-width: 100%; border-radius: .4rem; display: block; }
@media (max-width: 45rem) { article { grid-template-columns: minmax(0, 1fr); } }
@media print { article { break-inside: avoid; } nav { display: none; } }
"""


def write_viewer(base: Path) -> None:
    """Write index.html beside runs/."""
    folders = [f for f in sorted((base / "runs").iterdir()) if (f / "metadata.json").is_file()]
    runs = [(folder, parse((folder / "metadata.json").read_bytes())) for folder in folders]
    count = f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"
    lines = "".join(f'<li><a href="#{escape(f.name)}">{_facts(run)}</a></li>' for f, run in runs)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{count}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # No script and no request: what is recorded cannot act, even if escaping had a hole.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file:; "
        "media-src 'self' file:; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body><h1>{count}</h1><nav><ol>{lines}</ol></nav>"
        f"<main>{''.join(_card(folder, run) for folder, run in runs)}</main></body></html>"
    )
    (base / "index.html").write_text(page, encoding="utf-8")


def _facts(run: dict[str, Any]) -> str:
    day = str(run.get("timestamp"))[:16].replace("T", " ")
    return " · ".join(escape(str(v)) for v in (run.get("config_name"), run.get("safety_level"), run.get("status"), day))


def _card(folder: Path, run: dict[str, Any]) -> str:
    entities = [e for e in run.get("entities") or [] if isinstance(e, dict)]
    shown = {"image", "video", "audio", "music"}
    media = "".join(_medium(folder, e) for e in entities if e.get("media_type") in shown)
    texts = "".join(_text(folder, e) for e in entities if e.get("media_type") not in shown)
    name = escape(folder.name)
    head = f"<header><h2>{_facts(run)}</h2><small>{name}</small></header>"
    return f'<article id="{name}">{head}<dl>{texts}</dl><div>{media}</div></article>'


def _link(folder: Path, entity: dict[str, Any]) -> str:
    return f"runs/{quote(folder.name)}/{quote(str(entity.get('filename', '')))}"


def _title(entity: dict[str, Any]) -> str:
    return escape(str(entity.get("type")).replace("_", " "))


def _medium(folder: Path, entity: dict[str, Any]) -> str:
    title, link = _title(entity), _link(folder, entity)
    if entity.get("media_type") == "image":
        inner = f'<a href="{link}"><img loading="lazy" src="{link}" alt="{title}"></a>'
    else:
        tag = "video" if entity.get("media_type") == "video" else "audio"
        inner = f'<{tag} controls preload="none" src="{link}"></{tag}>'
    return f"<figure>{inner}<figcaption>{title}</figcaption></figure>"


def _text(folder: Path, entity: dict[str, Any]) -> str:
    link, filename = _link(folder, entity), str(entity.get("filename", ""))
    path = folder / filename
    if not contained(filename) or path.is_symlink() or not path.is_file():
        said = f"{escape(filename)} (not there)"
    elif entity.get("media_type") == "text":
        said = escape(path.read_text(encoding="utf-8", errors="replace"))
    else:
        said = f'{_verdict(path)}<a href="{link}">{escape(filename)}</a>'
    return f"<dt>{_title(entity)}</dt><dd>{said}</dd>"


def _verdict(path: Path) -> str:
    """What a recorded safety decision says, before the link to all of it."""
    try:
        value = parse(path.read_bytes()) if path.suffix == ".json" else None
    except Unreadable:
        return ""
    safe = value.get("safe") if isinstance(value, dict) else None
    return {True: "passed, ", False: "blocked, "}[safe] if isinstance(safe, bool) else ""
