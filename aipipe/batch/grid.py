"""The grid a person gives, and resolving it into cases: everything that can be wrong is found here."""

from __future__ import annotations

import hashlib
import itertools
import operator
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import files
from aipipe.batch import rules
from aipipe.batch.inputs import Input, Inputs, read_inputs
from aipipe.batch.pinning import outputs_hash, pinned_models
from aipipe.batch.plan import Case, Plan, hash_of
from aipipe.catalog.parameters import LOOP, SAMPLING
from aipipe.errors import AipipeError, InvalidPlan, UnknownName

if TYPE_CHECKING:
    from aipipe.definitions import Plan as RunPlan
    from aipipe.lab import Lab

MEDIA_PARAMETERS = frozenset({"steps", "cfg", "width", "height", "negative_prompt"})
MAX_SEED = 2**64 - 1
SHOWN_PROBLEMS = 40


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
        problems: What is wrong with the types of the above.
    """

    configs: Sequence[Any]
    inputs: Any
    seeds: Sequence[int] = (1,)
    text_seeds: Sequence[int] = (0,)
    levels: Sequence[str] = ()
    modes: Sequence[str] = ()
    outputs: Sequence[str] = ()
    models: Sequence[Mapping[str, str]] = ()
    parameters: Mapping[str, Any] = ()  # type: ignore[assignment]
    repeats: int = 1
    include: Sequence[Mapping[str, Any]] = ()
    exclude: Sequence[Mapping[str, Any]] = ()
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, **given: Any) -> Grid:
        """A grid of arguments as people write them: one value stands for a list of one; a wrong type becomes a problem."""
        problems: list[str] = []
        values: dict[str, Any] = {"inputs": given.pop("inputs", ())}
        for name in ("seeds", "text_seeds"):
            values[name] = _seeds(name, given.pop(name, None), problems)
        for name in ("levels", "modes", "outputs"):
            values[name] = _typed(name, _listed(given.pop(name, None)), str, "a name", problems)
        values["models"] = [
            _names(f"models: {model!r}", model, problems) for model in _listed(given.pop("models", None))
        ]
        values["parameters"] = _names("parameters", given.pop("parameters", None) or {}, problems, plain=False)
        for name in ("include", "exclude"):
            values[name] = _typed(
                name, _listed(given.pop(name, None)), Mapping, "a rule (field → value or list)", problems
            )
        values["repeats"] = _whole("repeats", given.pop("repeats", 1), problems)
        values["configs"] = _listed(given.pop("configs", None))
        return cls(**values, problems=tuple(problems))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def _seeds(name: str, value: Any, problems: list[str]) -> list[int]:
    if value is None:
        return [1] if name == "seeds" else [0]
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        problems.append(f"{name}={value!r}: a list of whole numbers is wanted, for example {name}=[1, 2, 3]")
        return [0]
    found = []
    for item in value:
        number = _index(item)
        if number is None or not 0 <= number <= MAX_SEED:
            problems.append(f"{name}: {item!r} is no whole number from 0 to 2**64 - 1")
        else:
            found.append(number)
    if len(set(found)) != len(found):
        problems.append(f"{name}: a seed stands twice; use repeats")
    if not found and not problems:
        problems.append(f"{name} is empty")
    return list(dict.fromkeys(found)) or [0]


def _index(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _whole(name: str, value: Any, problems: list[str]) -> int:
    number = _index(value)
    if number is None or number < 1:
        problems.append(f"{name}={value!r}: a whole number of at least 1 is wanted")
        return 1
    return number


def _typed(name: str, values: list[Any], kind: type, what: str, problems: list[str]) -> list[Any]:
    problems += [f"{name}: {value!r} is not {what}" for value in values if not isinstance(value, kind)]
    return [value for value in values if isinstance(value, kind)]


def _names(what: str, value: Any, problems: list[str], *, plain: bool = True) -> dict[str, Any]:
    """A mapping with names as keys, and with texts as values when `plain`."""
    if not isinstance(value, Mapping):
        problems.append(f"{what} is no mapping of names to values")
        return {}
    bad = [k for k, v in value.items() if not isinstance(k, str) or (plain and not isinstance(v, str))]
    problems += [f"{what}: {key!r} → {value[key]!r} is not a name with a text" for key in bad]
    return {k: v for k, v in value.items() if k not in bad}


def make_plan(
    lab: Lab,
    grid: Grid,
    *,
    notebook: str,
    notebook_bytes: bytes,
    notebook_parameters: Collection[str],
    order_seed: int,
    options: Mapping[str, Any],
) -> Plan:
    """Resolve a grid. Everything that can be wrong is found here, before the first case.

    Args:
        lab: Resolves configs, models and outputs.
        grid: What was given.
        notebook: Name of the case notebook, "" for none.
        notebook_bytes: Its content.
        notebook_parameters: Names of parameters that are the notebook's own affair: a column or a parameter of such a name
            reaches the notebook, whether or not a pipeline knows it.
        order_seed: Seed of the order.
        options: Facts for every run.

    Raises:
        InvalidPlan: with all problems together.
    """
    problems = list(grid.problems)
    names = _configs(lab, grid.configs, problems)
    known = {*SAMPLING, *LOOP, *MEDIA_PARAMETERS, *grid.parameters, *notebook_parameters}
    inputs = read_inputs(grid.inputs, known, folder=lab.project)
    problems += inputs.problems
    if not inputs.items and not inputs.problems:
        problems.append("there is no input")
    for axis, values in (("seed", grid.seeds), ("text_seed", grid.text_seeds)):
        if axis in inputs.columns.values() and len(values) > 1:
            problems.append(f"the inputs have a column {axis}, and {axis}s= crosses others; give one of the two")
    cases = (
        list(_Resolver(lab, grid, set(notebook_parameters), problems).cases(names, inputs))
        if names and inputs.items
        else []
    )
    problems += _doubled(cases)
    if cases:
        problems += rules.problems(grid.include, grid.exclude, cases)
        cases = [replace(case, excluded=rules.left_out(case, grid.include, grid.exclude)) for case in cases]
        if all(case.excluded for case in cases):
            problems.append(f"include and exclude leave out all {len(cases)} cases")
    if problems:
        raise refused(problems)
    notebook_hash = hashlib.sha256(notebook_bytes).hexdigest() if notebook else ""
    return Plan(
        files.uuid7(), hash_of(cases, notebook_hash), tuple(_ordered(cases, order_seed)), notebook, notebook_hash,
        order_seed, dict(inputs.columns), dict(options),
    )  # fmt: skip


def refused(problems: Sequence[str]) -> InvalidPlan:
    """The error that lists all problems of a plan."""
    listed = "\n".join(f"  - {p}" for p in problems[:SHOWN_PROBLEMS])
    more = f"\n  … and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
    return InvalidPlan(
        f"The batch was refused; {len(problems)} problem(s):\n{listed}{more}",
        hint="Nothing was started.",
        problems=list(problems),
    )


def _configs(lab: Lab, configs: Sequence[Any], problems: list[str]) -> list[str]:
    names: list[str] = []
    for config in configs:
        name = config if isinstance(config, str) else getattr(config, "name", None)
        if not isinstance(name, str):
            problems.append(f"configs: {config!r} is neither a name nor a Config")
            continue
        try:
            if not isinstance(config, str):
                lab.catalog.add(config)
            lab.catalog.config(name)
            names.append(name)
        except AipipeError as error:
            problems.append(str(error).replace("\n", " "))
    if not configs:
        problems.append("there is no config")
    return list(dict.fromkeys(names))


def _doubled(cases: Sequence[Case]) -> list[str]:
    doubled = sum(1 for count in Counter(case.case_key for case in cases).values() if count > 1)
    if not doubled:
        return []
    return [
        f"{doubled} cases stand more than once (equal texts without ids, or equal configs); give ids or use repeats"
    ]


class _Resolver:
    """Resolves combinations; equal ones once, and each problem is named once."""

    def __init__(self, lab: Lab, grid: Grid, notebook: set[str], problems: list[str]) -> None:
        self._lab, self._grid, self._notebook, self._problems = lab, grid, notebook, problems
        self._known: dict[Any, tuple[RunPlan | None, dict[str, Any]]] = {}
        self._hashes: dict[str, str] = {}

    def cases(self, names: Sequence[str], inputs: Inputs) -> Iterator[Case]:
        """All cases, crossed in the order in which people think: input, config, and so on."""
        grid, number = self._grid, itertools.count()
        axes: tuple[Sequence[Any], ...] = (
            names, list(grid.levels) or [None], list(grid.modes) or [None], [(o,) for o in grid.outputs] or [()],
            list(grid.models) or [{}], range(1, grid.repeats + 1),
        )  # fmt: skip
        for item in inputs.items:
            seeds = grid.seeds if item.seed is None else [item.seed]
            text_seeds = grid.text_seeds if item.text_seed is None else [item.text_seed]
            for name, seed, text_seed, *rest in itertools.product(axes[0], seeds, text_seeds, *axes[1:]):
                case = self._case(next(number), item, name, seed, text_seed, *rest)
                if case is not None:
                    yield case

    def _case(
        self, index: int, item: Input, name: str, seed: int, text_seed: int, level: str | None, mode: str | None,
        outputs: tuple[str, ...], models: Mapping[str, str], repeat: int,
    ) -> Case | None:  # fmt: skip
        values = {**self._grid.parameters, **item.parameters}
        options = {"safety": level, "mode": mode, "outputs": list(outputs) or None, "models": dict(models) or None}
        key = (
            name,
            level,
            mode,
            outputs,
            tuple(sorted(models.items())),
            item.texts,
            item.images,
            repr(sorted(values.items())),
        )
        if key not in self._known:
            self._known[key] = self._resolve(name, item, options, values)
        plan, own = self._known[key]
        if plan is None:
            return None
        case = Case(
            case_key="", index=index, config=name, texts=item.texts, images=item.images, seed=seed, text_seed=text_seed,
            safety=plan.safety, mode=plan.mode, outputs=tuple(output.config for output in plan.outputs) or outputs,
            models={**models, **pinned_models(plan)}, parameters={k: v for k, v in values.items() if k not in own},
            notebook_parameters=own, labels=dict(item.labels), input_id=item.input_id, repeat=repeat,
            config_hash=plan.config_hash, outputs_hash=outputs_hash(plan), image_hashes=tuple(self._hash(path) for path in item.images),
        )  # fmt: skip
        return replace(case, case_key=case.key())

    def _resolve(
        self, name: str, item: Input, options: Mapping[str, Any], values: dict[str, Any]
    ) -> tuple[RunPlan | None, dict[str, Any]]:
        """The plan of a run, and the parameters that only the notebook knows."""
        own: dict[str, Any] = {}
        while True:
            parameters = {k: v for k, v in values.items() if k not in own}
            try:
                found = self._lab.plan(
                    name, *item.texts, images=list(item.images) or None, seed=0, parameters=parameters or None, **options
                )  # fmt: skip
            except UnknownName as error:
                if error.kind == "parameter" and error.name in self._notebook:
                    own[error.name] = values[error.name]
                    continue
                return self._wrong(name, error)
            except AipipeError as error:
                return self._wrong(name, error)
            return found, own

    def _wrong(self, name: str, error: AipipeError) -> tuple[None, dict[str, Any]]:
        problem = f"{name}: {error.message} {error.hint}".strip()
        if problem not in self._problems:
            self._problems.append(problem)
        return None, {}

    def _hash(self, path: str) -> str:
        if path not in self._hashes:
            self._hashes[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        return self._hashes[path]


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
