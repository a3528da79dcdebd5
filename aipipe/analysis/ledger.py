"""The prompt-transformation ledger: original, translation, interception, final prompt, and what each step changed.

Words are runs of letters with their marks, digits, apostrophes and hyphens, compared without regard to case (Unicode case
folding), to how an umlaut is composed (NFC) and to curved apostrophes. Chinese and Japanese, which put no space between
words, are compared sign by sign.
Shares and similarity are over sets of distinct words: kept share = |A∩B| / |A|, similarity = |A∩B| / |A∪B| (Jaccard
1912), where A is the text before a step and B the text after it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from aipipe.analysis.extract import listed
from aipipe.analysis.gates import checks
from aipipe.analysis.items import PROCESS, Item, facts_of, first, role_of, text_of

_WORDS = ("added", "removed", "kept")
_SIGNS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u200c\u200d"
"""Vowels and accents that Python does not count as letters, of Hebrew, Arabic and the scripts of India."""
_RUN = rf"(?:[^\W{_SIGNS}]|[{_MARKS}])+"
_WORD = re.compile(rf"[{_SIGNS}]|{_RUN}(?:['\-]{_RUN})*")


def words(text: str | None) -> list[str]:
    """Words of a text in order, case-folded."""
    if not text:
        return []
    return [w.casefold() for w in _WORD.findall(unicodedata.normalize("NFC", text).replace("’", "'"))]


def difference(before: str | None, after: str | None) -> tuple[list[str], list[str], list[str]]:
    """Distinct words added, removed and kept between two texts, each in order of first appearance."""
    old, new = dict.fromkeys(words(before)), dict.fromkeys(words(after))
    return [w for w in new if w not in old], [w for w in old if w not in new], [w for w in old if w in new]


def prompts(run: Item, folder: str) -> list[Item]:
    """One row per text input and planned output; one per text input where no output was planned."""
    # The prompt history of the original's later version holds drafts, not what the run used.
    entities = [e for e in listed(run, "entities") if role_of(e) != PROCESS]
    sources = [e for e in entities if e.get("type") == "input"]
    interception = _interception(entities, folder)
    finals = _finals(run, folder, entities)
    rows = []
    for number, source in enumerate(sources):
        index = first(source.get("input"), number)
        translation = _for_input(entities, "translation", index, folder, len(sources))
        for output, final in finals:
            rows.append(
                {
                    "input": index,
                    "output": output,
                    "language": _language(run, index, source),
                    "original": text_of(source, folder),
                    "translation": translation,
                    "interception": interception,
                    "final_prompt": final,
                    "edited": any(e.get("type") == "interception_edit" for e in entities),
                    "iterations": sum(e.get("type") == "interception_iteration" for e in entities),
                }
            )
    return [_measured(row) for row in rows]


def _interception(entities: list[Item], folder: str) -> str | None:
    for kind in ("interception_edit", "interception"):
        found = [e for e in entities if e.get("type") == kind]
        if found:
            return text_of(found[-1], folder)
    return None


def _for_input(entities: list[Item], kind: str, index: Any, folder: str, inputs: int) -> str | None:
    found = [e for e in entities if e.get("type") == kind]
    mine = [e for e in found if e.get("input") == index] or (found if inputs == 1 else [])
    return text_of(mine[0], folder) if mine else None


_LATER = ("translation_en", "optimized_prompt")
"""Texts of the original's later version on the way from interception to generator, the last one first."""


def _number(output: Any) -> int:
    """Index of an output; a record without one, or with an odd one, means its only output."""
    return output if type(output) is int else 0


def _finals(run: Item, folder: str, entities: list[Item]) -> list[tuple[Any, str | None]]:
    """Per output the last text before the generator: what stage 3 judged, else what the media entity names."""
    texts: dict[Any, str | None] = {}
    for check in checks(run, folder):
        if check["gate"] == "output":
            texts[_number(check["output"])] = check["text"] if isinstance(check["text"], str) else None
    for entity in entities:
        kind = str(entity.get("type", ""))
        if kind.startswith("output_") or kind == "generation_prompt":
            output = _number(entity.get("output"))
            prompt = facts_of(entity).get("prompt") if kind != "generation_prompt" else text_of(entity, folder)
            if texts.get(output) is None:
                texts[output] = prompt if isinstance(prompt, str) else None
    for kind in _LATER:
        made = [text_of(e, folder) for e in entities if e.get("type") == kind]
        if made:
            texts = {output: made[-1] if prompt is None else prompt for output, prompt in (texts or {0: None}).items()}
    return sorted(texts.items(), key=lambda pair: str(pair[0])) or [(None, None)]


def _language(run: Item, index: Any, source: Item) -> Any:
    inputs = listed(run, "inputs")
    mine = next((i for i in inputs if i.get("index") == index), {})
    return first(mine.get("language"), facts_of(source).get("language"))


def _measured(row: Item) -> Item:
    start = first(row["translation"], row["original"])
    translated = _change(row["original"], row["translation"])
    intercepted = _change(start, row["interception"])
    final = _change(row["interception"], row["final_prompt"])
    return {
        **row,
        "words_original": _count(row["original"]),
        "words_translation": _count(row["translation"]),
        "words_interception": _count(row["interception"]),
        "words_final": _count(row["final_prompt"]),
        "translation_changed": None
        if row["translation"] is None or row["original"] is None
        else row["translation"].strip() != row["original"].strip(),
        **{f"translation_{name}": translated[name] for name in _WORDS},
        **{name: intercepted[name] for name in (*_WORDS, "kept_share", "similarity")},
        **{f"final_{name}": final[name] for name in (*_WORDS, "kept_share")},
    }


def _count(text: str | None) -> int | None:
    return None if text is None else len(words(text))


def _change(before: str | None, after: str | None) -> Item:
    """What one stage did to a text; nothing is known where either text is missing."""
    if before is None or after is None:
        return dict.fromkeys((*_WORDS, "kept_share", "similarity"))
    added, removed, kept = difference(before, after)
    old, total = len(kept) + len(removed), len(added) + len(removed) + len(kept)
    return {
        "added": added,
        "removed": removed,
        "kept": kept,
        "kept_share": len(kept) / old if old else None,
        "similarity": len(kept) / total if total else None,
    }
