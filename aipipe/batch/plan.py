"""The plan of a batch: cases, frozen and hashed before the first one starts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aipipe import files
from aipipe.definitions import canonical_hash
from aipipe.errors import InvalidPlan, RunNotFound

PLAN = "plan.json"
KEY_LENGTH = 16


@dataclass(frozen=True)
class Case:
    """One case: what one run is given.

    Attributes:
        case_key: First 16 hex digits of the hash over everything that decides the run.
        index: Its number in the plan.
        config: Name of its config.
        texts: Its texts.
        images: Paths of its images.
        seed: Seed of the media.
        text_seed: Seed of the language model.
        safety: Level.
        mode: Mode.
        outputs: Output configs, as the config had them when it was planned; empty for a run that makes no media.
        models: Task → "backend:model", as resolved when it was planned.
        parameters: Sampling and media parameters.
        notebook_parameters: Parameters that only the case notebook knows.
        labels: Labels of the run.
        input_id: The input's own id.
        repeat: Number of the repetition, from 1.
        excluded: True for a case that a rule leaves out; it is listed, so that the numbers add up.
        config_hash: Hash of the resolved config; "" in plans of version 0.1.
        image_hashes: SHA-256 of each image.
        outputs_hash: Hash of what makes the media: the chunks and workflows of its outputs.
    """

    case_key: str
    index: int
    config: str
    texts: tuple[str, ...]
    seed: int
    text_seed: int = 0
    images: tuple[str, ...] = ()
    safety: str = ""
    mode: str = ""
    outputs: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    input_id: str | None = None
    repeat: int = 1
    excluded: bool = False
    config_hash: str = ""
    image_hashes: tuple[str, ...] = ()
    outputs_hash: str = ""
    notebook_parameters: Mapping[str, Any] = field(default_factory=dict)

    def key(self) -> str:
        """The case key: what it must be for everything that decides the run."""
        facts = {
            "config": self.config_hash, "texts": list(self.texts), "images": list(self.image_hashes), "seed": str(self.seed),
            "text_seed": str(self.text_seed), "safety": self.safety, "mode": self.mode, "outputs": list(self.outputs),
            "models": dict(self.models), "parameters": {**self.parameters, **self.notebook_parameters}, "repeat": self.repeat,
            **({"input_id": self.input_id} if self.input_id else {}),
            **({"media": self.outputs_hash} if self.outputs_hash else {}),
        }  # fmt: skip
        return canonical_hash(facts)[:KEY_LENGTH]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Case:
        """A case of its JSON."""
        values = dict(document)
        for name in ("texts", "images", "outputs", "image_hashes"):
            values[name] = tuple(values.get(name) or ())
        return cls(**{k: v for k, v in values.items() if k in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Plan:
    """A frozen batch.

    Attributes:
        batch_id: UUID of version 7.
        plan_hash: Hash over all case keys and the notebook.
        cases: The cases, in the order in which they are started.
        notebook: Name of the case notebook, "" for runs straight in the workers.
        notebook_hash: Its hash.
        order_seed: Seed of the order.
        columns: What each column of the inputs means.
        options: Study, participant and other facts for every run.
    """

    batch_id: str
    plan_hash: str
    cases: tuple[Case, ...]
    notebook: str = ""
    notebook_hash: str = ""
    order_seed: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write plan.json; it is on disk when this returns."""
        folder.mkdir(parents=True, exist_ok=True)
        data = json.dumps(asdict(self), ensure_ascii=False, indent=1).encode() + b"\n"
        temporary = folder / f".{PLAN}.new"
        temporary.unlink(missing_ok=True)
        with files.typed_errors("The plan could not be written", folder):
            files.write_bytes(temporary, data, sync=True)
            files.replace(temporary, folder / PLAN)
            files.sync_folder(folder)

    @classmethod
    def load(cls, folder: Path) -> Plan:
        """Read plan.json.

        Raises:
            RunNotFound: there is no batch in this folder.
            InvalidPlan: it cannot be read, or is not what was frozen.
        """
        try:
            document = json.loads((folder / PLAN).read_text(encoding="utf-8"))
            cases = tuple(Case.of(case) for case in document.pop("cases"))
            plan = cls(**{**{k: v for k, v in document.items() if k in cls.__dataclass_fields__}, "cases": cases})
        except FileNotFoundError:
            raise RunNotFound(
                f"There is no batch in {folder}.", hint="`aipipe batch status` lists the batches."
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidPlan(
                f"{folder / PLAN} cannot be read: {error}.", hint="Restore it, or start a new batch."
            ) from None
        plan._check(folder)
        return plan

    def _check(self, folder: Path) -> None:
        """A frozen plan is what it was: its cases give their keys, and the keys give its hash."""
        altered = [c.index for c in self.cases if c.config_hash and c.key() != c.case_key]
        if altered or hash_of(self.cases, self.notebook_hash) != self.plan_hash:
            which = f"case {', '.join(map(str, altered[:5]))} is" if altered else "it is"
            raise InvalidPlan(
                f"{folder / PLAN} was changed after the batch was planned: {which} not what was frozen.",
                hint="Restore the file; for other cases plan another batch, its done cases are not lost.",
            )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.batch.report import plan_bundle

        return plan_bundle(self)


def hash_of(cases: Iterable[Case], notebook_hash: str) -> str:
    """The hash of a plan: over all case keys, those left out, and the notebook."""
    listed = list(cases)
    return canonical_hash(
        {
            "keys": sorted(c.case_key for c in listed),
            "excluded": sorted(c.case_key for c in listed if c.excluded),
            "notebook": notebook_hash,
        }
    )
