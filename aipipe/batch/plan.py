"""The plan of a batch: a grid resolved into cases, frozen and hashed before the first one starts."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import files
from aipipe.batch.inputs import Input, Inputs, read_inputs
from aipipe.definitions import canonical_hash
from aipipe.errors import AipipeError, InvalidPlan, RunNotFound

if TYPE_CHECKING:
    from aipipe.lab import Lab

PLAN = "plan.json"
KEY_LENGTH = 16
AXES = ("configs", "inputs", "seeds", "text_seeds", "levels", "modes", "outputs", "models", "repeats")


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
        outputs: Output configs; empty for the config's own.
        models: Task → model.
        parameters: Sampling and media parameters.
        labels: Labels of the run.
        input_id: The input's own id.
        repeat: Number of the repetition, from 1.
        excluded: True for a case that a rule leaves out; it is listed, so that the numbers add up.
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

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Case:
        """A case of its JSON."""
        values = dict(document)
        for name in ("texts", "images", "outputs"):
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
            InvalidPlan: it cannot be read.
        """
        try:
            document = json.loads((folder / PLAN).read_text(encoding="utf-8"))
            cases = tuple(Case.of(case) for case in document.pop("cases"))
            return cls(**{**{k: v for k, v in document.items() if k in cls.__dataclass_fields__}, "cases": cases})
        except FileNotFoundError:
            raise RunNotFound(
                f"There is no batch in {folder}.", hint="`aipipe batch status` lists the batches."
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidPlan(
                f"{folder / PLAN} cannot be read: {error}.", hint="Restore it, or start a new batch."
            ) from None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.batch.report import plan_bundle

        return plan_bundle(self)


@dataclass(frozen=True)
class Grid:
    """What a person gives: lists that are crossed.

    Attributes:
        configs: Names, or `Config` objects that are saved with the plan's project.
        inputs: Whatever `read_inputs` takes.
        seeds: Media seeds.
        text_seeds: Seeds of the language model.
        levels: Safety levels; empty for the project's.
        modes: Modes; empty for the project's.
        outputs: Output configs that are crossed; empty for each config's own.
        models: Task → model, crossed.
        parameters: Parameters of every case.
        repeats: How often every combination is run.
        include: Rules (field → value or list); a case must meet one of them.
        exclude: Rules; a case that meets one is left out.
    """

    configs: Sequence[Any]
    inputs: Any
    seeds: Sequence[int] = (1,)
    text_seeds: Sequence[int] = (0,)
    levels: Sequence[str] = ()
    modes: Sequence[str] = ()
    outputs: Sequence[str] = ()
    models: Sequence[Mapping[str, str]] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    repeats: int = 1
    include: Sequence[Mapping[str, Any]] = ()
    exclude: Sequence[Mapping[str, Any]] = ()


def make_plan(
    lab: Lab, grid: Grid, *, notebook: str, notebook_bytes: bytes, order_seed: int, options: Mapping[str, Any]
) -> Plan:
    """Resolve a grid. Everything that can be wrong is found here, before the first case.

    Raises:
        InvalidPlan: with all problems together.
    """
    names, problems = _configs(lab, grid.configs)
    parameters = {"temperature", "top_p", "top_k", "max_tokens", "steps", "cfg", "width", "height", *grid.parameters}
    inputs = read_inputs(grid.inputs, parameters, folder=lab.project)
    problems += inputs.problems
    if not inputs.items and not inputs.problems:
        problems.append("there is no input")
    if len(set(grid.seeds)) != len(list(grid.seeds)):
        problems.append("a seed stands twice; use repeats")
    cases = list(_cases(lab, grid, names, inputs, problems)) if names and inputs.items else []
    keys: dict[str, int] = {}
    for case in cases:
        keys[case.case_key] = keys.get(case.case_key, 0) + 1
    doubled = sum(1 for count in keys.values() if count > 1)
    if doubled:
        problems.append(
            f"{doubled} cases stand more than once (equal texts without ids, or equal configs); give ids or use repeats"
        )
    if problems:
        listed = "\n".join(f"  - {p}" for p in problems[:40])
        raise InvalidPlan(
            f"The batch was refused; {len(problems)} problem(s):\n{listed}",
            hint="Nothing was started.",
            problems=list(problems),
        )
    ordered = tuple(_ordered(cases, order_seed))
    notebook_hash = hashlib.sha256(notebook_bytes).hexdigest() if notebook else ""
    plan_hash = canonical_hash(
        {
            "keys": sorted(c.case_key for c in cases),
            "excluded": sorted(c.case_key for c in cases if c.excluded),
            "notebook": notebook_hash,
        }
    )
    return Plan(
        files.uuid7(), plan_hash, ordered, notebook, notebook_hash, order_seed, dict(inputs.columns), dict(options)
    )


def _configs(lab: Lab, configs: Sequence[Any]) -> tuple[list[str], list[str]]:
    names, problems = [], []
    for config in configs:
        name = config if isinstance(config, str) else getattr(config, "name", "")
        if not isinstance(config, str) and name:
            lab.catalog.add(config)
        try:
            lab.catalog.config(name)
            names.append(name)
        except AipipeError as error:
            problems.append(str(error).replace("\n", " "))
    if not configs:
        problems.append("there is no config")
    return list(dict.fromkeys(names)), problems


def _cases(lab: Lab, grid: Grid, names: list[str], inputs: Inputs, problems: list[str]) -> Iterator[Case]:
    modes = list(grid.modes) or [lab.choice(None).mode]
    levels = list(grid.levels) or [lab.settings.safety]
    outputs_axis: list[tuple[str, ...]] = [(output,) for output in grid.outputs] or [()]
    crossed = itertools.product(
        inputs.items, names, grid.seeds, grid.text_seeds, levels, modes,
        outputs_axis, list(grid.models) or [{}], range(1, grid.repeats + 1),
    )  # fmt: skip
    hashes: dict[Any, str] = {}
    for index, (item, name, seed, text_seed, level, mode, outputs, models, repeat) in enumerate(crossed):
        values = {**grid.parameters, **item.parameters}
        options = {
            "seed": seed,
            "text_seed": text_seed,
            "safety": level,
            "mode": mode,
            "outputs": list(outputs) or None,
            "models": dict(models) or None,
            "parameters": values or None,
        }
        combination = (
            name,
            level,
            mode,
            outputs,
            tuple(sorted(models.items())),
            tuple(item.texts),
            item.images,
            canonical_hash(values),
        )
        if combination not in hashes:
            try:
                hashes[combination] = lab.plan(
                    name, *item.texts, images=list(item.images) or None, **options
                ).config_hash
            except AipipeError as error:
                hashes[combination] = ""
                problem = f"{name}: {error.message} {error.hint}".strip()
                if problem not in problems:
                    problems.append(problem)
        key = _key(hashes[combination], item, seed, text_seed, level, mode, outputs, models, values, repeat)
        case = Case(
            case_key=key, index=index, config=name, texts=item.texts, images=item.images, seed=seed, text_seed=text_seed,
            safety=level, mode=mode, outputs=outputs, models=dict(models), parameters=values, labels=dict(item.labels),
            input_id=item.input_id, repeat=repeat,
        )  # fmt: skip
        yield Case(
            **{
                **asdict(case),
                "texts": item.texts,
                "images": item.images,
                "outputs": outputs,
                "excluded": _left_out(case, grid),
            }
        )


def _key(
    config_hash: str,
    item: Input,
    seed: int,
    text_seed: int,
    level: str,
    mode: str,
    outputs: tuple[str, ...],
    models: Mapping[str, str],
    values: Mapping[str, Any],
    repeat: int,
) -> str:
    images = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in item.images]
    facts = {
        "config": config_hash, "texts": list(item.texts), "images": images, "seed": str(seed), "text_seed": str(text_seed),
        "safety": level, "mode": mode, "outputs": list(outputs), "models": dict(models), "parameters": dict(values), "repeat": repeat,
        **({"input_id": item.input_id} if item.input_id else {}),
    }  # fmt: skip
    return canonical_hash(facts)[:KEY_LENGTH]


