"""The fields for what a config takes: a text area for each of its texts, an upload for its pictures."""

from __future__ import annotations

from typing import Any

from aipipe.definitions import InputNeeds


class InputFields:
    """As many fields as the chosen config asks for; what was typed stays where the next config has a field for it.

    Attributes:
        box: The widget that holds them.
    """

    def __init__(self) -> None:
        import ipywidgets as widgets

        self._widgets = widgets
        self._texts: list[Any] = []
        self._images: Any = None
        self.box = widgets.VBox([], layout=widgets.Layout(margin="0"))

    def fit(self, needs: InputNeeds) -> None:
        """Show the fields of a config.

        Args:
            needs: How many texts and images, and how the texts are called.
        """
        while len(self._texts) < max(needs.texts, 1):
            self._texts.append(self._widgets.Textarea(rows=2, layout=self._widgets.Layout(width="auto")))
        shown = self._texts[: needs.texts]
        for field, name in zip(shown, _labels(needs), strict=True):
            field.description = name
            field.placeholder = "a text of your own"
        self._images = None
        if needs.images:
            self._images = self._widgets.FileUpload(
                accept="image/*",
                multiple=needs.images > 1,
                description="picture" if needs.images == 1 else f"{needs.images} pictures",
            )
        self.box.children = [*shown, *([self._images] if self._images is not None else [])]

    @property
    def texts(self) -> list[str]:
        """What stands in the text areas, in the order of the pipeline's inputs."""
        return [field.value for field in self.box.children if field is not self._images]

    @property
    def images(self) -> list[bytes]:
        """The files that were chosen."""
        return [bytes(file["content"]) for file in self._images.value] if self._images is not None else []


def _labels(needs: InputNeeds) -> list[str]:
    """The names of the texts; a single one without a telling name is simply what the config is tried on."""
    if needs.texts == 1:
        return ["try on"]
    return [needs.names[n] if n < len(needs.names) else f"text {n + 1}" for n in range(needs.texts)]
