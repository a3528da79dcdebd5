"""A workflow as a function: named inputs become typed parameters with the graph's values as defaults."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aipipe.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from aipipe.comfy.workflow import Workflow

MARK = re.compile(r"^\s*\$(?P<name>[A-Za-z_]\w*)(?:\.(?P<input>[\w.]+))?")
"""A title such as `$prompt.text` declares a parameter."""


class Knobs:
    """A function from values to workflows. `inspect.signature` and tab completion show its parameters.

    Without names it takes those that titles declare (`$prompt.text`), else the aliases found by following links.
    """

    def __init__(self, workflow: Workflow, names: Mapping[str, str]) -> None:
        self.workflow = workflow
        self.names = dict(names) or _marked(workflow) or {a: a for a in workflow.aliases if a != "negative"}
        for name in self.names:
            if not name.isidentifier() or keyword.iskeyword(name):
                raise InvalidInput(f"{name!r} cannot be the name of a parameter.", hint="Use letters, digits and _.")
        found = {name: workflow.input(address) for name, address in self.names.items()}
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=i.value, annotation=_annotation(i.value, i.choices)
                )
                for name, i in found.items()
            ],
            return_annotation=type(workflow),
        )
        self.__name__ = re.sub(r"\W", "_", workflow.name) or "workflow"
        self.__doc__ = "\n".join(f"{name}: {i.label}. {i.tooltip}".strip() for name, i in found.items())

    def __call__(self, **values: Any) -> Workflow:
        """The workflow with these values; what is not named keeps the graph's value."""
        unknown = next((n for n in values if n not in self.names), None)
        if unknown is not None:
            raise UnknownName("parameter", unknown, self.names)
        return self.workflow.with_inputs({self.names[name]: value for name, value in values.items()})

    def __repr__(self) -> str:
        return f"<Knobs {self.__name__}{self.__signature__}>"


def _annotation(value: Any, choices: tuple[Any, ...] | None) -> Any:
    if choices and len(choices) <= 50:
        from typing import Literal

        return Literal[choices]
    return type(value) if isinstance(value, (bool, int, float, str)) else Any


def _marked(workflow: Workflow) -> dict[str, str]:
    found = {}
    for here in workflow.inputs:
        mark = MARK.match(here.node_title)
        if mark and (mark["input"] or here.name) == here.name and mark["name"] not in found:
            found[mark["name"]] = here.address
    return found
