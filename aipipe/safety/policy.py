"""The written rules: codes with explanations, what each level blocks, what generators shall avoid.

All of it is data (data/terms/policy.json), so that it can be read and discussed without reading code.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from aipipe.catalog.library import DATA
from aipipe.catalog.resolving import POLICY

__all__ = ["POLICY", "code", "codes", "negative_prompt", "policy", "sentence"]


@functools.lru_cache(maxsize=1)
def policy() -> dict[str, Any]:
    """The policy document."""
    document: dict[str, Any] = json.loads((DATA / "terms" / "policy.json").read_text(encoding="utf-8"))
    return document


def codes() -> dict[str, dict[str, str]]:
    """Code → explanation in English and German."""
    found: dict[str, dict[str, str]] = policy()["codes"]
    return found


def code(name: str) -> dict[str, Any]:
    """One code with its explanation; a code outside the table gets a general one."""
    table = codes()
    return {"code": name, "explanation": dict(table.get(name, table["other"]))}


def code_of_category(category: str) -> str:
    """The code of a category word that a judging model answers."""
    found: str = policy()["categories"].get(category, "other")
    return found


def categories() -> tuple[str, ...]:
    """All category words a judging model may answer."""
    return tuple(policy()["categories"])


def blocks(level: str, name: str) -> bool:
    """True when a finding with this code blocks at this level."""
    return name not in policy()["levels"][level]["allows"]


def negative_prompt(level: str, media_type: str | None) -> str:
    """What a media generator shall avoid at this level."""
    if media_type not in ("image", "video"):
        return ""
    found: str = policy()["levels"].get(level, {}).get("negative_prompt", "")
    return found


def sentence(name: str, language: str, **values: str) -> str:
    """A sentence for a person, in `language`, else English."""
    texts: dict[str, str] = policy()["messages"][name]
    return texts.get(language, texts["en"]).format(**values)
