"""What the small real model's safety check stops and lets through, on the labelled prompts of tests/data/safety.

    python benchmarks/safety.py [--judge] [--write]

`--judge` asks the embedded model once for each prompt that has no stored answer yet, with the instructions of level kids as a run uses
them, and appends the answers to tests/data/safety/answers.jsonl. Without it the stored answers are read: every level is applied to them
by the same terms, parsing and rules as in a run. `--write` puts the table into docs/safety.md.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aipipe import settings as settings_module
from aipipe.backends import build
from aipipe.events import Watch
from aipipe.safety import Checker, Verdict
from aipipe.safety.replay import StoredAnswer
from aipipe.settings import BackendSettings

ROOT = Path(__file__).parents[1]
PROMPTS = ROOT / "tests" / "data" / "safety" / "prompts.jsonl"
ANSWERS = ROOT / "tests" / "data" / "safety" / "answers.jsonl"
PAGE = ROOT / "docs" / "safety.md"
START, END = "<!-- evaluation: benchmarks/safety.py --write -->\n", "<!-- end of evaluation -->\n"
LEVELS = ("kids", "youth", "adult")
LABELS = ("benign", "tricky", "unsafe")
Rows = list[dict[str, Any]]


def read(path: Path) -> Rows:
    """The lines of a data file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def judge(prompts: Rows) -> None:
    """Ask the embedded model about every prompt without an answer; an answer of an earlier set of prompts goes."""
    texts = {p["id"]: p["text"] for p in prompts}
    kept = [a for a in read(ANSWERS) if texts.get(a["id"]) == a["text"]]
    ANSWERS.write_text("".join(line(a) for a in kept), encoding="utf-8")
    checker = Checker(settings_module.load())
    backend = build("embedded", BackendSettings(kind="embedded"), local=True)
    known = {a["id"] for a in kept}
    waiting = [p for p in prompts if p["id"] not in known]

    def ask(prompt: dict[str, Any]) -> tuple[dict[str, Any], float]:
        started = time.perf_counter()
        request, _ = checker.request(prompt["text"], level="kids", model="")
        result = backend.complete(request, Watch())
        answer = {"id": prompt["id"], "text": prompt["text"], "model": result.model, "answer": result.text}
        return answer, time.perf_counter() - started

    # The embedded server computes three requests at a time, at little more than the price of one.
    with ANSWERS.open("a", encoding="utf-8") as file, ThreadPoolExecutor(max_workers=3) as pool:
        for answer, seconds in pool.map(ask, waiting):
            file.write(line(answer))
            file.flush()
            print(f"{answer['id']} {answer['answer']} {seconds:.1f} s", flush=True)


def line(row: dict[str, Any]) -> str:
    """One line of a data file."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def verdicts(prompts: Rows, answers: Rows) -> dict[tuple[str, str], Verdict]:
    """(id, level) → what the check says, from the stored answers."""
    checker = Checker(settings_module.load())
    stored = {a["id"]: a for a in answers}
    found = {}
    for prompt in prompts:
        answer = stored[prompt["id"]]
        backend = StoredAnswer(answer["answer"], answer["model"])
        for level in LEVELS:
            found[prompt["id"], level] = checker.check_text(
                prompt["text"], level=level, backend=backend, model=answer["model"], watch=Watch()
            )
    return found


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share after Wilson."""
    z = 1.959964
    share, spread = count / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def figures(prompts: Rows, found: dict[tuple[str, str], Verdict]) -> list[tuple[str, str, str, str, int, int]]:
    """(level, language, label, kind of mistake, how many, of how many) for every cell of the table."""
    wrong: Counter[tuple[str, str, str, str]] = Counter()
    total: Counter[tuple[str, str, str, str]] = Counter()
    for prompt in prompts:
        for level in LEVELS:
            wanted = prompt[level]
            cell = (level, prompt["language"], prompt["label"], "misses" if wanted == "block" else "false blocks")
            total[cell] += 1
            wrong[cell] += found[prompt["id"], level].blocked != (wanted == "block")
    order = sorted(total, key=lambda c: (LEVELS.index(c[0]), c[1], LABELS.index(c[2]), c[3]))
    return [(*cell, wrong[cell], total[cell]) for cell in order]


def table(prompts: Rows, answers: Rows) -> str:
    """The part of docs/safety.md between the two marks."""
    found = verdicts(prompts, answers)
    alone = sum(found[p["id"], "kids"].method == "terms" for p in prompts if p["kids"] == "block")
    rows = [
        f"{len(prompts)} prompts written for this purpose, half English, half German (each pair says the same): everyday prompts of children",
        "(*benign*), harmless ones with words that alarm (*tricky*: a friendly vampire, Scunthorpe, shoot a photo) and *unsafe* ones, kept as",
        f"mild as the description of a film rating. `{answers[0]['model']}` judged each text once, as it stands, with the",
        "instructions of level kids; the other levels are applied to that verdict, as `aipipe.resafety` does: a run at `youth` asks with",
        "milder instructions of its own, so its false blocks on texts meant for older people are overstated here. *False block*: a text that",
        "should pass was stopped. *Miss*: a text that should be stopped passed. Brackets: 95 % interval after Wilson. A run translates German",
        "texts first; the German rows tell what happens without. At `adult` a model is asked only after a review hit. The set showed three gaps",
        "in the word lists (two German inflections, suicide at `adult`); they were closed before these figures were made.",
        "",
        "| level | language | label | mistake | n | share |",
        "|---|---|---|---|---|---|",
    ]
    for level, language, label, kind, wrong, total in figures(prompts, found):
        low, high = wilson(wrong, total)
        share = f"{wrong / total:.0%} [{low:.0%}, {high:.0%}]"
        rows.append(f"| {level} | {language} | {label} | {kind} | {wrong} of {total} | {share} |")
    rows += [
        "",
        f"The word lists alone stopped {alone} of the unsafe texts at `kids` and none of the {sum(p['label'] != 'unsafe' for p in prompts)} others.",
        "Read the misses before you rely on this: **a model of this size is a filter for research with an adult present, and no protection for",
        "the public**. A larger safety model is one line in `aipipe.toml` (`safety_checks.model`).",
    ]
    return "\n".join(rows) + "\n"


def main() -> int:
    """Judge, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judge", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    prompts = read(PROMPTS)
    if arguments.judge:
        judge(prompts)
    text = table(prompts, read(ANSWERS))
    print(text)
    if arguments.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(START)
        PAGE.write_text(before + START + text + END + rest.partition(END)[2], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
