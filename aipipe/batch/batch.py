"""`Batch`: the grid a person describes, its frozen plan, and what became of it."""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import files
from aipipe.batch.estimating import calls, check_disk, estimates, newest
from aipipe.batch.ledger import DONE, CaseState, Ledger
from aipipe.batch.needs import answers, free_media, needs_by, shares_gpu, unload_models
from aipipe.batch.options import Options, arguments_of, options_of
from aipipe.batch.paid import paid_use
from aipipe.batch.plan import Case, Grid, Plan, make_plan
from aipipe.batch.running import follow, is_here, open_pool, start_process
from aipipe.batch.scheduling import Place, Schedule
from aipipe.batch.status import BatchStatus, status_of
from aipipe.errors import InvalidPlan, RunNotFound, StoreError, UsageError

if TYPE_CHECKING:
    from aipipe.lab import Lab
    from aipipe.store import Run

BATCHES = "batches"
GRID_KEYS = (
    "configs",
    "inputs",
    "seeds",
    "text_seeds",
    "levels",
    "modes",
    "outputs",
    "models",
    "parameters",
    "repeats",
    "include",
    "exclude",
)
RECORD_KEYS = ("study", "participant", "session")


class Batch:
    """Configs × inputs × seeds. The same plan again continues: what is done is not done twice.

    Args:
        configs: Names or `Config` objects.
        inputs: A list of texts, a DataFrame, or a .txt, .csv, .tsv or .jsonl file. Column `text` or `image` is the input,
            `id` its id, a parameter's name sets it, every other column becomes a label.
        seeds: Media seeds.
        text_seeds: Seeds of the language model.
        levels: Safety levels; None for the project's.
        modes: Modes; None for the project's. The mode is pinned in the plan.
        outputs: Output configs to cross; None for each config's own.
        models: Task → model, or several such to cross.
        parameters: Sampling and media parameters of every case.
        repeats: How often every combination runs.
        include: Rules: field → value or list; a case must meet one.
        exclude: Rules; a case that meets one is left out, and counted as excluded.
        notebook: Case notebook; None takes the one that ships, False runs cases straight in the workers.
        runs: Folder of the store; None for the project's.
        project: Folder of the project; None for the nearest one.
        order_seed: Seed of the random order.
        study: Study of the runs.
        participant: Pseudonym of the author.
        session: Session.
    """

    def __init__(
        self,
        configs: Sequence[Any] | str = (),
        inputs: Any = (),
        seeds: Sequence[int] = (1,),
        *,
        text_seeds: Sequence[int] = (0,),
        levels: Sequence[str] | None = None,
        modes: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
        models: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
        parameters: Mapping[str, Any] | None = None,
        repeats: int = 1,
        include: Sequence[Mapping[str, Any]] = (),
        exclude: Sequence[Mapping[str, Any]] = (),
        notebook: str | Path | bool | None = None,
        runs: str | Path | None = None,
        project: str | Path | None = None,
        order_seed: int = 1,
        study: str | None = None,
        participant: str | None = None,
        session: str | None = None,
    ) -> None:
        crossed = [models] if isinstance(models, Mapping) else list(models or ())
        self._grid = Grid(
            [configs] if isinstance(configs, str) else list(configs), inputs, list(seeds), list(text_seeds), list(levels or ()),
            list(modes or ()), list(outputs or ()), crossed, dict(parameters or {}), repeats, list(include), list(exclude),
        )  # fmt: skip
        self._notebook_choice = notebook
        self._runs, self._project = runs, project
        self._order_seed = order_seed
        self._options = {k: v for k, v in (("study", study), ("participant", participant), ("session", session)) if v}
        self._plan: Plan | None = None
        self._lab_: Lab | None = None

    @classmethod
    def load(cls, path: str | Path, **more: Any) -> Batch:
        """A batch of a TOML plan; its keys are the arguments of `Batch`.

        Raises:
            InvalidPlan: it cannot be read, or has a key nobody knows.
        """
        place = Path(path).expanduser()
        try:
            document = tomllib.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidPlan(f"{place} cannot be read: {error}.", hint="docs/batches shows a plan.") from None
        unknown = set(document) - {*GRID_KEYS, *RECORD_KEYS, "notebook", "runs", "order_seed"}
        if unknown:
            raise InvalidPlan(
                f"{place} has unknown keys: {', '.join(sorted(unknown))}.", hint=f"Known: {', '.join(GRID_KEYS)}."
            )
        if isinstance(document.get("inputs"), str):
            document["inputs"] = str((place.parent / document["inputs"]).resolve())
        return cls(**{**document, **{k: v for k, v in more.items() if v is not None}})

    @classmethod
    def open(cls, batch_id: str, *, runs: str | Path | None = None, project: str | Path | None = None) -> Batch:
        """A batch of the store, by its id or a unique beginning, from any process.

        Raises:
            RunNotFound: there is none, or several.
        """
        batch = cls(runs=runs, project=project)
        root = batch._lab.store.path / BATCHES
        names = sorted(p.name for p in root.iterdir() if (p / "plan.json").is_file()) if root.is_dir() else []
        found = [name for name in names if name.startswith(batch_id)] if batch_id else names[-1:]
        if len(found) != 1:
            what = "no batch" if not found else f"{len(found)} batches"
            raise RunNotFound(
                f"There is {what} {batch_id!r} in {root}.", hint=f"There are: {', '.join(names[-8:]) or 'none'}."
            )
        batch._plan = Plan.load(root / found[0])
        return batch

    # The plan

    @property
    def plan(self) -> Plan:
        """The frozen plan: the newest one of the store that is equal, else a new one.

        Raises:
            InvalidPlan: with all problems together.
        """
        if self._plan is None:
            new = self._make()
            self._plan = self._equal(new.plan_hash) or new
        return self._plan

    @property
    def batch_id(self) -> str:
        """Id of the batch."""
        return self.plan.batch_id

    @property
    def folder(self) -> Path:
        """runs/batches/{batch_id}."""
        return self._lab.store.path / BATCHES / self.plan.batch_id

    def dry_run(self) -> dict[str, Any]:
        """What would be done: cases, model calls, hours, bytes, tokens at paid services, what each column means; nothing is written.

        Raises:
            InvalidPlan: with all problems together; also where the disk is too small.
        """
        plan = self.plan
        todo = [c for c in plan.cases if not c.excluded]
        left = self._left()
        check_disk(self._lab, left)
        models, media = calls(self._lab, left)
        return {
            "batch_id": plan.batch_id, "plan_hash": plan.plan_hash, "cases": len(todo), "excluded": len(plan.cases) - len(todo),
            "left": len(left), "columns": dict(plan.columns), "notebook": plan.notebook, "model_calls": models, "media": media,
            **estimates(self._lab, left, media), "paid": paid_use(self._lab, left, newest(self._lab)),
        }  # fmt: skip

    # Doing it

    def run(
        self,
        workers: int = 1,
        *,
        executor: Any = "local",
        new: bool = False,
        retry: bool = False,
        display: bool = True,
        **options: Any,
    ) -> BatchStatus:
        """Run what is missing, and wait. Ctrl-C drains: cases that run come to their end; a second one stops at once.

        Args:
            workers: Cases at the same time.
            executor: "local", "dask" or a dask address, or anything with `submit` (concurrent.futures, loky, a dask client).
            new: Start anew even if this plan was run before.
            retry: Give failed cases new attempts.
            display: Show progress.
            options:
                max_attempts: Failures of one case until it is left alone (default 3).
                fail_fast: The first failure stops the batch.
                keep_notebooks: all, failed or none.
                timeout: Seconds one notebook cell may take.
                engine: "aipipe" forks a warm kernel for each case; "papermill" starts a fresh one.
                schedule: "cases", "text_first" (texts of a block of cases before their media), or "auto", which takes
                    text_first where language model and ComfyUI share a GPU.
                block: Cases in a block (default 60).
                patience: Seconds for which cases wait for a server that is away (default 1800); 0 fails them.
                limits: Service → cases that may need it at the same time, for example {"comfyui": 1}.

        Raises:
            InvalidPlan: with all problems together; nothing was started.
            UsageError: an option is unknown.
            RecordingError: the states could not be written.
            ExecutorLost: the executor broke; the same plan again continues.
        """
        chosen = options_of(options)
        if new:
            self._plan = self._make()
        return self._run(workers, executor, chosen, display=display, again=retry)

    def _run(
        self, workers: int, executor: Any, options: Options, *, display: bool, again: bool, cause: str | None = None
    ) -> BatchStatus:
        place = self._settle()
        needs = needs_by(self._lab)
        todo = [needs(case) for case in self._left()]
        text_first = options.schedule == "text_first" or (options.schedule == "auto" and shares_gpu(self._lab, todo))
        schedule = Schedule(
            self.plan, place, options, needs=needs, text_first=text_first,
            look=functools.partial(answers, self._lab) if is_here(executor) else None,
            enter=lambda phase: (unload_models if phase == "media" else free_media)(self._lab, todo),
        )  # fmt: skip
        number = schedule.prepare(again=again, cause=cause)
        if number:
            with open_pool(schedule, executor, min(workers, number)) as pool:
                try:
                    follow(self, schedule, pool, display=display)
                finally:
                    if not schedule.stopped.is_set():
                        self._write_report()
        if not number:
            self._write_report()
        return self._status(schedule.paused)

    def _settle(self) -> Place:
        """Check what can be checked, and write the frozen plan."""
        check_disk(self._lab, self._left())
        notebook, parameters = self._notebook()
        if not (self.folder / "plan.json").exists():
            self.plan.save(self.folder)
        return Place(self.folder, self._lab.store.path, self._lab.project, notebook, parameters)

    def start(self, workers: int = 1, *, retry: bool = False, **options: Any) -> Batch:
        """Run in a process of its own that outlives this kernel; `status` tells how it goes.

        Args:
            workers: Cases at the same time.
            retry: Give failed cases new attempts.
            options: As for `run`.

        Raises:
            InvalidPlan, UsageError: as for `run`; nothing was started.
        """
        options_of(options)
        self._settle()
        arguments = ["batch", "join", self.batch_id, "--workers", str(workers), "--runs", str(self._lab.store.path)]
        arguments += ["--retry"] * retry + arguments_of(options)
        start_process(arguments, folder=self._lab.project or Path.cwd(), log=self.folder / "log.txt")
        return self

    def retry(
        self,
        cause: str | None = None,
        *,
        workers: int = 1,
        executor: Any = "local",
        display: bool = True,
        **options: Any,
    ) -> BatchStatus:
        """Run failed cases again, all or those of one cause; options as for `run`.

        Raises:
            UsageError: no case failed this way.
        """
        chosen = options_of(options)
        states = self.states
        if cause is not None and not any(s.cause == cause for s in states.values()):
            known = sorted({s.cause for s in states.values() if s.cause})
            raise UsageError(f"No case failed with {cause!r}.", hint=f"Causes: {', '.join(known) or 'none'}.")
        return self._run(workers, executor, chosen, display=display, again=True, cause=cause)

    # What became of it

    @property
    def status(self) -> BatchStatus:
        """How it stands now, from the ledger."""
        return self._status({})

    @property
    def states(self) -> dict[str, CaseState]:
        """Case key → state."""
        return Ledger(self.folder).states(self.plan.cases)

    @property
    def runs(self) -> list[Run]:
        """The runs of all done cases, one for each, in the order of the plan's grid."""
        states = self.states
        found = []
        for case in sorted(self.plan.cases, key=lambda c: c.index):
            for run_id in states[case.case_key].run_ids:
                try:
                    found.append(self._lab.store.open(run_id))
                except StoreError:
                    continue  # erased since; the numbers of the ledger stay
        return found

    def report(self) -> Path:
        """Write report.html anew and return its path."""
        return self._write_report()

    # How

    @property
    def _lab(self) -> Lab:
        if self._lab_ is None:
            from aipipe.lab import Lab

            self._lab_ = Lab(self._project, runs=self._runs, display=False)
        return self._lab_

    def _make(self) -> Plan:
        path = self._notebook_path()
        content, problems = b"", []
        if path is not None:
            from aipipe.batch.work import check_notebook

            problems = check_notebook(path, self._grid.parameters.items())[1]
            content = path.read_bytes() if not problems else b""
        try:
            plan = make_plan(
                self._lab,
                self._grid,
                notebook=path.name if path else "",
                notebook_bytes=content,
                order_seed=self._order_seed,
                options=self._options,
            )
        except InvalidPlan as error:
            problems = [*problems, *error.data.get("problems", ())]
        if problems:
            listed = "\n".join(f"  - {p}" for p in problems[:40])
            raise InvalidPlan(
                f"The batch was refused; {len(problems)} problem(s):\n{listed}",
                hint="Nothing was started.",
                problems=problems,
            )
        return plan

    def _equal(self, plan_hash: str) -> Plan | None:
        root = self._lab.store.path / BATCHES
        for folder in sorted(root.iterdir(), reverse=True) if root.is_dir() else []:
            try:
                if json.loads((folder / "plan.json").read_text(encoding="utf-8")).get("plan_hash") == plan_hash:
                    return Plan.load(folder)
            except (OSError, ValueError):
                continue
        return None

    def _notebook_path(self) -> Path | None:
        if self._notebook_choice is False:
            return None
        if self._plan is not None and not self._plan.notebook:
            return None
        if isinstance(self._notebook_choice, (str, Path)):
            base = Path(self._notebook_choice).expanduser()
            return base if base.is_absolute() or base.exists() else (self._lab.project or Path.cwd()) / base
        from aipipe.lab.project import shipped_notebooks

        return Path(str(shipped_notebooks().joinpath("cases", "run_case.ipynb")))

    def _notebook(self) -> tuple[Path | None, list[str]]:
        """The case notebook, copied beside the plan so that an edit in between changes nothing."""
        kept = self.folder / "case.ipynb"
        path = kept if kept.is_file() else self._notebook_path()
        if path is None:
            return None, []
        from aipipe.batch.work import check_notebook

        values = (pair for case in self.plan.cases for pair in case.parameters.items())
        parameters, problems = check_notebook(path, values)
        if problems:
            raise InvalidPlan(
                "The case notebook was refused:\n" + "\n".join(f"  - {p}" for p in problems),
                hint="Nothing was started.",
            )
        if path != kept:
            self.folder.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(path.read_bytes())
        return kept, parameters

    def _left(self) -> list[Case]:
        """Cases that are neither done nor excluded."""
        states = self.states
        return [c for c in self.plan.cases if not c.excluded and states[c.case_key].state not in DONE]

    def _status(self, paused: Mapping[str, str]) -> BatchStatus:
        return status_of(self.plan.batch_id, self.states, paused)

    def _write_report(self) -> Path:
        from aipipe.batch.report import report_html

        path = self.folder / "report.html"
        temporary = path.with_name(".report.html.new")
        temporary.unlink(missing_ok=True)
        files.write_bytes(temporary, report_html(self).encode(), sync=False)
        files.replace(temporary, path)
        return path

    def __repr__(self) -> str:
        return f"<Batch {self._plan.batch_id if self._plan else 'not planned yet'}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self.status._repr_mimebundle_(include, exclude)
