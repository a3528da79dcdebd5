"""`Lab`: what a researcher holds in a notebook."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aipipe import settings as settings_module
from aipipe.background import Background, interruptible
from aipipe.cancellation import Cancellation
from aipipe.catalog import Catalog
from aipipe.definitions import Config, Plan
from aipipe.display.text import short_path
from aipipe.engine import ReuseCache, RunContext, execute
from aipipe.events import Observer, Observers
from aipipe.lab import launching, resuming
from aipipe.lab.choosing import Choice, choose
from aipipe.lab.live import LiveRun
from aipipe.lab.planning import Request, make_plan
from aipipe.lab.preview import Preview, preview
from aipipe.lab.repeating import repeat
from aipipe.lab.reproduction import compare_runs
from aipipe.lab.runs import Runs, run_grid
from aipipe.lab.services import LabServices
from aipipe.recorder import LivePipelineRecorder
from aipipe.store import Run, Store

if TYPE_CHECKING:
    from aipipe.comfy import Workflow

ConfigLike = "str | Config | Workflow"


class Lab:
    """Runs pipelines of one project and records them in its store.

    Args:
        project: Folder with aipipe.toml; None takes the nearest one upwards from the current directory.
        runs: Folder of the store; overrides the project's.
        mode: "eco", "fast", "embedded" or "echo"; None: settings, else whatever answers.
        safety: Level for runs that name none.
        ollama: Address of an Ollama server.
        comfyui: Addresses of ComfyUI servers.
        models: Task → "model" or "backend:model", overriding the mode's table.
        study: Study that the runs belong to.
        participant: Pseudonym of the author.
        session: Session, for example a lesson.
        labels: Free key-value pairs for every run.
        observers: Views for every run, beside those that are installed.
        display: False shows nothing.
        overrides: Any other top-level setting.

    Raises:
        InvalidSettings: aipipe.toml, an AIPIPE_* variable or an argument is wrong.
    """

    def __init__(
        self,
        project: str | Path | None = None,
        *,
        runs: str | Path | None = None,
        mode: str | None = None,
        safety: str | None = None,
        ollama: str | None = None,
        comfyui: str | Sequence[str] | None = None,
        models: Mapping[str, str] | None = None,
        study: str | None = None,
        participant: str | None = None,
        session: str | None = None,
        labels: Mapping[str, str] | None = None,
        observers: Iterable[Observer] = (),
        display: bool = True,
        **overrides: Any,
    ) -> None:
        self.project = Path(project).resolve() if project else settings_module.find_project()
        self.settings = settings_module.load(self.project, mode=mode, safety=safety, **overrides)
        if ollama:
            self.settings.backends["ollama"].url = ollama
        if comfyui:
            self.settings.runners["comfyui"].urls = [comfyui] if isinstance(comfyui, str) else list(comfyui)
        self.models = dict(models or {})
        self.study = study or self.settings.study or None
        self.participant = participant
        self.session = session
        self.labels = dict(labels or {})
        self.display = display
        self._observers = list(observers)
        self.store = Store(
            settings_module.store_folder(self.project, self.settings, runs), durability=self.settings.durability
        )
        self.catalog = Catalog.load(settings_module.config_folders(self.project, self.settings), strict=False)
        self.services = LabServices(self.settings)
        self._choices: dict[str, Choice] = {}

    def choice(self, mode: str | None = None) -> Choice:
        """The services of `mode`, chosen once per lab; without a mode, whatever answers.

        Raises:
            UnknownName: there is no such mode.
            Unavailable: nothing answers and the embedded parts are not ready.
        """
        name = mode or self.settings.mode
        if name not in self._choices:
            self._choices[name] = choose(self.services, self.catalog, name)
        return self._choices[name]

    def plan(self, config: Any, *texts: str, **options: Any) -> Plan:
        """Resolve a call without running it. Takes what `run` takes.

        Raises:
            UsageError: one of its kinds, naming what is wrong with the call.
        """
        return make_plan(self, Request.of(config, texts, options)).plan

    def preview(self, config: Any, *texts: str, **options: Any) -> Preview:
        """The exact messages of every stage, no model called. Takes what `run` takes."""
        return preview(self.plan(config, *texts, **options))

    def run(self, config: Any = None, *texts: str, **options: Any) -> Run:
        """Run a config on texts, show the run live, block until it is done.

        Args:
            config: Name of a config, a `Config`, or a ComfyUI `Workflow` with its inputs set.
            texts: One text for each text input of the config.
            options:
                mode, safety: As for `Lab`.
                outputs: Names of output configs, instead of the config's own.
                seed: Seed of the media, 0 to 2**64 - 1; None draws one.
                text_seed: Seed of every language model call (default 0).
                parameters: Sampling and media parameters by name.
                models: Task → "model" or "backend:model".
                image, images: Input images: paths, bytes or PIL images.
                until: "pre_interception" or "interception" ends the run there.
                parent, prompt: A run whose interception a person replaces by `prompt`.
                labels, study, participant, session, input_id, tags: What makes runs research data.
                run_id: A UUID given by the caller.
                observers: Further views of this run.

        Returns:
            The finished run. Blocked, failed and cancelled runs are returned too: look at `run.status`.

        Raises:
            UsageError: the call was refused; nothing was recorded.
            RecordingError: the record could not be written.
            KeyboardInterrupt: passed on after the run was recorded as cancelled.
        """
        context = self._begin(config, texts, options)
        try:
            with interruptible(context.cancellation):
                execute(context)
        finally:
            context.recorder.close()
        return self.store.open(context.recorder.run_id)

    def start(self, config: Any = None, *texts: str, **options: Any) -> LiveRun:
        """Like `run`, but in a thread beside the cell: returns at once, with a monitor that can cancel.

        Raises:
            UsageError: the call was refused; nothing was recorded.
        """
        return self._start(self._begin(config, texts, options))

    def _start(self, context: RunContext) -> LiveRun:
        run_id = context.recorder.run_id

        def work() -> Run:
            try:
                execute(context)
            finally:
                context.recorder.close()
            return self.store.open(run_id)

        return LiveRun(self.store.open(run_id), Background(work, context.cancellation, f"aipipe-{run_id[-6:]}"))

    def rerun(self, run: Run | str, **options: Any) -> Run:
        """Run the same plan, inputs and seeds again; `result.reproduction` says how equal the result is.

        Args:
            run: A run, its id, or a unique prefix of it.
            options: As for `run`, to change a detail: `seed=8`, `safety="youth"`, `parameters={"temperature": 0}`;
                `until=None` takes a run that ended early to its media. Parameters and models are merged over those
                of the first call. Labels, study, participant, session and input id stay, unless they are named.

        Raises:
            UsageError: the run has no recorded plan, or an option is refused.
        """
        original = run if isinstance(run, Run) else self.store.open(run)
        again = repeat(self, original, options)
        context = self._context(again.plan, again.images, again.recording)
        try:
            with interruptible(context.cancellation):
                execute(context)
        finally:
            context.recorder.close()
        repeated = self.store.open(context.recorder.run_id)
        repeated.reproduction = compare_runs(original, repeated)
        return repeated

    def resume(self, run: Run | str) -> Run:
        """Finish an interrupted, failed or cancelled run: what verifies is kept, the rest is done again.

        Raises:
            RunLocked: the run has a live writer.
            UsageError: the run is completed or blocked, or has no recorded plan.
        """
        context = self._taken_over(run, ())
        try:
            with interruptible(context.cancellation):
                execute(context)
        finally:
            context.recorder.close()
        return self.store.open(context.recorder.run_id)

    def resume_live(self, run: Run | str, observers: Sequence[Any] = ()) -> LiveRun:
        """Like `resume`, but in a thread beside the cell, as `start` does.

        Args:
            run: A run, its id, or a unique prefix of it.
            observers: Further views of this run.

        Raises:
            RunLocked, UsageError: as for `resume`.
        """
        return self._start(self._taken_over(run, observers))

    def _taken_over(self, run: Run | str, observers: Sequence[Any]) -> RunContext:
        handle = run if isinstance(run, Run) else self.store.open(run)
        plan = resuming.resumable_plan(handle)
        images = resuming.recorded_images(handle)
        return self._wrap(plan, images, self.store.resume(handle.run_id), {"observers": observers})

    def map(
        self,
        configs: Any | Sequence[Any],
        texts: Iterable[str | Sequence[str]],
        *,
        seeds: Sequence[int] = (0,),
        workers: int = 1,
        **options: Any,
    ) -> Runs:
        """Run every config on every text with every seed, in this cell, with a live table.

        Args:
            configs: One config or several.
            texts: The inputs; a sequence for configs that take several texts.
            seeds: Media seeds.
            workers: Runs at the same time.
            options: As for `run`.

        Returns:
            The runs, in the order config, text, seed.
        """
        return run_grid(self, configs, texts, seeds=seeds, workers=workers, options=options)

    def add_output(self, name: str, workflow: Workflow, **mapping: Any) -> Config:
        """Make an output config of a ComfyUI graph, written into the project's config folder.

        Args:
            name: Name of the new output config.
            workflow: The graph.
            mapping: Input name → "node.field", where following the links does not find it.

        Returns:
            The config; `lab.run("dada", "…", outputs=[name])` uses it at once.
        """
        return launching.add_output(self, name, workflow, mapping)

    def close(self) -> None:
        """Release connections; the lab may be used again."""
        self.services.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Lab runs={short_path(self.store.path)!r} mode={self.settings.mode or 'automatic'!r} safety={self.settings.safety!r}>"

    def _begin(
        self, config: Any, texts: tuple[str, ...], options: dict[str, Any], *, quiet: bool = False
    ) -> RunContext:
        request = Request.of(config, texts, launching.with_case_options(options))
        planned = make_plan(self, request)
        return self._context(planned.plan, planned.images, request.recording, quiet=quiet)

    def _context(
        self, plan: Plan, images: tuple[bytes, ...], recording: dict[str, Any], *, quiet: bool = False
    ) -> RunContext:
        held = launching.held_recorder(self, plan)
        recorder = held or launching.create_recorder(self, plan, images, recording)
        return self._wrap(plan, images, recorder, recording, quiet=quiet)

    def _wrap(
        self,
        plan: Plan,
        images: tuple[bytes, ...],
        recorder: LivePipelineRecorder,
        recording: Mapping[str, Any],
        *,
        quiet: bool = False,
    ) -> RunContext:
        observers = Observers([*self._observers, *recording.get("observers", ())])
        if self.display and not quiet:
            for view in launching.installed_observers():
                observers.add(view)
        return RunContext(
            plan=plan,
            recorder=recorder,
            services=self.services,
            observers=observers,
            cancellation=Cancellation(),
            images=images,
            reuse=self._reuse(recorder),
        )

    def _reuse(self, recorder: LivePipelineRecorder) -> ReuseCache | None:
        batch = recorder.record.batch
        if batch is None or os.environ.get("AIPIPE_REUSE", "1") == "0":
            return None
        return ReuseCache(self.store.path / ".aipipe" / "reuse" / batch.batch_id)
