"""The pydantic models of metadata.json, format version 1.

Field order is part of the format. Unknown fields survive a load and a save. The meaning of every field stands in its
description, from which docs/run-format is generated.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT_VERSION = 1

Status = Literal["running", "completed", "blocked", "failed", "cancelled"]
TERMINAL = ("completed", "blocked", "failed", "cancelled")
STEPS = {
    0: "pipeline_starting",
    1: "translation_and_safety",
    2: "interception",
    3: "pre_output_safety",
    4: "media_generation",
    5: "complete",
}


class Record(BaseModel):
    """Base of all records: unknown fields are kept, as they may come from a newer program."""

    model_config = ConfigDict(extra="allow")


class Reason(Record):
    """What ended a run or an output."""

    stage: int | None = Field(None, description="Stage 0 to 5 in which it happened, or null.")
    type: str = Field(description="Kind of the reason: safety_blocked, an error's class name, cancelled …")
    message: str = Field(description="Sentence for a person.")


class CurrentState(Record):
    """Where the run stands."""

    stage: int = Field(
        0,
        ge=0,
        le=5,
        description="0 start, 1 pre-interception, 2 interception, 3 pre-output safety, 4 output, 5 complete.",
    )
    step: str = Field("pipeline_starting", description="Name of the step within the stage.")
    progress: str = Field("0/0", description="Finished expected outputs / expected outputs; never errors or extras.")


class InputRecord(Record):
    """One text or image input."""

    index: int = Field(description="Number of the input, from 0.")
    kind: Literal["text", "image"] = Field("text", description="What it is.")
    language: str | None = Field(None, description="Detected language (ISO 639-1), or null if unknown.")
    language_score: float | None = Field(None, description="Confidence of the detection, 0 to 1.")
    characters: int | None = Field(None, description="Length of the text in characters.")
    sha256: str | None = Field(None, description="SHA-256 of the text (UTF-8) or of the image file.")


class OutputRecord(Record):
    """One planned output and how it ended."""

    index: int = Field(description="Number of the output, from 0.")
    config: str = Field(description="Name of the output config.")
    media_type: str = Field("image", description="Media type the config makes.")
    outcome: Literal["planned", "completed", "blocked", "failed", "cancelled"] = Field(
        "planned", description="How it ended."
    )
    reason: Reason | None = Field(None, description="What ended it, if it did not complete.")


class EntityRecord(Record):
    """One recorded thing: a numbered file and what is known of it."""

    sequence: int = Field(ge=1, description="Number of the entity in this run, from 1, without gaps; gives the order.")
    type: str = Field(description="Entity type.")
    filename: str = Field(description="Its file in the run folder, NN_type.ext.")
    timestamp: str = Field(description="When it was saved, UTC.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Facts given by whoever saved it.")
    media_type: str = Field("other", description="text, json, image, audio, music, video, 3d, code, other.")
    mime: str = Field("application/octet-stream", description="MIME type, sniffed from the bytes.")
    size: int = Field(0, ge=0, description="Size in bytes.")
    sha256: str = Field("", description="SHA-256 of the bytes, lower-case hex.")
    stage: int | None = Field(None, description="Stage that produced it.")
    input: int | None = Field(None, description="Index of the input it belongs to.")
    output: int | None = Field(None, description="Index of the output it belongs to.")
    file_index: int | None = Field(None, description="Number of the file within one output, from 0.")
    iteration: int | None = Field(None, description="Number of the iteration in a recursive pipeline, from 1.")
    reused_from: str | None = Field(None, description="run_id/filename it was copied from within a batch.")
    checked: Literal["decoded", "header"] | None = Field(
        None, description="How a media file was tried before it was listed."
    )


class Tokens(Record):
    """Tokens of one model call."""

    input: int | None = Field(None, description="Tokens of the prompt.")
    output: int | None = Field(None, description="Tokens of the answer.")


class StepRecord(Record):
    """One call within a stage."""

    stage: int = Field(description="Stage 1 to 4.")
    step: str = Field(description="translation, safety, interception, safety_pre_output, media, image_safety …")
    chunk: str = Field("", description="Chunk that was filled.")
    backend: str = Field("", description="Language model backend, or empty.")
    runner: str = Field("", description="Media generator, or empty.")
    model: str = Field("", description="Model as the service names it.")
    model_digest: str = Field("", description="Digest of the model file, if the service gives one.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Parameters as sent.")
    seed: str | None = Field(None, description="Seed of the call as a decimal string.")
    started: str = Field("", description="Start, UTC.")
    seconds: float = Field(0.0, description="Duration in seconds, by the monotonic clock.")
    tokens: Tokens = Field(default_factory=Tokens, description="Tokens, where the service counts them.")
    attempts: int = Field(1, description="How often the service was asked.")
    outcome: Literal["completed", "reused", "blocked", "failed", "cancelled", "skipped"] = Field(
        "completed", description="How it ended."
    )
    execution_mode: str = Field("", description="Mode of the part that answered: eco, fast, embedded, echo.")
    input: int | None = Field(None, description="Index of the input.")
    output: int | None = Field(None, description="Index of the output.")
    iteration: int | None = Field(None, description="Iteration, from 1.")
    job: dict[str, Any] | None = Field(None, description="Server and id of a media job.")
    message: str = Field("", description="Error message, if it failed.")


class AttemptRecord(Record):
    """One attempt to execute the run: the first, and one more per resume."""

    started: str = Field(description="Start, UTC.")
    finished: str | None = Field(None, description="End, UTC.")
    host: str = Field("", description="Host of the writer.")
    pid: int = Field(0, description="Process of the writer.")
    status: str = Field("running", description="How the attempt ended.")


class BatchRecord(Record):
    """The case of a batch."""

    batch_id: str = Field(description="Id of the batch.")
    case_key: str = Field(description="Key of the case.")
    index: int = Field(description="Number of the case in the plan.")


class ParentRecord(Record):
    """The run that this one repeats or edits."""

    run_id: str = Field(description="Id of the parent.")
    relation: Literal["rerun", "edit", "import"] = Field("rerun", description="What this run does to it.")


class RunRecord(Record):
    """metadata.json: the single source of truth of a run."""

    format_version: int = Field(FORMAT_VERSION, description="Version of this format.")
    run_id: str = Field(description="Lower-case UUID, version 7 for runs made here; the folder's name.")
    timestamp: str = Field(description="When the run was created, UTC with Z.")
    config_name: str = Field(description="Name of the config.")
    execution_mode: str = Field("eco", description="eco, fast, embedded or echo.")
    safety_level: str = Field("kids", description="kids, youth, adult or off.")
    user_id: str = Field("anonymous", description="Account name of a front end; researchers use participant.")
    status: Status = Field(
        "running", description="running, completed, blocked, failed, cancelled. Readers derive interrupted."
    )
    reason: Reason | None = Field(None, description="What ended the run, if it did not complete.")
    expected_outputs: list[str] = Field(
        default_factory=list, description="Entity types the plan will produce, in order."
    )
    current_state: CurrentState = Field(default_factory=CurrentState, description="Stage, step and progress.")
    started: str = Field("", description="Start of the first attempt, UTC.")
    finished: str | None = Field(None, description="End, UTC; null while running.")
    seconds: float | None = Field(None, description="Working time of all attempts in seconds.")
    seed: str | None = Field(None, description="Media seed as a decimal string.")
    text_seed: str | None = Field(None, description="Seed of every language model call as a decimal string.")
    models: dict[str, str] = Field(default_factory=dict, description="Task to backend:model.")
    plan_hash: str | None = Field(None, description="SHA-256 of the resolved plan.")
    config_hash: str | None = Field(None, description="SHA-256 of the resolved config.")
    attempts: list[AttemptRecord] = Field(default_factory=list, description="Executions of this run.")
    inputs: list[InputRecord] = Field(default_factory=list, description="The inputs.")
    outputs: list[OutputRecord] = Field(default_factory=list, description="The planned outputs.")
    entities: list[EntityRecord] = Field(default_factory=list, description="What was recorded, in order.")
    steps: list[StepRecord] = Field(default_factory=list, description="Calls of models and generators, in order.")
    study: str | None = Field(None, description="Study the run belongs to.")
    participant: str | None = Field(None, description="Pseudonym of the author.")
    session: str | None = Field(None, description="Session, for example a lesson.")
    labels: dict[str, str] = Field(default_factory=dict, description="Free key-value pairs.")
    input_id: str | None = Field(None, description="The input's own id, else its text hash.")
    batch: BatchRecord | None = Field(None, description="Case of a batch.")
    parent: ParentRecord | None = Field(None, description="Run this one repeats or edits.")
    tags: list[str] = Field(default_factory=list, description="Tags given at the start; later ones are annotations.")
