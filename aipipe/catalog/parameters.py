"""Parameters: which there are, and which part of a plan each one belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aipipe.definitions import Chunk
from aipipe.errors import InvalidInput, UnknownName

TASKS = ("translation", "safety", "interception", "vision")
"""Keys of the task × mode table of models."""

SAMPLING = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "max_tokens",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "repeat_penalty",
        "num_ctx",
    }
)
"""Sampling parameters of language models, under their usual names."""

LOOP = frozenset({"iterations", "use_random_languages", "final_language", "languages"})
"""Parameters of recursive pipelines."""

RUNNER_PARAMETERS: Mapping[str, frozenset[str]] = {
    "comfyui": frozenset({"negative_prompt"}),
    "sketch": frozenset({"width", "height", "style"}),
    "openai_images": frozenset(
        {"width", "height", "size", "quality", "background", "output_format", "negative_prompt"}
    ),
}
"""What each kind of media generator takes beyond what its chunk declares."""

RESERVED = frozenset({"prompt", "seed", "image"})
"""Inputs of a workflow that the run itself fills."""


def takes(chunk: Chunk, further: Iterable[str] = ()) -> frozenset[str]:
    """Names of the parameters that a media chunk takes."""
    names = {*chunk.inputs, *chunk.parameters, *further, *RUNNER_PARAMETERS.get(chunk.runner, frozenset())}
    return frozenset(name for name in names if name not in RESERVED and not name.startswith(("text_", "image_")))


@dataclass(slots=True)
class Routed:
    """Parameters sorted by where they go: `text` to the model calls, `loop` to the iterations, `media` by output."""

    text: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    media: list[dict[str, Any]] = field(default_factory=list)


def route(
    given: Mapping[str, Any], *, custom: Iterable[str], recursive: bool, outputs: list[frozenset[str]], strict: bool
) -> Routed:
    """Sort parameters by where they belong.

    Args:
        given: Name → value.
        custom: Names that the templates of stage 2 use as placeholders.
        recursive: The pipeline takes loop parameters.
        outputs: For each output, the names it takes.
        strict: Refuse what nothing takes; otherwise such a parameter is left out (a config's preference for
            another output).

    Raises:
        UnknownName: in strict mode, a parameter that no part of the plan takes.
        InvalidInput: a seed among the parameters.
    """
    routed = Routed(media=[{} for _ in outputs])
    own = {name.casefold() for name in custom}
    for name, value in given.items():
        if name == "seed" and strict:
            raise InvalidInput("The seed is no parameter.", hint="Pass seed=… (media) or text_seed=… (language model).")
        taken = name in SAMPLING or name.casefold() in own
        if taken:
            routed.text[name] = value
        if recursive and name in LOOP:
            routed.loop[name] = value
            taken = True
        for number, names in enumerate(outputs):
            if name in names:
                routed.media[number][name] = value
                taken = True
        if not taken and strict:
            known = {*SAMPLING, *custom, *(LOOP if recursive else ())}.union(*outputs)
            raise UnknownName("parameter", name, known)
    return routed


def check_values(parameters: Mapping[str, Any]) -> None:
    """Refuse sampling values that no model accepts, before anything runs.

    Raises:
        InvalidInput: names parameter, value and range.
    """
    ranges = {
        "temperature": (0, 5),
        "top_p": (0, 1),
        "min_p": (0, 1),
        "top_k": (0, 100_000),
        "max_tokens": (1, 1_000_000),
    }
    for name, (low, high) in ranges.items():
        value = parameters.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise InvalidInput(
                f"{name} must be a number from {low} to {high}, not {value!r}.", hint=f"Correct the parameter {name}."
            )
