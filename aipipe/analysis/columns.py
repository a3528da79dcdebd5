"""Columns as data: every frame is a table of `Column` rows.

A column says its name, its kind (from which the pandas dtype follows), where its value comes from, and what it means.
The loaders, the index and docs/data-dictionary.md are all derived from these tables; a new column is one more row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["string", "category", "time", "int", "float", "bool", "json", "list"]

DTYPES: dict[str, str] = {
    "string": "string (Arrow)",
    "category": "category",
    "time": "datetime64[us, UTC]",
    "int": "Int64",
    "float": "float64",
    "bool": "boolean",
    "json": "string (JSON)",
    "list": "string (joined with ', ')",
}

STATUSES = ("running", "completed", "blocked", "failed", "cancelled", "interrupted", "unknown")
LEVELS = ("kids", "youth", "adult", "off")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame.

    Attributes:
        name: Name in the frame.
        kind: Kind of value; `DTYPES` gives the dtype.
        source: `run.a.b` (path in metadata.json), `item.a.b` (path in the entity or step), or `derived`.
        text: What it means, with its unit.
        categories: Categories that are always declared, in this order; further ones follow.
    """

    name: str
    kind: Kind
    source: str
    text: str
    categories: tuple[str, ...] = ()


C = Column

KEYS: tuple[Column, ...] = (
    C("run_id", "string", "run.run_id", "Id of the run; joins every frame."),
    C("config_name", "category", "run.config_name", "Config of the run."),
    C("execution_mode", "category", "run.execution_mode", "Mode of the run: eco, fast, embedded, echo."),
    C("safety_level", "category", "run.safety_level", "Safety level of the run.", LEVELS),
    C("study", "category", "run.study", "Study the run belongs to."),
    C("participant", "category", "run.participant", "Pseudonym of the author."),
    C("session", "category", "run.session", "Session, for example a lesson."),
    C("input_id", "string", "run.input_id", "The input's own id, else its text hash; the unit of pairing."),
    C("config_hash", "string", "run.config_hash", "SHA-256 of the resolved config."),
    C("batch_id", "category", "run.batch.batch_id", "Batch of the run."),
    C("case_key", "string", "run.batch.case_key", "Case of the batch."),
    C("tags", "list", "run.tags", "Tags of the run, given at the start and later (annotations)."),
    C("excluded", "bool", "annotation", "The run is excluded from analysis; statistics leave it out and count it."),
)
"""Columns that every frame of runs shares."""

