"""Trackio, MLflow and Weights & Biases: each is told the rounds of a run that it does not have yet, one step a round.

A package is imported when it is used. AutoQEC configures no address: what goes where is the tracker's own configuration, and
without any each of them writes files on this machine. Their usage reports are turned off unless you have decided that.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from autoqec.errors import AutoQECError, MissingPackageError
from autoqec.plugin_errors import one_line
from autoqec.reporting.trackers.tracked_run import TrackedRun
from autoqec.whole_files import write_file

#: What each tracker is called by its users, for messages.
TRACKERS: Mapping[str, str] = {"trackio": "Trackio", "mlflow": "MLflow", "wandb": "Weights & Biases"}

#: Variables that turn usage reports off, where you have not set them.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "true",
}

#: The tag by which a run is found again in MLflow.
_TAG = "autoqec_run"


@dataclass(frozen=True)
class SentRounds:
    """What a tracker was told.

    Attributes:
        tracker: Its name.
        place: Where it keeps it, as it says; for people.
        project, run: The project and the run.
        sent: The rounds that it did not have.
        there: The rounds that it had already.
    """

    tracker: str
    place: str
    project: str
    run: str
    sent: tuple[int, ...]
    there: tuple[int, ...]


def send(tracker: str, run: TrackedRun, notes: Path) -> SentRounds:
    """Tell a tracker the rounds of a run that it does not have yet.

    Args:
        tracker: A key of `TRACKERS`.
        run: The run.
        notes: The folder in which rounds are noted that were sent to where they cannot be read back.

    Raises:
        MissingPackageError: The tracker's package is not installed.
        AutoQECError: The tracker failed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    package = _package(tracker)
    try:
        return _SENDERS[tracker](package, run, notes)
    except AutoQECError:
        raise
    except Exception as error:  # whatever the package raises
        hint = f"{_HELP[tracker]} it writes"
        raise AutoQECError(f"{TRACKERS[tracker]} failed: {one_line(error)}", hint=hint) from error


def _package(tracker: str) -> ModuleType:
    try:
        return importlib.import_module(tracker)
    except ImportError as error:
        raise MissingPackageError(
            f"{TRACKERS[tracker]} is not installed: {one_line(error)}", hint=f"pip install 'autoqec[{tracker}]'"
        ) from error


#: Variables that say where each tracker writes.
_HELP = {
    "trackio": "TRACKIO_DIR, TRACKIO_SERVER_URL and TRACKIO_SPACE_ID say where",
    "mlflow": "MLFLOW_TRACKING_URI says where",
    "wandb": "WANDB_MODE, WANDB_DIR and WANDB_BASE_URL say where",
}


def _to_trackio(trackio: Any, run: TrackedRun, notes: Path) -> SentRounds:
    away = os.environ.get("TRACKIO_SPACE_ID") or os.environ.get("TRACKIO_SERVER_URL")
    noted = _Noted.of(notes, "trackio", away or "", run)
    if away:
        have = noted.rounds
    else:
        rows = trackio.SQLiteStorage.get_logs(run.project, run.name)
        have = {row["step"] for row in rows if isinstance(row.get("step"), int)}
    new = _new(run, have)
    if new:
        how = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
        logged = trackio.init(project=run.project, name=run.name, config=dict(run.config), resume="allow", **how)
        for step in new:
            logged.log(dict(run.steps[step]), step=step)
        logged.finish()
        if away:
            noted.add(new)
    place = "a Trackio server or Space" if away else str(trackio.TRACKIO_DIR)
    return SentRounds("trackio", place, run.project, run.name, new, _there(run, have))


def _to_mlflow(mlflow: Any, run: TrackedRun, notes: Path) -> SentRounds:
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(run.project)
    where = experiment.experiment_id if experiment else client.create_experiment(run.project)
    found = client.search_runs([where], filter_string=f"tags.`{_TAG}` = '{run.name}'")
    have: set[int] = set()
    if found:
        # Every round has this metric.
        have = {each.step for each in client.get_metric_history(found[0].info.run_id, "verified")}
    new = _new(run, have)
    if new:
        told = found[0] if found else client.create_run(where, run_name=run.name, tags={_TAG: run.name})
        name = told.info.run_id
        for key, value in run.config.items() if not found else ():
            client.log_param(name, key, value)
        for step in new:
            # `verified` comes last: a round that was cut off is told again.
            for metric, number in sorted(run.steps[step].items(), key=lambda item: item[0] == "verified"):
                client.log_metric(name, metric, number, timestamp=1000 * run.times[step], step=step)
        client.set_terminated(name)
    return SentRounds("mlflow", str(mlflow.get_tracking_uri()), run.project, run.name, new, _there(run, have))


def _to_wandb(wandb: Any, run: TrackedRun, notes: Path) -> SentRounds:
    mode = os.environ.get("WANDB_MODE", "offline")  # nothing leaves this machine unless you say so
    noted = _Noted.of(notes, "wandb", f"{mode} {os.environ.get('WANDB_BASE_URL', '')}", run)
    new = _new(run, noted.rounds)
    place = "wandb" if mode == "offline" else "its server"
    if new:
        quiet = {
            "console": "off",
            "disable_git": True,
            "save_code": False,
            "x_disable_stats": True,
            "x_disable_meta": True,
        }
        ident = hashlib.sha256(f"{run.project}/{run.name}".encode()).hexdigest()[:16]
        logged = wandb.init(
            project=run.project,
            name=run.name,
            id=ident,
            resume="allow",
            config=dict(run.config),
            mode=mode,
            settings=wandb.Settings(silent=True, **quiet),
        )
        logged.define_metric("*", step_metric="round")
        for step in new:
            logged.log({"round": step, **run.steps[step]}, step=step)
        place = str(logged.settings.sync_dir) if mode == "offline" else place
        logged.finish()
        noted.add(new)
    return SentRounds("wandb", place, run.project, run.name, new, _there(run, noted.rounds - set(new)))


_SENDERS: Mapping[str, Callable[[Any, TrackedRun, Path], SentRounds]] = {
    "trackio": _to_trackio,
    "mlflow": _to_mlflow,
    "wandb": _to_wandb,
}


def _new(run: TrackedRun, have: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(run.steps.keys() - set(have)))


def _there(run: TrackedRun, have: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(run.steps.keys() & set(have)))


@dataclass
class _Noted:
    """A file that says which rounds were sent to where nobody reads them back. No record: if you delete it, they go again."""

    path: Path
    rounds: set[int]

    @classmethod
    def of(cls, notes: Path, tracker: str, place: str, run: TrackedRun) -> _Noted:
        key = hashlib.sha256(json.dumps([tracker, place, run.project, run.name]).encode()).hexdigest()[:32]
        path = notes / f"{tracker}-{key}.json"
        rounds: set[int] = set()
        with suppress(OSError, ValueError, TypeError):
            rounds = {each for each in json.loads(path.read_text()) if type(each) is int}
        return cls(path, rounds)

    def add(self, sent: Iterable[int]) -> None:
        self.rounds |= set(sent)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.path, json.dumps(sorted(self.rounds)).encode())
