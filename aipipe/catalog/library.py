"""The catalog: chunks, pipelines and configs by name, read from folders and validated."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aipipe.catalog import checks
from aipipe.catalog.files import Item, Kind, Loaded, load_folder, signature
from aipipe.catalog.problems import Problem, error_of, short
from aipipe.definitions import LEVELS, Chunk, Config, Definition, Pipeline, Stage
from aipipe.errors import UnknownName

DATA = Path(__file__).resolve().parent.parent / "data"
__all__ = ["DATA", "LEVELS", "Catalog"]


class Catalog:
    """All definitions by name.

    The shipped ones are read once per process; folders of a project are looked at again by `refresh`. A name exists
    once: a file that repeats a known name is a problem, so that `dada` in a record always means the same config.
    """

    def __init__(self) -> None:
        self._base: dict[Kind, dict[str, Item]] = {"chunk": {}, "pipeline": {}, "config": {}}
        self._workflows: dict[str, Any] = {}
        self._folders: tuple[Path, ...] = ()
        self._files: dict[Path, Loaded] = {}
        self._signature: Any = None
        self._own: dict[Kind, dict[str, Definition]] = {"chunk": {}, "pipeline": {}, "config": {}}
        self._tables: dict[Kind, dict[str, Definition]] = {"chunk": {}, "pipeline": {}, "config": {}}
        self._paths: dict[tuple[Kind, str], Path] = {}
        self._graphs: dict[str, Any] = {}
        self.problems: tuple[Problem, ...] = ()

    @classmethod
    def load(cls, folders: Sequence[Path | str] = (), *, shipped: bool = True, strict: bool = True) -> Catalog:
        """Read definitions.

        Args:
            folders: Folders with further definitions; one that does not exist is empty. Configs lie in it directly,
                or in interception/, output/, pre_interception/, pre_output/ or user_configs/NAME/; chunks,
                pipelines and workflows in folders of these names.
            shipped: Also the definitions of this package.
            strict: Raise for problems in `folders`. Otherwise broken files are left out and listed in `problems`.

        Raises:
            InvalidDefinition: all problems of all files together.
        """
        catalog = cls()
        if shipped:
            base = _shipped()
            catalog._base, catalog._workflows = base
        catalog._folders = tuple(Path(folder) for folder in folders)
        catalog.refresh()
        if strict and catalog.problems:
            raise error_of(catalog.problems, "Wrong definitions")
        return catalog

    def refresh(self) -> bool:
        """Read again what changed in the folders, so that a saved file counts from the next run on.

        Returns:
            True when anything changed. Problems are kept in `problems`.
        """
        now = tuple(signature(folder) for folder in self._folders)
        if now == self._signature:
            return False
        items: list[Item] = []
        problems: list[Problem] = []
        rests: list[Item] = []
        graphs = dict(self._workflows)
        for folder in self._folders:
            found, wrong, files, workflows = load_folder(folder, self._files)
            self._files.update(files)
            rests += [loaded.rest for loaded in files.values() if loaded.rest is not None]
            items += found
            problems += wrong
            for taken in graphs.keys() & workflows.keys():
                # Else every output of that name would run another graph, and no hash of a config would tell.
                message = f"the name {taken!r} of this workflow is taken by another one."
                problems.append(
                    Problem(
                        short(folder / "workflows" / f"{taken}.json"), None, message, "Give it another name.", taken
                    )
                )
            graphs = {**workflows, **graphs}
        self._graphs = graphs
        self._build(items, problems, rests)
        self._signature = now
        return True

    def _build(self, items: Sequence[Item], problems: list[Problem], rests: Sequence[Item] = ()) -> None:
        tables: dict[Kind, dict[str, Item]] = {kind: dict(base) for kind, base in self._base.items()}
        fresh: list[Item] = []
        for item in items:
            other = tables[item.kind].get(item.name)
            if other is not None:
                where = "a shipped definition" if item.name in self._base[item.kind] else short(other.source.path)
                message = f"the name {item.name!r} of this {item.kind} is taken by {where}."
                problems.append(_problem(item, ("name",), message, _other_name(item)))
            else:
                tables[item.kind][item.name] = item
                fresh.append(item)
        problems += _check_all(fresh, tables, self._graphs)
        problems += _check_rests(rests, tables, self._graphs)
        bad = {(p.file, p.name) for p in problems}
        self._tables = {
            kind: {name: i.definition for name, i in table.items() if (short(i.source.path), name) not in bad}
            for kind, table in tables.items()
        }
        self._paths = {(i.kind, i.name): i.source.path for table in tables.values() for i in table.values()}
        for kind, own in self._own.items():
            self._tables[kind].update(own)
        self.problems = tuple(problems)

    def add(self, definition: Config | Chunk | Pipeline) -> None:
        """Add an object made in code; the same name again replaces the one added before.

        Raises:
            InvalidDefinition: it names something that does not exist, or its name is taken by a file.
        """
        kind: Kind = _kind(definition)
        faults = list(self.check(definition))
        if definition.name in self._tables[kind] and definition.name not in self._own[kind]:
            faults.append(
                Problem("", None, f"the name {definition.name!r} is taken.", "Choose another.", definition.name)
            )
        if faults:
            raise error_of(faults, f"The {kind} {definition.name!r} cannot be used")
        self._own[kind][definition.name] = definition
        self._tables[kind][definition.name] = definition

    def check(self, definition: Config | Chunk | Pipeline) -> list[Problem]:
        """What is wrong with an object, judged against everything known; empty when all is well."""
        faults = [*checks.check_name(definition.name), *_faults(definition, self._tables, self._graphs)]
        return [Problem("", None, fault.message, fault.repair, definition.name) for fault in faults]

    def config(self, name: str) -> Config:
        """The config of this name.

        Raises:
            InvalidDefinition: its file has problems.
            UnknownName: there is none; suggests near names.
        """
        found = self._get("config", name)
        assert isinstance(found, Config)
        return found

    def pipeline(self, name: str) -> Pipeline:
        """The pipeline of this name; errors as for `config`."""
        found = self._get("pipeline", name)
        assert isinstance(found, Pipeline)
        return found

    def chunk(self, name: str) -> Chunk:
        """The chunk of this name; errors as for `config`."""
        found = self._get("chunk", name)
        assert isinstance(found, Chunk)
        return found

    def workflow(self, name: str) -> dict[str, Any]:
        """The ComfyUI graph of a file in workflows/.

        Raises:
            UnknownName: there is none.
        """
        if name not in self._graphs:
            raise UnknownName("workflow", name, self._graphs)
        graph: dict[str, Any] = self._graphs[name]
        return graph

    def configs(self, stage: Stage | None = None) -> tuple[Config, ...]:
        """All configs, or those of one stage, by name."""
        found = [c for c in self._tables["config"].values() if isinstance(c, Config)]
        return tuple(sorted((c for c in found if stage in (None, c.stage)), key=lambda c: c.name.casefold()))

    def pipelines(self) -> tuple[Pipeline, ...]:
        """All pipelines by name."""
        return tuple(p for _, p in sorted(self._tables["pipeline"].items()) if isinstance(p, Pipeline))

    def chunks(self) -> tuple[Chunk, ...]:
        """All chunks by name."""
        return tuple(c for _, c in sorted(self._tables["chunk"].items()) if isinstance(c, Chunk))

    def path(self, name: str, kind: Kind = "config") -> Path | None:
        """The file that a definition was read from; None for objects."""
        return None if name in self._own[kind] else self._paths.get((kind, name))

    def is_shipped(self, name: str, kind: Kind = "config") -> bool:
        """True for definitions of this package."""
        return name in self._base[kind]

    def _get(self, kind: Kind, name: str) -> Definition:
        table = self._tables[kind]
        if name in table:
            return table[name]
        problems = [p for p in self.problems if p.name == name]
        if problems:
            raise error_of(problems, f"The {kind} {name!r} cannot be used")
        known = [n for n, d in table.items() if not isinstance(d, Config) or d.stage in ("interception", "output")]
        raise UnknownName(kind, name, known or table)


def _kind(definition: Definition) -> Kind:
    return "config" if isinstance(definition, Config) else "chunk" if isinstance(definition, Chunk) else "pipeline"


@functools.lru_cache(maxsize=1)
def _shipped() -> tuple[dict[Kind, dict[str, Item]], dict[str, Any]]:
    items, problems, _, graphs = load_folder(DATA, {})
    tables: dict[Kind, dict[str, Item]] = {"chunk": {}, "pipeline": {}, "config": {}}
    for item in items:
        if item.name in tables[item.kind]:
            problems.append(_problem(item, ("name",), f"the name {item.name!r} stands twice.", ""))
        tables[item.kind][item.name] = item
    problems += _check_all(items, tables, graphs)
    if problems:
        raise error_of(problems, "The shipped definitions are damaged")
    return tables, graphs


def _check_all(
    items: Sequence[Item], tables: Mapping[Kind, Mapping[str, Item]], graphs: Mapping[str, Any]
) -> list[Problem]:
    # Chunks first, configs last: a definition is only judged against what is itself in order.
    good: dict[Kind, dict[str, Definition]] = {
        kind: {name: item.definition for name, item in table.items()} for kind, table in tables.items()
    }
    problems: list[Problem] = []
    kinds: tuple[Kind, ...] = ("chunk", "pipeline", "config")
    for kind in kinds:
        wrong: list[str] = []
        for item in items:
            if item.kind != kind:
                continue
            faults = [*checks.check_name(item.name), *_faults(item.definition, good, graphs)]
            problems += [_problem(item, fault.loc, fault.message, fault.repair) for fault in faults]
            wrong += [item.name] if faults else []
        for name in wrong:
            good[kind].pop(name, None)
    return problems


def _check_rests(
    items: Sequence[Item], tables: Mapping[Kind, Mapping[str, Item]], graphs: Mapping[str, Any]
) -> list[Problem]:
    """References of definitions that have other problems already; what those problems themselves cause is not told again."""
    good: dict[Kind, dict[str, Definition]] = {
        kind: {name: item.definition for name, item in table.items()} for kind, table in tables.items()
    }
    return [
        _problem(item, fault.loc, fault.message, fault.repair)
        for item in items
        for fault in _faults(item.definition, good, graphs)
        if fault.loc and str(fault.loc[0]) in item.source.values
    ]


def _faults(
    definition: Definition, tables: Mapping[Kind, Mapping[str, Any]], graphs: Mapping[str, Any]
) -> list[checks.Fault]:
    if isinstance(definition, Chunk):
        return list(checks.check_chunk(definition, graphs))
    if isinstance(definition, Pipeline):
        return list(checks.check_pipeline(definition, tables["chunk"]))
    assert isinstance(definition, Config)
    if definition.media_preferences.output_configs:
        outputs = [name for name, config in tables["config"].items() if config.stage == "output"]
    else:
        outputs = []
    return list(checks.check_config(definition, tables["pipeline"], tables["chunk"], outputs))


def _other_name(item: Item) -> str:
    if item.kind != "config":
        return "Give it another name."
    return f"Give it another name, or put the file into user_configs/YOU/, where it becomes u_YOU_{item.name}."


def _problem(item: Item, loc: tuple[str | int, ...], message: str, repair: str) -> Problem:
    return Problem(short(item.source.path), item.source.line(loc), message, repair, item.name)
