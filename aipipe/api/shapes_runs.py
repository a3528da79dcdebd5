"""Shapes of JSON answers, for the OpenAPI document: runs and their execution. See `aipipe.api.shapes`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from aipipe.records import CurrentState, EntityRecord, OutputRecord, Reason, RunRecord

Seen = Literal["running", "completed", "blocked", "failed", "cancelled", "interrupted", "unknown"]
Place = Literal["queued"]


class RunSummary(BaseModel):
    """One line of the list of runs."""

    run_id: str
    config_name: str
    status: Seen
    timestamp: str = Field(description="Start, UTC.")
    seconds: float | None = Field(description="Working time.")
    execution_mode: str
    safety_level: str
    user_id: str
    participant: str | None
    study: str | None
    session: str | None
    seed: str | None = Field(description="Decimal digits; may be larger than a number of JavaScript.")
    progress: str
    stage: int
    text: str = Field(description="Beginning of the first input.")
    prompt: str = Field(description="Beginning of the interception.")
    media: list[str] = Field(description="Media types of the outputs that are there.")
    thumbnail: bool = Field(description="There is an image or a film to make one of.")
    reason: str | None = Field(description="What ended it, if it did not complete.")
    batch_id: str | None
    tags: list[str]
    starred: bool


class WaitingRun(BaseModel):
    """A run that waits in the queue of this server."""

    run_id: str
    status: Place
    config_name: str
    execution_mode: str
    safety_level: str
    text: str
    place: int = Field(description="Place in line, from 1.")
    minutes: float = Field(description="Estimated wait in minutes.")


class RunList(BaseModel):
    """One page of the list of runs."""

    runs: list[RunSummary]
    next: str | None = Field(description="Cursor of the page that follows; null at the end.")
    scanned: int = Field(description="Runs that were looked at for this page.")
    hits: int = Field(description="Runs that fit the filter.")
    hits_exact: bool = Field(description="False: at least so many; the store is still being read.")
    total: int = Field(description="All runs that this person may see.")
    queued: list[WaitingRun]


class RunDocument(RunRecord):
    """metadata.json, with the status as readers see it."""

    status: Seen  # type: ignore[assignment]


class RunRequest(BaseModel):
    """The request that would make a run again."""

    config: str = Field(alias="schema")
    input_texts: list[str]
    context: str | None = Field(description="The run's context where it is not its config's own.")
    execution_mode: str | None
    safety_level: str | None
    outputs: list[str] | None
    seed: str | None = Field(description="Decimal digits.")
    text_seed: int
    until: Literal["pre_interception", "interception"] | None
    labels: dict[str, str]
    study: str | None
    input_id: str | None
    parameters: dict[str, Any] = Field(description="Parameters that its call named.")
    models: dict[str, str] = Field(description="Models that its call named, by task.")
    images: int = Field(description="Input images it had.")


class EntityEntry(EntityRecord):
    """An entity with its address."""

    index: int = Field(description="Which of several of its type, from 0.")
    url: str = Field(description="Path of its bytes.")


class EntityList(BaseModel):
    """The entities of a run."""

    run_id: str
    entity_count: int
    entities: list[EntityEntry]


class Waiting(BaseModel):
    """Where a run stands in line."""

    place: int = Field(description="From 1.")
    minutes: float = Field(description="Estimated wait in minutes.")


class RunState(CurrentState):
    """Where a run stands; the step of one that waits is `queued`."""


class RunStatus(BaseModel):
    """Where a run stands, and what it has made."""

    run_id: str
    status: Seen | Place
    config_name: str
    execution_mode: str
    safety_level: str
    timestamp: str | None = Field(description="Start, UTC; null while it waits.")
    current_state: RunState
    expected_outputs: list[str]
    completed_outputs: list[str]
    next_expected: str | None
    reason: Reason | None = Field(description="What ended it, if it did not complete.")
    outputs: list[OutputRecord]
    seconds: float | None
    entity_count: int
    entities: list[EntityEntry]
    queue: Waiting | None = Field(description="Only while it waits.")


class OutputItem(BaseModel):
    """One output of a run that has ended."""

    config: str
    media_type: str
    status: Literal["success", "blocked", "error"]
    run_id: str | None = Field(None, description="Set on success, as are the fields up to `urls`.")
    output: str | None = None
    media_stored: bool | None = None
    execution_time: float | None = None
    metadata: dict[str, Any] | None = None
    urls: list[str] | None = Field(None, description="Paths of its files.")
    reason: str | None = Field(None, description="Why it was blocked.")
    safety_level: str | None = Field(None, description="Level at which it was blocked.")
    error: str | None = Field(None, description="Why it was not made.")


class ExecuteMetadata(BaseModel):
    """Numbers of a run, as the original gives them."""

    total_steps: int
    input_length: int
    output_length: int
    pipeline_name: str
    iterations: int | None = Field(None, description="Of a recursive pipeline.")


class ExecuteAnswer(BaseModel):
    """A run that has ended."""

    status: Literal["success", "blocked", "error"]
    config: str = Field(alias="schema")
    config_name: str
    run_id: str
    run_status: Seen = Field(description="Status in metadata.json.")
    input_text: str
    final_output: str = Field(description="The interception, or a person's edit of it.")
    steps_completed: int
    execution_time: float | None
    metadata: ExecuteMetadata
    error: str | None = Field(None, description="What went wrong, where nothing was made.")
    type: str | None = Field(None, description="Kind of the error.")
    media_output: OutputItem | None = Field(None, description="The only output.")
    media_outputs: list[OutputItem] | None = Field(None, description="Several outputs.")
    media_output_count: int | None = None


class InLine(BaseModel):
    """A run that stands in line."""

    status: Literal["accepted"]
    run_id: str
    config: str = Field(alias="schema")
    place: int = Field(description="Place in line; 0 when it runs.")
    minutes: float = Field(description="Estimated wait in minutes.")
    status_url: str
    events_url: str
    cancel_url: str


class Cancelling(BaseModel):
    """The run was asked to stop."""

    status: Literal["cancelling"]
    run_id: str


class PreviewedMessage(BaseModel):
    """One message to a model."""

    role: str
    content: str = Field(description="Earlier answers appear as «…».")


class PreviewedCall(BaseModel):
    """One call as it would be made."""

    stage: int
    step: str
    service: str = Field(description="backend:model, or the media generator.")
    messages: list[PreviewedMessage]
    parameters: dict[str, Any] = Field(description="As they would be sent.")


class PreviewAnswer(BaseModel):
    """What every stage would be sent; no model was called."""

    config_name: str
    execution_mode: str
    safety_level: str
    seed: str | None = Field(description="Decimal digits; drawn where none was named.")
    steps: list[PreviewedCall]


class Tags(BaseModel):
    """Tags of a run, those of its start and later ones."""

    run_id: str
    tags: list[str]


class FindingShape(BaseModel):
    """One thing that is not as the record says."""

    run_id: str
    kind: str = Field(description="missing, altered, unsafe, orphaned, extra or unreadable.")
    filename: str
    detail: str


class Verification(BaseModel):
    """A run folder held against its record."""

    run_id: str
    entities: int = Field(description="Entities that were looked at.")
    findings: list[FindingShape]
    clean: bool = Field(description="There are no findings.")
