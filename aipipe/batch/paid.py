"""What a batch will use of services that count tokens: those that are not the user's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aipipe.batch.estimating import Plans
from aipipe.batch.plan import Case
from aipipe.batch.steps import CHARACTERS_PER_TOKEN, TOKENS_OF_A_PROMPT, calls_of

if TYPE_CHECKING:
    from aipipe.lab import Lab
    from aipipe.store import Run

GUESSED_OUTPUT = {"translation": 60, "safety": 20, "interception": TOKENS_OF_A_PROMPT}
"""Output tokens of a call for which no step was recorded."""


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


def paid_use(lab: Lab, cases: Sequence[Case], newest: Sequence[Run], plans: Plans) -> dict[str, dict[str, Any]]:
    """`service:model` → calls and tokens, for services whose address is neither this machine, an own server nor trusted.

    Args:
        lab: It knows the services.
        cases: Cases that are left to do.
        newest: Runs whose steps tell how many tokens a call of a model takes.
        plans: The plans of their runs.
    """
    found: defaultdict[str, Use] = defaultdict(Use)
    asked: set[Any] = set()
    recorded = _recorded(newest)
    for case in cases:
        plan = plans.of(case)
        for call in calls_of(plan, case):
            if call.key not in asked and _is_foreign(lab, lab.settings.backends, call.model.backend):
                asked.add(call.key)
                known = recorded.get((call.step, call.model.backend, call.model.model))
                _add(found[str(call.model)], known, call.step, call.characters)
        for output in plan.outputs:
            if _is_foreign(lab, lab.settings.runners, output.runner):
                found[f"{output.runner}:{output.model}" if output.model else output.runner].calls += 1
    return {name: asdict(use) for name, use in sorted(found.items())}


def _is_foreign(lab: Lab, services: Any, name: str) -> bool:
    settings = services.get(name)
    return bool(settings and settings.url and not lab.settings.is_local(settings.url))


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
