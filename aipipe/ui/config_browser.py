"""Pick a config, read and change it, try it on a text, save a variant as a config of one's own."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aipipe import settings as settings_module
from aipipe.catalog.checks import check_name
from aipipe.catalog.writing import as_markdown
from aipipe.definitions import Config, InputNeeds
from aipipe.display import config_bundle, run_html
from aipipe.display.html import escape, page
from aipipe.errors import AipipeError, InvalidInput, UsageError
from aipipe.events import Event, Observer, RunEnded
from aipipe.runners.placeholder.picture import draw
from aipipe.ui import front_end
from aipipe.ui.config_inputs import InputFields
from aipipe.ui.monitor_view import html as monitor_html
from aipipe.ui.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from aipipe.lab import Lab
    from aipipe.lab.live import LiveRun
    from aipipe.store import Run


class ConfigBrowser:
    """The configs of a lab in one cell. Made by `aipipe.browse(…)`.

    Attributes:
        lab: Whose configs are shown, and what tries them.
        run: The last try, None before the first.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.run: Run | None = None
        self._form: Any = None
        self._name = ""
        self._changes: dict[str, Any] = {}
        names = self.names()
        if names:
            self.choose(names[0])

    def names(self, words: str = "") -> list[str]:
        """Names of the configs whose name, title, description or context hold all `words`."""
        wanted = words.lower().split()
        return [c.name for c in self.lab.catalog.configs("interception") if all(w in _searched(c) for w in wanted)]

    def choose(self, name: str) -> Config:
        """Show another config; changes to the one before are dropped.

        Raises:
            UnknownName: there is none.
        """
        found = self.lab.catalog.config(name)
        self._name, self._changes = name, {}
        return found

    def change(self, *, context: str | None = None, parameters: str | None = None) -> Config:
        """Change context or parameters (a JSON object) of the chosen config, here alone.

        Raises:
            InvalidInput: the parameters are no JSON object, or a value is impossible.
            UnknownName: nothing takes a parameter.
        """
        if parameters is not None:
            try:
                values = json.loads(parameters or "{}")
            except ValueError as error:
                raise InvalidInput(
                    f"The parameters are no JSON: {error}.", hint='For example {"temperature": 0.9}'
                ) from None
            if not isinstance(values, dict):
                raise InvalidInput("The parameters are no JSON object.", hint='For example {"temperature": 0.9}')
            self._check_parameters(values)
            self._changes["parameters"] = values
        if context is not None:
            self._changes["context"] = context
        return self.config

    def _check_parameters(self, values: dict[str, Any]) -> None:
        """Plan a run with what is new among the values: a slip of the pen would otherwise do nothing, silently."""
        base = self.lab.catalog.config(self._name)
        new = {name: value for name, value in values.items() if base.parameters.get(name) != value}
        if new:
            self.lab.plan(
                self._name, *["text"] * self.needs.texts, images=self._enough_images(()), parameters=new, seed=0
            )

    def _enough_images(self, images: Sequence[Any]) -> list[Any]:
        """The images, filled up with blank ones: what is planned or shown does not depend on what they show."""
        return [*images, *[draw("", 0, {})] * (self.needs.images - len(images))]

    @property
    def needs(self) -> InputNeeds:
        """How many texts and images the chosen config takes, and how the texts are called."""
        return self.lab.catalog.pipeline(self.lab.catalog.config(self._name).pipeline).inputs

    @property
    def config(self) -> Config:
        """The chosen config as it is now, with the changes made here; changed ones have "_variant" in their name."""
        base = self.lab.catalog.config(self._name)
        changed = {k: v for k, v in self._changes.items() if v != _plain(base, k)}
        return base.model_copy(update={**changed, "name": f"{base.name}_variant"}) if changed else base

    def preview(self, *texts: str, images: Sequence[Any] = ()) -> str:
        """The exact messages of every stage as text, no model called. Pictures may be missing.

        Raises:
            InvalidInput: a text is missing or empty.
        """
        return str(self.lab.preview(self.config, *texts, images=self._enough_images(images), until="interception"))

    def attempt(self, *texts: str, images: Sequence[Any] = ()) -> Run:
        """Run the config on texts and images up to the interception; recorded like every run, tagged "try".

        Raises:
            InvalidInput: another number of texts or images than the config takes.
        """
        quiet = copy.copy(self.lab)
        quiet.display = False  # the browser shows the run itself
        self.run = quiet.run(self.config, *texts, images=list(images), until="interception", tags=["try"])
        return self.run

    def begin(self, *texts: str, observer: Observer, images: Sequence[Any] = ()) -> LiveRun:
        """`attempt` beside the cell: returns at once, and the observer is told how it goes."""
        quiet = copy.copy(self.lab)
        quiet.display = False  # the browser shows the run itself
        return quiet.start(
            self.config, *texts, images=list(images), until="interception", tags=["try"], observers=[observer]
        )

    def save(self, name: str) -> Path:
        """Write the config as it is now into the project's first config folder, as Markdown.

        Raises:
            UsageError: no project, or a name that is taken or unusable.
        """
        folders = settings_module.config_folders(self.lab.project, self.lab.settings)
        if not folders:
            raise UsageError("There is no folder for configs.", hint="`aipipe init` makes a project with one.")
        if list(check_name(name)) or "/" in name:
            raise InvalidInput(f"{name!r} is no usable name.", hint="Use letters, digits, - and _.")
        if name in [c.name for c in self.lab.catalog.configs()]:
            raise InvalidInput(f"There is a config {name!r} already.", hint="Choose another name.")
        path = folders[0] / f"{name}.md"
        folders[0].mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(as_markdown(self.config, name))
        except FileExistsError:
            raise InvalidInput(f"{path} exists already.", hint="Choose another name, or change that file.") from None
        self.lab.catalog.refresh()
        return path

    def __repr__(self) -> str:
        return f"<ConfigBrowser {len(self.names())} configs, {self._name or 'none'} chosen>"

    def _ipython_display_(self) -> None:
        """Shows the form over its static form, which stays in the notebook."""
        self._form = self._form or (_Form(self) if front_end.live() else None)
        front_end.show(self._form.box if self._form else None, self._static_form())

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self._static_form()

    def _static_form(self) -> dict[str, str]:
        return {"text/html": self.static_html(), "text/plain": repr(self)}

    def static_html(self) -> str:
        """All configs as a table without script."""
        rows = "".join(
            f"<tr><td><code>{escape(c.name)}</code></td><td>{escape(c.title.get('en', ''))}</td>"
            f"<td>{escape(c.description.get('en', ''))}</td></tr>"
            for c in self.lab.catalog.configs("interception")
        )
        head = "".join(f'<th scope="col">{title}</th>' for title in ("config", "title", "description"))
        return page(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>", label="configs")


SLIM = {"description_width": "3.6rem"}
DRAW_SECONDS = 0.3


class _Form:
    """The controls: nothing but wiring between fields and the browser's methods."""

    def __init__(self, browser: ConfigBrowser) -> None:
        import ipywidgets as widgets

        self.browser = browser
        wide = widgets.Layout(width="auto")
        self.search = widgets.Text(placeholder="search configs", description="search", style=SLIM, layout=wide)
        self.names = widgets.Select(options=browser.names(), rows=14, description="configs", style=SLIM, layout=wide)
        self.shown = widgets.HTML()
        self.context = widgets.Textarea(rows=6, layout=wide, description="context")
        self.parameters = widgets.Text(layout=wide, description="parameters")
        self.inputs = InputFields()
        self.name = widgets.Text(placeholder="name of the variant", description="save as", style=SLIM)
        self.answer = widgets.HTML()
        self.cancel = widgets.Button(description="Cancel", layout=widgets.Layout(display="none"))
        self.cancel.on_click(lambda _: self.live.cancel() if self.live is not None else None)
        self.live: LiveRun | None = None
        self.progress = Progress()
        self.drawn = 0.0
        buttons = [widgets.Button(description=d) for d in ("Preview", "Try", "Save variant")]
        for button, work in zip(buttons, (self.preview, self.attempt, self.save), strict=True):
            button.on_click(lambda pressed, work=work: self.guarded(work, pressed))
        left = widgets.VBox([self.search, self.names], layout=widgets.Layout(width="16rem", flex="0 0 auto"))
        lines = widgets.HBox([*buttons, self.cancel, self.name])
        right = widgets.VBox(
            [self.shown, self.context, self.parameters, self.inputs.box, lines, self.answer],
            layout=widgets.Layout(flex="1 1 0", min_width="0"),
        )
        self.box = widgets.HBox([left, right])
        self.search.observe(lambda change: self.find(change["new"]), "value")
        self.names.observe(lambda change: self.pick(change["new"]), "value")
        if browser.names():
            self.pick(browser.names()[0])

    def find(self, words: str) -> None:
        self.names.options = self.browser.names(words)

    def pick(self, name: str | None) -> None:
        if name is None:
            return
        config = self.browser.choose(name)
        self.context.value = config.context_text()
        self.parameters.value = json.dumps(dict(config.parameters))
        self.answer.value = ""
        self.inputs.fit(self.browser.needs)
        # Last: who sees the new head may type at once, and what is typed must not be overwritten.
        self.shown.value = config_bundle(config)["text/html"]

    def guarded(self, work: Any, button: Any) -> None:
        """Say what goes wrong in the page: an exception of a handler is seen by nobody."""
        button.disabled = True
        self.answer.value = page('<div class="aip-note">working …</div>')
        try:
            self.browser.change(context=self.context.value, parameters=self.parameters.value)
            self.answer.value = work()
        except (AipipeError, OSError) as error:
            self.answer.value = page(f'<div class="aip-step error">{escape(error)}</div>')
        finally:
            button.disabled = False

    def preview(self) -> str:
        return page(f"<pre>{escape(self.browser.preview(*self.inputs.texts, images=self.inputs.images))}</pre>")

    def attempt(self) -> str:
        if self.live is not None and not self.live.done:
            raise UsageError("A try is running.", hint="Wait for it, or press Cancel.")
        self.progress, self.drawn = Progress(), 0.0
        self.cancel.layout.display = ""
        try:
            self.live = self.browser.begin(*self.inputs.texts, observer=self, images=self.inputs.images)
        except AipipeError:
            self.cancel.layout.display = "none"
            raise
        return monitor_html(self.progress, compact=True)

    def on_event(self, event: Event) -> None:
        """Show how a try goes, a few times a second; it comes from the thread of the run."""
        self.progress.take(event)
        if isinstance(event, RunEnded):
            self.cancel.layout.display = "none"
            self.browser.run = self.browser.lab.store.open(event.run_id)
            self.answer.value = run_html(self.browser.run)
        elif time.monotonic() - self.drawn > DRAW_SECONDS:
            self.drawn = time.monotonic()
            self.answer.value = monitor_html(self.progress)

    def save(self) -> str:
        path = self.browser.save(self.name.value.strip())
        self.find(self.search.value)
        return page(f'<div class="aip-note">saved as {escape(path)}</div>')


def browse(lab: Lab | None = None) -> ConfigBrowser:
    """Browse the configs: read, change, try on a text, save a variant.

    Args:
        lab: Whose configs; None makes the project's lab.
    """
    from aipipe.lab import Lab

    return ConfigBrowser(lab or Lab())


def _searched(config: Config) -> str:
    parts = [config.name, *config.title.values(), *config.description.values(), config.context_text()]
    return " ".join(parts).lower()


def _plain(config: Config, name: str) -> Any:
    return config.context_text() if name == "context" else dict(config.parameters)
