"""Trains in a child process under limits of time and memory; a breach kills it and everything it started."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoqec.candidate.weights import MAX_WEIGHT_BYTES, load_weights
from autoqec.candidate_paths import TRAINING_FILE
from autoqec.canonical import load_yaml
from autoqec.compiled_once import Told, say_compiling
from autoqec.errors import AutoQECError
from autoqec.problem.sampling import Shots
from autoqec.sandbox.channel import ChannelClosed, ChannelTimeout, Message
from autoqec.sandbox.child import Child, ChildFailed, plain
from autoqec.sandbox.lock import Lock
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.worker_requests import ScreenPassed, TrainingPreparation, TrainingRequest

#: Threads of torch in a training process. A constant, not the machine's count: sums in another order are other weights. Compiled
#: code uses all cores (`autoqec.shared_threads`); its results do not depend on how many there are.
TRAINING_THREADS = 2

#: The fraction of the wall-clock limit after which training begins no further step. The rest is for loading, one validation and
#: counting costs. A process that has not answered by the limit itself hangs, and is killed.
_STEPPING = 0.75


@dataclass(frozen=True)
class Limits:
    """What a training process may use: wall-clock seconds and bytes of address space."""

    seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class TrainingResult:
    """The result of training.

    Attributes:
        weights: safetensors bytes.
        telemetry: Losses, steps, seconds.
        cost: `{"flops_per_shot", "params"}`.
        lock: The layers around the process, where it was locked.
    """

    weights: bytes
    telemetry: Mapping[str, Any]
    cost: Mapping[str, int]
    lock: Lock | None = None


@dataclass(frozen=True)
class ScreenAt:
    """Where a training is screened, and by what.

    Attributes:
        share: The share of the steps before it, see `autoqec.runner.training.Screen`.
        passes: Tells from what there is by then whether training goes on. It may take its time, which does not count.
    """

    share: float
    passes: Callable[[TrainingResult], bool]


class TrainingFailed(AutoQECError):
    """Training ended without weights; `status` is the round's status: `train_error`, `compile_error`, `killed_by_safety`."""

    code = "training_failed"

    def __init__(self, status: str, reason: str, *, code: str | None = None, about: Mapping[str, Any] | None = None):
        super().__init__(reason, code=code, about=about)
        self.status = status


#: Codes of errors by which a limit, or the check of the losses, ended training; and classes of errors about files.
_STOPPED = frozenset({"out_of_memory", "diverged", "untrained_not_finite"})
_UNUSABLE = frozenset({"UsageError", "NotFoundError"})

_PROGRESS = ("step", "steps", "shots", "loss", "planned")
_COST = ("flops_per_shot", "params", "constants")

#: Telemetry fields that a note keeps, by type; a process that runs a candidate's code could report anything.
_WORDS = ("loss", "device")
_COUNTS = (
    "validation_before",
    "validation_after",
    "steps",
    "steps_planned",
    "steps_cut_to",
    "seconds_a_step",
    "seconds_allowed",
    "out_of_time",
    "shots",
    "nan_steps",
    "seconds",
    "threads",
    "labelled",
    "label_seconds",
    "carried_messages",
    "carried_coarser",
    "carried_layer",
)
_CURVES = ("points", "validation")
_MOST_POINTS = 1000
_MOST = 2**53
_LONGEST_WORD = 200


