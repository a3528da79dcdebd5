"""A static page of the exported runs that opens by double click; every recorded text is escaped."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

from aipipe.analysis.reading import parse

_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5; }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
article { border: 1px solid #8886; border-radius: .6rem; padding: 1rem; margin: 1rem 0; }
h2 { font-size: 1rem; margin: 0 0 .5rem; } dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; white-space: pre-wrap; }
img { max-width: 24rem; max-height: 24rem; border-radius: .4rem; } small { opacity: .75; }
"""


def write_viewer(base: Path) -> None:
    """Write index.html beside runs/."""
    cards = [_card(folder) for folder in sorted((base / "runs").iterdir()) if (folder / "metadata.json").is_file()]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Runs</title>'
        # No script and no request: what is recorded cannot act, even if escaping had a hole.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file:; "
        "style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body><h1>{len(cards)} runs</h1>{''.join(cards)}</body></html>"
    )
    (base / "index.html").write_text(page, encoding="utf-8")


def _card(folder: Path) -> str:
    run = parse((folder / "metadata.json").read_bytes())
    parts = []
    for entity in run.get("entities") or []:
        filename = str(entity.get("filename", ""))
        link = f"runs/{quote(folder.name)}/{quote(filename)}"
        title = escape(str(entity.get("type")))
        if entity.get("media_type") == "image":
            parts.append(f'<dt>{title}</dt><dd><img loading="lazy" src="{link}" alt="{title}"></dd>')
        elif entity.get("media_type") == "text" and (folder / filename).is_file():
            text = (folder / filename).read_text(encoding="utf-8", errors="replace")
            parts.append(f"<dt>{title}</dt><dd>{escape(text)}</dd>")
        else:
            parts.append(f'<dt>{title}</dt><dd><a href="{link}">{escape(filename)}</a></dd>')
    facts = " · ".join(escape(str(run.get(k))) for k in ("config_name", "safety_level", "status", "timestamp"))
    return f"<article><h2>{facts}</h2><small>{escape(folder.name)}</small><dl>{''.join(parts)}</dl></article>"
