"""Helpers for self-contained HTML that looks right on light and dark pages."""

from __future__ import annotations

import json
from html import escape as _escape
from typing import Any

MAX_TEXT = 20_000
"""Characters of one text that a view shows; the rest stays in the file."""

STYLE = """
.aip{--aip-line:color-mix(in srgb,currentColor 16%,transparent);--aip-soft:color-mix(in srgb,currentColor 5%,transparent);
--aip-dim:color-mix(in srgb,currentColor 78%,transparent);--aip-ok:#1a7f4b;--aip-stop:#b35900;--aip-bad:#c0362c;--aip-busy:#2563c4;
font:14px/1.5 var(--jp-ui-font-family,var(--vscode-font-family,system-ui,sans-serif));color:var(--jp-ui-font-color1,var(--vscode-editor-foreground,inherit));
max-width:64rem;text-align:start}
.aip *{box-sizing:border-box}
.aip-head{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem .75rem;padding:.35rem 0 .6rem}
.aip-title{font-size:1.2em;font-weight:650}
.aip-facts,.aip-note{color:var(--aip-dim);font-size:.9em}
.aip-pill{border-radius:1em;padding:.05em .65em;font-size:.85em;font-weight:600;color:#fff;background:#5c6470;white-space:nowrap}
.aip-pill.completed,.aip-pill.safe{background:var(--aip-ok)}.aip-pill.blocked{background:var(--aip-stop)}
.aip-pill.failed,.aip-pill.unsafe{background:var(--aip-bad)}.aip-pill.running{background:var(--aip-busy)}
.aip-body{display:flex;flex-wrap:wrap;gap:1.25rem;align-items:flex-start}
.aip-chain{flex:1 1 22rem;min-width:0}.aip-media{flex:0 1 24rem;display:flex;flex-wrap:wrap;gap:.6rem}
.aip-media figure{margin:0;flex:1 1 10rem;max-width:24rem}.aip-media img,.aip-media video{max-width:100%;height:auto;border-radius:6px;display:block;background:var(--aip-soft)}
.aip-media video{min-width:13rem}.aip-media audio{width:100%}.aip-media figcaption{color:var(--aip-dim);font-size:.85em;padding-top:.2rem;overflow-wrap:anywhere}
.aip-step{border-left:3px solid var(--aip-line);padding:.1rem 0 .5rem .8rem;margin:0}
.aip-step.safe{border-color:var(--aip-ok)}.aip-step.unsafe{border-color:var(--aip-bad)}.aip-step.error{border-color:var(--aip-bad)}
.aip-label{color:var(--aip-dim);font-size:.85em;display:flex;flex-wrap:wrap;gap:.2rem .5rem;align-items:baseline}
.aip-label b{color:inherit;font-weight:600}
.aip-text{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext;text-align:start;margin:.1rem 0}
.aip details{margin:.15rem 0}.aip summary{cursor:pointer;color:var(--aip-dim);font-size:.85em}
.aip summary:focus-visible{outline:2px solid var(--aip-busy);outline-offset:2px}
.aip pre{white-space:pre-wrap;overflow-wrap:anywhere;font:12px/1.45 var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,monospace));background:var(--aip-soft);padding:.5rem;border-radius:6px;margin:.3rem 0;max-height:22rem;overflow:auto}
.aip ins{background:color-mix(in srgb,var(--aip-ok) 26%,transparent);text-decoration:none;border-radius:3px}
.aip del{background:color-mix(in srgb,var(--aip-bad) 20%,transparent);border-radius:3px}
.aip table{border-collapse:collapse;font-size:.9em;margin:.3rem 0}.aip th,.aip td{text-align:start!important;vertical-align:top;padding:.2rem .7rem .2rem 0;border-bottom:1px solid var(--aip-line)}
.aip th{font-weight:600;color:var(--aip-dim)}.aip code{font:12px var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,monospace));overflow-wrap:anywhere}
.aip a{color:var(--jp-content-link-color,var(--vscode-textLink-foreground,LinkText))}
.aip td img{border-radius:4px;display:block}
""".strip().replace("\n", "")


def escape(value: Any) -> str:
    """`value` as text that HTML shows as it is; NUL and other control characters become visible."""
    return _escape(visible(str(value)))


def visible(text: str) -> str:
    """`text` with NUL and other control characters as visible signs."""
    return "".join(_VISIBLE.get(c, c) for c in text)


_VISIBLE = {chr(n): chr(0x2400 + n) for n in range(32) if chr(n) not in "\n\t\r"} | {"\x7f": "\u2421"}


def page(body: str, *, label: str = "") -> str:
    """A fragment with its own scoped style."""
    name = f' role="group" aria-label="{escape(label)}"' if label else ""
    return f'<div class="aip"{name}><style>{STYLE}</style>{body}</div>'


def shorten(text: str, limit: int = MAX_TEXT) -> tuple[str, int]:
    """The first `limit` characters, and how many were left out."""
    return text[:limit], max(0, len(text) - limit)


def text_block(text: str) -> str:
    """A recorded text, cut when it is huge; direction follows the text itself."""
    shown, rest = shorten(text)
    more = f'<div class="aip-note">… {rest:,} more characters in the file</div>' if rest else ""
    return f'<div class="aip-text" dir="auto">{escape(shown)}</div>{more}'


PILLS = {
    "completed": "#1a7f4b", "safe": "#1a7f4b", "blocked": "#b35900", "failed": "#c0362c", "unsafe": "#c0362c",
    "running": "#2563c4",
}  # fmt: skip


def pill(status: str, kind: str = "") -> str:
    """A coloured word. Its look is inline: pages that do not trust a notebook drop style sheets but keep this."""
    name = kind or status
    look = f"background-color:{PILLS.get(name, '#5c6470')};color:#ffffff;padding:1px 9px;border-radius:10px;font-weight:bold"
    return f' <span class="aip-pill {escape(name)}" style="{look}">{escape(status)}</span> '


def folded(title: str, body: str) -> str:
    """A part that opens on a click; works without JavaScript."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def json_tree(value: Any, name: str = "", *, depth: int = 0) -> str:
    """JSON as a tree of parts that open, long strings and lists cut."""
    label = f"<b>{escape(name)}</b>: " if name else ""
    if isinstance(value, dict) and value:
        body = "".join(json_tree(v, str(k), depth=depth + 1) for k, v in list(value.items())[:200])
        return _branch(label, f"{{{len(value)}}}", body, depth)
    if isinstance(value, list) and value:
        body = "".join(json_tree(v, str(k), depth=depth + 1) for k, v in enumerate(value[:200]))
        return _branch(label, f"[{len(value)}]", body, depth)
    shown, rest = shorten(json.dumps(value, ensure_ascii=False, default=str), 2_000)
    return f'<div style="padding-left:1rem;overflow-wrap:anywhere">{label}<code>{escape(shown)}{"…" if rest else ""}</code></div>'


def _branch(label: str, size: str, body: str, depth: int) -> str:
    opened = " open" if depth < 1 else ""
    return f'<details style="padding-left:1rem"{opened}><summary>{label}{size}</summary>{body}</details>'
