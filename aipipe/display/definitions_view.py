"""Configs and plans as a page and as text."""

from __future__ import annotations

from typing import Any

from aipipe.display.html import escape, folded, json_tree, page, pill, text_block
from aipipe.display.text import indent


def config_bundle(config: Any) -> dict[str, Any]:
    """The rich display of a config: title, description, context, parameters."""
    title = _localized(config.title) or config.name
    facts = " · ".join(
        part
        for part in (
            config.stage,
            f"pipeline {config.pipeline}",
            f"output {', '.join(config.media_preferences.output_configs) or config.media_preferences.default_output or 'text'}",
        )
        if part
    )
    tags = "".join(f" {pill(tag, 'tag')}" for tag in config.tags.get("en", ()))
    body = (
        f'<div class="aip-head"><span class="aip-title">{escape(title)}</span><code>{escape(config.name)}</code>'
        f'<span class="aip-facts">{escape(facts)}</span>{tags}</div>{text_block(_localized(config.description))}'
    )
    context = config.context_text()
    if context:
        body += f'<div class="aip-step"><div class="aip-label"><b>Context</b></div>{text_block(context)}</div>'
    if config.examples:
        shown = "".join(f"<p>{escape(e.input)}<br>→ {escape(e.output)}</p>" for e in config.examples)
        body += folded(f"{len(config.examples)} worked examples", shown)
    if config.parameters:
        body += folded("parameters", json_tree(dict(config.parameters)))
    text = "\n".join(
        part
        for part in (
            f"{config.name}: {title}",
            facts,
            _localized(config.description),
            f"context:\n{indent(context, 2)}" if context else "",
            f"parameters: {dict(config.parameters)}" if config.parameters else "",
        )
        if part
    )
    return {"text/html": page(body, label=f"config {config.name}"), "text/plain": text}


def plan_bundle(plan: Any) -> dict[str, Any]:
    """The rich display of a plan: what will be called, in order, and what will come out."""
    rows = _calls(plan)
    head = (
        f'<div class="aip-head"><span class="aip-title">Plan of {escape(plan.config.name)}</span>'
        f'<span class="aip-facts">mode {escape(plan.mode)} · level {escape(plan.safety)} · seed {plan.seed} · '
        f"text seed {plan.text_seed}</span></div>"
    )
    titles = "".join(f'<th scope="col">{t}</th>' for t in ("stage", "call", "model or runner", "parameters"))
    cells = "".join("<tr>" + "".join(f"<td>{escape(v)}</td>" for v in row) + "</tr>" for row in rows)
    expected = " → ".join(plan.expected_outputs)
    body = f"{head}<table><thead><tr>{titles}</tr></thead><tbody>{cells}</tbody></table>"
    body += f'<div class="aip-note">will record: {escape(expected)}</div>'
    lines = [f"Plan of {plan.config.name}: mode {plan.mode}, level {plan.safety}, seed {plan.seed}"]
    lines += [f"  {stage} {call}: {service}" for stage, call, service, _ in rows]
    lines.append(f"will record: {expected}")
    return {"text/html": page(body, label="plan"), "text/plain": "\n".join(lines)}


def _calls(plan: Any) -> list[tuple[str, str, str, str]]:
    rows = []
    if plan.translation is not None:
        rows.append(("1", "translation", str(plan.translation.model), _parameters(plan.translation.parameters)))
    if plan.safety_model is not None:
        rows.append(("1", "safety", str(plan.safety_model), ""))
    rows += [("2", step.chunk.name, str(step.model), _parameters(step.parameters)) for step in plan.steps]
    if len(plan.iterations) > 1:
        rows.append(("2", f"repeated {len(plan.iterations)} times", ", ".join(plan.iterations), ""))
    for output in plan.outputs:
        rows.append(("3", f"safety for {output.media_type}", str(plan.safety_model or "terms"), ""))
        service = f"{output.runner} {output.model}".strip()
        rows.append(("4", output.config, service, _parameters(output.parameters)))
    return rows


def _parameters(values: Any) -> str:
    return ", ".join(f"{k}={v}" for k, v in dict(values).items())


def _localized(texts: Any) -> str:
    found = dict(texts)
    return str(found.get("en") or next(iter(found.values()), ""))
