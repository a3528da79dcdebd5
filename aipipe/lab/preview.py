"""What every stage would be sent, without calling a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aipipe import rendering
from aipipe.catalog.languages import name_of
from aipipe.definitions import Plan, PlannedText
from aipipe.display.html import escape, folded, page, text_block
from aipipe.display.text import indent


@dataclass(frozen=True)
class PreviewedStep:
    """One call as it would be made.

    Attributes:
        stage: 1, 2 or 4.
        step: "translation", "interception", "media".
        service: "backend:model", or the media generator.
        messages: Role and content of each message; earlier answers appear as «…».
        parameters: Parameters as they would be sent.
    """

    stage: int
    step: str
    service: str
    messages: tuple[tuple[str, str], ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preview:
    """The calls of a plan, in order; prints as text.

    Attributes:
        plan: The plan.
        steps: Its calls.
    """

    plan: Plan
    steps: tuple[PreviewedStep, ...]

    def __str__(self) -> str:
        plan = self.plan
        return as_text(f"{plan.config.name}: mode {plan.mode}, safety {plan.safety}, seed {plan.seed}", self.steps)

    __repr__ = __str__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/html": as_html(self.plan.config.name, self.steps), "text/plain": str(self)}


def as_text(head: str, steps: Iterable[PreviewedStep]) -> str:
    """Previewed calls as text below `head`."""
    lines = [head]
    for step in steps:
        parameters = ", ".join(f"{k}={v}" for k, v in step.parameters.items())
        lines.append(
            f"\nStage {step.stage} · {step.step} · {step.service}" + (f" · {parameters}" if parameters else "")
        )
        for role, content in step.messages:
            lines.append(f"  [{role}]")
            lines.append(indent(content, 4))
    return "\n".join(lines)


def as_html(name: str, steps: Iterable[PreviewedStep]) -> str:
    """Previewed calls of the config `name` as a page."""
    body = "".join(_step_html(step) for step in steps)
    title = f'<div class="aip-head"><span class="aip-title">Preview of {escape(name)}</span></div>'
    return page(title + body, label="preview")


def _step_html(step: PreviewedStep) -> str:
    parameters = ", ".join(f"{k}={v}" for k, v in step.parameters.items())
    label = f"<b>stage {step.stage} · {escape(step.step)}</b> <span>{escape(step.service)}</span> <span>{escape(parameters)}</span>"
    spoken = "".join(
        f'<div class="aip-note">{escape(role)}</div>{text_block(content)}' for role, content in step.messages
    )
    body = folded(f"{len(step.messages)} messages", spoken) if len(step.messages) > 4 else spoken
    return f'<div class="aip-step"><div class="aip-label">{label}</div>{body}</div>'


def preview(plan: Plan) -> Preview:
    """The exact messages of every stage of `plan`."""
    steps: list[PreviewedStep] = []
    if plan.edit is None and plan.config.stage != "output":
        texts = plan.texts
        if plan.translation:
            steps += [_text(1, "translation", plan.translation, rendering.step_values(text)) for text in texts]
            texts = tuple(f"«translation of: {text}»" for text in texts)
        if plan.until != "pre_interception":
            steps += _interception(plan, texts)
    if plan.until is None:
        for output in plan.outputs:
            steps.append(
                PreviewedStep(
                    4,
                    f"media ({output.media_type}, {output.config})",
                    output.runner,
                    parameters=dict(output.parameters),
                )
            )
    return Preview(plan, tuple(steps))


def _interception(plan: Plan, texts: tuple[str, ...]) -> list[PreviewedStep]:
    joined = "\n\n".join(texts)
    user = plan.texts[0] if plan.texts else ""
    values = rendering.step_values(joined, user_input=user, texts=texts, names=plan.pipeline.inputs.names)
    steps = []
    calls = (
        [(plan.steps[0], code) for code in plan.iterations] if plan.iterations else [(step, "") for step in plan.steps]
    )
    for number, (planned, code) in enumerate(calls, start=1):
        previous = joined if number == 1 else f"«answer {number - 1}»"
        filled = {**values, "PREVIOUS_OUTPUT": previous}
        if code:
            filled |= {
                "INPUT_TEXT": previous,
                "TARGET_LANGUAGE": name_of(code),
                "TARGET_LANGUAGE_CODE": code,
            }
        steps.append(_text(2, "interception", planned, filled))
    return steps


def _text(stage: int, step: str, planned: PlannedText, values: dict[str, Any]) -> PreviewedStep:
    messages = rendering.messages(planned, values)
    return PreviewedStep(
        stage, step, str(planned.model), tuple((m.role, m.content) for m in messages), dict(planned.parameters)
    )
