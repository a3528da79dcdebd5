"""Plain text helpers."""

from __future__ import annotations

from pathlib import Path


def indent(text: str, width: int) -> str:
    """`text` with every line moved right by `width` spaces."""
    pad = " " * width
    return "\n".join(pad + line for line in text.splitlines() or [""])


def short_path(path: str | Path) -> str:
    """A path as a notebook may show it: from the project's or the home folder, so that a shared notebook tells no name."""
    if not str(path):
        return ""
    whole = Path(path)
    for parent in whole.parents:
        if (parent / "aipipe.toml").is_file():
            return whole.relative_to(parent).as_posix()
    try:
        return f"~/{whole.relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(whole)