def _numbers(fields: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The fields that are numbers, and no larger than a reader in any language can read."""
    found = {name: fields.get(name) for name in names}
    return {name: value for name, value in found.items() if isinstance(value, int | float) and abs(value) < _MOST}


def _result(message: Message, lock: Lock | None, files: Mapping[str, bytes]) -> TrainingResult:
    """The result of a training process; from a locked one, only what `checked_result` lets through.

    Raises:
        TrainingFailed: There are no weights, or they cannot be loaded.
    """
    weights = bytes(message.blobs.get("weights", b""))  # large ones come as a bytearray, which git does not take
    if lock is None:
        counted = {name: message.fields["cost"][name] for name in ("flops_per_shot", "params")}
        return TrainingResult(weights, message.fields["telemetry"], counted)
    return checked_result(weights, message.fields.get("telemetry"), message.fields.get("cost"), lock, files)


def checked_result(
    weights: bytes, told: Any, costs: Any, lock: Lock | None, files: Mapping[str, bytes]
) -> TrainingResult:
    """The result of a training that ran in a process which code of others, or another machine, speaks for.

    Args:
        weights: safetensors bytes, or anything.
        told, costs: Telemetry and cost, or anything. Of these, only fields that match the schema are kept.
        lock: The layers around the process; None where it was not locked, and its count of the parameters is right.
        files: The candidate's files.

    Raises:
        TrainingFailed: There are no weights, or they cannot be loaded.
    """
    if len(weights) > MAX_WEIGHT_BYTES:
        raise TrainingFailed("train_error", f"the candidate answered {len(weights):,} bytes of weights")
    try:
        tensors = load_weights(weights)
    except AutoQECError as error:
        raise TrainingFailed("train_error", error.problem, code=error.code) from error
    told = told if isinstance(told, dict) else {}
    telemetry: dict[str, Any] = _numbers(told, _COUNTS)
    inherited = told.get("inherited")
    telemetry["inherited"] = [name for name in tensors if isinstance(inherited, list) and name in inherited]
    telemetry |= {name: plain(told[name])[:_LONGEST_WORD] for name in _WORDS if name in told}
    for name in _CURVES:
        curve = told.get(name)
        curve = curve if isinstance(curve, list) else []
        telemetry[name] = [
            _numbers(point, ("step", "loss")) for point in curve[:_MOST_POINTS] if isinstance(point, dict)
        ]
    cost = {
        name: value for name, value in _numbers(costs if isinstance(costs, dict) else {}, _COST).items() if value >= 0
    }
    constants = int(cost.pop("constants", 0))
    if lock is not None:
        cost["params"] = SealedCandidate(files, weights).parameters(constants)
    return TrainingResult(weights, telemetry, cost, lock)


def train_candidate(
    files: Mapping[str, bytes],
    dems: Sequence[str],
    decoder: Mapping[str, Any],
    *,
    stages: tuple[str, ...],
    parents: bytes,
    seed: bytes,
    max_shots: int,
    inherit: bool,
    locked: bool,
    limits: Limits,
    report: Callable[[Mapping[str, Any]], None],
    compiling: Told = say_compiling,
    teacher: Mapping[str, Any] | None = None,
    screen: ScreenAt | None = None,
    recorded: Shots | None = None,
) -> TrainingResult:
    """Train in a child process.

    Args:
        files: The candidate's canonical files.
        dems: Error models to train on, as text: the problem at its target rate, then at the environment's other rates.
        decoder: The environment's decoder, `{"kind", …}`, which some losses ask.
        stages: What to warm up with before the lock; see `autoqec.sandbox.stage_files.stages_to_warm_up`.
        parents: Parents' weights merged into one safetensors file; empty for none.
        seed: Key of the training stream.
        max_shots: The profile's cap on shots.
        inherit: Start from the parents' weights whatever the candidate's `init` says, as a composed child does.
        locked: Whether the process is locked before the candidate's code runs.
        limits: Time and memory.
        report: Called with each `{"step", "steps", "shots", "loss", "planned"}`.
        compiling: Called with the name of each kernel that is compiled, and about how many seconds that takes.
        teacher: The decoder that distilled labels come from, `{"kind", …}`.
        screen: Where training is screened; None for nowhere. If it does not pass, its result is what was screened.
        recorded: Recorded shots for training; None if there are none.

    Raises:
        TrainingFailed: With the status the round ends in and the reason in one sentence.
    """
    deadline = time.monotonic() + limits.seconds
    target = "autoqec.runner.worker:serve_training"
    try:
        with Child(
            target, memory_bytes=limits.memory_bytes, threads=TRAINING_THREADS, apart=locked, compiling=compiling
        ) as child:
            preparation = TrainingPreparation(
                stages=stages,
                dem=dems[0].encode(),
                lock=locked,
                other_dems={str(number): dem.encode() for number, dem in enumerate(dems[1:], start=1)},
                decoder=dict(decoder),
                training=json.dumps(load_yaml(files.get(TRAINING_FILE, b"{}"), name=TRAINING_FILE), default=str),
                teacher=dict(teacher or {}),
            )
            child.tell(preparation.to_message())
            # Nothing of the candidate before the lock; see `autoqec.sandbox.worker_requests`.
            lock = Lock.from_dict(_heard(child, deadline).fields["lock"]) if locked else None
            request = TrainingRequest(
                sealed=SealedCandidate(files, parents),
                seed=seed,
                max_shots=max_shots,
                inherit=inherit,
                seconds=_STEPPING * limits.seconds,
                screen_share=screen.share if screen else 0.0,
                recorded_syndromes=recorded.syndromes.tobytes() if recorded else b"",
                recorded_observables=recorded.observables.tobytes() if recorded else b"",
            )
            child.tell(request.to_message())
            return _carried_on(child, deadline, lock, files, screen, report)
    except ChannelTimeout as error:
        problem = f"training took longer than {limits.seconds:.0f} s"
        raise TrainingFailed("killed_by_safety", problem, code="training_time") from error
    except ChildFailed as error:
        raise TrainingFailed(_status(error), error.problem, code=error.code, about=error.about) from error
    except ChannelClosed as error:
        raise TrainingFailed("killed_by_safety", error.problem, code=error.code, about=error.about) from error


def _carried_on(
    child: Child,
    deadline: float,
    lock: Lock | None,
    files: Mapping[str, bytes],
    screen: ScreenAt | None,
    report: Callable[[Mapping[str, Any]], None],
) -> TrainingResult:
    """What a training that has been asked for results in: what it ends with, or what was screened if it does not pass."""
    while True:
        message = _heard(child, deadline)
        if message.fields.get("done"):
            return _result(message, lock, files)
        if screen is not None and message.fields.get("screen"):
            began, found = time.monotonic(), _result(message, lock, files)
            if not screen.passes(found):
                return found
            screen = None  # a process that runs a candidate's code is screened once, whatever it sends
            deadline += time.monotonic() - began
            child.tell(ScreenPassed().to_message())
        else:
            report(_numbers(message.fields, _PROGRESS))


def _heard(child: Child, deadline: float) -> Message:
    return child.receive(max(0.001, deadline - time.monotonic()))


def _status(error: ChildFailed) -> str:
    """The round's status after an error of the training process."""
    if error.code in _STOPPED:
        return "killed_by_safety"
    return "compile_error" if error.kind in _UNUSABLE else "train_error"
