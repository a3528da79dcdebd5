"""From a config and a call to a plan: everything that will happen, decided before anything happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from aipipe.catalog import languages
from aipipe.catalog.inputs import check_inputs
from aipipe.catalog.library import Catalog
from aipipe.catalog.models import Models
from aipipe.catalog.outputs import Target, targets
from aipipe.catalog.parameters import check_values, route, takes
from aipipe.catalog.problems import error_of
from aipipe.definitions import (
    LEVELS,
    Chunk,
    Config,
    ModelChoice,
    Pipeline,
    Plan,
    PlannedOutput,
    PlannedText,
)
from aipipe.errors import InvalidInput, UnknownName
from aipipe.rendering import KNOWN, placeholders
from aipipe.settings import Settings

TRANSLATION = "pre_interception/translation"
UNTIL = ("pre_interception", "interception")
POLICY = "2026.1"
"""Version of the safety policy: terms, prompts, examples and rules. Changes with each of them."""


def resolve(
    catalog: Catalog,
    config: str | Config,
    texts: Sequence[str],
    *,
    settings: Settings,
    mode: str,
    choose_model: Callable[[str], ModelChoice],
    choose_runner: Callable[[str, Chunk], tuple[str, str]],
    safety: str,
    seed: int,
    text_seed: int = 0,
    outputs: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    models: Mapping[str, str] | None = None,
    image_hashes: Sequence[str] = (),
    until: Literal["pre_interception", "interception"] | None = None,
    edit: str | None = None,
    output_mode: str = "",
) -> Plan:
    """Resolve a config with pipeline, chunks, outputs and models.

    Args:
        catalog: All definitions.
        config: Name of a config, or an object.
        texts: The text inputs, in the order of the pipeline's input names.
        settings: The project's settings (defaults tables, limits).
        mode: Mode of the run, as recorded.
        choose_model: Task → backend and model of the mode.
        choose_runner: (kind of generator, chunk) → (name under [runners], mode it belongs to).
        safety: kids, youth, adult or off.
        seed: Seed of the media.
        text_seed: Seed of every model call, and of the random languages of a recursive pipeline, which belong to
            the text: another picture of the same text needs no new text.
        outputs: Output configs or media types; None takes the config's; empty makes no media.
        parameters: Sampling, loop and media parameters; each goes where it belongs.
        models: Task → model or "backend:model", over config and settings.
        image_hashes: SHA-256 of each input image.
        until: Stop after this stage.
        edit: A person's own interception; stage 2 is not called.
        output_mode: Mode of the defaults table for media types, where it is another than `mode`.

    Raises:
        UnknownName: config, level, output, parameter, task or language.
        InvalidInput: wrong number of texts or images, empty or too long text, impossible values.
        InvalidDefinition: a config object that names something unknown.
    """
    given = _config(catalog, config)
    pipeline = catalog.pipeline(given.pipeline)
    if safety not in LEVELS:
        raise UnknownName("safety level", safety, LEVELS)
    if until is not None and until not in UNTIL:
        raise UnknownName("stage to stop after", until, UNTIL)
    check_inputs(given, pipeline, texts, image_hashes, settings.limits, edit=edit)
    wanted = () if until else targets(catalog, given, outputs, settings, output_mode or mode, image_hashes)
    choices = Models(settings, mode, choose_model, models or {})
    steps, iterations, media = _stages(catalog, given, pipeline, wanted, parameters or {}, choices, text_seed)
    if edit is not None or given.stage == "output":
        steps, iterations = (), ()
    return Plan(
        config=given,
        pipeline=pipeline,
        mode=mode,
        safety=safety,
        texts=tuple(texts),
        image_hashes=tuple(image_hashes),
        seed=seed,
        text_seed=text_seed,
        until=until,
        edit=edit,
        translation=None if edit is not None or given.stage == "output" else _translation(catalog, given, choices),
        steps=steps,
        iterations=iterations,
        safety_model=None if safety == "off" else choices.safety(),
        outputs=tuple(
            _output(index, target, values, given, mode, choose_runner)
            for index, (target, values) in enumerate(zip(wanted, media, strict=True))
        ),
        policy=POLICY,
    )


def _config(catalog: Catalog, config: str | Config) -> Config:
    if isinstance(config, str):
        return catalog.config(config)
    problems = catalog.check(config)
    if problems:
        raise error_of(problems, f"The config {config.name!r} cannot be used")
    return config


def _stages(
    catalog: Catalog,
    config: Config,
    pipeline: Pipeline,
    wanted: Sequence[Target],
    parameters: Mapping[str, Any],
    choices: Models,
    text_seed: int,
) -> tuple[tuple[PlannedText, ...], tuple[str, ...], list[dict[str, Any]]]:
    """The chunks of stage 2, the languages of a recursive pipeline, and the parameters of each output."""
    rewrites = pipeline.kind in ("text", "recursive") and config.stage != "output"
    chunks = [catalog.chunk(name) for name in pipeline.chunks] if rewrites else []
    recursive = pipeline.kind == "recursive"
    custom = _custom(chunks, config, pipeline)
    accepted = [takes(target.chunk, target.config.parameters) for target in wanted]
    defaults = route(
        {**pipeline.parameters, **config.parameters}, custom=custom, recursive=recursive, outputs=accepted, strict=False
    )
    own = route(parameters, custom=custom, recursive=recursive, outputs=accepted, strict=True)
    loop = {**defaults.loop, **own.loop}
    check_values({**defaults.text, **own.text})
    steps = tuple(
        PlannedText(
            chunk=chunk,
            model=choices.text(config, chunk),
            context=config.context_text(),
            examples=config.examples,
            parameters={**chunk.parameters, **defaults.text, **own.text},
        )
        for chunk in chunks
    )
    media = [{**d, **o} for d, o in zip(defaults.media, own.media, strict=True)]
    return steps, languages.sequence(loop, text_seed) if recursive else (), media


def _custom(chunks: Sequence[Chunk], config: Config, pipeline: Pipeline) -> set[str]:
    """Parameters that exist because a template of stage 2 uses them, under the name the definitions give them."""
    declared = {*pipeline.parameters, *config.parameters}.union(*(chunk.parameters for chunk in chunks))
    used = {n.casefold() for c in chunks for text in (c.system, c.template) for n in placeholders(text)}
    used |= {n.casefold() for n in placeholders(config.context_text())}
    used -= {name.casefold() for name in KNOWN}
    return {name for name in declared if name.casefold() in used}


def _translation(catalog: Catalog, config: Config, choices: Models) -> PlannedText | None:
    if not config.translate:
        return None
    translation = catalog.config(TRANSLATION)
    chunk = catalog.chunk(catalog.pipeline(translation.pipeline).chunks[0])
    return PlannedText(
        chunk=chunk,
        model=choices.text(translation, chunk),
        context=translation.context_text(),
        examples=translation.examples,
        parameters={**chunk.parameters, **translation.parameters},
    )


def _output(
    index: int,
    target: Target,
    values: Mapping[str, Any],
    config: Config,
    mode: str,
    choose_runner: Callable[[str, Chunk], tuple[str, str]],
) -> PlannedOutput:
    runner, runner_mode = choose_runner(target.chunk.runner, target.chunk)
    media_type = target.chunk.media_type
    if media_type is None:
        raise InvalidInput(f"Output config {target.config.name!r} names no media type.", hint="Give its chunk one.")
    return PlannedOutput(
        index=index,
        config=target.config.name,
        media_type=media_type,
        runner=runner,
        mode=runner_mode or mode,
        chunk=target.chunk,
        model=str(values.get("model") or target.config.model or target.chunk.model),
        parameters={
            **target.chunk.parameters,
            **{k: v for k, v in target.config.parameters.items() if k not in ("model", "seed")},
            **{k: v for k, v in values.items() if k != "model" or "model" in target.chunk.inputs},
        },
    )
