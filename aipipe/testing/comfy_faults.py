"""What can go wrong with a ComfyUI server: switches of the fake one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Faults:
    """What goes wrong. Counters count down; all can be changed while the server runs.

    Attributes:
        mute_socket: The socket stands and says nothing after its greeting.
        refuse_socket: The socket handshake is refused.
        drop_types: Message types that never arrive.
        close_socket_after: The socket is cut after so many messages, once.
        double_events: Every message comes twice.
        shuffle_events: Messages of a job come in reverse order, at its end.
        foreign_events: Events of other people's jobs are mixed in, previews too.
        huge_frame: One preview frame of so many bytes.
        history_delay: Seconds by which the history is late.
        finish_before_reply: The job is over before the reply to its submission.
        lose_reply: So many submissions are taken and their connection is cut.
        submit_500: So many submissions are answered with 500 and not taken.
        own_ids: The server gives ids of its own.
        unavailable: So many requests (but submissions) are answered with 503.
        garbage: So many answers about history and queue are no JSON.
        forget: Jobs vanish when they start.
        lose_files: So many downloads are answered with 404.
        short_files: So many downloads break off in the middle.
        slow_files: Seconds between the two halves of a file.
        redirect_files: Address that downloads are redirected to.
        token: Bearer token that every request and the socket must carry.
        admits: Who may come in: told headers (lower case) and query of every request and of the socket; None lets all in.
        prefix: Path prefix below which the server lives.
        nan: Results hold a bare NaN.
        reject: Body of a 400 answer to every submission.
        node_errors: Errors of output nodes that are named beside an acceptance.
        no_cancel_endpoint: The server is too old to cancel by id.
    """

    mute_socket: bool = False
    refuse_socket: bool = False
    drop_types: frozenset[str] = frozenset()
    close_socket_after: int = 0
    double_events: bool = False
    shuffle_events: bool = False
    foreign_events: bool = False
    huge_frame: int = 0
    history_delay: float = 0.0
    finish_before_reply: bool = False
    lose_reply: int = 0
    submit_500: int = 0
    own_ids: bool = False
    unavailable: int = 0
    garbage: int = 0
    forget: bool = False
    lose_files: int = 0
    short_files: int = 0
    slow_files: float = 0.0
    redirect_files: str = ""
    token: str = ""
    admits: Callable[[Mapping[str, str], Mapping[str, str]], bool] | None = None
    prefix: str = ""
    nan: bool = False
    reject: Mapping[str, Any] | None = None
    node_errors: Mapping[str, Any] = field(default_factory=dict)
    no_cancel_endpoint: bool = False
