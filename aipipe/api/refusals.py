"""What the server refuses, as errors, and the HTTP status of every error."""

from __future__ import annotations

from typing import Any

from aipipe import errors


class NotAllowed(errors.UsageError):
    """The server's own settings do not allow this request."""


class QueueFull(errors.Overloaded):
    """The queue takes no further run now.

    Attributes:
        place: Place that the request would have had, from 1.
        minutes: Estimated wait in minutes.
        retry_after: Seconds after which asking again makes sense.
    """

    place: int
    minutes: float


class Stopping(errors.Overloaded):
    """The server is being stopped and takes no further run."""


class TooFast(errors.Overloaded):
    """One person asks faster than the server answers."""


class RunOfAnother(errors.RunFinished):
    """Another process executes the run."""


_STATUS: tuple[tuple[type[BaseException], int], ...] = (
    (NotAllowed, 403),
    (QueueFull, 429),
    (TooFast, 429),
    (errors.UnknownName, 400),
    (errors.UsageError, 400),
    (errors.RunNotFound, 404),
    (errors.AmbiguousRun, 404),
    (errors.EntityNotFound, 404),
    (errors.SeveralEntities, 409),
    (errors.RunUnreadable, 409),
    (errors.RunLocked, 409),
    (errors.RunExists, 409),
    (errors.RunFinished, 409),
    (errors.Overloaded, 503),
    (errors.ServiceError, 503),
    (errors.MissingExtra, 503),
    (errors.ConsentNeeded, 503),
    (errors.StorageFull, 507),
)


DEFAULT_HINTS = {
    400: "GET /openapi.json describes every field.",
    401: "Open the link that aipipe serve shows, or send the token.",
    403: "Ask whoever runs this server.",
    404: "GET /openapi.json lists the addresses, GET /api/runs the runs.",
    405: "GET /openapi.json lists the addresses and what they take.",
    409: "GET /api/pipeline/{run}/status tells where the run stands.",
    429: "Wait a moment; Retry-After tells how long.",
    500: "The server's own log tells more.",
    503: "Try again in a minute; aipipe doctor tells what answers.",
    507: "Make room on the server's disk.",
}
"""What to do next where whoever raised an error did not say it."""


def http_status(error: errors.AipipeError) -> int:
    """The HTTP status of an error; an unknown config is 404, every other unknown name 400."""
    if isinstance(error, errors.UnknownName) and error.kind == "config":
        return 404
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_body(error: errors.AipipeError, **more: Any) -> dict[str, Any]:
    """The answer to an error: the original's `status` and `error`, with type, next step and near names."""
    body: dict[str, Any] = {
        "status": "error",
        "error": error.message,
        "type": type(error).__name__,
        "hint": error.hint or DEFAULT_HINTS[http_status(error)],
        **more,
    }
    if isinstance(error, errors.UnknownName):
        body["suggestions"] = list(error.suggestions)
    if isinstance(error, QueueFull):
        body |= {"place": error.place, "minutes": error.minutes}
    return body


def no_such_rating() -> errors.EntityNotFound:
    """A wrong link, a wrong item and a task that is not there give the same answer."""
    return errors.EntityNotFound("There is nothing to rate here.", hint="Ask for the link again.")


def no_such_run(run_id: str) -> errors.RunNotFound:
    """A run that is not there and a run of somebody else give the same answer."""
    return errors.RunNotFound(f"There is no run {run_id[:80]!r}.", hint="GET /api/runs lists the runs.")
