"""The body of an execute request."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

from aipipe.errors import InvalidInput

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Short = Annotated[str, StringConstraints(max_length=500)]
MAX_SEED = 2**64 - 1
MAX_TEXT = 200_000


class ExecuteRequest(BaseModel):
    """What to run. `schema` and `input_text` are required; everything else has the server's defaults."""

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {"schema": "dada", "input_text": "Eine Blume auf der Wiese", "safety_level": "kids"},
                {"schema": "bauhaus", "input_text": "a heron at the lake", "seed": 7, "async": True},
                {"schema": "stillepost", "input_text": "the silence between two thoughts", "until": "interception"},
            ]
        },
    )

    config: Name = Field(
        validation_alias=AliasChoices("schema", "config"),
        serialization_alias="schema",
        description="Name of the config; the original's word is schema.",
    )
    input_text: Annotated[str, StringConstraints(max_length=MAX_TEXT)] | None = Field(
        None, description="The text, for configs that take one."
    )
    input_texts: list[Annotated[str, StringConstraints(max_length=MAX_TEXT)]] | None = Field(
        None, max_length=16, description="The texts, for configs that take several."
    )
    execution_mode: Short | None = Field(
        None, description="eco, fast, embedded or echo, as far as the server offers it."
    )
    safety_level: Short | None = Field(None, description="kids, youth, adult or off; never laxer than the server's.")
    user_input: str | None = Field(None, max_length=MAX_TEXT, description="Sent by older front ends; not used.")
    timestamp: Short | None = Field(None, description="Sent by older front ends; not used.")
    asynchronous: bool = Field(
        False,
        validation_alias=AliasChoices("async", "asynchronous"),
        serialization_alias="async",
        description="True answers 202 with the run id at once.",
    )
    outputs: list[Name] | None = Field(None, max_length=16, description="Output configs, instead of the config's own.")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="Seed of the media.")
    text_seed: int = Field(0, ge=0, le=MAX_SEED, description="Seed of every language model call.")
    parameters: dict[Name, Any] = Field(default_factory=dict, max_length=64, description="Parameters by name.")
    models: dict[Name, Short] = Field(default_factory=dict, max_length=8, description="Task to model. Operator only.")
    until: Literal["pre_interception", "interception"] | None = Field(None, description="End the run there.")
    context: str | None = Field(
        None, min_length=1, max_length=MAX_TEXT, description="Replaces the config's context; checked before use."
    )
    images: list[Annotated[str, StringConstraints(max_length=24_000_000)]] = Field(
        default_factory=list, max_length=8, description="Input images, base64."
    )
    parent: Name | None = Field(None, description="Run whose interception `prompt` replaces.")
    prompt: str | None = Field(None, max_length=MAX_TEXT, description="A person's own interception, with `parent`.")
    labels: dict[Name, Short] = Field(default_factory=dict, max_length=32, description="Free key-value pairs.")
    study: Short | None = None
    participant: Short | None = Field(None, description="Pseudonym of the author; a locked server sets its own.")
    session: Short | None = None
    input_id: Short | None = None
    tags: list[Name] = Field(default_factory=list, max_length=32)
    user_id: Short | None = Field(None, description="Account name of a front end; a locked server sets its own.")
    run_id: Short | None = Field(None, description="A UUID for the new run; left out, the server makes one.")

    @property
    def texts(self) -> tuple[str, ...]:
        """The input texts.

        Raises:
            InvalidInput: both forms were given, or none where one is needed.
        """
        if self.input_texts is not None and self.input_text is not None:
            raise InvalidInput("input_text and input_texts were both given.", hint="Send one of them.")
        if self.input_texts is not None:
            return tuple(self.input_texts)
        if self.input_text is not None:
            return (self.input_text,)
        if self.parent is not None:
            return ()
        raise InvalidInput("input_text is missing.", hint='Send {"schema": "dada", "input_text": "a flower"}.')

    def decoded_images(self) -> list[bytes]:
        """The images as bytes; never a path.

        Raises:
            InvalidInput: one is not base64.
        """
        found = []
        for number, text in enumerate(self.images, start=1):
            data = text.partition(",")[2] if text.startswith("data:") else text
            try:
                found.append(base64.b64decode(data, validate=True))
            except (binascii.Error, ValueError):
                raise InvalidInput(
                    f"Image {number} is not base64.", hint="Send the file's bytes in base64, or a data: address."
                ) from None
        return found
