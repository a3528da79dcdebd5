"""Other shapes of an export: for QDA programs, for training and viewing tools, for a repository such as Zenodo.

Each takes the folder that was built for the chosen profile and rearranges it, so that it never holds more than that.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from aipipe import __version__
from aipipe.analysis.export.built import file_word, present, runs_of

Layout = Literal["folder", "images", "qda", "zenodo"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
RUN_FACTS = ("run_id", "config_name", "execution_mode", "safety_level", "status", "timestamp", "seed", "participant")
DOCUMENT_FACTS = (*RUN_FACTS, "input_id", "study", "session")
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""Date of every file in an archive: equal content makes equal bytes."""


def rearrange(base: Path, layout: Layout) -> None:
    """Bring a built export into another shape, in place."""
    _SHAPES[layout](base)


def _folder(base: Path) -> None:
    """runs/ and the tables: what aipipe itself loads again."""


def _images(base: Path) -> None:
    """Pictures in one folder with metadata.csv, the ImageFolder layout that Hugging Face datasets reads.

    Source: https://huggingface.co/docs/datasets/image_dataset
    """
    import pandas as pd

    (base / "images").mkdir()
    rows = []
    for folder, run in runs_of(base):
        texts = {str(e.get("type")): _text(folder, e) for e in present(folder, run) if e.get("media_type") == "text"}
        for entity in present(folder, run):
            if entity.get("type") != "output_image":
                continue
            name = f"{folder.name}_{_flat(entity)}"
            shutil.copyfile(folder / entity["filename"], base / "images" / name)
            facts = {k: run.get(k) for k in RUN_FACTS}
            prompt = texts.get("interception_edit") or texts.get("interception")
            rows.append({"file_name": f"images/{name}", "prompt": prompt, "input": texts.get("input"), **facts})
    columns = ["file_name", "prompt", "input", *RUN_FACTS]
    _write(pd.DataFrame(rows, columns=columns), base / "metadata.csv")
    _keep_only(base, "images", "metadata.csv")


def _qda(base: Path) -> None:
    """One plain text document per recorded text, and their attributes as a table.

    MAXQDA, ATLAS.ti, NVivo, QualCoder and Taguette import plain texts; the table gives each document its variables.
    """
    import pandas as pd

    (base / "documents").mkdir()
    rows = []
    for folder, run in runs_of(base):
        for entity in present(folder, run):
            if entity.get("media_type") != "text":
                continue
            name = f"{file_word(run.get('config_name'))}_{folder.name[-12:]}_{_flat(entity)}"
            (base / "documents" / name).write_text(_text(folder, entity), encoding="utf-8")
            facts = {k: run.get(k) for k in DOCUMENT_FACTS}
            rows.append({"document": name, "text_type": entity.get("type"), **facts, **_labels(run)})
    _write(pd.DataFrame(rows), base / "attributes.csv")
    _keep_only(base, "documents", "attributes.csv")


def _zenodo(base: Path) -> None:
    """Everything in one ZIP, with the small files that a repository shows beside it."""
    inner = base / f"{base.name}.zip"
    paths = sorted(p for p in base.rglob("*") if p.is_file())
    with zipfile.ZipFile(inner, "x", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            add(archive, path, path.relative_to(base).as_posix())
    _keep_only(base, inner.name)


def deposit(base: Path, *, creator: str, licence: str, count: int) -> None:
    """Write .zenodo.json: the fields of a deposit, to be completed by the publisher.

    Source: https://developers.zenodo.org/#representation (deposit metadata)
    """
    name = creator or "to be stated by the publisher"
    document: dict[str, Any] = {
        "title": base.name,
        "upload_type": "dataset",
        "description": f"<p>{count} recorded runs of pipelines that turn a text into a changed text and media, "
        f"exported with aipipe {__version__}.</p>",
        "creators": [{"name": name}],
        "keywords": ["generative models", "prompt transformation", "aipipe"],
        "access_right": "open",
    }
    if licence:
        document["license"] = licence.lower()
    (base / ".zenodo.json").write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    """Add a file in constant memory, with the fixed date."""
    info = zipfile.ZipInfo(name, FIXED_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _text(folder: Path, entity: dict[str, Any]) -> str:
    return (folder / str(entity["filename"])).read_text(encoding="utf-8", errors="replace")


def _flat(entity: dict[str, Any]) -> str:
    return str(entity["filename"]).replace("\\", "/").replace("/", "_")


def _labels(run: dict[str, Any]) -> dict[str, str]:
    labels = run.get("labels")
    return {f"label_{k}": str(v) for k, v in labels.items()} if isinstance(labels, dict) else {}


def _write(frame: Any, path: Path) -> None:
    from aipipe.analysis.export.package import write_table

    write_table(frame.astype("string"), path.with_suffix(""), ("csv",))


def _keep_only(base: Path, *names: str) -> None:
    for path in base.iterdir():
        if path.name in names:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


_SHAPES: dict[Layout, Callable[[Path], None]] = {
    "folder": _folder,
    "images": _images,
    "qda": _qda,
    "zenodo": _zenodo,
}
