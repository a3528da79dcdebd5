"""A run as a page and as text: status, prompt chain with what each stage changed, verdicts, media, where it lies."""

from __future__ import annotations

from typing import Any

from aipipe.display.chain import Link, chain, verdict_words
from aipipe.display.diff import word_diff
from aipipe.display.html import escape, folded, json_tree, page, pill, text_block
from aipipe.display.media_view import facts, media_html
from aipipe.display.text import short_path


def run_bundle(run: Any) -> dict[str, Any]:
    """The rich display of a run: `text/html` and `text/plain`."""
    return {"text/html": run_html(run), "text/plain": run_text(run)}


def run_html(run: Any) -> str:
    """A run as self-contained HTML; originals stay in the run folder, the page holds thumbnails."""
    status = run.status
    links = chain(run)
    body = _head(run, status) + '<div class="aip-body">'
    body += f'<div class="aip-chain">{"".join(_step_html(link) for link in links)}</div>{_media(run)}</div>'
    body += folded("Steps, models, parameters", _steps(run)) + folded(
        "metadata.json", json_tree(run.record.model_dump(mode="json"))
    )
    body += f'<div class="aip-note">{escape(short_path(run.folder))}</div>'
    return page(body, label=f"run {run.run_id}")


def run_text(run: Any) -> str:
    """A run as plain text for terminals."""
    record = run.record
    lines = [f"{record.config_name} · {run.status} · {_facts(run)}", f"run {run.run_id}"]
    if record.reason is not None:
        lines.append(f"reason: {record.reason.message}")
    if getattr(run, "excluded", None) is not None:
        lines.append(f"excluded from analysis: {run.excluded or 'no reason given'}")
    if getattr(run, "tags", None):
        lines.append(f"tags: {', '.join(run.tags)}")
    for link in chain(run):
        lines.append(f"{link.entity.sequence:02} {link.label}{_brackets(link)}")
        lines += [f"   {line}" for line in link.text[:4_000].splitlines()]
    lines += [f"{e.sequence:02} {e.type}: {e.filename} ({facts(e)})" for e in run.entities if _is_media(e)]
    lines.append(f"in {short_path(run.folder)}")
    return "\n".join(lines)


def _brackets(link: Link) -> str:
    if link.verdict is not None:
        return f": {verdict_words(link.verdict)[0]} ({link.verdict.get('method')})"
    return f" ({', '.join(link.facts)})" if link.facts else ""


def _head(run: Any, status: str) -> str:
    record = run.record
    reason = f'<div class="aip-step error">{escape(record.reason.message)}</div>' if record.reason is not None else ""
    reproduction = f'<div class="aip-note">{escape(run.reproduction)}</div>' if run.reproduction is not None else ""
    tags = "".join(f" {pill(tag, 'tag')}" for tag in getattr(run, "tags", record.tags))
    excluded = getattr(run, "excluded", None)
    if excluded is not None:
        tags += f" {pill('excluded', 'blocked')}"
        reason += f'<div class="aip-note">excluded from analysis: {escape(excluded or "no reason given")}</div>'
    return (
        f'<div class="aip-head"><span class="aip-title">{escape(record.config_name)}</span>{pill(status)}'
        f'<span class="aip-facts">{escape(_facts(run))}</span>{tags}</div>{reason}{reproduction}'
    )


def _facts(run: Any) -> str:
    record = run.record
    parts = [f"{record.seconds:.1f} s" if record.seconds is not None else f"progress {record.current_state.progress}"]
    if record.seed is not None:
        parts.append(f"seed {record.seed}")
    parts += [f"level {record.safety_level}", f"mode {record.execution_mode}", record.timestamp[:16].replace("T", " ")]
    return " · ".join(parts)


def _step_html(link: Link) -> str:
    entity = link.entity
    extra = "".join(f" <span>{escape(fact)}</span>" for fact in link.facts if fact)
    kind = "error" if entity.type == "error" else ""
    content = ""
    if link.verdict is not None:
        word, kind = verdict_words(link.verdict)
        extra = pill(word, kind) + extra
        content = _verdict(link.verdict)
    elif link.text:
        content = text_block(link.text)
        if link.before and link.before != link.text:
            changed = word_diff(link.before, link.text)
            content += folded("what this changed", changed) if changed else ""
    return (
        f'<div class="aip-step {kind}"><div class="aip-label"><b>{escape(link.label)}</b>{extra}</div>{content}</div>'
    )


def _verdict(verdict: dict[str, Any]) -> str:
    parts = [f'<div class="aip-note">{escape(verdict[k])}</div>' for k in ("message", "reason") if verdict.get(k)]
    if verdict.get("negative_prompt"):
        parts.append(folded("negative prompt", text_block(str(verdict["negative_prompt"]))))
    parts.append(folded("evidence", json_tree(verdict)))
    return "".join(parts)


def _is_media(entity: Any) -> bool:
    return str(entity.type).startswith(("output_", "input_image"))


def _media(run: Any) -> str:
    shown = [entity for entity in run.entities if _is_media(entity)]
    if not shown:
        return ""
    size = 512 if len(shown) == 1 else 320
    prompt = _prompt(run)
    return f'<div class="aip-media">{"".join(media_html(e, size=size, alt=prompt) for e in shown)}</div>'


def _prompt(run: Any) -> str:
    texts = [link.text for link in chain(run) if link.entity.type in ("interception", "interception_edit")]
    return texts[-1][:200] if texts else ""


def _steps(run: Any) -> str:
    rows = "".join(
        f"<tr><td>{s.stage}</td><td>{escape(s.step)}</td><td>{escape(s.backend or s.runner)}</td><td>{escape(s.model)}</td>"
        f"<td>{s.seconds:.2f} s</td><td>{escape(_tokens(s))}</td><td>{escape(s.outcome)}</td></tr>"
        for s in run.record.steps
    )
    head = "".join(
        f'<th scope="col">{h}</th>' for h in ("stage", "step", "service", "model", "time", "tokens", "outcome")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _tokens(step: Any) -> str:
    tokens = step.tokens
    return f"{tokens.input or 0} → {tokens.output or 0}" if tokens.input or tokens.output else ""
