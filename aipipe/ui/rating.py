"""Rating tasks: what is rated, by whom, in which order; answers as append-only lines keyed by content.

`runs/ratings/{task}.json` holds the frozen task, `runs/ratings/{task}/{rater}.jsonl` one line per answer. An item is
named by the SHA-256 of what is rated, so that two runs with the same picture are one item.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import files, timestamps
from aipipe.annotations import read_lines
from aipipe.errors import EntityNotFound, InvalidInput, UsageError
from aipipe.store import Entity, Run
from aipipe.ui.rating_items import Item, items_of, pairs_of, sampled

if TYPE_CHECKING:
    from aipipe.ui.rating_page import Rater

KINDS = ("single", "rubric", "pairwise")
FIELDS = ("name", "criteria", "kind", "scale", "blind", "show_input", "raters_per_item", "repeats", "order_seed")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Shown:
    """One place in a rater's order: the item, for pairs the other one, and whether it comes a second time."""

    position: int
    item: Item
    other: Item | None = None
    repeat: bool = False


class RatingTask:
    """Blind rating of runs in seeded order. The task is frozen when it is first made and can be continued any time.

    Args:
        name: Name of the task; letters, digits, "_" and "-".
        source: What to rate: a store, batch, runs, or frame with `run_id`. None continues a task of the project's store.
        criteria: What raters judge.
        kind: "single" (one scale), "rubric" (one scale per criterion), "pairwise" (which of two); None: by the criteria.
        scale: Highest number of the scale, which starts at 1.
        blind: True shows nothing but picture or text; False shows the config's name too.
        show_input: True shows the run's input text.
        sample: Most items; None for all.
        strata: Columns of `load_runs` that the sample draws from evenly.
        raters_per_item: How many raters see an item; None: everybody sees all.
        repeats: Items each rater sees a second time at the end, to measure consistency.
        order_seed: Seed of sample, pairs and orders.

    Raises:
        UsageError: nothing to rate, a bad name, or a task of this name with another definition.
    """

    def __init__(
        self, name: str, source: Any = None, *, criteria: Sequence[str] = ("quality",), kind: str | None = None,
        scale: int = 7, blind: bool = True, show_input: bool = False, sample: int | None = None,
        strata: Sequence[str] = (), raters_per_item: int | None = None, repeats: int = 0, order_seed: int = 0,
    ) -> None:  # fmt: skip
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of a task.", hint='Letters, digits, "_" and "-", for example "surprise".'
            )
        criteria, strata = _names(criteria), _names(strata)
        _check_numbers(sample=(sample, 1), raters_per_item=(raters_per_item, 1), repeats=(repeats, 0))
        if len(set(criteria)) != len(criteria):
            raise UsageError("A criterion stands twice.", hint="Name each once.")
        kind = kind or ("single" if len(criteria) == 1 else "rubric")
        if kind not in KINDS or not criteria or not 2 <= scale <= 9 or (kind != "rubric" and len(criteria) != 1):
            raise UsageError(
                f"kind={kind!r}, scale={scale} and {len(criteria)} criteria make no task.",
                hint="single and pairwise have one criterion, rubric several; scale is 2 to 9.",
            )
        self.name, self.criteria, self.kind, self.scale = name, tuple(criteria), kind, scale
        self.blind, self.show_input, self.order_seed = blind, show_input, order_seed
        self.raters_per_item, self.repeats = raters_per_item, repeats
        found = items_of(source, tuple(strata))
        if not found:
            raise UsageError("There is nothing to rate.", hint="Runs need an output picture or an interception.")
        self.root = found[0].folder.parent
        self.items = sampled(found, sample, order_seed)
        self.pairs = pairs_of(self.items, order_seed) if kind == "pairwise" else []
        self._freeze()

    @classmethod
    def open(cls, name: str, store: Any) -> RatingTask:
        """A task that was made before, by its name alone; what was erased since is left out.

        Args:
            name: Its name.
            store: The store that holds the runs, or its folder.

        Raises:
            EntityNotFound: there is no such task, or nothing of it is left.
        """
        runs = Path(getattr(store, "path", store))
        path = runs / "ratings" / f"{name}.json"
        try:
            known = json.loads(path.read_text(encoding="utf-8")) if _NAME.fullmatch(name) else {}
            items, task = {item.sha256: item for item in items_of(store, ()) if known}, cls.__new__(cls)
            task.items = [items[sha] for sha in known.get("items", ()) if sha in items]
            task.pairs = [(items[a], items[b]) for a, b in known.get("pairs", ()) if a in items and b in items]
            for field in FIELDS:
                setattr(task, field, known[field])
            task.criteria, task.root = tuple(task.criteria), runs
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EntityNotFound(
                f"There is no rating task {name!r} in {runs}.", hint="aipipe.RatingTask(name, runs, …) makes one."
            ) from error
        if not task.items:
            raise EntityNotFound(
                f"Nothing of the rating task {name!r} is left in {runs}.", hint="Were its runs erased?"
            )
        return task

    @property
    def folder(self) -> Path:
        """Where the answers lie."""
        return self.root / "ratings" / self.name

    def definition(self) -> dict[str, Any]:
        """What makes the task the same task."""
        plain = {name: getattr(self, name) for name in FIELDS}
        return {**plain, "criteria": list(self.criteria), "items": [i.sha256 for i in self.items],
                "pairs": [[a.sha256, b.sha256] for a, b in self.pairs]}  # fmt: skip

    def _freeze(self) -> None:
        path = self.folder.with_suffix(".json")
        wanted = self.definition()
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            if {k: known.get(k) for k in wanted} != wanted:
                different = ", ".join(k for k in wanted if known.get(k) != wanted[k])
                raise UsageError(
                    f"There is a task {self.name!r} with other {different}.",
                    hint="Ratings of two definitions must not mix: take another name, or the same arguments and runs.",
                )
            return
        with files.typed_errors("The rating task could not be written", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_bytes(path, json.dumps({**wanted, "created": timestamps.now()}, indent=1).encode(), sync=True)

    def order(self, rater: str) -> list[Shown]:
        """The rater's own order: seeded, the same whenever it is asked for.

        With `raters_per_item`, what enough other raters have judged is left out.
        """
        check_rater(rater)
        chance = random.Random(f"{self.order_seed}:{self.name}:{rater}")
        places: list[tuple[Item, Item | None]] = list(self.pairs) or [(item, None) for item in self.items]
        chance.shuffle(places)
        places = [(b, a) if b is not None and chance.random() < 0.5 else (a, b) for a, b in places]
        # Left out only now: what others finish meanwhile must not turn this rater's order or sides round.
        done = self._raters_of() if self.raters_per_item is not None else {}
        places = [place for place in places if self._assigned(done.get(key_of(*place), set()), rater)]
        again = chance.sample(places, min(self.repeats, len(places)))
        whole = [(a, b, False) for a, b in places] + [(a, b, True) for a, b in again]
        return [Shown(n, a, b, repeat) for n, (a, b, repeat) in enumerate(whole)]

    def _assigned(self, done: set[str], rater: str) -> bool:
        """False for what enough other raters have judged already; what this rater judged stays."""
        return self.raters_per_item is None or rater in done or len(done) < self.raters_per_item

    def _raters_of(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for path in self.folder.glob("*.jsonl"):
            for line in read_lines(path):
                found.setdefault(str(line.get("item")), set()).add(str(line.get("rater")))
        return found

    def answered(self, rater: str) -> dict[tuple[str, bool], dict[str, Any]]:
        """The rater's answers so far by item and repeat; the last one that was given counts."""
        found: dict[tuple[str, bool], dict[str, Any]] = {}
        for line in sorted(read_lines(self._file(rater)), key=lambda known: str(known.get("timestamp"))):
            place = (str(line.get("item")), line.get("repeat") is True)
            found.setdefault(place, {})[str(line.get("criterion"))] = line.get("answer", line.get("value"))
        return found

    def record(
        self, rater: str, shown: Shown, answers: dict[str, Any], *, seconds: float = 0.0, comment: str = ""
    ) -> None:
        """Append a rater's answers to one item; answering again replaces what was said.

        Args:
            rater: Pseudonym.
            shown: The place, from `order`.
            answers: Criterion → number on the scale; for pairs "left", "right" or "equal".
            seconds: Time the rater took.
            comment: The rater's words.

        Raises:
            InvalidInput: an answer that the scale does not have; nothing is recorded then.
            RecordingError: the disk refused.
        """
        self.append(rater, self.lines(rater, shown, answers, seconds, comment))

    def history(self, rater: str) -> set[tuple[Any, ...]]:
        """Everything the rater ever answered, with and without its time, as `told` puts it."""
        lines = list(read_lines(self._file(rater)))
        return {told(line, timed=timed) for line in lines for timed in (True, False)}

    def lines(
        self,
        rater: str,
        shown: Shown,
        answers: dict[str, Any],
        seconds: float,
        comment: str,
        answered: str | None = None,
    ) -> list[dict[str, Any]]:
        """The lines that `record` appends, one for each criterion; `answered` is when, if not now.

        Raises:
            InvalidInput: an answer that the scale does not have.
        """
        made = [self._line(rater, shown, c, answers.get(c), seconds, comment) for c in self.criteria]
        return [{**line, "timestamp": answered} for line in made] if answered else made

    def append(self, rater: str, lines: list[dict[str, Any]]) -> None:
        """Append lines to the rater's file.

        Raises:
            RecordingError: the disk refused.
        """
        path = self._file(rater)
        with files.typed_errors("The rating could not be written", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for line in lines:
                files.append_line(path, json.dumps(line, ensure_ascii=False))

    def _line(
        self, rater: str, shown: Shown, criterion: str, answer: Any, seconds: float, comment: str
    ) -> dict[str, Any]:
        line: dict[str, Any] = {
            "task": self.name, "rater": rater, "criterion": criterion, "item": key_of(shown.item, shown.other),
            "position": shown.position, "repeat": shown.repeat, "seconds": round(max(0.0, float(seconds)), 2),
            "comment": comment, "timestamp": timestamps.now(), "order_seed": self.order_seed,
        }  # fmt: skip
        if shown.other is not None:
            if answer not in ("left", "right", "equal"):
                raise InvalidInput(f"{answer!r} is no answer to a pair.", hint="left, right or equal")
            won, lost = (shown.other, shown.item) if answer == "right" else (shown.item, shown.other)
            line |= {"run_id": won.run_id,
                     "other_run_id": lost.run_id, "entity_sha256": won.sha256, "other_sha256": lost.sha256,
                     "answer": answer}  # fmt: skip
            return line
        if isinstance(answer, bool) or not isinstance(answer, int) or not 1 <= answer <= self.scale:
            raise InvalidInput(
                f"{criterion}: {answer!r} is not on the scale.", hint=f"A whole number from 1 to {self.scale}."
            )
        return line | {"value": answer, "run_id": shown.item.run_id, "entity_sha256": shown.item.sha256}

    def _file(self, rater: str) -> Path:
        return self.folder / f"{check_rater(rater)}.jsonl"

    def rate(self, rater: str) -> Rater:
        """The rating page for `rater` in a cell; goes on where it was left."""
        from aipipe.ui.rating_page import Rater

        return Rater(self, rater)

    def pack(self, path: str | Path, rater: str | None = None) -> Path:
        """One HTML file with everything in it, for a rater without Jupyter; answers come back as a downloaded file.

        Args:
            path: The file to write.
            rater: Pseudonym; None takes the file's name.
        """
        from aipipe.ui.rating_page import pack

        return pack(self, Path(path), rater or Path(path).stem)

    def collect(self, paths: str | Path | Iterable[str | Path]) -> int:
        """Take over answers that came back from packed pages; what is known already is left out.

        Returns:
            How many answers were new.

        Raises:
            InvalidInput: a file of another task, or one that was altered.
        """
        from aipipe.ui.rating_page import collect

        listed = [paths] if isinstance(paths, str | Path) else list(paths)
        return sum(collect(self, Path(path)) for path in listed)

    def token(self, rater: str, shown: Shown) -> str:
        """A name for a place that tells nothing about it."""
        # The position is left out: it changes when others finish items, and the page may be older than that.
        other = shown.other.sha256 if shown.other is not None else ""
        text = f"{self.name}:{self.order_seed}:{rater}:{shown.item.sha256}:{other}:{shown.repeat}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def entity(self, item: Item) -> Entity:
        """What is rated.

        Raises:
            EntityNotFound: the run was erased or changed since.
        """
        found = next((e for e in Run(item.folder).entities if e.sha256 == item.sha256), None)
        if found is None:
            raise EntityNotFound("What was to be rated here is gone.", hint="Go on with the next item.")
        return found

    def __repr__(self) -> str:
        what = f"{len(self.pairs)} pairs" if self.pairs else f"{len(self.items)} items"
        return f"<RatingTask {self.name!r} {self.kind}: {what}, {', '.join(self.criteria)}>"


def key_of(item: Item, other: Item | None) -> str:
    """The item's key: its content, for pairs both in a fixed order."""
    return item.sha256 if other is None else "+".join(sorted((item.sha256, other.sha256)))


def check_rater(rater: str) -> str:
    """`rater` itself.

    Raises:
        UsageError: not usable as a pseudonym and file name.
    """
    if not _NAME.fullmatch(rater):
        raise UsageError(
            f"{rater!r} is no pseudonym of a rater.", hint='Letters, digits, "_" and "-", for example "anna".'
        )
    return rater


def told(line: dict[str, Any], *, timed: bool) -> tuple[Any, ...]:
    """What a line of answers says, to be compared with another: item, criterion and answer, and with `timed` when."""
    answer = line.get("answer", line.get("value"))
    when = line.get("timestamp") if timed else None
    return str(line.get("item")), line.get("repeat") is True, str(line.get("criterion")), repr(answer), when


def _names(given: Sequence[str]) -> tuple[str, ...]:
    """One name, or several."""
    return (given,) if isinstance(given, str) else tuple(given)


def _check_numbers(**given: tuple[int | None, int]) -> None:
    for name, (value, least) in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise UsageError(f"{name}={value!r} makes no task.", hint=f"A whole number from {least}.")