RUNS: tuple[Column, ...] = (
    C("run_id", "string", "run.run_id", "Id of the run; joins every frame."),
    C("timestamp", "time", "run.timestamp", "When the run was created."),
    C("config_name", "category", "run.config_name", "Config of the run."),
    C("execution_mode", "category", "run.execution_mode", "eco, fast, embedded or echo."),
    C("safety_level", "category", "run.safety_level", "kids, youth, adult or off.", LEVELS),
    C("user_id", "category", "run.user_id", "Account name of a front end."),
    C("status", "category", "run.status", "How the run stands, with `interrupted` and `unknown` derived.", STATUSES),
    C("status_source", "category", "run.status_source", "recorded or derived.", ("recorded", "derived")),
    C("reason", "string", "run.reason.message", "What ended the run, as a sentence."),
    C("reason_type", "category", "run.reason.type", "Kind of the reason: safety_blocked, an error's name …"),
    C("reason_stage", "int", "run.reason.stage", "Stage 0 to 5 of the reason."),
    C("started", "time", "run.started", "Start of the first attempt."),
    C("finished", "time", "run.finished", "End of the run; missing while it runs."),
    C("seconds", "float", "run.seconds", "Working time of all attempts, in seconds."),
    C("seed", "string", "run.seed", "Media seed, decimal digits (64-bit seeds do not fit a float)."),
    C("text_seed", "string", "run.text_seed", "Seed of every language model call, decimal digits."),
    C("stage", "int", "run.current_state.stage", "Stage the run reached, 0 to 5."),
    C("step", "category", "run.current_state.step", "Step within the stage."),
    C("progress", "string", "run.current_state.progress", "Finished expected outputs / expected outputs."),
    C("expected_outputs", "list", "run.expected_outputs", "Entity types the plan produces."),
    C("models", "json", "run.models", "Task to backend:model."),
    C("model_translation", "category", "run.models.translation", "Model of the translation."),
    C("model_safety", "category", "run.models.safety", "Model of the safety checks."),
    C("model_interception", "category", "run.models.interception", "Model of the interception."),
    C("model_vision", "category", "run.models.vision", "Model that looks at images."),
    C("plan_hash", "string", "run.plan_hash", "SHA-256 of the resolved plan."),
    C("config_hash", "string", "run.config_hash", "SHA-256 of the resolved config."),
    C("study", "category", "run.study", "Study the run belongs to."),
    C("participant", "category", "run.participant", "Pseudonym of the author."),
    C("session", "category", "run.session", "Session, for example a lesson."),
    C("labels", "json", "run.labels", "Free key-value pairs; each key is also a column `label_KEY`."),
    C("input_id", "string", "run.input_id", "The input's own id, else its text hash; the unit of pairing."),
    C("batch_id", "category", "run.batch.batch_id", "Batch of the run."),
    C("case_key", "string", "run.batch.case_key", "Case of the batch."),
    C("case_index", "int", "run.batch.index", "Number of the case in its plan."),
    C("parent", "string", "run.parent.run_id", "Run that this one repeats, edits or imports."),
    C("parent_relation", "category", "run.parent.relation", "rerun, edit or import."),
    C("source_run_id", "string", "run.source_run_id", "Id in the system that an imported run comes from."),
    C("attempts", "int", "derived.attempts", "How often the run was executed: 1, and one more per resume."),
    C("inputs", "int", "derived.inputs", "Number of inputs."),
    C("language", "category", "derived.language", "Detected language of the first input (ISO 639-1)."),
    C("input_characters", "int", "derived.input_characters", "Characters of all text inputs."),
    C("outputs", "int", "derived.outputs", "Number of planned outputs."),
    C("outputs_completed", "int", "derived.outputs_completed", "Outputs that were made."),
    C("outputs_blocked", "int", "derived.outputs_blocked", "Outputs stopped by safety."),
    C("outputs_failed", "int", "derived.outputs_failed", "Outputs that failed."),
    C("entities", "int", "derived.entities", "Number of recorded entities."),
    C("errors", "int", "derived.errors", "Number of error entities."),
    C("format_version", "int", "run.format_version", "Version of the run format; missing in older dialects."),
    C("dialect", "category", "run.dialect", "Kind of record: version 1, original, media storage, tracker …"),
    C("tags", "list", "run.tags", "Tags given at the start and later ones (annotations)."),
    C("starred", "bool", "annotation", "Starred by somebody."),
    C("excluded", "bool", "annotation", "Excluded from analysis; statistics leave such runs out and count them."),
    C("exclude_reason", "string", "annotation", "Why it was excluded."),
    C("note", "string", "annotation", "Notes, joined by line breaks."),
    C("folder", "string", "location", "Folder of the run, or the file that holds it."),
)

RUN_TEXTS: tuple[Column, ...] = (
    C("input_text", "string", "item.input_text", "First text input. Only with texts=True."),
    C("translation_text", "string", "item.translation_text", "Its translation. Only with texts=True."),
    C("interception_text", "string", "item.interception_text", "The interception. Only with texts=True."),
)

ENTITIES: tuple[Column, ...] = (
    *KEYS,
    C("sequence", "int", "item.sequence", "Number of the entity in its run, from 1."),
    C("type", "category", "item.type", "Entity type."),
    C("filename", "string", "item.filename", "File in the run folder."),
    C("timestamp", "time", "item.timestamp", "When it was saved."),
    C("media_type", "category", "item.media_type", "text, json, image, audio, music, video, 3d, code, other."),
    C("mime", "category", "item.mime", "MIME type."),
    C("size", "int", "item.size", "Size in bytes."),
    C("sha256", "string", "item.sha256", "SHA-256 of the bytes."),
    C("stage", "int", "item.stage", "Stage that produced it."),
    C("input", "int", "item.input", "Index of the input it belongs to."),
    C("output", "int", "item.output", "Index of the output it belongs to."),
    C("file_index", "int", "item.file_index", "Number of the file within one output."),
    C("iteration", "int", "item.iteration", "Iteration in a recursive pipeline, from 1."),
    C("reused_from", "string", "item.reused_from", "run_id/filename it was copied from within a batch."),
    C("checked", "category", "item.checked", "decoded or header: how a media file was tried."),
    C("role", "category", "item.role", "entity, or process for the prompt history of the original's later version."),
    C("metadata", "json", "item.metadata", "Facts given by whoever saved it."),
    C("folder", "string", "location", "Folder of the run."),
)

