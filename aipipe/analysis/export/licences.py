"""Licences of well-known models, as their publishers stated them, for the datasheet of an export: hints for a person to check.

What is not here is said to be unknown; a licence is never guessed from a family name alone where sizes or versions differ.
"""

from __future__ import annotations

import re

_KNOWN: tuple[tuple[str, str], ...] = (
    (r"mistral-nemo(?!-minitron)", "Apache-2.0"),
    (r"gpt-oss", "Apache-2.0"),
    (r"smollm2?", "Apache-2.0"),
    (r"qwen2\.5(?:-coder)?[-:](?:0\.5|1\.5|7|14|32)b", "Apache-2.0"),
    (r"qwen3(?:-coder|-vl)?(?:-\d|:\d|:latest|$)", "Apache-2.0"),
    (r"qwen[_-]image", "Apache-2.0"),
    (r"llama-guard-?3[-:](?:1b|11b)|llama-?3\.2", "Llama 3.2 Community License"),
    (r"llama-guard-?3|llama-?3\.1", "Llama 3.1 Community License"),
    (r"llama-?3\.3", "Llama 3.3 Community License"),
    (r"(?<![a-z])gemma(?:-?[23][-:]|[-:][27]b)", "Gemma Terms of Use"),
    (r"sd_?3\.?5|stable-diffusion-3\.5", "Stability AI Community License"),
    (r"stable-audio-open", "Stability AI Community License"),
    (r"sd_?xl(?:_base|-base)|stable-diffusion-xl-base", "CreativeML Open RAIL++-M"),
    (r"v1-5-pruned|stable-diffusion-v1-5", "CreativeML OpenRAIL-M"),
    (r"flux[._-]?1-dev", "FLUX.1 [dev] Non-Commercial License"),
    (r"flux[._-]?1-schnell", "Apache-2.0"),
    (r"wan2[._][12]", "Apache-2.0"),
    (r"ace[_-]step[_-]v1(?![._]5)", "Apache-2.0"),
)
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), licence) for pattern, licence in _KNOWN)


def licence_of(model: str) -> str | None:
    """The licence under which a model's publisher gives it, or None where it is not known here."""
    return next((licence for pattern, licence in _PATTERNS if pattern.search(model)), None)


def told(model: str) -> str:
    """One line of a datasheet."""
    licence = licence_of(model)
    said = (
        f"licence {licence} as far as aipipe knows, check its model card" if licence else "licence unknown, look it up"
    )
    return f"- model {model}, {said}"
