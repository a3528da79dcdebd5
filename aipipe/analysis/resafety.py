"""`aipipe.resafety`: what another safety policy would have said of recorded runs. Reads runs, never touches them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aipipe.analysis.handles import handles
from aipipe.backends.base import Backend
from aipipe.display.html import escape, folded, page
from aipipe.display.table import table_html, table_text
from aipipe.errors import AipipeError, RunUnreadable, UnknownName, UsageError
from aipipe.lab.choosing import split_model
from aipipe.lab.services import LabServices
from aipipe.safety.replay import Recorded, Replayed, Replayer, SafetyPolicy, why_not
from aipipe.settings import find_project, load
from aipipe.store import Entity, Run

if TYPE_CHECKING:
    import pandas as pd

CHECKS = ("safety", "safety_pre_output")
OUTCOMES = ("allowed→blocked", "blocked→allowed", "unchanged", "not replayed")
COLUMNS = (
    "run_id", "config_name", "input_id", "stage", "text", "before", "after", "outcome", "why", "before_level",
    "after_level", "method", "model", "codes",
)  # fmt: skip
SHOWN = 20


@dataclass(frozen=True)
class SafetyReport:
    """What a replay found; its display lists the flips.

    Attributes:
        policy: The policy that judged.
        rows: One row per recorded check, with the columns of `frame`.
        skipped: Runs and checks that could not be read, each (where, why).
    """

    policy: SafetyPolicy
    rows: list[dict[str, str]] = field(repr=False)
    skipped: list[tuple[str, str]] = field(default_factory=list, repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """Number of checks per outcome; all four are always there, and they add up to the rows."""
        found = Counter(row["outcome"] for row in self.rows)
        return {name: found[name] for name in OUTCOMES}

    @property
    def frame(self) -> pd.DataFrame:
        """One row per recorded check."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(COLUMNS), dtype="object")

    @property
    def flips(self) -> pd.DataFrame:
        """The rows whose outcome changed."""
        frame = self.frame
        return frame[frame["outcome"].isin(OUTCOMES[:2])].reset_index(drop=True)

    def __str__(self) -> str:
        lines = [self._head(), *([table_text(self._listed())] if self._flipped() else [])]
        lines += [f"{number} not replayed: {why}" for why, number in self._reasons().items()]
        lines += [f"not read: {where}: {why}" for where, why in self.skipped[:SHOWN]]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        body = f'<div class="aip-head"><span class="aip-title">{escape(self._head())}</span></div>'
        body += table_html(self._listed()) if self._flipped() else ""
        reasons = [f"{number} not replayed: {why}" for why, number in self._reasons().items()]
        reasons += [f"not read: {where}: {why}" for where, why in self.skipped[:SHOWN]]
        if reasons:
            items = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
            body += folded("what could not be replayed", f"<ul>{items}</ul>")
        return {"text/html": page(body, label="safety replay"), "text/plain": str(self)}

    def _head(self) -> str:
        return f"{len(self.rows)} checks under {describe(self.policy)}: " + ", ".join(
            f"{number} {name}" for name, number in self.counts.items()
        )

    def _flipped(self) -> list[dict[str, str]]:
        return [row for row in self.rows if row["outcome"] in OUTCOMES[:2]]

    def _listed(self) -> list[dict[str, str]]:
        flipped = self._flipped()
        shown = [
            {"config": r["config_name"], "text": r["text"][:60], "change": r["outcome"], "why": r["why"][:60]}
            for r in flipped[:SHOWN]
        ]
        if len(flipped) > SHOWN:
            shown.append(
                {"config": "…", "text": f"{len(flipped) - SHOWN} more in report.flips", "change": "", "why": ""}
            )
        return shown

    def _reasons(self) -> Counter[str]:
        return Counter(row["why"] for row in self.rows if row["outcome"] == "not replayed")


