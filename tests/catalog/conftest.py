import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aipipe import settings as settings_module
from aipipe.catalog import Catalog, resolve
from aipipe.definitions import Chunk, ModelChoice, Plan


@pytest.fixture(scope="session")
def shipped() -> Catalog:
    return Catalog.load()


@pytest.fixture
def plan_of() -> Callable[..., Plan]:
    """Resolve with the default settings and simple choices; anything can be overridden."""

    def resolved(catalog: Catalog, config: Any, *texts: str, **more: Any) -> Plan:
        mode = more.pop("mode", "embedded")
        given: dict[str, Any] = {
            "settings": settings_module.load(),
            "mode": mode,
            "choose_model": lambda task: ModelChoice(backend="embedded", model=f"default-{task}", mode=mode),
            "choose_runner": _runner(mode),
            "safety": "kids",
            "seed": 7,
        }
        return resolve(catalog, config, texts, **(given | more))

    return resolved


def _runner(mode: str) -> Callable[[str, Chunk], tuple[str, str]]:
    return lambda kind, chunk: (f"my-{kind}", mode)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    def written(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
        return path

    return written
