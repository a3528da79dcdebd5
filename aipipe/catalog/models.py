"""Which model answers a task: the call, then the config or chunk, then the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aipipe.catalog.parameters import TASKS
from aipipe.definitions import Chunk, Config, ModelChoice
from aipipe.errors import InvalidSettings, UnknownName
from aipipe.settings import Settings


class Models:
    """The models of one plan.

    In mode echo every task is answered by the echo model, also where a config names a fixed one: a test or an
    offline notebook must never reach a server by accident.
    """

    def __init__(
        self,
        settings: Settings,
        mode: str,
        choose: Callable[[str], ModelChoice],
        given: Mapping[str, str],
    ) -> None:
        for task in given:
            if task not in TASKS:
                raise UnknownName("model task", task, TASKS)
        self._settings = settings
        self._fixed = mode != "echo"
        self._choose = choose
        self._given = given

    def text(self, config: Config, chunk: Chunk) -> ModelChoice:
        """The model of a text chunk."""
        task = config.task or chunk.task
        name = self._given.get(task) or (self._fixed and (config.model or chunk.model)) or ""
        return self._named(task, name) if name else self._choose(task)

    def safety(self) -> ModelChoice:
        """The model of the safety check.

        Raises:
            InvalidSettings: it would run on a host that is not local, and the settings do not allow that.
        """
        checks = self._settings.safety_checks
        name = self._given.get("safety") or (checks.model if self._fixed else "")
        choice = self._named("safety", name) if name else self._choose("safety")
        if not checks.allow_remote and not self._is_local(choice.backend):
            raise InvalidSettings(
                f"The safety model {choice} would run on a host that is not local.",
                hint="Name a local one (safety_checks.model), or set safety_checks.allow_remote = true.",
            )
        return choice

    def _named(self, task: str, name: str) -> ModelChoice:
        backend, mark, model = name.partition(":")
        if mark and backend in self._settings.backends:
            return ModelChoice(backend=backend, model=model, mode=self._mode_of(backend))
        if name in self._settings.backends:
            return ModelChoice(backend=name, mode=self._mode_of(name))
        return self._choose(task).model_copy(update={"model": name})

    def _mode_of(self, backend: str) -> str:
        for name, mode in self._settings.modes.items():
            if mode.backend == backend:
                return name
        return ""

    def _is_local(self, backend: str) -> bool:
        known = self._settings.backends.get(backend)
        return known is None or known.kind in ("embedded", "echo") or self._settings.is_local(known.url)
