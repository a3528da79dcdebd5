"""Which media a run makes: what the call names, else the config's output configs, else the defaults table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aipipe.catalog.library import Catalog
from aipipe.definitions import Chunk, Config, MediaType
from aipipe.errors import InvalidInput, UnknownName
from aipipe.settings import Settings

MEDIA_TYPES: tuple[str, ...] = MediaType.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Target:
    """One output config with its chunk; a workflow named by file is already the graph itself."""

    config: Config
    chunk: Chunk


def targets(
    catalog: Catalog,
    config: Config,
    outputs: Sequence[str] | None,
    settings: Settings,
    mode: str,
    image_hashes: Sequence[str] = (),
) -> tuple[Target, ...]:
    """The outputs of a run, in order.

    Args:
        catalog: All definitions.
        config: The config that runs; an output config is its own only output.
        outputs: What the call names: output configs or media types. None: the config decides.
        settings: The defaults table media type × mode.
        mode: Mode whose table counts.
        image_hashes: Input images of the run, for generators that need some.

    Raises:
        UnknownName: an output config that does not exist.
        InvalidInput: a media type without an output config in this mode, or a generator that needs an image.
    """
    names = _names(config, outputs)
    found = []
    for name in names:
        if name == "text":
            continue
        output = _named(catalog, _by_type(name, settings, mode) if name in MEDIA_TYPES else name)
        needs = catalog.pipeline(output.pipeline).inputs
        if needs.images > len(image_hashes):
            raise InvalidInput(
                f"Output config {output.name!r} needs {needs.images} image(s), the run has {len(image_hashes)}.",
                hint="Pass image=… or --image FILE.",
            )
        found.append(Target(output, _with_graph(catalog, catalog.chunk(output.chunk))))
    return tuple(found)


def _names(config: Config, outputs: Sequence[str] | None) -> tuple[str, ...]:
    if config.stage == "output":
        if outputs and tuple(outputs) != (config.name,):
            raise InvalidInput(
                f"{config.name!r} is itself an output config and makes its own output.",
                hint="Run an interception config such as 'passthrough' to choose outputs.",
            )
        return (config.name,)
    if outputs is not None:
        return (outputs,) if isinstance(outputs, str) else tuple(outputs)
    preferences = config.media_preferences
    if preferences.output_configs:
        return preferences.output_configs
    if config.stage != "interception" or preferences.default_output is None:
        return ()
    return (preferences.default_output,)


def _by_type(media_type: str, settings: Settings, mode: str) -> str:
    table = settings.modes[mode].outputs if mode in settings.modes else {}
    name = table.get(media_type)
    if not name:
        raise InvalidInput(
            f"Mode {mode!r} has no output config for {media_type}.",
            hint=f'Set [modes.{mode}.outputs] {media_type} = "…", name one (outputs=…, --output …), '
            "or stop at the text with until='interception'.",
        )
    return name


def _named(catalog: Catalog, name: str) -> Config:
    known = [config.name for config in catalog.configs("output")]
    if name not in known and not any(problem.name == name for problem in catalog.problems):
        raise UnknownName("output config", name, known)
    return catalog.config(name)


def _with_graph(catalog: Catalog, chunk: Chunk) -> Chunk:
    if isinstance(chunk.workflow, str):
        return chunk.model_copy(update={"workflow": catalog.workflow(chunk.workflow)})
    return chunk
