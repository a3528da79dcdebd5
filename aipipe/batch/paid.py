"""What a batch will use of services that count tokens: those that are not the user's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aipipe.batch.plan import Case
from aipipe.definitions import ModelChoice, PlannedText
from aipipe.definitions import Plan as RunPlan

if TYPE_CHECKING:
    from aipipe.lab import Lab
    from aipipe.store import Run

CHARACTERS_PER_TOKEN = 4
"""English prose in current vocabularies; other languages need up to twice as many tokens."""
GUESSED_OUTPUT = {"translation": 60, "safety": 20, "interception": 250}
"""Output tokens of a call for which no step was recorded."""
SAFETY_PROMPT = 400
"""Input tokens of a safety check for which no step was recorded."""


@dataclass
class Use:
    """What one model, or one media generator, will be asked for.

    Attributes:
        calls: Requests.
        tokens_in: Tokens of all prompts; 0 for media.
        tokens_out: Tokens of all answers; 0 for media.
        measured: Whether every token count rests on recorded steps of this model, and none on lengths.
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    measured: bool = True


Call = tuple[str, ModelChoice, int]
"""Step, who answers, and characters of the prompt."""


def paid_use(lab: Lab, cases: Sequence[Case], newest: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """`service:model` → calls and tokens, for services whose address is neither this machine, an own server nor trusted.

    Args:
        lab: It resolves cases.
        cases: Cases that are left to do.
        newest: Runs whose steps tell how many tokens a call of a model takes.
    """
    found: defaultdict[str, Use] = defaultdict(Use)
    known: dict[Any, RunPlan] = {}
    recorded = _recorded(newest)
    for case in cases:
        key = (case.config, case.mode, case.safety, case.outputs, len(case.texts), tuple(sorted(case.models.items())))
        if key not in known:
            known[key] = lab.plan(
                case.config, *case.texts, mode=case.mode or None, safety=case.safety or None, images=list(case.images) or None,
                outputs=list(case.outputs) or None, models=dict(case.models) or None,
            )  # fmt: skip
        for step, model, characters in _calls(known[key], case.texts):
            if _is_foreign(lab, lab.settings.backends, model.backend):
                _add(found[str(model)], recorded.get((step, model.backend, model.model)), step, characters)
        for output in known[key].outputs:
            if _is_foreign(lab, lab.settings.runners, output.runner):
                found[f"{output.runner}:{output.model}" if output.model else output.runner].calls += 1
    return {name: asdict(use) for name, use in sorted(found.items())}


def _is_foreign(lab: Lab, services: Any, name: str) -> bool:
    settings = services.get(name)
    return bool(settings and settings.url and not lab.settings.is_local(settings.url))


def _calls(plan: RunPlan, texts: Sequence[str]) -> Iterator[Call]:
    for text in texts:
        if plan.translation:
            yield "translation", plan.translation.model, _characters(plan.translation) + len(text)
        if plan.safety_model:
            yield "safety", plan.safety_model, SAFETY_PROMPT * CHARACTERS_PER_TOKEN + len(text)
    planned = plan.steps[-1:] * len(plan.iterations) if plan.iterations else plan.steps
    for chunk in planned:
        yield "interception", chunk.model, _characters(chunk) + sum(len(t) for t in texts)
    if plan.safety_model:
        for _ in plan.outputs:
            yield "safety", plan.safety_model, (SAFETY_PROMPT + GUESSED_OUTPUT["interception"]) * CHARACTERS_PER_TOKEN


def _characters(planned: PlannedText) -> int:
    examples = sum(len(str(e.model_dump())) for e in planned.examples)
    return len(planned.chunk.model_dump_json()) + len(planned.context) + examples


def _recorded(runs: Sequence[Run]) -> dict[tuple[str, str, str], tuple[float, float]]:
    """Mean tokens of a call by step, service and model."""
    sums: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for run in runs:
        for step in run.record.steps:
            if step.backend and step.outcome == "completed" and step.tokens.input and step.tokens.output is not None:
                name = "safety" if step.step.startswith("safety") else step.step
                total = sums[name, step.backend, step.model]
                total[0] += step.tokens.input
                total[1] += step.tokens.output
                total[2] += 1
    return {key: (total[0] / total[2], total[1] / total[2]) for key, total in sums.items()}


def _add(use: Use, recorded: tuple[float, float] | None, step: str, characters: int) -> None:
    use.calls += 1
    use.measured = use.measured and recorded is not None
    tokens = recorded or (characters / CHARACTERS_PER_TOKEN, GUESSED_OUTPUT[step])
    use.tokens_in += round(tokens[0])
    use.tokens_out += round(tokens[1])
