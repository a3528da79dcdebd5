"""One case, done in a worker: as a notebook run by papermill, or straight through a lab."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import events, files
from aipipe.batch import claims
from aipipe.batch.ledger import DONE, WORKER_LOST, Ledger
from aipipe.batch.plan import Case
from aipipe.errors import AipipeError

if TYPE_CHECKING:
    from aipipe.lab import Lab
    from aipipe.store import Run

_ONE_NOTEBOOK = threading.Lock()
ORPHANED = "Orphaned"
"""Cause of a case that its worker did not begin, because the process that sent it was gone."""


def do(task: Mapping[str, Any]) -> dict[str, Any]:
    """Do one case; never raises for what the case itself does.

    While it is done the worker holds a claim of its own, and it writes the end into the ledger itself: a worker of a cluster
    outlives the process that sent it, and what it makes must be neither lost nor made twice.

    Args:
        task: `case` (JSON of a `Case`), `folder` of the batch, `runs`, `project`, `batch_id`, `attempt`, `options`, and for a
            notebook its `notebook`, the `parameters` it has, and the `target` of the executed file. `phase` "text" makes its
            texts alone and holds the run; `held` is such a run, to be finished; `unload` names language models that leave the
            memory after every call.

    Returns:
        state, run_ids, message, cause, seconds, notebook, held; `recorded` when the ledger has it already.
    """
    case, attempt, phase = Case.of(task["case"]), int(task["attempt"]), str(task.get("phase") or "")
    ledger = Ledger(Path(task["folder"]))
    mine = ledger.worker_of(case.case_key, attempt, phase)
    ended = mine.with_name(f"{mine.name}.ended")
    if ended.exists() or not claims.take(mine, attempt):
        return _by_another(ledger, case, mine)
    # In this order: whoever looks for a living owner between the two lines finds this worker.
    if not claims.alive(ledger.claim_of(case.case_key, attempt, phase)):
        mine.unlink(missing_ok=True)
        return _not_begun("The process that sent this case is gone.", ORPHANED)
    with claims.Heartbeat() as heart:
        heart.hold(mine)
        answer = do_alone(task)
        if answer["state"] in DONE:
            facts = {name: answer.get(name) for name in ("run_ids", "seconds", "notebook")}
            ledger.add(case, answer["state"], attempt, **facts)
            answer["recorded"] = True
        elif not answer["held"] and not claims.alive(ledger.claim_of(case.case_key, attempt, phase)):
            ledger.add(
                case,
                answer["state"],
                attempt,
                **{k: answer[k] for k in ("run_ids", "message", "cause", "seconds", "notebook")},
            )
        mine.replace(ended)
    return answer


def _by_another(ledger: Ledger, case: Case, theirs: Path) -> dict[str, Any]:
    """What became of an attempt that a cluster gives out again: it took a worker for lost, or lost what the worker had answered."""
    while claims.alive(theirs):
        time.sleep(1.0)
    state = ledger.states([case])[case.case_key]
    if state.state not in DONE:
        return _not_begun("The worker that did this case was lost.", WORKER_LOST)
    return {
        "state": state.state, "run_ids": state.run_ids, "message": "", "cause": "", "seconds": state.seconds,
        "notebook": state.notebook, "held": "", "recorded": True,
    }  # fmt: skip


def _not_begun(why: str, cause: str) -> dict[str, Any]:
    return {"state": "interrupted", "run_ids": [], "message": why, "cause": cause}


def do_alone(task: Mapping[str, Any]) -> dict[str, Any]:
    """`do` without claims and ledger."""
    started = time.monotonic()
    first = files.uuid7()
    case = Case.of(task["case"])
    by_notebook = bool(task.get("notebook")) and task.get("phase") != "text"
    if by_notebook:
        with _ONE_NOTEBOOK, _surroundings(case, task), _event_loop():
            made = functools.partial(_runs, Path(task["runs"]), case.case_key, first, str(task.get("held") or ""))
            message, cause = _notebook(case, task, lambda: {"run_ids": [run.run_id for run in made()]})
    else:
        message, cause = _straight(case, task)
    runs = _runs(Path(task["runs"]), case.case_key, first, str(task.get("held") or ""))
    state, why, kind = _judge(runs, message, cause)
    held = runs[-1].run_id if cause == HELD else ""
    return {
        "state": "waiting" if held else state, "run_ids": [run.run_id for run in runs], "message": "" if held else why,
        "cause": "" if held else kind, "held": held, "seconds": round(time.monotonic() - started, 3),
        "notebook": Path(task["target"]).name if by_notebook and Path(task["target"]).exists() else "",
    }  # fmt: skip


@contextlib.contextmanager
def _surroundings(case: Case, task: Mapping[str, Any]) -> Iterator[None]:
    """Tell the kernel whose case it does; environment and folder are the process's own, so one notebook at a time."""
    environment = {
        "AIPIPE_BATCH_ID": task["batch_id"],
        "AIPIPE_CASE_KEY": case.case_key,
        "AIPIPE_CASE_INDEX": str(case.index),
        "AIPIPE_CASE_OPTIONS": json.dumps(case_options(case, task["options"])),
        "AIPIPE_CASE_RUN": str(task.get("held") or ""),
        **{f"AIPIPE_BACKENDS__{name.upper()}__KEEP_ALIVE": "0" for name in task.get("unload") or ()},
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    folder = Path.cwd()
    try:
        yield
    finally:
        os.chdir(folder)
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def _event_loop() -> Iterator[None]:
    """Close the event loop that nbclient makes in a thread of somebody's executor; that of a worker's main thread serves on."""
    try:
        yield
    finally:
        if threading.current_thread() is not threading.main_thread():
            from jupyter_core.utils import ensure_event_loop

            ensure_event_loop().close()
            asyncio.set_event_loop(None)


def case_options(case: Case, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a lab in the kernel adds to the calls of a case, where the notebook does not say it itself."""
    found: dict[str, Any] = {
        "seed": case.seed, "text_seed": case.text_seed, "safety": case.safety, "mode": case.mode, "outputs": list(case.outputs),
        "parameters": dict(case.parameters), "models": dict(case.models), "labels": dict(case.labels),
        "input_id": case.input_id, "images": list(case.images), **dict(options),
    }  # fmt: skip
    return {k: v for k, v in found.items() if v not in (None, "", {}, [])}


HELD = "held"


class _Hold:
    """Stops a run when its prompt has been checked for the first output: the media are made later."""

    def __init__(self) -> None:
        self._cancel: Callable[..., None] = lambda _: None

    def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.RunStarted) and event.cancel is not None:
            self._cancel = event.cancel
        elif isinstance(event, events.EntitySaved) and event.type == "safety_pre_output":
            self._cancel(f"{HELD} until the media of its batch are made")


def _straight(case: Case, task: Mapping[str, Any]) -> tuple[str, str]:
    from aipipe.lab import Lab

    try:
        with Lab(task["project"] or None, runs=task["runs"], display=False) as lab:
            for name in task.get("unload") or ():
                lab.settings.backends[name].keep_alive = "0"
            run = _finish_held(lab, str(task.get("held") or "")) or _run(lab, case, task)
    except AipipeError as error:
        return error.message, type(error).__name__
    if run.status == "cancelled" and run.reason is not None and HELD in run.reason.message:
        return "", HELD
    return (run.reason.message, run.reason.type) if run.status == "failed" and run.reason is not None else ("", "")


def _run(lab: Lab, case: Case, task: Mapping[str, Any]) -> Run:
    from aipipe.records import BatchRecord

    return lab.run(
        case.config, *case.texts, **case_options(case, task["options"]),
        batch=BatchRecord(batch_id=task["batch_id"], case_key=case.case_key, index=case.index),
        observers=[_Hold()] if task.get("phase") == "text" else [],
    )  # fmt: skip


def _finish_held(lab: Lab, run_id: str) -> Run | None:
    from aipipe.errors import StoreError, UsageError

    if not run_id:
        return None
    try:
        return lab.resume(run_id)
    except (StoreError, UsageError):
        return None  # erased or damaged meanwhile: the case makes a run of its own


def _notebook(case: Case, task: Mapping[str, Any], closing: Callable[[], Mapping[str, Any]]) -> tuple[str, str]:
    """Execute the case notebook; the file tells what happened even when kernel or time gave out."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    values = {
        "config": case.config, "text": case.texts[0] if len(case.texts) == 1 else list(case.texts), "seed": case.seed,
        "safety": case.safety, "mode": case.mode, "output": case.outputs[0] if len(case.outputs) == 1 else "",
        "runs": task["runs"], **dict(case.parameters), **dict(case.notebook_parameters),
    }  # fmt: skip
    given = {name: values[name] for name in task["parameters"] if name in values}
    target = Path(task["target"])
    target.parent.mkdir(parents=True, exist_ok=True)
    keep = task.get("keep_notebooks", "all")
    facts = {"batch_id": task["batch_id"], "case_key": case.case_key, "attempt": task["attempt"]}
    message, cause = "", ""
    try:
        executed = papermill.execute_notebook(
            task["notebook"], None, parameters=given, progress_bar=False, log_output=False, cwd=str(target.parent),
            execution_timeout=task.get("timeout"), kernel_name=task.get("kernel") or None, engine_name=_engine(task),
            save_to=None if keep == "none" else str(target), facts=facts, closing=closing,
        )  # fmt: skip
        if executed.metadata.papermill.get("exception"):
            message, cause = "The notebook ended itself by sys.exit.", "SystemExit"
    except PapermillExecutionError as error:
        message, cause = f"{error.ename}: {error.evalue}"[:500], str(error.ename)
    except Exception as error:  # noqa: BLE001  a dead kernel, a time limit, a broken notebook: all end one case only
        message, cause = f"{type(error).__name__}: {error}"[:500], type(error).__name__
    if keep == "failed" and not message:
        target.unlink(missing_ok=True)
    return message, cause


def _engine(task: Mapping[str, Any]) -> str:
    """Both write honest files; they differ in how a kernel starts."""
    from aipipe.batch import warm

    warm.register()
    return "aipipe" if task.get("engine", "aipipe") == "aipipe" else warm.FRESH


def _runs(root: Path, case_key: str, first: str, held: str = "") -> list[Any]:
    """Runs of the case that were made since `first`, or finished (`held`); ids sort by time, so few folders are read."""
    from aipipe.errors import StoreError
    from aipipe.store import Run

    found = []
    names = (
        sorted(p.name for p in root.iterdir() if (p.name >= first[:13] and len(p.name) == 36) or p.name == held)
        if root.is_dir()
        else []
    )
    for name in names:
        try:
            run = Run(root / name)
        except StoreError:
            continue
        if run.record.batch is not None and run.record.batch.case_key == case_key:
            found.append(run)
    return found


def _judge(runs: list[Any], message: str, cause: str) -> tuple[str, str, str]:
    bad = next((run for run in runs if run.status not in ("completed", "blocked")), None)
    if bad is not None:
        why = bad.reason.message if bad.reason is not None else f"the run is {bad.status}"
        return "failed", why[:500], bad.reason.type if bad.reason is not None else bad.status
    if message:
        return "failed", message, cause
    if not runs:
        return "failed", "The notebook ended without making a run.", "NoRun"
    return ("blocked" if any(run.status == "blocked" for run in runs) else "completed"), "", ""
