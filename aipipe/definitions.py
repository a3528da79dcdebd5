"""Chunk, Pipeline, Config and the Plan they resolve to.

A *chunk* is one prompt template or one workflow with its input map, a *pipeline* an order of chunks, a *config* the
content that fills a pipeline. A *plan* is a config resolved with all of them, for one run.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

MediaType = Literal["text", "image", "audio", "music", "video", "3d", "code"]
Stage = Literal["interception", "output", "pre_interception", "pre_output"]
SafetyLevel = Literal["kids", "youth", "adult", "off"]
LEVELS: tuple[SafetyLevel, ...] = ("kids", "youth", "adult", "off")
MODES = ("eco", "fast", "embedded", "echo")
Localized = dict[str, str]
"""Language code → text."""


class Definition(BaseModel):
    """Base of definitions: unknown keys are refused, objects never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Example(Definition):
    """One worked example for the model."""

    input: str = Field(description="Text as a user would give it.")
    output: str = Field(description="Answer as the model should give it.")


class InputField(Definition):
    """Where one named value goes in a workflow."""

    node_id: str = Field(description="Id of the node.")
    field: str = Field(description="Dotted path below the node, for example inputs.seed.")
    default: Any = Field(None, description="Value when the caller gives none.")
    description: str = ""


class Chunk(Definition):
    """One prompt template (`kind` text) or one media call (`kind` media)."""

    name: str
    kind: Literal["text", "media"] = "text"
    description: str = ""
    system: str = Field("", description="Template of the system message.")
    template: str = Field("", description="Template of the user message.")
    examples: tuple[Example, ...] = Field((), description="Worked examples, sent before the question.")
    task: str = Field("interception", description="Key of the task × mode table that chooses the model.")
    model: str = Field("", description="A fixed model, overriding the table.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Sampling or media parameters.")
    answer: Literal["text", "json"] = Field(
        "text", description="json: the keys of the answer become placeholders for later chunks."
    )
    answer_schema: dict[str, Any] | None = Field(None, description="JSON Schema of a json answer.")
    runner: str = Field("", description="Kind of the media generator: comfyui, sketch, placeholder, openai_images.")
    media_type: MediaType | None = None
    workflow: dict[str, Any] | str | None = Field(
        None, description="Graph in API form, or the name of a file in workflows/."
    )
    inputs: dict[str, InputField | tuple[InputField, ...]] = Field(
        default_factory=dict, description="Named values → node fields."
    )
    output: dict[str, Any] = Field(
        default_factory=dict, description='Which nodes are results: {"node_id": …}, or {} for all.'
    )


class InputNeeds(Definition):
    """What a run of a pipeline must be given."""

    texts: int = Field(1, ge=0, description="Number of texts.")
    images: int = Field(0, ge=0, description="Number of images.")
    names: tuple[str, ...] = Field((), description="Names of the texts, for messages and forms (lyrics, tags …).")


class Pipeline(Definition):
    """An order of chunks."""

    name: str
    kind: Literal["text", "recursive", "passthrough", "media"] = "text"
    description: str = ""
    chunks: tuple[str, ...] = ()
    inputs: InputNeeds = InputNeeds()
    parameters: dict[str, Any] = Field(default_factory=dict, description="Defaults that a config overrides.")


class MediaPreferences(Definition):
    """Which media a config makes."""

    default_output: MediaType | None = Field(
        "image", description="Media type, looked up in the defaults table by mode; text or null: text only."
    )
    supported_types: tuple[MediaType, ...] = ()
    output_configs: tuple[str, ...] = Field(
        (), description="Explicit output configs, in order; overrides default_output."
    )


