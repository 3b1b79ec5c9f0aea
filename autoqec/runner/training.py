"""Training: fresh labelled shots in, weights out; by default the label of a shot is the set of mechanisms that really fired.

Several error patterns share a syndrome, so that label is a sample from the posterior: cross-entropy on the marginals is well
posed, an exact match is not a metric. `autoqec.runner.shot_labels` makes other labels. Shots of a stream of their own give a
validation loss, and the weights at which it was lowest are kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from autoqec.candidate.carrying import carried_weights
from autoqec.candidate.compile import build_modules, load_tensors, module_tensors
from autoqec.candidate.schema import Candidate, Training
from autoqec.candidate.stage_contract import Carried
from autoqec.decoding.decoder_contract import CompiledDecoder, ConfidentDecoder, TeachingDecoder
from autoqec.errors import AutoQECError
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import Shots
from autoqec.problem.streams import derive_seed
from autoqec.runner.curriculum import level_at
from autoqec.runner.devices import choose_device
from autoqec.runner.stopping import EarlyStopping, steps_between_looks
from autoqec.runner.training_time import TrainingTime
from autoqec.shared_threads import thread_count

if TYPE_CHECKING:
    import torch

    from autoqec.runner.adam import CosineAdam
    from autoqec.runner.shot_labels import Labelling
    from autoqec.runner.shot_losses import ShotLosses

#: Fraction of steps with a non-finite loss or gradient beyond which training is stopped.
MAX_NAN_RATE = 0.05

#: About how many points of telemetry a round keeps.
_TELEMETRY_POINTS = 50


class TrainingDiverged(AutoQECError):
    """Too many steps had a loss or gradient that was not finite."""

    code = "diverged"


@dataclass(frozen=True)
class Trained:
    """The result of training.

    Attributes:
        tensors: Weights by `<slug>.<parameter>`.
        telemetry: `{"step", "loss"}` points of the training and of the validation loss, the latter before and after, steps
            and shots planned and done, what the time allowed, NaN steps, seconds, device.
    """

    tensors: dict[str, np.ndarray]
    telemetry: dict[str, object]


@dataclass(frozen=True)
class Screen:
    """Interrupts training once, for a look from outside at the best weights so far; training goes on as if it had not been there.

    Attributes:
        share: The share of the steps before it. It comes at the first look at the validation loss after so many; the validation
            is the target's also while a curriculum trains above it.
        reached: Called with what the training would result in if it ended there. It may take its time, or not return.
    """

    share: float
    reached: Callable[[Trained], None]


@dataclass(frozen=True)
class Progress:
    """One moment of training: steps done and to do, shots seen, last loss; `planned` steps, more where the time is too short."""

    step: int
    steps: int
    shots: int
    loss: float
    planned: int


def train(
    candidate: Candidate,
    problems: Sequence[Problem],
    decoders: Sequence[CompiledDecoder] | None,
    *,
    seed: bytes,
    max_shots: int,
    initial: Mapping[str, np.ndarray],
    inherit: bool,
    report: Callable[[Progress], None],
    seconds: float = inf,
    validation_shots: int | None = None,
    levels: Sequence[Problem] = (),
    labellings: Sequence[Labelling] = (),
    screen: Screen | None = None,
    recorded: Shots | None = None,
) -> Trained:
    """Train a candidate's stages end to end with Adam and a cosine schedule.

    Args:
        candidate: What to train; an empty pipeline or zero shots leaves the initial weights.
        problems: Where shots come from: the problem at its target rate, then at the environment's other rates. Batches take
            turns; the validation loss is the target's.
        decoders: The decoder at each rate, then at each of `levels`, where the candidate's loss or sampling needs one.
        seed: Key of the training stream; the same key gives the same weights on the same machine.
        max_shots: The profile's cap on shots drawn, over all epochs.
        initial: Weights of the parents, used where names and shapes fit if `inherit` or the candidate's `init: parents` says so.
        inherit: Whether this is a composed child, which always starts from its parents.
        report: Called about fifty times.
        seconds: Wall-clock seconds after which no step begins; the best weights are kept, which then depend on the machine.
        validation_shots: Shots of the validation loss; None for `validation_size`.
        levels: The problems of the candidate's curriculum, the noisiest first (`autoqec.runner.curriculum`).
        labellings: How shots of each rate, then of each of `levels`, are labelled, if not as they are drawn.
        screen: Where training is interrupted for a look at its weights; None for nowhere.
        recorded: Recorded shots to train on in the place of the first problem's, if the loss asks for no mechanisms.

    Raises:
        AutoQECError: The parents' weights belong to another family.
        TrainingDiverged: More than `MAX_NAN_RATE` of the steps were not finite, or the loss before the first.
    """
    import torch

    # As use_deterministic_algorithms, which imports the compiler to say so to it.
    torch.set_deterministic_debug_mode("error")
    torch.manual_seed(derive_seed(seed, "init", 0))
    settings = candidate.training
    modules = build_modules(candidate, problems[0])
    carried = carried_weights(candidate, initial if inherit or settings.init == "parents" else {}, problems[0])
    inherited = load_tensors(modules, carried.tensors)
    device = choose_device(settings.device)
    modules.to(device)
    parameters = [p for p in modules.parameters() if p.requires_grad]
    per_epoch, steps = plan_steps(settings, max_shots) if parameters else (1, 0)
    between = steps_between_looks(steps, settings.batch_size, settings.patience)
    validated_on = validation_shots or _validated_on(settings, steps, between)
    losses = _losses(modules, problems, decoders, candidate, device, seed, validated_on, levels, labellings, recorded)
    began = time.monotonic()
    _require_time(losses, settings, validated_on, seconds, seed)
    stopping = EarlyStopping(modules, settings.patience, paired=settings.sampling != "all")
    untrained = losses.validation()
    if not isfinite(untrained.mean):
        raise TrainingDiverged("the loss of the untrained candidate is not finite", code="untrained_not_finite")
    stopping.look(0, untrained.mean, untrained.each)
    timed = TrainingTime(steps, between, seconds, began)
    course = _Course(steps, per_epoch, timed, len(levels), screen.share if screen else None)

    def result(after: float) -> Trained:
        told = _telemetry(settings, course, losses, stopping, device) | {"validation_after": round(after, 6)}
        tensors = {name: value.copy() for name, value in module_tensors(modules).items()}  # training may go on
        return Trained(tensors, told | {"inherited": inherited, **_carried(carried)})

    def at_screen() -> None:
        with timed.pausing(), stopping.best_in_place() as after:
            if screen is not None:
                screen.reached(result(after))

    if steps:
        report(Progress(0, steps, 0, stopping.points[0]["loss"], steps))
        _walk(course, parameters, settings, losses, stopping, report, at_screen)
    return result(stopping.restore())


def _require_time(losses: ShotLosses, settings: Training, validated_on: int, seconds: float, seed: bytes) -> None:
    """Refuse labels that take longer than the training may."""
    if losses.labelled is not None and isfinite(seconds):
        share = 1.0 if settings.sampling == "all" else settings.sampled_share
        losses.labelled.require_time(validated_on, share, seconds, derive_seed(seed, "labels", 0))


def _carried(carried: Carried) -> dict[str, int]:
    """How many messages found their own orbit's factor in weights of another problem; nothing of this problem's own weights."""
    if not carried.messages:
        return {}
    return {
        "carried_messages": carried.messages,
        "carried_coarser": carried.coarser,
        "carried_layer": carried.layer,
    }


def _telemetry(
    settings: Training, course: _Course, losses: ShotLosses, stopping: EarlyStopping, device: torch.device
) -> dict[str, object]:
    """What is worth telling of any training."""
    import torch

    return {
        **course.telemetry(settings.batch_size),
        **(losses.labelled.telemetry() if losses.labelled else {}),
        "seconds": round(course.time.spent, 3),
        "loss": settings.loss,
        "validation": [*stopping.points],
        "validation_before": stopping.points[0]["loss"],
        "threads": thread_count(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


def plan_steps(settings: Training, max_shots: int) -> tuple[int, int]:
    """How many steps an epoch has, and all epochs together."""
    per_epoch = max(1, min(settings.shots, max_shots // max(settings.epochs, 1)) // settings.batch_size)
    # An epoch of less than a batch takes a whole one, so all epochs together could exceed the shots.
    steps = min(per_epoch * settings.epochs, max_shots // settings.batch_size)
    return per_epoch, steps if settings.shots else 0


def _validated_on(settings: Training, steps: int, between: int) -> int:
    """Shots to draw for the validation loss."""
    from autoqec.runner.shot_losses import sampled_validation_size, validation_size

    trained_on = steps * settings.batch_size
    if settings.sampling == "all":
        return validation_size(settings.loss, trained_on)
    return sampled_validation_size(trained_on, 2 + steps // between)


def _losses(
    modules: torch.nn.ModuleDict,
    problems: Sequence[Problem],
    decoders: Sequence[CompiledDecoder] | None,
    candidate: Candidate,
    device: torch.device,
    seed: bytes,
    validated_on: int,
    levels: Sequence[Problem] = (),
    labellings: Sequence[Labelling] = (),
    recorded: Shots | None = None,
) -> ShotLosses:
    """The losses, on shots from where the settings say, with the labels that they say."""
    from autoqec.runner.labelling import needs_labels
    from autoqec.runner.shot_labels import LabelledShots
    from autoqec.runner.shot_losses import ShotLosses
    from autoqec.runner.shot_sources import AllShots, SampledShots, ShotSource

    settings = candidate.training
    labels = needs_labels(settings.loss) and not labellings
    teachers = [each for each in decoders or () if isinstance(each, TeachingDecoder)]
    confident = [each for each in decoders or () if isinstance(each, ConfidentDecoder)]
    everywhere = [*problems, *levels]
    source: ShotSource = AllShots(everywhere, labels=labels, recorded=recorded)
    if settings.sampling == "gated":
        source = SampledShots(
            everywhere, confident, settings.sampled_share, gate=candidate.gate, labels=labels, recorded=recorded
        )
    if labellings:
        source = LabelledShots(source, labellings)
    return ShotLosses(modules, problems, teachers, source, settings, device, seed, validated_on, levels)


@dataclass
class _Course:
    """How far training has come.

    Attributes:
        steps: How many it plans.
        per_epoch: How many of them use different shots.
        time: What the time allows.
        levels: How many levels the curriculum has above the target.
        screened_at: The share of the steps after which training is interrupted; None for nowhere, and afterwards.
        done: How many steps are done.
        nan_steps: How many of those changed nothing, because they were not finite.
        out_of_time: Whether the time limit cut it short.
        points: Telemetry.
    """

    steps: int
    per_epoch: int
    time: TrainingTime
    levels: int = 0
    screened_at: float | None = None
    done: int = 0
    nan_steps: int = 0
    out_of_time: bool = False
    points: list[dict[str, float]] = field(default_factory=list)

    def at_screen(self) -> bool:
        """Whether training is to be interrupted now, after a look; true once at most."""
        due = self.screened_at is not None and self.screened_at * self.steps <= self.done < self.steps
        if not due or self.done % self.time.between:
            return False
        self.screened_at = None
        return True

    def telemetry(self, batch_size: int) -> dict[str, object]:
        """What is worth telling of its end."""
        return {
            "points": [*self.points],
            "steps": self.done,
            "steps_planned": self.time.planned,
            "out_of_time": self.out_of_time,
            **self.time.telemetry(),
            "shots": self.done * batch_size,
            "nan_steps": self.nan_steps,
        }


def _walk(
    course: _Course,
    parameters: list[torch.nn.Parameter],
    settings: Training,
    losses: ShotLosses,
    stopping: EarlyStopping,
    report: Callable[[Progress], None],
    at_screen: Callable[[], None],
) -> None:
    """Take all steps, or as many as the time and early stopping allow; `at_screen` is called where the course says so."""
    from autoqec.runner.adam import CosineAdam

    planned = course.steps
    optimiser = CosineAdam(parameters, settings.learning_rate, planned)
    every = max(1, planned // _TELEMETRY_POINTS)
    while course.done < course.steps:
        step, cut = course.done, course.time.cut(course.done)
        if cut is not None:
            course.steps, every = cut, max(1, cut // _TELEMETRY_POINTS)
            optimiser.end_after(cut)
        loss = _take_step(course, step, optimiser, parameters, losses)
        course.done = done = step + 1
        late = course.time.is_over()
        if (step % every == 0 or done == course.steps or cut is not None) and isfinite(
            loss
        ):  # reports are JSON: no NaN
            course.points.append({"step": step, "loss": round(loss, 6)})
            shots = done * settings.batch_size
            report(Progress(done, course.steps, shots, course.points[-1]["loss"], planned))
        course.out_of_time = (late and done < planned) or planned > course.steps == done
        if (done % course.time.between == 0 or done == course.steps or late) and _look(course, losses, stopping):
            break
        if late:
            break
        if course.at_screen():
            at_screen()


def _look(course: _Course, losses: ShotLosses, stopping: EarlyStopping) -> bool:
    """Compute the validation loss; returns whether it says to stop, which it does not before the target is reached."""
    with course.time.looking():
        validation = losses.validation()
    at_target = level_at(course.done, course.steps, course.levels) is None
    return stopping.look(course.done, validation.mean, validation.each, may_stop=at_target)


def _take_step(
    course: _Course, step: int, optimiser: CosineAdam, parameters: list[torch.nn.Parameter], losses: ShotLosses
) -> float:
    """Take one step; returns the loss before it.

    Raises:
        TrainingDiverged: Too many steps were not finite.
    """
    import torch

    optimiser.forget_gradients()
    loss = losses.gradients(step, course.per_epoch, level_at(step, course.steps, course.levels))
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm=10.0)
    usable = bool(torch.isfinite(loss) and torch.isfinite(norm))
    optimiser.step(usable=usable)
    if not usable:
        course.nan_steps += 1
        if course.nan_steps > max(3, MAX_NAN_RATE * course.steps):
            raise TrainingDiverged(f"{course.nan_steps} of {step + 1} steps had a loss or gradient that is not finite")
    return float(loss)
