"""Every error that aipipe raises on purpose, in one tree.

AipipeError
├── UsageError (ValueError)              refused before anything ran; exit code 2
│   ├── UnknownName (LookupError)        config, output, level, mode, column …: lists near and known names
│   ├── InvalidInput                     empty, too long, wrong number of texts or images
│   ├── InvalidDefinition                chunk, pipeline or config files, all problems together
│   ├── InvalidSettings                  aipipe.toml or AIPIPE_*
│   ├── InvalidPlan                      a batch plan, all problems together
│   └── UnsafePath                       a name or link that would leave its folder
├── MissingExtra (ImportError)           an optional package; the hint installs it
├── ConsentNeeded                        a large download nobody agreed to yet
├── ServiceError (RuntimeError)          a language model or media service
│   ├── Unavailable (ConnectionError)    it does not answer
│   ├── ModelMissing                     it answers, the model is not there
│   ├── Refused                          it refused the request (key, quota, bad parameter)
│   ├── Overloaded                       rate limit or queue full; `retry_after`
│   ├── ServiceTimeout (TimeoutError)    connect, silence or total limit passed
│   ├── BadAnswer                        empty, cut, unparsable
│   ├── BadMedia                         a file that does not open as what it claims
│   └── ComfyError                       `job_id`, `node_id`, `node_title`, `node_class`
│       ├── Rejected                     the graph did not validate
│       ├── NodeFailed                   a node raised
│       │   └── OutOfMemory
│       ├── Cancelled
│       ├── Lost                         the server no longer knows the job
│       ├── TimedOut (TimeoutError)
│       ├── Partial                      only part of the graph was accepted or produced
│       ├── BadOutput (also BadAnswer)   a file of the job cannot be fetched whole
│       └── Unreachable (ConnectionError)
├── RecordingError (OSError)             the recorder could not keep its promise
│   ├── RunExists (FileExistsError)
│   ├── RunLocked                        another writer is alive: owner, host, age
│   ├── WriterReplaced                   this writer was taken over
│   ├── RunFinished                      the run already has a terminal status
│   └── StorageFull
├── StoreError
│   ├── RunNotFound (LookupError)
│   ├── AmbiguousRun (LookupError)       a prefix that fits several runs
│   ├── RunUnreadable                    torn, poisoned, not a run
│   ├── FormatTooNew
│   ├── EntityNotFound (KeyError)
│   └── SeveralEntities (KeyError)
└── RunCancelled                         somebody asked the run to stop; exit code 130
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class AipipeError(Exception):
    """Base of every error aipipe raises on purpose.

    Attributes:
        message: What happened, and where.
        hint: What to do next; may be empty.
        data: Further facts a caller may need, also readable as attributes.
    """

    exit_code = 4

    def __init__(self, message: str, *, hint: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data
        for name, value in data.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> Any:
        # Keyword-only data would be lost by the default, and errors cross process borders in batches.
        return (_rebuild, (type(self), self.message, self.hint, self.data))

    def as_dict(self) -> dict[str, str]:
        """The error as `{"type", "message", "hint"}`, the shape of `--json` and the HTTP API."""
        return {"type": type(self).__name__, "message": self.message, "hint": self.hint}


def _blank(cls: type[AipipeError]) -> AipipeError:
    """An empty object of a class with several built-in bases; only the one that decides the layout can make it."""
    for base in cls.__mro__:
        if base.__module__ == "builtins":
            with contextlib.suppress(TypeError):
                made: AipipeError = base.__new__(cls)  # type: ignore[call-overload]
                return made
    return cls.__new__(cls)


def _rebuild(cls: type[AipipeError], message: str, hint: str, data: dict[str, Any]) -> AipipeError:
    error = _blank(cls)
    AipipeError.__init__(error, message, hint=hint, **data)
    return error


class UsageError(AipipeError, ValueError):
    """A request that was refused before anything ran."""

    exit_code = 2


class UnknownName(UsageError, LookupError):
    """A name that is not known; lists near and known names.

    Attributes:
        kind: What was looked up ("config", "safety level", …).
        name: The unknown name.
        known: All known names.
        suggestions: Known names that look alike.
    """

    kind: str
    name: str
    known: list[str]
    suggestions: list[str]

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        names = sorted(set(known))
        near = near_names(name, names)
        if near:
            message = f"There is no {kind} {name!r}. Did you mean {' or '.join(repr(n) for n in near)}?"
        else:
            message = f"There is no {kind} {name!r}."
        shown = ", ".join(names[:40]) + (" …" if len(names) > 40 else "")
        super().__init__(
            message, hint=hint or f"Known: {shown or 'none'}.", kind=kind, name=name, known=names, suggestions=near
        )


def near_names(name: str, known: Sequence[str], limit: int = 3) -> list[str]:
    """Known names that look like `name`, best first, compared without regard to case."""
    by_fold = {k.casefold(): k for k in known}
    found = difflib.get_close_matches(name.casefold(), list(by_fold), n=limit, cutoff=0.55)
    return [by_fold[f] for f in found]


class InvalidInput(UsageError):
    """Input that cannot be run: empty, too long, wrong number of texts or images."""


class InvalidDefinition(UsageError):
    """One or more definition files are wrong; `problems` lists them all."""

    problems: list[Any]


class InvalidSettings(UsageError):
    """aipipe.toml or an `AIPIPE_*` variable is wrong."""


class InvalidPlan(UsageError):
    """A batch plan is wrong; `problems` lists everything found."""

    problems: list[Any]


class UnsafePath(UsageError):
    """A name, link or archive member that would read or write outside its folder."""


class MissingExtra(AipipeError, ImportError):
    """An optional package is not installed.

    Attributes:
        extra: The extra of aipipe that brings it.
    """

    exit_code = 2
    extra: str

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs packages that are not installed.",
            hint=f'Install them with: python -m pip install "aipipe[{extra}]"',
            extra=extra,
        )


class ConsentNeeded(AipipeError):
    """A large download that nobody agreed to yet."""

    exit_code = 2


class ServiceError(AipipeError, RuntimeError):
    """A language model or media service failed."""


class Unavailable(ServiceError, ConnectionError):
    """The service does not answer."""


class ModelMissing(ServiceError):
    """The service answers, but the model is not there."""


class Refused(ServiceError):
    """The service refused the request: key, quota, unsupported parameter."""


class Overloaded(ServiceError):
    """The service asks to come back later; `retry_after` in seconds, or None."""

    retry_after: float | None = None


class ServiceTimeout(ServiceError, TimeoutError):
    """A connect, silence or total time limit passed."""


class BadAnswer(ServiceError):
    """The answer is empty, cut off, or not what the step asked for."""


class BadMedia(ServiceError):
    """A file does not open as the media type it claims."""


class ComfyError(ServiceError):
    """Something went wrong with a ComfyUI job."""

    job_id: str | None = None
    node_id: str | None = None
    node_title: str | None = None
    node_class: str | None = None


class Rejected(ComfyError):
    """The server refused the graph; `node_errors` names nodes and inputs."""


class NodeFailed(ComfyError):
    """A node raised while it ran; `traceback` holds the server's lines."""


