"""From a call of `lab.run` to a plan: everything that can be refused is refused here, before a folder exists."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aipipe.catalog import resolve
from aipipe.definitions import LEVELS, Config, Plan
from aipipe.errors import InvalidInput, UnknownName, UsageError, near_names
from aipipe.lab import resuming
from aipipe.lab.choosing import Choice, model_chooser, runner_chooser
from aipipe.lab.inputs import check_texts, image_hashes, read_images

if TYPE_CHECKING:
    from aipipe.lab.lab import Lab

PLAN_OPTIONS = (
    "mode",
    "safety",
    "outputs",
    "output",
    "seed",
    "text_seed",
    "parameters",
    "models",
    "image",
    "images",
    "until",
    "parent",
    "prompt",
)
CALL_OPTIONS = ("mode", "outputs", "parameters", "models")
"""What a plan no longer tells apart from its defaults: recorded, so that a repetition can change one detail."""

RECORD_OPTIONS = (
    "labels",
    "study",
    "participant",
    "session",
    "input_id",
    "tags",
    "run_id",
    "user_id",
    "observers",
    "batch",
)
UNTIL = ("pre_interception", "interception")
MAX_SEED = 2**64 - 1


@dataclass(frozen=True)
class Request:
    """One call, sorted into what decides the plan and what is only recorded."""

    config: Any
    texts: tuple[Any, ...]
    options: dict[str, Any]
    recording: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Any, texts: tuple[Any, ...], options: Mapping[str, Any]) -> Request:
        """Sort the arguments of a call.

        Raises:
            UsageError: an argument nobody knows.
        """
        known = (*PLAN_OPTIONS, *RECORD_OPTIONS)
        for name in options:
            if name not in known:
                near = near_names(name, known)
                raise UsageError(
                    f"lab.run has no argument {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""),
                    hint=f"Known: {', '.join(known)}. Sampling and media parameters go into parameters={{…}}.",
                )
        if len(texts) == 1 and isinstance(texts[0], (list, tuple)):
            texts = tuple(texts[0])
        plan = {k: v for k, v in options.items() if k in PLAN_OPTIONS and v is not None}
        recording = {k: v for k, v in options.items() if k in RECORD_OPTIONS and v is not None}
        if "parent" in plan:
            recording |= {"parent": plan["parent"], "relation": "edit"}
        recording["call"] = {k: v for k, v in {**plan, "outputs": _outputs(plan)}.items() if k in CALL_OPTIONS and v}
        return cls(config, texts, plan, recording)


@dataclass(frozen=True)
class Planned:
    """A plan with the images it needs."""

    plan: Plan
    images: tuple[bytes, ...]


def make_plan(lab: Lab, request: Request) -> Planned:
    """Resolve a request.

    Raises:
        UsageError: one of its kinds, naming what is wrong.
        Unavailable: no mode was named and nothing answers.
    """
    options = dict(request.options)
    lab.catalog.refresh()
    config, texts = _config_and_texts(lab, request, options)
    images = read_images(_images(options), lab.settings.limits)
    if "parent" in options and not images:
        images = resuming.recorded_images(_parent(lab, options["parent"]))
    choice = lab.choice(options.get("mode"))
    settings = _with_outputs(lab, choice)
    plan = resolve(
        lab.catalog,
        config,
        texts,
        settings=settings,
        mode=choice.mode,
        choose_model=model_chooser(lab.services, choice, {**lab.models, **dict(options.get("models") or {})}),
        choose_runner=runner_chooser(lab.services),
        safety=_level(options.get("safety") or lab.settings.safety),
        seed=_seed(options.get("seed")),
        text_seed=_seed(options.get("text_seed", 0)),
        outputs=_outputs(options),
        parameters=dict(options.get("parameters") or {}),
        models=dict(options.get("models") or {}),
        image_hashes=image_hashes(images),
        until=_until(options.get("until")),
        edit=options.get("prompt"),
    )
    return Planned(plan, images)


def _config_and_texts(lab: Lab, request: Request, options: dict[str, Any]) -> tuple[str | Config, tuple[str, ...]]:
    limits = lab.settings.limits
    if "parent" in options:
        if "prompt" not in options:
            raise UsageError("A run with parent= needs prompt=, the text that replaces its interception.")
        check_texts([options["prompt"]], limits)
        plan = resuming.recorded_plan(_parent(lab, options["parent"]))
        return request.config or plan.config, request.texts or plan.texts
    if "prompt" in options:
        raise UsageError("prompt= replaces the interception of a run: name that run with parent=.")
    if request.config is None:
        raise UsageError("No config was given.", hint='lab.run("dada", "a flower"); `aipipe configs list` lists them.')
    texts = check_texts(request.texts, limits)
    if isinstance(request.config, (str, Config)):
        return request.config, texts
    from aipipe.lab.launching import config_of_workflow

    return config_of_workflow(lab, request.config, options, texts)


def _parent(lab: Lab, parent: Any) -> Any:
    return lab.store.open(parent) if isinstance(parent, str) else parent


def _with_outputs(lab: Lab, choice: Choice) -> Any:
    """The settings with the outputs table of the services that were chosen."""
    settings = lab.settings.model_copy(deep=True)
    settings.modes[choice.mode].outputs.update(choice.outputs)
    return settings


def _images(options: Mapping[str, Any]) -> list[Any]:
    images = list(options.get("images") or [])
    return [options["image"], *images] if "image" in options else images


def _outputs(options: Mapping[str, Any]) -> list[str] | None:
    given = options.get("outputs", options.get("output"))
    if given is None:
        return None
    return [given] if isinstance(given, str) else list(given)


def _level(level: str) -> Any:
    if level not in LEVELS:
        raise UnknownName("safety level", level, LEVELS)
    return level


def _until(until: str | None) -> Any:
    if until is not None and until not in UNTIL:
        raise UnknownName("stage for until=", until, UNTIL)
    return until


def _seed(seed: Any) -> int:
    if seed is None:
        return secrets.randbelow(2**32)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise InvalidInput(f"The seed {seed!r} is not a whole number from 0 to 2**64 - 1.", hint="For example seed=7.")
    return seed
