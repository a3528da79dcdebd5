"""What the server decides for its clients: level and modes. A request may be stricter, never laxer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aipipe.api.refusals import NotAllowed
from aipipe.definitions import LEVELS, MODES
from aipipe.errors import UnknownName

LOCAL_MODES = ("eco", "embedded")


@dataclass(frozen=True)
class Rules:
    """The server's own rules.

    Attributes:
        level: Laxest level a run may have, and the level of requests that name none.
        modes: Modes a request may name.
        default_mode: Mode of requests that name none; "" lets the lab choose what answers.
        locked: Visitors see only their own runs and choose neither models nor parents of others.
    """

    level: str
    modes: tuple[str, ...]
    default_mode: str
    locked: bool = False

    @classmethod
    def make(
        cls, *, level: str, modes: Sequence[str] | None, lab_mode: str, loopback: bool, locked: bool = False
    ) -> Rules:
        """Rules of a server.

        Args:
            level: kids, youth, adult or off.
            modes: Modes it offers; None takes the lab's own, else all on loopback, else the local ones.
            lab_mode: Mode of the lab's settings, "" for automatic.
            loopback: The server is only reachable from its own machine.
            locked: See `Rules`.

        Raises:
            UnknownName: a level or mode that does not exist.
        """
        if level not in LEVELS:
            raise UnknownName("safety level", level, LEVELS)
        for mode in modes or ():
            if mode not in MODES:
                raise UnknownName("mode", mode, MODES)
        if modes:
            default = lab_mode if lab_mode in modes else modes[0]
            return cls(level, tuple(modes), default, locked)
        if lab_mode:
            return cls(level, (lab_mode,), lab_mode, locked)
        return cls(level, MODES if loopback and not locked else LOCAL_MODES, "", locked)

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels a request may name, strictest first."""
        return LEVELS[: LEVELS.index(self.level) + 1]

    def allowed_level(self, wanted: str | None) -> str:
        """The level of a request.

        Raises:
            UnknownName: there is no such level.
            NotAllowed: it is laxer than the server's.
        """
        if wanted is None:
            return self.level
        if wanted not in LEVELS:
            raise UnknownName("safety level", wanted, LEVELS)
        if wanted not in self.levels:
            raise NotAllowed(
                f"This server runs at level {self.level!r}; {wanted!r} is laxer.",
                hint=f"Leave safety_level out, or use one of {', '.join(self.levels)}.",
            )
        return wanted

    def allowed_mode(self, wanted: str | None) -> str | None:
        """The mode of a request; None lets the lab choose.

        Raises:
            UnknownName: there is no such mode.
            NotAllowed: the server does not offer it.
        """
        if wanted is None:
            return self.default_mode or None
        if wanted not in MODES:
            raise UnknownName("mode", wanted, MODES)
        if wanted not in self.modes:
            raise NotAllowed(
                f"This server does not offer the mode {wanted!r}.",
                hint=f"Leave execution_mode out, or use one of {', '.join(self.modes)}.",
            )
        return wanted
