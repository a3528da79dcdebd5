"""`Batch`: the grid a person describes, its frozen plan, and what became of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.batch.control import RemoteControl, is_paused, say
from aipipe.batch.dry_run import dry_run
from aipipe.batch.estimating import check_disk
from aipipe.batch.freezing import check_unchanged, freeze, kept_notebook, plan_of, stored
from aipipe.batch.grid import Grid
from aipipe.batch.ledger import DONE, CaseState, Ledger
from aipipe.batch.needs import free_media, look_from, needs_by, shares_gpu, unload_models, waiting_at
from aipipe.batch.notebooks import CaseNotebook
from aipipe.batch.options import Options, arguments_of, check_services, check_workers, options_of
from aipipe.batch.plan import PLAN, Case, Plan
from aipipe.batch.plan_file import read_plan_file
from aipipe.batch.running import check_executor, check_storage, follow, open_pool, start_process
from aipipe.batch.scheduling import Place, Schedule
from aipipe.batch.snapshot import Snapshot, snapshot_of
from aipipe.batch.status import BatchStatus, status_of
from aipipe.errors import RunNotFound, StoreError, UsageError

if TYPE_CHECKING:
    from aipipe.lab import Lab
    from aipipe.store import Run

BATCHES = "batches"


class Batch(RemoteControl):
    """Configs × inputs × seeds. The same plan again continues: what is done is not done twice.

    Args:
        configs: Names or `Config` objects.
        inputs: A list of texts, a DataFrame, or a .txt, .csv, .tsv or .jsonl file. Column `text` or `image` is the input,
            `id` its id, `seed`, `text_seed` or a parameter's name sets it (also a parameter of the case notebook), every other
            column becomes a label.
        seeds: Media seeds.
        text_seeds: Seeds of the language model.
        levels: Safety levels; None for the project's.
        modes: Modes; None for the project's. Mode, models and outputs are pinned in the plan.
        outputs: Output configs to cross; None for each config's own.
        models: Task → model, or several such to cross.
        parameters: Sampling and media parameters of every case, and parameters of the case notebook.
        repeats: How often every combination runs.
        include: Rules: field → value or list; a case must meet one. Fields are config, seed, text_seed, level, mode, output,
            model, input_id, text, image, repeat, parameters and labels.
        exclude: Rules; a case that meets one is left out, and counted as excluded.
        notebook: Case notebook; None takes the project's notebooks/cases/run_case.ipynb, else the one that ships; False runs
            cases straight in the workers.
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
        levels: Sequence[str] | str | None = None,
        modes: Sequence[str] | str | None = None,
        outputs: Sequence[str] | str | None = None,
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
        self._grid = Grid.of(
            configs=configs, inputs=inputs, seeds=seeds, text_seeds=text_seeds, levels=levels, modes=modes, outputs=outputs,
            models=models, parameters=parameters, repeats=repeats, include=include, exclude=exclude,
        )  # fmt: skip
        self._notebook_choice = notebook
        self._runs, self._project = runs, project
        self._order_seed = order_seed
        self._options = {k: v for k, v in (("study", study), ("participant", participant), ("session", session)) if v}
        self._plan: Plan | None = None
        self._case_notebook: CaseNotebook | None = None
        self._anew = False
        self._lab_: Lab | None = None

    @classmethod
    def load(cls, path: str | Path, **more: Any) -> Batch:
        """A batch of a TOML plan; its keys are the arguments of `Batch`.

        Raises:
            InvalidPlan: it cannot be read, or has a key nobody knows.
        """
        document = read_plan_file(Path(path).expanduser())
        return cls(**{**document, **{k: v for k, v in more.items() if v is not None}})

    @classmethod
    def open(cls, batch_id: str, *, runs: str | Path | None = None, project: str | Path | None = None) -> Batch:
        """A batch of the store, by its id or a unique beginning, from any process.

        Raises:
            RunNotFound: there is none, or several.
        """
        batch = cls(runs=runs, project=project)
        root = batch._lab.store.path / BATCHES
        names = sorted(p.name for p in root.iterdir() if (p / PLAN).is_file()) if root.is_dir() else []
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
            self._plan = stored(self._root, new.plan_hash) or new
        return self._plan

    @property
    def batch_id(self) -> str:
        """Id of the batch."""
        return self.plan.batch_id

    @property
    def folder(self) -> Path:
        """runs/batches/{batch_id}."""
        return self._root / self.plan.batch_id

    def dry_run(self) -> dict[str, Any]:
        """What would be done: cases, model calls, hours, bytes, tokens at paid services, what each column means; nothing is written.

        Raises:
            InvalidPlan: with all problems together; also where the disk is too small.
        """
        return dry_run(self._lab, self.plan, self._left())

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
                storage: fsspec address, for example s3://bucket/folder, at which the workers of a cluster without a shared disk
                    leave what they made; it is fetched into this store.
                queue: Jobs, of anybody, that may wait at ComfyUI before cases wait here (default 8; 0 for any number).

        Raises:
            InvalidPlan: with all problems together; nothing was started.
            UsageError: an option is unknown.
            RecordingError: the states could not be written.
            ExecutorLost: the executor broke; the same plan again continues.
        """
        chosen = options_of(options)
        if new:
            self._plan, self._anew = self._make(), True
        return self._run(workers, executor, chosen, display=display, again=retry)

    def _run(
        self, workers: int, executor: Any, options: Options, *, display: bool, again: bool, cause: str | None = None,
        lift: bool = True,
    ) -> BatchStatus:  # fmt: skip
        check_workers(workers)
        check_executor(executor)
        check_services(options.limits, {*self._lab.settings.backends, *self._lab.settings.runners})
        check_storage(options, executor)
        place = self._settle()
        if lift and is_paused(self.folder):
            say(self.folder, "resume")
        needs = needs_by(self._lab)
        todo = [needs(case) for case in self._left()]
        text_first = options.schedule == "text_first" or (options.schedule == "auto" and shares_gpu(self._lab, todo))
        text_first = text_first and not options.storage  # a held run lies on the disk of the worker that began it
        schedule = Schedule(
            self.plan, place, options, needs=needs, text_first=text_first,
            enter=lambda phase: (unload_models if phase == "media" else free_media)(self._lab, todo),
        )  # fmt: skip
        number = schedule.prepare(again=again, cause=cause)
        if number:
            with schedule.heart, open_pool(schedule, executor, min(workers, number)) as pool:
                schedule.look = look_from(self._lab, pool.executor)
                schedule.crowds.count = functools.partial(waiting_at, self._lab) if pool.executor is None else None
                try:
                    follow(self, schedule, pool, display=display)
                finally:
                    self._lab.close()
                    if not schedule.stopped.is_set():
                        self._write_report()
        if not number:
            self._write_report()
        return self._status(schedule.paused)

    def _settle(self) -> Place:
        """Check what can be checked, and write the frozen plan."""
        left = self._left()
        check_disk(self._lab, left)
        if self._anew or not (self.folder / PLAN).exists():
            self._plan = freeze(self._root, self.plan, self._case_notebook, anew=self._anew)
            self._anew = False
        check_unchanged(self._lab, left)
        notebook = kept_notebook(self.folder, self.plan)
        return Place(
            self.folder, self._lab.store.path, self._lab.project, notebook.path if notebook else None,
            list(notebook.known) if notebook else [],
        )  # fmt: skip

    def start(self, workers: int = 1, *, retry: bool = False, **options: Any) -> Batch:
        """Run in a process of its own that outlives this kernel; `status` tells how it goes.

        Args:
            workers: Cases at the same time.
            retry: Give failed cases new attempts.
            options: As for `run`.

        Raises:
            InvalidPlan, UsageError: as for `run`; nothing was started.
        """
        check_workers(workers)
        check_services(options_of(options).limits, {*self._lab.settings.backends, *self._lab.settings.runners})
        self._settle()
        if is_paused(self.folder):
            say(self.folder, "resume")
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

    def join(
        self, workers: int = 1, *, executor: Any = "local", retry: bool = False, display: bool = True, **options: Any
    ) -> BatchStatus:
        """Pull cases of this batch beside other processes, for example as a task of a SLURM array; a pause holds here too.

        Args:
            workers: Cases at the same time.
            executor: As for `run`.
            retry: Give failed cases new attempts.
            display: Show progress.
            options: As for `run`.

        Raises:
            InvalidPlan, UsageError, RecordingError, ExecutorLost: as for `run`.
        """
        return self._run(workers, executor, options_of(options), display=display, again=retry, lift=False)

    # What became of it

    @property
    def status(self) -> BatchStatus:
        """How it stands now, from the ledger."""
        return self._status({})

    def watch(self) -> BatchStatus:
        """Show how it goes until nothing is left to do; Ctrl-C ends the watching, not the batch.

        Raises:
            RunNotFound: the batch was never started.
        """
        from aipipe.batch.view import watch

        if not (self.folder / PLAN).is_file():
            raise RunNotFound(
                f"Batch {self.batch_id} was never started.", hint="batch.run() or batch.start() starts it."
            )
        return watch(self)

    @property
    def snapshot(self) -> Snapshot:
        """How it stands and how fast it goes: numbers, rate, time left, cases that run now, newest pictures."""
        return snapshot_of(self, {}, pictures=True)

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

    @property
    def _root(self) -> Path:
        return self._lab.store.path / BATCHES

    def _make(self) -> Plan:
        try:
            plan, self._case_notebook = plan_of(
                self._lab, self._grid, self._notebook_choice, order_seed=self._order_seed, options=self._options
            )
        finally:
            self._lab.close()  # the choice of a mode has asked servers; a batch may lie idle for long after it
        return plan

    def _left(self) -> list[Case]:
        """Cases that are neither done nor excluded."""
        states = self.states
        return [c for c in self.plan.cases if not c.excluded and states[c.case_key].state not in DONE]

    def _status(self, paused: Mapping[str, str]) -> BatchStatus:
        return status_of(self.plan.batch_id, self.states, paused)

    def _write_report(self) -> Path:
        from aipipe.batch.report import write_report

        return write_report(self)

    def __repr__(self) -> str:
        return f"<Batch {self._plan.batch_id if self._plan else 'not planned yet'}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.batch.report import live_bundle

        return live_bundle(self.snapshot)
