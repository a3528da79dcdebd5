"""Writes the reference pages that follow from the code; a test checks that they are current.

python docs/generate.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from aipipe import records, settings

HERE = Path(__file__).parent

RUN_FORMAT = """# Run format, version 1

A run is a folder `runs/{run_id}/`; `run_id` is a lower-case UUID, version 7.

```
metadata.json          single source of truth; at any instant absent, or complete and valid
NN_type.ext            entities, numbered from 01 without gaps
provenance.json        resolved plan, environment, versions; at the end what was sent to generators
exchanges.jsonl        raw model requests and answers, appended as they happen, secrets removed
.writer-{epoch}/       while a writer lives: its lease and temporary files
```

Beside the runs: `batches/`, `annotations/`, `ratings/` (kept), `.aipipe/` (disposable). The JSON Schema is
[run-format.schema.json](run-format.schema.json). Unknown fields survive reading and writing; a newer `format_version` is refused with the
advice to update; reading never writes.

## What is promised, by durability

| | `entity` (default) | `stage` | `never` |
|---|---|---|---|
| metadata.json complete and valid after a crash of the process | yes | yes | yes |
| … after a power loss | yes | yes | no |
| an acknowledged entity survives a crash of the process | yes | yes | yes |
| … a power loss | yes | once its stage has ended | no |
| a listed entity exists with its size and hash after a power loss | yes | once its stage has ended | no |
| a change of state reaches the disk | with the next entity, or after 0.5 s | the same, unforced | the same, unforced |

The order of every publish is fixed: bytes to a temporary file and to disk, rename, folder to disk, new metadata.json to a temporary file and
to disk, replace, folder to disk. `stage` forces the entities and the folder when a stage ends, but metadata.json's own bytes every time, for a
name that outlives a power loss without its content would tear it. `never` forces nothing; while the run goes on it exchanges the old and the
new metadata.json (renameat2 with RENAME_EXCHANGE, where there is one) instead of renaming over it, which would make ext4 flush each time.
`tests/recorder/` proves it: a crash at every change of the disk at each level, a model of power loss in which leaving out any single sync of
`entity` or `stage` is found, refused calls at every place, frozen writers. A file whose sync was refused is written anew and its hash compared,
never synced again and believed.

## Status

`running`, `completed`, `blocked`, `failed`, `cancelled` are recorded. Readers derive `interrupted` for a run that says `running` and whose
writer is gone: on the same host as soon as its process is gone, for another host when its lease is older than five minutes.
`completed` needs every expected output on disk.

## Entity types

Per text input: `input`, `translation`, `safety`; `input_image`. Stage 2: `interception_iteration` for every text but the last, then one
`interception`; a person's edit is `interception_edit`. Per output: `safety_pre_output`, then `output_image`, `output_audio`, `output_music`,
`output_video`, `output_3d`, `output_code`. `error` anywhere.

## Fields
"""

SETTINGS = """# Settings

One key a line in `aipipe.toml`, the file that makes a folder a project. Precedence: arguments, environment, file, defaults. In the
environment a key is `AIPIPE_` and its name, parts joined by two underscores: `AIPIPE_SAFETY=youth`,
`AIPIPE_BACKENDS__OLLAMA__URL=http://host:11434`. `aipipe init` writes a file with every key commented. Unknown keys are refused.

Secrets stand in no file: `key_env` names an environment variable. Where it is not set, the entry of that name in the system's keyring counts
(`pip install "aipipe[keys]"`, then once `keyring set aipipe OPENROUTER_API_KEY`). Keys are sent and never recorded.

```toml
mode = "eco"
safety = "youth"
[backends.ollama]
url = "http://127.0.0.1:11434"
[modes.eco.models]
interception = "mistral-nemo"
[modes.eco.outputs]
image = "sd35_large"
```
"""


def models(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and those that its fields hold, each once, outermost first."""
    seen: list[type[BaseModel]] = []
    todo = [root]
    while todo:
        model = todo.pop(0)
        if model in seen:
            continue
        seen.append(model)
        yield model
        for field in model.model_fields.values():
            todo += [t for t in _parts(field.annotation) if isinstance(t, type) and issubclass(t, BaseModel)]


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _parts(part)


def table(model: type[BaseModel]) -> str:
    """The fields of a model as a Markdown table."""
    rows = [
        f"### {model.__name__}",
        "",
        (model.__doc__ or "").strip().splitlines()[0],
        "",
        "| field | type | meaning |",
        "|---|---|---|",
    ]
    for name, field in model.model_fields.items():
        kind = (
            str(getattr(field.annotation, "__name__", ""))
            if not getattr(field.annotation, "__args__", ())
            else str(field.annotation)
        )
        kind = (
            kind.replace("typing.", "")
            .replace("aipipe.records.", "")
            .replace("aipipe.settings.", "")
            .replace("|", "or")
        )
        rows.append(f"| `{name}` | {kind} | {(field.description or '').replace('|', 'or')} |")
    return "\n".join(rows) + "\n"


def pages() -> dict[str, str]:
    """File name → content of every generated page."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **records.RunRecord.model_json_schema()}
    return {
        "run-format.md": RUN_FORMAT + "\n" + "\n".join(table(m) for m in models(records.RunRecord)),
        "run-format.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        "settings.md": SETTINGS + "\n## Keys\n\n" + "\n".join(table(m) for m in models(settings.Settings)),
    }


def main() -> int:
    """Write the pages."""
    for name, content in pages().items():
        (HERE / name).write_text(content, encoding="utf-8")
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