def _left_out(case: Case, grid: Grid) -> bool:
    if any(_meets(case, rule) for rule in grid.exclude):
        return True
    return bool(grid.include) and not any(_meets(case, rule) for rule in grid.include)


def _meets(case: Case, rule: Mapping[str, Any]) -> bool:
    facts = {
        **case.labels,
        **case.parameters,
        **{k: getattr(case, k) for k in ("config", "seed", "text_seed", "safety", "mode", "input_id", "repeat")},
    }
    facts["output"] = case.outputs[0] if case.outputs else ""
    return all(facts.get(k) in (v if isinstance(v, (list, tuple)) else [v]) for k, v in rule.items())


def _ordered(cases: list[Case], seed: int) -> Iterator[Case]:
    """One canary for each config, then blocks of all cases of an input, shuffled: a stopped night is a balanced design."""
    chance = random.Random(seed)
    canaries: dict[str, Case] = {}
    for case in cases:
        if not case.excluded:
            canaries.setdefault(case.config, case)
    first = {case.case_key for case in canaries.values()}
    yield from canaries.values()
    blocks: dict[Any, list[Case]] = {}
    for case in cases:
        if case.case_key not in first:
            blocks.setdefault((case.input_id, case.texts, case.images, case.seed, case.repeat), []).append(case)
    order = list(blocks.values())
    chance.shuffle(order)
    for block in order:
        chance.shuffle(block)
        yield from block
