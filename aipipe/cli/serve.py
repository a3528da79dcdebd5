"""`aipipe serve`: HTTP API and run history page."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
import threading
from typing import Any

from aipipe.cli.output import add_runs
from aipipe.errors import MissingExtra, UsageError

TOKEN_VARIABLE = "AIPIPE_SERVE_TOKEN"  # noqa: S105  the name of a variable, not its value


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "serve",
        help="HTTP API and run history page",
        description="Serve the store's runs: HTTP API, live events, run history page. Only this machine can reach it, "
        f"unless --host says otherwise; then a token is required (made anew, or from {TOKEN_VARIABLE}).",
    )
    parser.add_argument("--port", type=int, default=8765, help="port (default 8765; 0 takes a free one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: this machine only)")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="further name of this server")
    parser.add_argument("--safety", choices=("kids", "youth", "adult", "off"), help="laxest level of a run")
    parser.add_argument("--mode", help="mode of runs that name none")
    parser.add_argument("--modes", metavar="A,B", help="modes that a request may name")
    parser.add_argument("--locked", action="store_true", help="visitors see only their own runs")
    parser.add_argument("--workers", type=int, default=1, help="runs at the same time (default 1)")
    parser.add_argument("--queue", type=int, default=50, metavar="N", help="runs that may wait (default 50)")
    add_runs(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    try:
        import uvicorn
    except ImportError:
        raise MissingExtra("The HTTP server", "api") from None
    from aipipe.api import create_app
    from aipipe.api.app import DRAIN_SECONDS
    from aipipe.api.connections import bounded, room
    from aipipe.lab import Lab

    if not 0 <= arguments.port <= 65_535:
        raise UsageError(f"There is no port {arguments.port}.", hint="Ports are 0 to 65535; 0 takes a free one.")
    if arguments.workers < 1 or arguments.queue < 0:
        raise UsageError("--workers must be at least 1 and --queue at least 0.")
    modes = [m.strip() for m in arguments.modes.split(",") if m.strip()] if arguments.modes else None
    lab = Lab(runs=arguments.runs, mode=arguments.mode, display=False)
    app = create_app(
        lab,
        host=arguments.host,
        token=os.environ.get(TOKEN_VARIABLE) or None,
        locked=arguments.locked,
        safety=arguments.safety,
        modes=modes,
        workers=arguments.workers,
        queue_size=arguments.queue,
        allowed_hosts=arguments.allow_host,
    )
    listening = _bind(arguments.host, arguments.port)
    host = _shown(arguments.host)
    _announce(app.state.server, f"http://{host}:{listening.getsockname()[1]}", lab)
    most = room()
    config = uvicorn.Config(
        app,
        http=bounded(most=most, most_of_one=most // 2),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=65_536,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=int(DRAIN_SECONDS) + 15,
        h11_max_incomplete_event_size=32_768,
        proxy_headers=False,  # who asks is counted by address; a header that anybody can write is none
    )
    server = _stopping_early(uvicorn.Server, DRAIN_SECONDS)(config)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        return 0
    return 0


def _stopping_early(base: Any, drain_seconds: float) -> Any:
    """A server that stops the queue when the signal comes, not when the last answer is out.

    Who waits for a run gets its answer, for it ends or is cancelled; event streams end.
    """

    class Stopping(base):  # type: ignore[misc]
        def handle_exit(self, sig: int, frame: Any) -> None:
            _begin_stop(self.config.app.state.server, drain_seconds)
            super().handle_exit(sig, frame)

    return Stopping


def _begin_stop(server: Any, drain_seconds: float) -> None:
    if not server.stopping.is_set():
        server.stopping.set()
        threading.Thread(
            target=server.executor.queue.stop, args=(drain_seconds,), name="aipipe-stop", daemon=True
        ).start()


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        what = "is taken by another program" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise UsageError(
            f"{host}:{port} {what}.", hint="Choose another: aipipe serve --port 0 takes a free one."
        ) from None
    return listening


def _shown(host: str) -> str:
    """The host to show: for "all addresses" the name of this machine."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104  compared, not bound
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _announce(server: Any, base: str, lab: Any) -> None:
    """Say where the server is; secrets go to the terminal alone, never into a log."""
    lines = [f"aipipe serves {lab.store.path}", f"  {base}"]
    if server.access.token is not None:
        lines.append(f"  operator, once: {base}/enter?key={server.access.new_link()}")
        lines.append(f"  programs: Authorization: Bearer {server.access.token}")
    if server.rules.locked:
        lines.append(f"  visitors: {base}/join?code={server.access.join_code}")
    lines.append(f"  level {server.rules.level}, modes {', '.join(server.rules.modes)}; Ctrl-C ends it")
    print("\n".join(lines), file=sys.stderr, flush=True)