def resafety(runs: Any = None, policy: str | Mapping[str, Any] | SafetyPolicy = "") -> SafetyReport:
    """Judge the recorded texts of runs under another policy; the runs stay as they are.

    Where only level or terms change, the answers that models gave then are read again and no model is called. A level
    has its own instructions for the model, though: the stored answer was given under the old level's. To ask afresh
    under the new level's instructions, name a model.

    Args:
        runs: A run, list of runs, Store, batch, folder, or frame with `run_id`; None: the project's store.
        policy: A level, a `SafetyPolicy`, or its fields as a dict. "" judges as today's terms and rules would.

    Returns:
        The report: `counts`, `frame`, `flips`, and a display that lists the flips.

    Raises:
        UnknownName: no such level or backend.
        InvalidInput: a file of terms that cannot be read.
        UsageError: something that holds no runs, or unknown fields of a policy.
    """
    chosen = _policy(policy)
    settings = load(find_project())
    services = LabServices(settings)
    try:
        backend, model = _model(chosen.model, services)
        replayer = Replayer(chosen, settings, backend=backend, model=model)
        skipped: list[tuple[str, str]] = []
        rows = [row for run in handles(runs, skipped) for row in _rows(run, replayer, skipped)]
    finally:
        services.close()
    return SafetyReport(chosen, rows, skipped)


def _model(text: str, services: LabServices) -> tuple[Backend | None, str]:
    if not text:
        return None, ""
    name, model = split_model(text, services, "")
    name, model = (name, model) if name else (model, "")
    if name not in services.settings.backends:
        raise UnknownName("backend of the policy's model", name, services.settings.backends)
    return services.backend(name), model


def describe(policy: SafetyPolicy) -> str:
    """A policy in a few words."""
    parts = [f"level {policy.level}" if policy.level else "each run's own level"]
    parts += [f"model {policy.model}"] if policy.model else ["stored answers"]
    parts += [f"{len(policy.terms)} term file{'s' * (len(policy.terms) > 1)}"] if policy.terms else []
    parts += [] if policy.shipped_terms else ["without the shipped terms"]
    return ", ".join(parts)


def _policy(given: str | Mapping[str, Any] | SafetyPolicy) -> SafetyPolicy:
    if isinstance(given, SafetyPolicy):
        return given
    if isinstance(given, str):
        return SafetyPolicy(level=given)
    try:
        return SafetyPolicy(**given)
    except TypeError as error:
        raise UsageError(f"No such policy: {error}.", hint="Fields: level, model, terms, shipped_terms.") from None


def _rows(run: Run, replayer: Replayer, skipped: list[tuple[str, str]]) -> Iterator[dict[str, str]]:
    for entity in run.entities:
        if entity.type in CHECKS:
            try:
                recorded = _recorded(run, entity)
            except AipipeError as error:
                skipped.append((f"{run.run_id}/{entity.filename}", why_not(error)))
                continue
            yield _row(run, entity, recorded, replayer.replay(recorded))


def _recorded(run: Run, entity: Entity) -> Recorded:
    content = entity.json
    if not isinstance(content, dict) or not isinstance(content.get("text"), str):
        raise RunUnreadable("The record does not hold the text that was judged.", hint="Older systems did not keep it.")
    if entity.type != "safety":
        return Recorded(entity=content, text=content["text"])
    number = content.get("input", 0)
    own, english = (_input(run, name, number) for name in ("input", "translation"))
    text = english or content["text"]
    return Recorded(entity=content, text=text, original=own if own != text else "")


def _input(run: Run, type_: str, number: Any) -> str:
    return next((e.text for e in run.all(type_) if (e.record.input or 0) == number), "")


def _row(run: Run, entity: Entity, recorded: Recorded, replayed: Replayed) -> dict[str, str]:
    verdict = replayed.verdict
    return {
        "run_id": run.run_id,
        "config_name": run.config_name,
        "input_id": run.record.input_id or "",
        "stage": str(1 if entity.type == "safety" else 3),
        "text": recorded.text,
        "before": replayed.before,
        "after": replayed.after,
        "outcome": replayed.outcome,
        "why": replayed.why,
        "before_level": str(recorded.entity.get("safety_level", "")),
        "after_level": verdict.level,
        "method": verdict.method,
        "model": verdict.model,
        "codes": ", ".join(str(code["code"]) for code in verdict.codes),
    }
