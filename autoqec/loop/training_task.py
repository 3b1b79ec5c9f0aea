"""Training as a task of an executor: a worker trains in a process of its own, and what it answers is checked here.

The task holds everything, and the worker keeps nothing: a training that is screened ends at its screen, and if it passes, another
task trains the whole. The key in the task is that of the training stream, which the candidate's process has anyway.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autoqec.candidate_paths import TRAINING_FILE
from autoqec.canonical import told_fields
from autoqec.compiled_once import Told, say_compiling
from autoqec.errors import AutoQECError
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import Shots
from autoqec.runner.train import Limits, ScreenAt, TrainingFailed, TrainingResult, checked_result, train_candidate
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import ChildFailed, plain
from autoqec.sandbox.lock import Lock
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.stage_files import needs_lock
from autoqec.sandbox.typed_messages import BadMessage, Request, blobs
from autoqec.scoring.executor_contract import Executor, Task, report_progress
from autoqec.scoring.running_tasks import RunningTasks

FUNCTION = "autoqec.loop.training_task:train_as_task"

#: Opens an executor, for a `with` statement.
OpenExecutor = Callable[[], AbstractContextManager[Executor]]

#: The statuses in which a training can end a round, and the name by which an error says its own.
_STATUS = "status"
_STATUSES = ("train_error", "compile_error", "killed_by_safety")

#: Characters of a machine's name that are kept.
_LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class TrainingTask(Request):
    """Train a candidate.

    Attributes:
        sealed: The candidate's files, and its parents' weights, which may be empty.
        dems: Error models by number: of the target, `0`, and of the environment's other rates.
        decoder, teacher, stages, seed, max_shots, inherit, locked: See `autoqec.runner.train.train_candidate`.
        seconds, memory_bytes: Limits of the training process.
        screen_share: The share of the steps at which training ends, for its screen; 0 for none.
        recorded_shots: How many recorded shots there are for training.
        recorded_syndromes, recorded_observables: These, bit-packed, row-major.
    """

    sealed: SealedCandidate
    dems: Mapping[str, bytes] = blobs("dem")
    decoder: Mapping[str, Any]
    teacher: Mapping[str, Any]
    stages: tuple[str, ...]
    seed: bytes
    max_shots: int
    inherit: bool
    locked: bool
    seconds: float
    memory_bytes: int
    screen_share: float = 0.0
    recorded_shots: int = 0
    recorded_syndromes: bytes = b""
    recorded_observables: bytes = b""

    def with_recorded(self, shots: Shots | None) -> TrainingTask:
        """The same task with these recorded shots for training; None for none."""
        if shots is None:
            return self
        told = shots.syndromes.tobytes(), shots.observables.tobytes()
        return replace(self, recorded_shots=len(shots), recorded_syndromes=told[0], recorded_observables=told[1])

    @property
    def recorded(self) -> Shots | None:
        """The recorded shots for training."""
        if not self.recorded_shots:
            return None
        told = self.recorded_syndromes, self.recorded_observables
        return Shots(*(np.frombuffer(each, dtype=np.uint8).reshape(self.recorded_shots, -1) for each in told))

    @property
    def prefers_gpu(self) -> bool:
        """Whether a GPU helps: a locked process has none."""
        device = told_fields(self.sealed.files, TRAINING_FILE).get("device", "auto")
        return not self.locked and self.max_shots > 0 and device != "cpu"


def numbered(dems: Sequence[str]) -> dict[str, bytes]:
    """Error models as a `TrainingTask` has them."""
    return {str(number): dem.encode() for number, dem in enumerate(dems)}


@dataclass(frozen=True, kw_only=True)
class TrainingAnswer(Request):
    """What became of a training.

    Attributes:
        weights: safetensors bytes.
        telemetry, cost, lock: See `autoqec.runner.train.TrainingResult`; no lock if the process was not locked.
        screened: Whether it ended at its screen.
        host: The machine that it ran on.
    """

    weights: bytes
    telemetry: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    lock: Mapping[str, Any] | None = None
    screened: bool = False
    host: str = ""


def train_as_task(message: Message) -> Message:
    """Train, in a worker.

    Args:
        message: A `TrainingTask`.

    Returns:
        A `TrainingAnswer`.

    Raises:
        TrainingFailed: `about` says the status too, because of an error only that travels.
    """
    task = TrainingTask.from_message(message)
    screened = False

    def at_screen(result: TrainingResult) -> bool:
        nonlocal screened
        screened = True
        return False

    # Whoever asks says so too; but nobody can have a worker run foreign code beside its own.
    task = replace(task, locked=task.locked or needs_lock(task.sealed.files, load_plugins()))
    try:
        result = train_here(
            task,
            report=lambda fields: report_progress(fields["step"] / max(1, fields["steps"])),
            screen=ScreenAt(task.screen_share, at_screen) if task.screen_share else None,
        )
    except TrainingFailed as error:
        told = {**error.about, _STATUS: error.status}
        raise TrainingFailed(error.status, error.problem, code=error.code, about=told) from error
    return TrainingAnswer(
        weights=result.weights,
        telemetry=result.telemetry,
        cost=result.cost,
        lock=result.lock.to_dict() if result.lock else None,
        screened=screened,
        host=platform.node(),
    ).to_message()


def train_here(
    task: TrainingTask,
    *,
    report: Callable[[Mapping[str, Any]], None],
    compiling: Told = say_compiling,
    screen: ScreenAt | None = None,
) -> TrainingResult:
    """Train in a child of this process, whatever the task says of a screen; see `autoqec.runner.train.train_candidate`."""
    return train_candidate(
        task.sealed.files,
        [task.dems[number].decode() for number in sorted(task.dems, key=int)],
        task.decoder,
        stages=task.stages,
        parents=task.sealed.weights,
        seed=task.seed,
        max_shots=task.max_shots,
        inherit=task.inherit,
        locked=task.locked,
        limits=Limits(task.seconds, task.memory_bytes),
        report=report,
        compiling=compiling,
        teacher=task.teacher or None,
        screen=screen,
        recorded=task.recorded,
    )


def train_on(
    opened: OpenExecutor, task: TrainingTask, *, progress: Callable[[float], None], screen: ScreenAt | None = None
) -> TrainingResult:
    """Train on an executor: the same weights as `train_here`, on the same device.

    Args:
        opened: Opens the executor; it is open while a task runs, not while a screen is scored.
        task: The whole training; each task has its limits.
        progress: Called with the part of a task that is done.
        screen: Where training is screened; None for nowhere.

    Raises:
        TrainingFailed: With the status the round ends in and the reason in one sentence.
        AutoQECError: The executor did not do the task, or its worker answered something else.
    """
    if screen is not None:
        answer = _asked(opened, replace(task, screen_share=screen.share), progress)
        result = _result(task, answer)
        if not answer.screened or not screen.passes(result):
            return result
    return _result(task, _asked(opened, task, progress))


def _asked(opened: OpenExecutor, task: TrainingTask, progress: Callable[[float], None]) -> TrainingAnswer:
    with opened() as executor:
        asked = Task(FUNCTION, task.to_message(), same_everywhere=False, prefers_gpu=task.prefers_gpu)
        running = RunningTasks(executor, [asked])
        for _ in running.each(progress):
            pass
        try:
            return TrainingAnswer.from_message(running.futures[0].result())
        except ChildFailed as error:
            raise _failure(error) from error


def _failure(error: ChildFailed) -> AutoQECError:
    """An error of a task as what it was in the worker; one that is not the training's stays as it is."""
    status = error.about.get(_STATUS)
    if error.kind != TrainingFailed.__name__ or status not in _STATUSES:
        return error
    about = {name: value for name, value in error.about.items() if name != _STATUS}
    return TrainingFailed(status, error.problem, code=error.code, about=about)


def _result(task: TrainingTask, answer: TrainingAnswer) -> TrainingResult:
    """What a worker answered, checked as if code of others had said it."""
    lock = _lock(answer)
    if task.locked and lock is None:
        raise BadMessage(TrainingAnswer.__name__, "lock", "is null for a candidate that must be locked")
    result = checked_result(answer.weights, answer.telemetry, answer.cost, lock, task.sealed.files)
    return replace(result, telemetry={**result.telemetry, "host": plain(answer.host)[:_LONGEST_NAME]})


def _lock(answer: TrainingAnswer) -> Lock | None:
    try:
        return Lock.from_dict(answer.lock) if answer.lock is not None else None
    except TypeError:
        raise BadMessage(TrainingAnswer.__name__, "lock", "does not describe a lock") from None
