"""What a server would send to models, shown as a local preview is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aipipe.lab.preview import PreviewedStep, as_html, as_text


@dataclass(frozen=True)
class RemotePreview:
    """The calls of a request, in order; prints as text.

    Attributes:
        config_name: Name of the config.
        mode, safety, seed: As the run would have them.
        steps: Its calls.
    """

    config_name: str
    mode: str
    safety: str
    seed: int
    steps: tuple[PreviewedStep, ...]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> RemotePreview:
        """From the server's answer."""
        steps = tuple(
            PreviewedStep(
                step["stage"],
                step["step"],
                step["service"],
                tuple((message["role"], message["content"]) for message in step["messages"]),
                dict(step["parameters"]),
            )
            for step in answer["steps"]
        )
        return cls(answer["config_name"], answer["execution_mode"], answer["safety_level"], int(answer["seed"]), steps)

    def __str__(self) -> str:
        head = f"{self.config_name}: mode {self.mode}, safety {self.safety}, seed {self.seed}"
        return as_text(head, self.steps)

    __repr__ = __str__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/html": as_html(self.config_name, self.steps), "text/plain": str(self)}