class OutOfMemory(NodeFailed):
    """A node ran out of (video) memory."""


class Cancelled(ComfyError):
    """The job was interrupted or deleted on request."""

    exit_code = 130


class Lost(ComfyError):
    """The server no longer knows the job: restarted, or deleted by someone else."""


class TimedOut(ComfyError, TimeoutError):
    """A time limit of the job passed; the job may still run and can be found again."""


class Partial(ComfyError):
    """Only a part of the graph was accepted or produced files."""


class BadOutput(ComfyError, BadAnswer):
    """A file that a job made cannot be fetched whole: too large, cut short, refused, or under no usable name."""


class Unreachable(ComfyError, Unavailable):
    """The ComfyUI server does not answer."""


class RecordingError(AipipeError, OSError):
    """The recorder could not keep its promise; the earlier state on disk is intact."""

    def __str__(self) -> str:
        return AipipeError.__str__(self)


class RunExists(RecordingError, FileExistsError):
    """The folder of a new run already exists."""


class RunLocked(RecordingError):
    """Another writer is alive; `owner`, `host` and `age` (seconds) tell which."""


class WriterReplaced(RecordingError):
    """Another process took this run over while this writer slept."""


class RunFinished(RecordingError):
    """The run already has a terminal status and takes no more entities."""


class StorageFull(RecordingError):
    """The disk or the quota is full."""


class StoreError(AipipeError):
    """A run or entity could not be read."""


class RunNotFound(StoreError, LookupError):
    """No run has this id or lies in this folder."""

    exit_code = 2


class AmbiguousRun(StoreError, LookupError):
    """A prefix fits several runs; `candidates` lists them."""

    exit_code = 2


class RunUnreadable(StoreError):
    """A folder that should be a run cannot be read; `path` and `cause` tell why."""


class FormatTooNew(RunUnreadable):
    """The run was written by a newer aipipe."""


class EntityNotFound(StoreError, KeyError):
    """The run has no entity of this type."""

    def __str__(self) -> str:
        return AipipeError.__str__(self)


class SeveralEntities(StoreError, KeyError):
    """The run has several entities of this type; use `run.all(type)`."""

    def __str__(self) -> str:
        return AipipeError.__str__(self)


class RunCancelled(AipipeError):
    """Somebody asked the run to stop."""

    exit_code = 130
