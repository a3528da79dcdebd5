"""What a run must be given, checked before it has a folder."""

from __future__ import annotations

from collections.abc import Sequence

from aipipe.definitions import Config, Pipeline
from aipipe.errors import InvalidInput
from aipipe.settings import Limits


def check_inputs(
    config: Config,
    pipeline: Pipeline,
    texts: Sequence[str],
    image_hashes: Sequence[str],
    limits: Limits,
    *,
    edit: str | None = None,
) -> None:
    """Refuse a wrong number of inputs, empty and over-long texts.

    Raises:
        InvalidInput: names the inputs that the config takes.
    """
    if edit is not None:
        _check_text("The edited prompt", edit, limits)
    else:
        _check_count(config, pipeline, texts)
    names = input_names(pipeline)
    for index, text in enumerate(texts):
        name = names[index] if index < len(names) else f"text {index + 1}"
        _check_text(f"Input {name!r}", text, limits)
    wanted = pipeline.inputs.images
    if len(image_hashes) < wanted:
        raise InvalidInput(
            f"{config.name!r} needs {_count(wanted, 'image')}, {len(image_hashes)} given.",
            hint="Pass image=… or images=[…], on the command line --image FILE.",
        )


def input_names(pipeline: Pipeline) -> tuple[str, ...]:
    """Names of a pipeline's texts, for messages and forms."""
    named = pipeline.inputs.names
    return named + tuple(
        f"text {n}" if n > 1 or named else "text" for n in range(len(named) + 1, pipeline.inputs.texts + 1)
    )


def _check_count(config: Config, pipeline: Pipeline, texts: Sequence[str]) -> None:
    wanted = pipeline.inputs.texts
    if len(texts) == wanted:
        return
    names = ", ".join(input_names(pipeline)) or "none"
    raise InvalidInput(
        f"{config.name!r} takes {_count(wanted, 'text')} ({names}), {len(texts)} given.",
        hint="Quote a text that has spaces." if len(texts) > wanted else f"Give, in this order: {names}.",
    )


def _check_text(what: str, text: str, limits: Limits) -> None:
    if not isinstance(text, str):
        raise InvalidInput(f"{what} is a {type(text).__name__}, not a text.", hint="Pass a string.")
    if not text.strip():
        raise InvalidInput(f"{what} is empty.", hint="Write what the run shall start from.")
    if len(text) > limits.input_chars:
        raise InvalidInput(
            f"{what} has {len(text):,} characters, the limit is {limits.input_chars:,}.",
            hint="Shorten it, or raise limits.input_chars in aipipe.toml.",
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
