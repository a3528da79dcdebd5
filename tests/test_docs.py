"""What the documents claim is true."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

import aipipe

ROOT = Path(__file__).parents[1]


def generated() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages: dict[str, str] = module.pages()
    return pages


def test_the_generated_pages_are_current() -> None:
    for name, content in generated().items():
        assert (ROOT / "docs" / name).read_text("utf-8") == content, f"run python docs/generate.py ({name})"


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.name
)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_public_name_exists_and_is_documented() -> None:
    for name in aipipe.__all__:
        value = getattr(aipipe, name)
        if name != "__version__":
            assert value.__doc__, name


def test_the_readme_counts_right() -> None:
    from aipipe.catalog import Catalog

    text = (ROOT / "README.md").read_text("utf-8")
    shipped = [c for c in Catalog.load([], strict=False).configs() if c.stage == "interception"]
    assert f"# {len(shipped)} configs" in text


def test_notebooks_name_no_place_of_their_author() -> None:
    for path in [*(ROOT / "notebooks").rglob("*.ipynb"), *(ROOT / "analysis").rglob("*.ipynb")]:
        text = path.read_text("utf-8")
        assert not re.search("(/home/|/Users/|[A-Z]:.{1,2}Users)[a-z]", text), path.name
        assert f"{ROOT}/" not in text, path.name
        assert json.loads(text)["cells"]
