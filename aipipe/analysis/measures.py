"""Measures of prompts, each with its source."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from aipipe.analysis import embedding
from aipipe.analysis.embedding import Embedder
from aipipe.analysis.findings import check_columns
from aipipe.analysis.ledger import words
from aipipe.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


_ENDS = re.compile(r"""[.!?:;…]+(?=[\s"'”“’»«)\]]|$)""")


def lexical_diversity(texts: Iterable[str | None], *, threshold: float = 0.72) -> dict[str, float]:
    """Diversity of the words of a batch of texts.

    Args:
        texts: Texts, for example `load_prompts()["interception"]`; missing ones count nothing.
        threshold: Type-token ratio that ends a run of words in `mtld`.

    Returns:
        `tokens`, `types`; `ttr` (types / tokens); `mtld` (McCarthy & Jarvis 2010: mean length of word runs that keep
        the type-token ratio above 0.72, forwards and backwards), which depends far less on length; `distinct_2`
        (distinct word pairs / word pairs within a text; Li et al. 2016).

    Raises:
        InvalidInput: a frame, or something that is no text.
    """
    if hasattr(texts, "columns"):
        raise InvalidInput("A frame is no list of texts.", hint='Pass a column: prompts["interception"].')
    found = [words(_text(text)) for text in ([texts] if isinstance(texts, str) else texts)]
    tokens = [w for text in found for w in text]
    pairs = [pair for text in found for pair in pairwise(text)]
    return {
        "tokens": float(len(tokens)),
        "types": float(len(set(tokens))),
        "ttr": len(set(tokens)) / len(tokens) if tokens else math.nan,
        "mtld": (_mtld(tokens, threshold) + _mtld(tokens[::-1], threshold)) / 2 if tokens else math.nan,
        "distinct_2": len(set(pairs)) / len(pairs) if pairs else math.nan,
    }


def _mtld(tokens: Sequence[str], threshold: float) -> float:
    factors, start, seen, ratio = 0.0, 0, set[str](), 1.0
    for position, token in enumerate(tokens):
        seen.add(token)
        ratio = len(seen) / (position - start + 1)
        if ratio < threshold:
            factors, start, seen, ratio = factors + 1, position + 1, set(), 1.0
    if start < len(tokens):
        factors += (1 - ratio) / (1 - threshold)
    return len(tokens) / factors if factors else float(len(tokens))


def _text(value: Any) -> str | None:
    """A text, or None for what is missing, as a cell of a frame may be."""
    if isinstance(value, str):
        return value
    import pandas as pd

    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    raise InvalidInput(f"{type(value).__name__} is no text.", hint='Pass a text, or a column: prompts["interception"].')


def readability(text: str | None) -> dict[str, float]:
    """LIX of a text (Björnsson 1968): words per sentence plus the percentage of words over six letters.

    It needs no syllables and so holds for several languages that put spaces between words; under 30 is easy, over 60
    very hard. Marks that stand together end one sentence, and those within a number or an address end none.
    A missing text has no words.

    Raises:
        InvalidInput: it is no text.
    """
    whole = _text(text) or ""
    found = words(whole)
    sentences = max(1, len(_ENDS.findall(whole)))
    if not found:
        return {"words": 0.0, "sentences": 0.0, "lix": math.nan}
    long = sum(len(w) > 6 for w in found)
    return {
        "words": float(len(found)),
        "sentences": float(sentences),
        "lix": len(found) / sentences + 100 * long / len(found),
    }


def drift(before: str | None, after: str | None) -> float:
    """Lexical drift between two texts: one minus the cosine of their word counts, 0 (same words) to 1 (none shared).

    Not a number where one of them has no words.

    Raises:
        InvalidInput: one is no text.
    """
    one, other = Counter(words(_text(before))), Counter(words(_text(after)))
    norm = math.sqrt(sum(v * v for v in one.values()) * sum(v * v for v in other.values()))
    return 1 - sum(one[w] * other[w] for w in one) / norm if norm else math.nan


def prompt_measures(prompts: pd.DataFrame) -> pd.DataFrame:
    """Drift along the stages and readability, one row per row of `load_prompts()`; joins by its index."""
    import pandas as pd

    check_columns(prompts, "original", "translation", "interception", "final_prompt")
    rows = []
    for record in (
        prompts[["original", "translation", "interception", "final_prompt"]].astype(object).to_dict("records")
    ):
        texts = {k: v if isinstance(v, str) else None for k, v in record.items()}
        start = texts["translation"] or texts["original"]
        rows.append(
            {
                "drift_translation": _drift(texts["original"], texts["translation"]),
                "drift_interception": _drift(start, texts["interception"]),
                "drift_final": _drift(texts["interception"], texts["final_prompt"]),
                "lix_start": readability(start)["lix"] if start else math.nan,
                "lix_interception": readability(texts["interception"])["lix"] if texts["interception"] else math.nan,
            }
        )
    names = ["drift_translation", "drift_interception", "drift_final", "lix_start", "lix_interception"]
    return pd.DataFrame(rows, index=prompts.index, columns=names)


def semantic_drift(prompts: pd.DataFrame, *, embedder: Embedder | str | None = None) -> pd.DataFrame:
    """Semantic drift along the stages: one minus the cosine of sentence embeddings, 0 (same meaning) to about 1.

    Args:
        prompts: `load_prompts()`.
        embedder: A function, texts → array (texts, dimensions), for example `SentenceTransformer(FOLDER).encode`; the name
            of one of fastembed's models; None: a multilingual MiniLM by fastembed. See `embedding.embedder`.

    Returns:
        One row per row of `prompts`, joined by its index: semantic_translation, semantic_interception, semantic_final.

    Raises:
        MissingExtra: the extra is not installed.
        ModelMissing: the model is not here and cannot be fetched.
        UnknownName: a column is missing, or there is no such model.
        InvalidInput: `embedder` does not give one vector per text.
    """
    import numpy as np
    import pandas as pd

    names = ["original", "translation", "interception", "final_prompt"]
    check_columns(prompts, *names)
    records = prompts[names].astype(object).to_dict("records")
    rows = [{k: v if isinstance(v, str) and v.strip() else None for k, v in record.items()} for record in records]
    texts = sorted({text for row in rows for text in row.values() if text})
    found = _vectors(texts, embedder)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    place = dict(zip(texts, found / np.where(norms == 0, 1, norms), strict=True))

    def between(before: str | None, after: str | None) -> float:
        # Rounding puts the same text a hair beyond itself.
        return max(0.0, float(1 - place[before] @ place[after])) if before and after else math.nan

    table = [
        {
            "semantic_translation": between(row["original"], row["translation"]),
            "semantic_interception": between(row["translation"] or row["original"], row["interception"]),
            "semantic_final": between(row["interception"], row["final_prompt"]),
        }
        for row in rows
    ]
    columns = ["semantic_translation", "semantic_interception", "semantic_final"]
    return pd.DataFrame(table, index=prompts.index, columns=columns)


def _vectors(texts: list[str], embedder: Embedder | str | None) -> np.ndarray:
    import numpy as np

    if not texts:
        return np.zeros((0, 1))
    work = embedder if callable(embedder) else embedding.embedder(embedder)
    found = np.asarray(work(texts), dtype=float)
    if found.ndim != 2 or len(found) != len(texts):
        raise InvalidInput(
            f"The embedder gave {found.shape} for {len(texts)} texts.", hint="It must give one vector per text."
        )
    return found


def _drift(before: str | None, after: str | None) -> float:
    return drift(before, after) if before and after else math.nan
