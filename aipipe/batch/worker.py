"""A worker process: takes cases as JSON lines on stdin, answers on stdout, ends when the pipe closes.

Run as `python -m aipipe.batch.worker`. When the batch process dies, the pipe closes and the worker ends at once, and with it
its kernel; the run it was making is then `interrupted`, which a later attempt makes anew.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import Any, TextIO


def main() -> int:
    """Serve until the pipe closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    # Whatever a case prints must not reach the pipe of answers.
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin, tasks), daemon=True, name="aipipe-batch-pipe").start()
    from aipipe.batch.work import do

    while True:
        task = tasks.get()
        try:
            answer = do(task)
        except Exception as error:  # noqa: BLE001  one case must never end the worker
            answer = {
                "state": "failed",
                "message": f"{type(error).__name__}: {error}"[:500],
                "cause": type(error).__name__,
                "run_ids": [],
            }
        _answer(answers, answer)


def _read(stream: TextIO, tasks: queue.Queue[dict[str, Any]]) -> None:
    for line in stream:
        tasks.put(json.loads(line))
    # Nobody listens any more. Kernels see their parent go and end too.
    os._exit(0)


def _answer(stream: TextIO, answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
