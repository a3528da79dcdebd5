from pathlib import Path

from aipipe.analysis.dictionary import markdown

WRITTEN = Path(__file__).parent.parent.parent / "docs" / "data-dictionary.md"


def test_the_data_dictionary_in_docs_is_the_generated_one() -> None:
    assert WRITTEN.read_text(encoding="utf-8") == markdown(), (
        "run: python -m aipipe.analysis.dictionary docs/data-dictionary.md"
    )