ENTITY_TEXTS: tuple[Column, ...] = (
    C("text", "string", "item.text", "Content of a text, code or JSON entity. Only with texts=True."),
)

STEPS: tuple[Column, ...] = (
    *(c for c in KEYS if c.name != "execution_mode"),
    C("index", "int", "item.index", "Number of the step in its run, from 0."),
    C("stage", "int", "item.stage", "Stage 1 to 4."),
    C("step", "category", "item.step", "translation, safety, interception, safety_pre_output, media …"),
    C("chunk", "category", "item.chunk", "Chunk that was filled."),
    C("backend", "category", "item.backend", "Language model backend."),
    C("runner", "category", "item.runner", "Media generator."),
    C("model", "category", "item.model", "Model as the service names it."),
    C("model_digest", "string", "item.model_digest", "Digest of the model file."),
    C("execution_mode", "category", "item.execution_mode", "Mode of the part that answered."),
    C("parameters", "json", "item.parameters", "Parameters as sent."),
    C("seed", "string", "item.seed", "Seed of the call, decimal digits."),
    C("started", "time", "item.started", "Start of the step."),
    C("seconds", "float", "item.seconds", "Duration in seconds."),
    C("tokens_input", "int", "item.tokens.input", "Tokens of the prompt."),
    C("tokens_output", "int", "item.tokens.output", "Tokens of the answer."),
    C("attempts", "int", "item.attempts", "How often the service was asked."),
    C("outcome", "category", "item.outcome", "completed, reused, blocked, failed, cancelled, skipped."),
    C("input", "int", "item.input", "Index of the input."),
    C("output", "int", "item.output", "Index of the output."),
    C("iteration", "int", "item.iteration", "Iteration, from 1."),
    C("job", "json", "item.job", "Server and id of a media job."),
    C("message", "string", "item.message", "Error message, if it failed."),
)

SAFETY: tuple[Column, ...] = (
    *KEYS,
    C("sequence", "int", "item.sequence", "Number of the safety entity."),
    C("gate", "category", "item.gate", "input (stage 1), output (stage 3) or image.", ("input", "output", "image")),
    C("stage", "int", "item.stage", "Stage of the check."),
    C("input", "int", "item.input", "Index of the input that was judged."),
    C("output", "int", "item.output", "Index of the output that was judged."),
    C("safe", "bool", "item.safe", "Verdict; missing where nothing was checked (level off)."),
    C("blocked", "bool", "item.blocked", "True when the verdict stopped the run or the output."),
    C("method", "category", "item.method", "How it was judged: terms, model, disabled …"),
    C("model", "category", "item.model", "Model that judged."),
    C("policy_version", "category", "item.policy_version", "Version of the policy."),
    C("codes", "list", "item.codes", "Codes of the policy that applied."),
    C("terms", "list", "item.terms", "Terms found."),
    C("explanation", "string", "item.explanation", "Reason for a person."),
    C("score", "float", "item.score", "Score of an image check, 0 to 1."),
    C("seconds", "float", "item.seconds", "Duration of the check in seconds."),
    C("timestamp", "time", "item.timestamp", "When it was decided."),
    C("folder", "string", "location", "Folder of the run."),
)

SAFETY_TEXTS: tuple[Column, ...] = (
    C("text", "string", "item.text", "The exact text that was judged. Only with texts=True."),
)