class Config(Definition):
    """Content that fills a pipeline; what a user selects.

    Researchers write one as a JSON file, a Markdown file with front matter, or an object:

        aipipe.Config(name="mine", context="You are …", output="image")
    """

    name: str
    pipeline: str = "text_transformation"
    stage: Stage = "interception"
    title: Localized = Field(default_factory=dict)
    description: Localized = Field(default_factory=dict)
    context: str | Localized = Field("", description="How the model shall rewrite the prompt.")
    examples: tuple[Example, ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    media_preferences: MediaPreferences = MediaPreferences()
    translate: bool = Field(True, description="False: texts reach stage 2 in their own language.")
    style: str = Field("", description="Hint for composing generators: scene, dada, bauhaus, line.")
    chunk: str = Field("", description="Media chunk of an output config.")
    task: str = Field("", description="Model task that replaces the chunk's.")
    model: str = Field("", description="A fixed model, overriding the table.")
    tags: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    audience: dict[str, Any] = Field(default_factory=dict)
    display: dict[str, Any] = Field(default_factory=dict)
    meta: dict[str, Any] = Field(default_factory=dict)

    @field_validator("title", "description", mode="before")
    @classmethod
    def _in_english(cls, value: Any) -> Any:
        return {"en": value} if isinstance(value, str) else value

    @field_validator("tags", mode="before")
    @classmethod
    def _tags_in_english(cls, value: Any) -> Any:
        return {"en": value} if isinstance(value, (list, tuple)) else value

    def __init__(self, **data: Any) -> None:
        output = data.pop("output", None)
        if output is not None:
            data["media_preferences"] = _preferences(output)
        super().__init__(**data)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.display import config_bundle

        return config_bundle(self)

    def context_text(self, language: str = "en") -> str:
        """The context in `language`, else English, else any."""
        if isinstance(self.context, str):
            return self.context
        return self.context.get(language) or self.context.get("en") or next(iter(self.context.values()), "")


def _preferences(output: Any) -> dict[str, Any]:
    media_types = MediaType.__args__  # type: ignore[attr-defined]
    names = [output] if isinstance(output, str) else output
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return output  # type: ignore[no-any-return]  # the field's own check says what is wrong with it
    if len(names) == 1 and names[0] in media_types:
        return {"default_output": names[0]}
    return {"output_configs": list(names)}


class ModelChoice(Definition):
    """Which backend and model answer a task."""

    backend: str = Field(description="Name under [backends].")
    model: str = Field("", description="Model at the backend; empty: its default.")
    mode: str = Field("", description="Mode this part belongs to.")

    def __str__(self) -> str:
        return f"{self.backend}:{self.model}" if self.model else self.backend


class PlannedText(Definition):
    """One text chunk of the plan, with everything its request needs."""

    chunk: Chunk
    model: ModelChoice
    context: str = ""
    examples: tuple[Example, ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)


class PlannedOutput(Definition):
    """One output of the plan."""

    index: int
    config: str
    media_type: MediaType
    runner: str = Field(description="Name under [runners].")
    mode: str = ""
    chunk: Chunk
    model: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)


class Plan(Definition):
    """A config resolved with pipeline, chunks, outputs and models, for one run; stored in provenance.json."""

    config: Config
    pipeline: Pipeline
    mode: str
    safety: SafetyLevel
    texts: tuple[str, ...]
    image_hashes: tuple[str, ...] = Field((), description="SHA-256 of each input image.")
    seed: int = 0
    text_seed: int = 0
    until: Literal["pre_interception", "interception"] | None = None
    edit: str | None = Field(None, description="A person's own interception; stage 2 is not called.")
    translation: PlannedText | None = Field(None, description="None: translation is off.")
    steps: tuple[PlannedText, ...] = Field((), description="Chunks of stage 2 in order.")
    iterations: tuple[str, ...] = Field(
        (), description="Language codes of a recursive pipeline's iterations, in order."
    )
    safety_model: ModelChoice | None = None
    outputs: tuple[PlannedOutput, ...] = ()
    policy: str = Field("", description="Version of the safety policy.")

    @property
    def expected_outputs(self) -> tuple[str, ...]:
        """Entity types this plan will produce, in order, repeated as often as planned."""
        return _expected(self)

    @property
    def models(self) -> dict[str, str]:
        """Task → backend:model."""
        found: dict[str, str] = {}
        if self.translation:
            found["translation"] = str(self.translation.model)
        if self.safety_model:
            found["safety"] = str(self.safety_model)
        if self.steps:
            found["interception"] = str(self.steps[-1].model)
        return found

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.display import plan_bundle

        return plan_bundle(self)

    @property
    def plan_hash(self) -> str:
        """SHA-256 over the sorted JSON of the plan."""
        return canonical_hash(self.model_dump(mode="json"))

    @property
    def config_hash(self) -> str:
        """SHA-256 over config, pipeline and chunks: what a trial and a final version differ by."""
        parts = {
            "config": self.config.model_dump(mode="json"),
            "pipeline": self.pipeline.model_dump(mode="json"),
            "chunks": [s.chunk.model_dump(mode="json") for s in self.steps],
        }
        return canonical_hash(parts)


def _expected(plan: Plan) -> tuple[str, ...]:
    types: list[str] = ["input_image" for _ in plan.image_hashes]
    if plan.edit is not None:
        types.append("interception_edit")
    elif plan.config.stage != "output":
        for _ in plan.texts:
            types += ["input", "translation", "safety"]
        if plan.until == "pre_interception":
            return tuple(types)
        types += ["interception_iteration"] * (max(len(plan.iterations), len(plan.steps)) - 1)
        types.append("interception")
    else:
        types += ["input" for _ in plan.texts]
    if plan.until == "interception":
        return tuple(types)
    for output in plan.outputs:
        types += ["safety_pre_output", f"output_{output.media_type}"]
    return tuple(types)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def canonical_hash(value: Any) -> str:
    """SHA-256 (lower-case hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
