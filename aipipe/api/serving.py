"""What the routes share: one object per server, the person behind a request, and whose runs they may see."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

from aipipe.api.counting import Counter
from aipipe.api.execution import Executor
from aipipe.api.people import Access, Buckets, Person
from aipipe.api.reading import RunReader
from aipipe.api.refusals import NotAllowed, no_such_run
from aipipe.api.resuming import Resumptions
from aipipe.api.rules import Rules
from aipipe.store import Run

if TYPE_CHECKING:
    from aipipe.lab import Lab
    from aipipe.ui.rating import RatingTask


@dataclass
class Server:
    """Everything that belongs to one application."""

    lab: Lab
    reader: RunReader
    rules: Rules
    access: Access
    executor: Executor
    counter: Counter
    resumptions: Resumptions
    executes: Buckets = field(default_factory=lambda: Buckets(rate=0.5, burst=20))
    stopping: threading.Event = field(default_factory=threading.Event)
    rating_tasks: dict[str, RatingTask] = field(default_factory=dict)
    rating_lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, run_id: str, person: Person) -> Run:
        """A run, if this person may see it.

        Raises:
            RunNotFound: there is none, or it is somebody else's.
            RunUnreadable: it is there but cannot be read.
        """
        run = self.reader.open(run_id)
        if not person.is_operator and run.record.user_id != person.user_id:
            raise no_such_run(run_id)
        return run

    def status(self, run: Run) -> str:
        """The status as it is now; `queued` for a run that waits here to be resumed."""
        return "queued" if self.resumptions.waits(run.folder.name) else self.reader.status(run)

    def queue_status(self, run_id: str, person: Person) -> dict[str, Any] | None:
        """The status of a run that waits here and has no folder yet."""
        return self.executor.waiting(run_id, person)


def server_of(connection: HTTPConnection) -> Server:
    """The server of a request or socket."""
    server: Server = connection.app.state.server
    return server


def person_of(connection: HTTPConnection) -> Person:
    """Who asks; the middleware lets nobody else through."""
    person = connection.scope.get("state", {}).get("person")
    return person if isinstance(person, Person) else Person("visitor", "nobody")


def operator_only(connection: HTTPConnection, what: str) -> None:
    """Refuse a visitor.

    Raises:
        NotAllowed: the person is not the operator.
    """
    if not person_of(connection).is_operator:
        raise NotAllowed(f"Only the operator {what}.", hint="Enter by the link that aipipe serve shows.")