MEDIA: tuple[Column, ...] = (
    *KEYS,
    C("sequence", "int", "item.sequence", "Number of the entity in its run."),
    C("type", "category", "item.type", "Entity type."),
    C("media_type", "category", "item.media_type", "image, audio, music, video, 3d, code."),
    C("filename", "string", "item.filename", "File in the run folder."),
    C("mime", "category", "item.mime", "MIME type."),
    C("size", "int", "item.size", "Size in bytes."),
    C("sha256", "string", "item.sha256", "SHA-256 of the bytes."),
    C("output", "int", "item.output", "Index of the output."),
    C("file_index", "int", "item.file_index", "Number of the file within one output."),
    C("seed", "string", "item.seed", "Seed of this file, decimal digits; else the run's."),
    C("width", "int", "item.width", "Width in pixels."),
    C("height", "int", "item.height", "Height in pixels."),
    C("duration", "float", "item.duration", "Duration in seconds (sound, video)."),
    C("frames", "int", "item.frames", "Number of frames (animations)."),
    C("phash", "string", "item.phash", "64-bit perceptual hash (DCT), 16 hex digits; images only."),
    C("embedded_prompt", "string", "item.embedded_prompt", "Prompt found in the file's own metadata."),
    C("readable", "bool", "item.readable", "True when the file exists and opens as its media type."),
    C("problem", "string", "item.problem", "Why it does not open."),
    C("folder", "string", "location", "Folder of the run."),
)

ERRORS: tuple[Column, ...] = (
    *KEYS,
    C("sequence", "int", "item.sequence", "Number of the error entity."),
    C("stage", "int", "item.stage", "Stage in which it happened."),
    C("error_type", "category", "item.error_type", "safety_blocked, or the name of the error."),
    C("message", "string", "item.message", "What happened."),
    C("output", "int", "item.output", "Index of the output it concerns."),
    C("details", "json", "item.details", "Further facts."),
    C("timestamp", "time", "item.timestamp", "When it was saved."),
    C("folder", "string", "location", "Folder of the run."),
)

PROMPTS: tuple[Column, ...] = (
    *KEYS,
    C("input", "int", "item.input", "Index of the text input."),
    C("output", "int", "item.output", "Index of the output whose final prompt this is; missing for text-only plans."),
    C("language", "category", "item.language", "Detected language of the original (ISO 639-1)."),
    C("original", "string", "item.original", "Text as it was entered."),
    C("translation", "string", "item.translation", "After stage 1."),
    C("interception", "string", "item.interception", "After stage 2 (a person's edit, where there is one)."),
    C("final_prompt", "string", "item.final_prompt", "What stage 3 judged and stage 4 was given."),
    C("edited", "bool", "item.edited", "True when a person changed the interception."),
    C("iterations", "int", "item.iterations", "Texts made on the way to the interception."),
    C("words_original", "int", "item.words_original", "Words of the original."),
    C("words_translation", "int", "item.words_translation", "Words of the translation."),
    C("words_interception", "int", "item.words_interception", "Words of the interception."),
    C("words_final", "int", "item.words_final", "Words of the final prompt."),
    C("translation_changed", "bool", "item.translation_changed", "True when stage 1 changed the text."),
    C("translation_added", "list", "item.translation_added", "Words the translation has and the original has not."),
    C("translation_removed", "list", "item.translation_removed", "Words the original has and the translation has not."),
    C("translation_kept", "list", "item.translation_kept", "Words that original and translation both have."),
    C("added", "list", "item.added", "Words the interception has and the translation has not, in order."),
    C("removed", "list", "item.removed", "Words the translation has and the interception has not, in order."),
    C("kept", "list", "item.kept", "Words that both have, in order."),
    C("kept_share", "float", "item.kept_share", "Share of the translation's distinct words that were kept, 0 to 1."),
    C("similarity", "float", "item.similarity", "Jaccard similarity of both word sets, 0 to 1."),
    C("final_added", "list", "item.final_added", "Words the final prompt has and the interception has not."),
    C("final_removed", "list", "item.final_removed", "Words the interception has and the final prompt has not."),
    C("final_kept", "list", "item.final_kept", "Words that interception and final prompt both have."),
    C(
        "final_kept_share",
        "float",
        "item.final_kept_share",
        "Share of the interception's distinct words in the final prompt.",
    ),
)

