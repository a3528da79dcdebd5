"""One case, done in a worker: as a notebook run by papermill, or straight through a lab."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import events, files
from aipipe.batch.plan import Case
from aipipe.errors import AipipeError

if TYPE_CHECKING:
    from aipipe.lab import Lab
    from aipipe.store import Run

CASE_PARAMETERS = ("config", "text", "seed", "safety", "mode", "output", "runs")
_ONE_NOTEBOOK = threading.Lock()
PARAMETER_TYPES: dict[str, tuple[type, ...]] = {"seed": (int,)}


def do(task: Mapping[str, Any]) -> dict[str, Any]:
    """Do one case; never raises for what the case itself does.

    Args:
        task: `case` (JSON of a `Case`), `runs`, `project`, `batch_id`, `attempt`, `options`, and for a notebook its
            `notebook`, the `parameters` it has, and the `target` of the executed file. `phase` "text" makes its texts alone
            and holds the run; `held` is such a run, to be finished; `unload` names language models that leave the memory
            after every call.

    Returns:
        state, run_ids, message, cause, seconds, notebook, held.
    """
    started = time.monotonic()
    first = files.uuid7()
    case = Case.of(task["case"])
    by_notebook = bool(task.get("notebook")) and task.get("phase") != "text"
    if by_notebook:
        with _ONE_NOTEBOOK, _surroundings(case, task):
            message, cause = _notebook(case, task)
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


def case_options(case: Case, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a lab in the kernel adds to the calls of a case, where the notebook does not say it itself."""
    found: dict[str, Any] = {
        "text_seed": case.text_seed, "parameters": dict(case.parameters), "models": dict(case.models),
        "labels": dict(case.labels), "input_id": case.input_id, "images": list(case.images), **dict(options),
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
        case.config, *case.texts, seed=case.seed, safety=case.safety or None, mode=case.mode or None,
        outputs=list(case.outputs) or None, **case_options(case, task["options"]),
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


def _notebook(case: Case, task: Mapping[str, Any]) -> tuple[str, str]:
    """Execute the case notebook; the file tells what happened even when kernel or time gave out."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    values = {
        "config": case.config, "text": case.texts[0] if len(case.texts) == 1 else list(case.texts), "seed": case.seed,
        "safety": case.safety, "mode": case.mode, "output": case.outputs[0] if case.outputs else "", "runs": task["runs"],
        **dict(case.parameters),
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
            save_to=None if keep == "none" else str(target), facts=facts,
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


def check_notebook(path: Path, values: Iterable[tuple[str, Any]]) -> tuple[list[str], list[str]]:
    """Parameters that a notebook has, and what is wrong with it for cases that set these values."""
    import papermill

    try:
        found = papermill.inspect_notebook(str(path))
    except Exception as error:  # noqa: BLE001  papermill raises whatever its reader raises
        return [], [f"{path.name} cannot be read as a notebook: {type(error).__name__}: {error}"]
    problems = []
    if not found:
        problems.append(f"{path.name} has no cell with the tag parameters, or nothing in it")
    else:
        problems += [f"{path.name} has no parameter {name!r}" for name in ("config", "text") if name not in found]
        problems += dict.fromkeys(
            _wrong_type(path, name, found[name], value)
            for name, value in values
            if name in found and _mismatch(found[name], value)
        )
    return list(found), problems


def _mismatch(known: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is of another type than the notebook's default; papermill itself never asks."""
    default = str(known.get("default", ""))
    try:
        kind = type(
            json.loads(
                default.replace("'", '"').replace("True", "true").replace("False", "false").replace("None", "null")
            )
        )
    except ValueError:
        return False
    if kind is type(None) or isinstance(value, kind):
        return False
    return not (kind is float and isinstance(value, int)) and not (
        kind is int and isinstance(value, float) and value.is_integer()
    )


def _wrong_type(path: Path, name: str, known: Mapping[str, Any], value: Any) -> str:
    return f"{path.name}: the parameter {name} is {known.get('default')} there, and {value!r} is of another type"
