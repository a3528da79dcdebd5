"""The placeholder engine: double-brace names are filled in one pass.

A template is written by whoever writes a definition; what is filled in may come from anybody. Inserted text is
therefore never looked at again: `{{temperature}}` in a pupil's prompt stays what it is.

Names that every text chunk knows (see `KNOWN`):

* `CONTEXT` (also `INSTRUCTION`, `INSTRUCTIONS`): the config's context;
* `TASK_INSTRUCTION`: one general sentence on what a rewriting step does;
* `INPUT_TEXT`: the text the step works on (the translated text, or in a recursive pipeline the last iteration);
* `PREVIOUS_OUTPUT`: the last step's output, the input text at the first step;
* `USER_INPUT`: what the user typed, untranslated;
* `TEXT_1`, `TEXT_2` …: each text of a pipeline with several inputs, also under its own name (`TAGS`, `LYRICS`);
* `TARGET_LANGUAGE`, `TARGET_LANGUAGE_CODE`: the language of an iteration;
* every parameter of pipeline, chunk and config, and the keys of earlier JSON answers in upper case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aipipe.definitions import PlannedText
from aipipe.errors import BadAnswer, UnknownName
from aipipe.messages import Message

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")

TASK_INSTRUCTION = (
    "Rewrite the text below as the context asks. Keep what the context does not touch. "
    "Answer with the rewritten text alone."
)

KNOWN = frozenset(
    {
        "CONTEXT",
        "INSTRUCTION",
        "INSTRUCTIONS",
        "TASK_INSTRUCTION",
        "INPUT_TEXT",
        "PREVIOUS_OUTPUT",
        "USER_INPUT",
        "TARGET_LANGUAGE",
        "TARGET_LANGUAGE_CODE",
    }
)
"""Placeholders that every text chunk may use; `TEXT_n` and parameters come on top."""


def placeholders(template: str) -> Iterator[str]:
    """The names in `template`, in order, repeated as often as they stand there."""
    for match in PLACEHOLDER.finditer(template):
        yield match.group(1)


def render(template: str, values: Mapping[str, Any]) -> Any:
    """Fill the placeholders of `template` in one pass.

    Args:
        template: Text with `{{NAME}}` marks.
        values: Name → value. Names are compared exactly first, then without regard to case.

    Returns:
        The filled text; when the whole template is one placeholder, the value itself with its type.

    Raises:
        UnknownName: a placeholder without a value.
    """
    whole = PLACEHOLDER.fullmatch(template.strip())
    if whole:
        return _lookup(whole.group(1), values)
    return PLACEHOLDER.sub(lambda match: _as_text(_lookup(match.group(1), values)), template)


def render_tree(value: Any, values: Mapping[str, Any]) -> Any:
    """`render` for every string inside nested mappings and sequences; other values stay as they are."""
    if isinstance(value, str):
        return render(value, values)
    if isinstance(value, Mapping):
        return {key: render_tree(item, values) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [render_tree(item, values) for item in value]
    return value


def _lookup(name: str, values: Mapping[str, Any]) -> Any:
    if name in values:
        return values[name]
    folded = name.casefold()
    for key, value in values.items():
        if key.casefold() == folded:
            return value
    raise UnknownName("placeholder", name, values, hint=f"Known here: {', '.join(sorted(values)) or 'none'}.")


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def step_values(
    text: str,
    *,
    previous: str | None = None,
    user_input: str | None = None,
    texts: Sequence[str] = (),
    names: Sequence[str] = (),
    language: tuple[str, str] | None = None,
    answers: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The values that a step brings along, ready for `messages`.

    Args:
        text: What the step works on.
        previous: Output of the step before; None: `text`.
        user_input: What the user typed; None: `text`.
        texts: All texts of a pipeline with several inputs.
        names: Their names, from the pipeline's input needs.
        language: (code, English name) of an iteration's target language.
        answers: Values gained from JSON answers of earlier steps.
    """
    values: dict[str, Any] = {
        "INPUT_TEXT": text,
        "PREVIOUS_OUTPUT": text if previous is None else previous,
        "USER_INPUT": text if user_input is None else user_input,
    }
    for index, item in enumerate(texts or (text,)):
        values[f"TEXT_{index + 1}"] = item
        if index < len(names):
            values.setdefault(names[index].upper(), item)
    if language is not None:
        values["TARGET_LANGUAGE_CODE"], values["TARGET_LANGUAGE"] = language
    values.update(answers or {})
    return values


def messages(planned: PlannedText, values: Mapping[str, Any], *, images: tuple[bytes, ...] = ()) -> tuple[Message, ...]:
    """The exact conversation of one text step: system message, worked examples as turns, the question.

    The context is the author's text and may itself hold placeholders; they are filled before it is inserted.

    Args:
        planned: Chunk, context, examples and parameters.
        values: Placeholder → value.
        images: Encoded pictures that the question shows, for models that see.

    Raises:
        UnknownName: a placeholder without a value.
    """
    known: dict[str, Any] = {"TASK_INSTRUCTION": TASK_INSTRUCTION, **planned.parameters, **values}
    context = _as_text(render(planned.context, known)) if planned.context else ""
    for name in ("CONTEXT", "INSTRUCTION", "INSTRUCTIONS"):
        known[name] = context
    chunk = planned.chunk
    turns: list[Message] = []
    system = _as_text(render(chunk.system, known)).strip()
    if system:
        turns.append(Message("system", system))
    for example in (*chunk.examples, *planned.examples):
        turns += [Message("user", example.input), Message("assistant", example.output)]
    turns.append(Message("user", _as_text(render(chunk.template, known)), images))
    return tuple(turns)


def answer_values(text: str) -> dict[str, Any]:
    """The keys of a JSON answer in upper case, as placeholders for later chunks.

    A fence of back-quotes around the document is taken off, as models like to add one.

    Raises:
        BadAnswer: the answer is not one JSON object.
    """
    stripped = text.strip()
    if stripped.startswith("```"):
        stripped = stripped.partition("\n")[2].rpartition("```")[0].strip()
    try:
        value = json.loads(stripped)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BadAnswer(
            f"The model was asked for a JSON object and answered: {text[:200]!r}",
            hint="Give the chunk an answer_schema and worked examples, or use a larger model.",
        )
    return {str(key).upper(): item for key, item in value.items()}