BATCH: tuple[Column, ...] = (
    C("batch_id", "category", "item.batch_id", "Id of the batch."),
    C("case_key", "string", "item.case_key", "Key of the case: joins load_runs."),
    C("case_index", "int", "item.index", "Number of the case in the plan."),
    C("config_name", "category", "item.config_name", "Config of the case."),
    C("input_id", "string", "item.input_id", "Input of the case."),
    C("seed", "string", "item.seed", "Seed, decimal digits."),
    C("text_seed", "string", "item.text_seed", "Seed of the language model calls."),
    C("safety_level", "category", "item.safety_level", "Safety level.", LEVELS),
    C("execution_mode", "category", "item.execution_mode", "Mode."),
    C("outputs", "list", "item.outputs", "Output configs of the case."),
    C("models", "json", "item.models", "Task to backend:model, as pinned in the plan."),
    C("parameters", "json", "item.parameters", "Parameters of the case, those of the notebook too."),
    C("labels", "json", "item.labels", "Free key-value pairs; each key is also a column `label_KEY`."),
    C("repeat", "int", "item.repeat", "Number of the repetition, from 1."),
    C("config_hash", "string", "item.config_hash", "Hash of the resolved config."),
    C("state", "category", "item.state", "completed, blocked, failed, interrupted, running, waiting or excluded."),
    C("attempt", "int", "item.attempt", "Number of the last attempt."),
    C("failures", "int", "item.failures", "Attempts that failed by themselves."),
    C("run_ids", "list", "item.run_ids", "Runs of the case."),
    C("started", "time", "item.started", "Start of the last attempt."),
    C("finished", "time", "item.finished", "End of the last attempt."),
    C("seconds", "float", "item.seconds", "Duration of the last attempt in seconds."),
    C("cause", "category", "item.cause", "Kind of the failure, for grouping."),
    C("message", "string", "item.message", "Why it failed."),
    C("notebook", "string", "item.notebook", "Executed notebook, relative to the batch folder."),
)

RATINGS: tuple[Column, ...] = (
    C("task", "category", "item.task", "Name of the rating task."),
    C("rater", "category", "item.rater", "Pseudonym of the rater."),
    C("criterion", "category", "item.criterion", "What was rated."),
    C("value", "float", "item.value", "Rating as a number, where it is one."),
    C("answer", "string", "item.answer", "Rating as it was given."),
    C("run_id", "string", "item.run_id", "Rated run; the chosen one of a pair."),
    C("other_run_id", "string", "item.other_run_id", "The other run of a pair."),
    C("entity_sha256", "string", "item.entity_sha256", "Hash of the rated entity."),
    C("position", "int", "item.position", "Number of the item in this rater's order, from 0."),
    C("repeat", "bool", "item.repeat", "True for an item shown a second time to measure consistency."),
    C("seconds", "float", "item.seconds", "Time the rater took, in seconds."),
    C("comment", "string", "item.comment", "The rater's words."),
    C("timestamp", "time", "item.timestamp", "When it was rated."),
    *(replace(c, source="joined") for c in KEYS if c.name != "run_id"),
    C("other_config_name", "category", "joined", "Config of the other run of a pair."),
)

FRAMES: dict[str, tuple[Column, ...]] = {
    "runs": RUNS,
    "entities": ENTITIES,
    "steps": STEPS,
    "safety": SAFETY,
    "media": MEDIA,
    "errors": ERRORS,
    "prompts": PROMPTS,
    "batch": BATCH,
    "ratings": RATINGS,
}
TEXTS: dict[str, tuple[Column, ...]] = {"runs": RUN_TEXTS, "entities": ENTITY_TEXTS, "safety": SAFETY_TEXTS}
PREFIX = "label_"
"""Labels of runs become columns of this prefix."""


def columns_of(frame: str, *, texts: bool = False) -> tuple[Column, ...]:
    """Declared columns of a frame, with the text columns when asked."""
    return FRAMES[frame] + (TEXTS.get(frame, ()) if texts else ())
