"""Bodies for busts: OpenMoji draws most people from the shoulders up; here they get a trunk, arms and legs."""

from __future__ import annotations

import re

BODY_HEIGHT = 128
"""Height of the drawing with a body, on OpenMoji's grid, where a bust has 72."""
CLOTHES = (
    ("#c8563f", "#39435c"), ("#3f7f93", "#4a3b36"), ("#d9a441", "#35506b"), ("#5f8f5a", "#4b4458"),
    ("#8a5a86", "#2f4557"), ("#e8e0cf", "#6a4f3d"),
)  # fmt: skip
_WHOLE = set("💃🕺🏃🚶🤖⛄🎎👫👪🧜👽🤺🧚")


def is_bust(glyph: str) -> bool:
    """Whether a person glyph ends at the shoulders."""
    return glyph[0] not in _WHOLE and "🤝" not in glyph


def dressed(svg: str, clothes: int) -> str:
    """The SVG of a bust with a body under it and clothes of one of `CLOTHES`."""
    shirt, trousers = CLOTHES[clothes % len(CLOTHES)]
    svg = re.sub(r"#92d3f5", shirt, svg, flags=re.IGNORECASE)
    svg = re.sub(r"#61b2e4", _darker(shirt), svg, flags=re.IGNORECASE)
    svg = re.sub(r'viewBox="0 0 72 72"', f'viewBox="0 0 72 {BODY_HEIGHT}"', svg)
    areas = (
        f'<path fill="{trousers}" d="M22,88 L50,88 L49,120 L38.5,120 L36,98 L33.5,120 L23,120 Z"/>'
        f'<path fill="#3a2c28" d="M22,119 h12 v5 h-15 q0,-4 3,-5 Z M38,119 h12 q3,1 3,5 h-15 Z"/>'
        f'<path fill="#fcea2b" d="M13.5,88 a3.6,3.6 0 1 0 7,0 Z M51.5,88 a3.6,3.6 0 1 0 7,0 Z"/>'
        f'<path fill="{shirt}" d="M17,58 L55,58 Q59,74 58.5,88 L51,88 L50.5,73 L50.5,91 L21.5,91 L21.5,73 L21,88 L13.5,88 Q13,74 17,58 Z"/>'
    )
    lines = (
        '<path fill="none" stroke="#000000" stroke-linecap="round" stroke-linejoin="round" stroke-width="2" '
        'd="M17,60 Q13,74 13.5,88 L21,88 L21.5,73 M55,60 Q59,74 58.5,88 L51,88 L50.5,73 M21.5,88 L21.5,91 L50.5,91 '
        "L50.5,88 M22.5,91 L23,119 M36,98 L33.5,119 M36,98 L38.5,119 M49.5,91 L49,119 M22,119 h12 v5 h-15 q0,-4 3,-5 Z "
        'M38,119 h12 q3,1 3,5 h-15 Z"/>'
    )
    svg = svg.replace('<g id="color"', f'<g id="body">{areas}</g><g id="color"', 1)
    return re.sub(r'(<g id="line"[^>]*[^/])>', rf"\1>{lines}", svg, count=1)


def _darker(colour: str) -> str:
    return "#" + "".join(f"{int(int(colour[i : i + 2], 16) * 0.8):02x}" for i in (1, 3, 5))
