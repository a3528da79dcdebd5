"""Shapes of JSON answers, for the OpenAPI document: errors, the server itself, configs, links, ratings.

They document and are not run through: routes send what they have made. tests/api/test_shapes.py holds real answers
against them, field by field.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class ErrorAnswer(BaseModel):
    """A refusal or a failure."""

    status: Literal["error"]
    error: str = Field(description="What happened.")
    type: str = Field(description="Kind of the error.")
    hint: str = Field(description="What to do next.")
    suggestions: list[str] = Field([], description="Known names that look alike.")
    problems: list[str] = Field([], description="Every field that is wrong.")
    place: int | None = Field(None, description="Place in line that the run would have had.")
    minutes: float | None = Field(None, description="Estimated wait in minutes.")
    run_id: str | None = Field(None, description="The run that records what happened.")
    run_status: str | None = Field(None, description="Its status.")
    config: str | None = Field(None, alias="schema", description="Name of the config.")
    metadata: dict[str, Any] | None = Field(None, description="`stage` and `safety_codes` of a block.")


class QueueCounts(BaseModel):
    """The queue of the server."""

    running: int = Field(description="Runs that run.")
    waiting: int = Field(description="Runs that wait.")
    workers: int = Field(description="Runs at the same time, at most.")
    size: int = Field(description="Runs that may wait.")
    minutes: float = Field(description="Estimated wait of one more run in minutes.")


class Health(BaseModel):
    """Whether the server is alive."""

    status: Literal["ok", "stopping"]
    version: str = Field(description="Version of aipipe.")
    queue: QueueCounts | None = Field(None, description="Only for who is known.")


class Session(BaseModel):
    """What a person may do here."""

    role: Literal["operator", "visitor"]
    user_id: str = Field(description='Pseudonym of a visitor; "" for the operator.')
    locked: bool = Field(description="Visitors see their own runs only.")
    level: str = Field(description="Laxest safety level of a run.")
    levels: list[str] = Field(description="Levels that a request may name, strictest first.")
    modes: list[str] = Field(description="Modes that a request may name.")
    default_mode: str = Field(description='Mode of a request that names none; "" takes what answers.')
    version: str = Field(description="Version of aipipe.")
    input_chars: int = Field(description="Longest text of an input.")
    queue: QueueCounts


class ConfigCard(BaseModel):
    """A config as a form shows it."""

    name: str
    title: dict[str, str] = Field(description="By language.")
    description: dict[str, str] = Field(description="By language.")
    pipeline_name: str
    chunks: list[str]
    kind: Literal["text", "recursive", "passthrough", "media"]
    texts: list[str] = Field(description="Names of its text inputs.")
    images: int = Field(description="How many input images it takes.")
    parameters: dict[str, Any] = Field(description="Parameters with their values.")
    output: str | None = Field(description="Media type it makes by itself, or null.")
    outputs: list[str] = Field(description="Output configs it names.")
    tags: dict[str, list[str]] = Field(description="By language.")
    display: dict[str, Any]
    shipped: bool = Field(description="It comes with aipipe.")


class ConfigList(BaseModel):
    """Configs that can be run."""

    status: Literal["success"]
    schemas: list[ConfigCard]


class WorkedExample(BaseModel):
    """One worked example for the model."""

    input: str
    output: str


class ConfigDetails(ConfigCard):
    """A config with its texts."""

    context: dict[str, str] = Field(description="How the model shall rewrite the prompt, by language.")
    examples: list[WorkedExample]


class Links(BaseModel):
    """Links that let others in."""

    operator: str = Field(description="Lets one browser in as operator, once.")
    valid_minutes: int
    visitors: str | None = Field(None, description="The visitors' link of a locked server.")


class RatingLinks(BaseModel):
    """A link for each rater."""

    links: dict[str, str] = Field(description="Rater to link.")


class RatingOutline(BaseModel):
    """What a rating page must know of a task."""

    kind: str = Field(description="single or pairwise.")
    criteria: list[str]
    scale: int
    count: int = Field(description="Items of this rater.")


class RatingState(BaseModel):
    """What there is to rate, and what is done."""

    task: RatingOutline
    tokens: list[str] = Field(description="Items in this rater's order.")
    done: list[int] = Field(description="Positions that have an answer.")


class RatingPart(BaseModel):
    """One thing to look at or listen to."""

    text: str
    mime: str = Field(description='MIME type of the picture, sound or film; "" for a text.')
    input: str
    name: str


class RatingItem(BaseModel):
    """One item, or two to compare."""

    parts: list[RatingPart]
    pictures: list[str] = Field(description='Pictures, sounds or films in base64; "" for a text.')


class Saved(BaseModel):
    """The answer is kept."""

    status: Literal["saved"]
