"""Training: fresh labelled shots in, weights out; the label of a shot is the set of mechanisms that really fired.

Several error patterns share a syndrome, so a label is a sample from the posterior: cross-entropy on the marginals is well
posed, an exact match is not a metric. Shots of a stream of their own give a validation loss, and the weights at which it was
lowest are kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from autoqec.candidate.compile import build_modules, load_tensors, module_tensors, run_modules
from autoqec.candidate.schema import Candidate
from autoqec.decoding.decoder_contract import TeachingDecoder
from autoqec.errors import AutoQECError
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_labelled
from autoqec.problem.streams import derive_seed
from autoqec.runner.devices import choose_device, mixed_precision
from autoqec.runner.losses import batch_loss
from autoqec.runner.stopping import EarlyStopping, steps_between_looks

if TYPE_CHECKING:
    import torch

#: Fraction of steps with a non-finite loss or gradient beyond which training is stopped.
MAX_NAN_RATE = 0.05

#: Shots of the validation loss, at how many a time at most, and about how many points of telemetry a round keeps. Few shots
#: have a gap that matters, so that loss takes more of them.
_VALIDATION_SHOTS = 2048
_VALIDATION_SHOTS_OF_GAP = 8192
_VALIDATION_BATCH = 256
_TELEMETRY_POINTS = 50


class TrainingDiverged(AutoQECError):
    """Too many steps had a loss or gradient that was not finite."""

    code = "diverged"


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Attributes:
        tensors: Weights by `<slug>.<parameter>`.
        telemetry: `{"step", "loss"}` points of the training and of the validation loss, the latter before and after, steps
            and shots planned and done, NaN steps, seconds, device.
    """

    tensors: dict[str, np.ndarray]
    telemetry: dict[str, object]


@dataclass(frozen=True)
class Progress:
    """One moment of training: steps done and to do, shots seen, last loss."""

    step: int
    steps: int
    shots: int
    loss: float


def train(
    candidate: Candidate,
    problems: Sequence[Problem],
    decoders: Sequence[TeachingDecoder] | None,
    *,
    seed: bytes,
    max_shots: int,
    initial: Mapping[str, np.ndarray],
    inherit: bool,
    report: Callable[[Progress], None],
    seconds: float = inf,
    validation_shots: int | None = None,
) -> Trained:
    """Train a candidate's stages end to end with Adam and a cosine schedule.

    Args:
        candidate: What to train; an empty pipeline or zero shots leaves the initial weights.
        problems: Where shots come from: the problem at its target rate, then at the environment's other rates. Batches take
            turns; the validation loss is the target's.
        decoders: What the beliefs will feed at each rate, where it can teach; needed by the loss `logical_gap` alone.
        seed: Key of the training stream; the same key gives the same weights on the same machine.
        max_shots: The profile's cap on shots drawn, over all epochs.
        initial: Weights of the parents, used where names and shapes fit if `inherit` or the candidate's `init: parents` says so.
        inherit: Whether this is a composed child, which always starts from its parents.
        report: Called about fifty times.
        seconds: Wall clock after which no further step is begun; the best weights so far are kept. Only then do the weights
            depend on the machine.
        validation_shots: Shots of the validation loss; None for as many as the loss needs.

    Raises:
        TrainingDiverged: More than `MAX_NAN_RATE` of the steps were not finite, or the loss before the first.
    """
    import torch

    from autoqec.runner.adam import CosineAdam

    torch.set_deterministic_debug_mode(
        "error"
    )  # as use_deterministic_algorithms, which imports the compiler to say so to it
    torch.manual_seed(derive_seed(seed, "init", 0))
    settings = candidate.training
    modules = build_modules(candidate, problems[0])
    inherited = load_tensors(modules, initial) if inherit or settings.init == "parents" else []
    device = choose_device(settings.device)
    modules.to(device)
    parameters = [p for p in modules.parameters() if p.requires_grad]
    per_epoch = max(1, min(settings.shots, max_shots // max(settings.epochs, 1)) // settings.batch_size)
    steps = per_epoch * settings.epochs if parameters and settings.shots and max_shots >= settings.batch_size else 0
    priors = [torch.from_numpy(problem.priors_llr).to(device) for problem in problems]
    parts = _parts(settings.batch_size, modules)

    def loss_of(rate: int, shots: int, chunk_seed: int) -> torch.Tensor:
        drawn = sample_labelled(problems[rate], shots, chunk_seed)
        start = priors[rate].expand(shots, -1).contiguous()
        with mixed_precision(device):
            beliefs = run_modules(modules, torch.from_numpy(drawn.syndromes).to(device).float(), start).float()
        return batch_loss(settings.loss, beliefs, drawn, priors[rate], decoders[rate] if decoders else None)

    def validation() -> float:
        _evaluate(modules)
        wanted = validation_shots or (_VALIDATION_SHOTS_OF_GAP if settings.loss == "logical_gap" else _VALIDATION_SHOTS)
        batches = _parts(min(_VALIDATION_BATCH, wanted), modules) * max(1, wanted // _VALIDATION_BATCH)
        with torch.no_grad():
            losses = [
                shots * float(loss_of(0, shots, derive_seed(seed, "validation", i))) for i, shots in enumerate(batches)
            ]
        modules.train()
        return sum(losses) / wanted

    began = time.monotonic()
    stopping = EarlyStopping(modules, settings.patience)
    untrained = validation()
    if not isfinite(untrained):
        raise TrainingDiverged("the loss of the untrained candidate is not finite", code="untrained_not_finite")
    stopping.look(0, untrained)
    between = steps_between_looks(steps, settings.batch_size, settings.patience)
    points: list[dict[str, float]] = []
    done, nan_steps, out_of_time = 0, 0, False
    if steps:
        report(Progress(0, steps, 0, stopping.points[0]["loss"]))
        optimiser = CosineAdam(parameters, settings.learning_rate, steps)
        every = max(1, steps // _TELEMETRY_POINTS)
    for step in range(steps):
        # An epoch is a pass over the same shots, so its seeds repeat; they are drawn again rather than stored.
        optimiser.forget_gradients()
        loss = torch.zeros((), device=device)
        for part, shots in enumerate(parts):
            number = step % per_epoch * len(parts) + part
            share = loss_of(step % len(problems), shots, derive_seed(seed, "batch", number))
            share = share * (shots / settings.batch_size)
            share.backward()  # type: ignore[no-untyped-call]
            loss += share.detach()
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm=10.0)
        usable = bool(torch.isfinite(loss) and torch.isfinite(norm))
        optimiser.step(usable=usable)
        if not usable:
            nan_steps += 1
            if nan_steps > max(3, MAX_NAN_RATE * steps):
                raise TrainingDiverged(f"{nan_steps} of {step + 1} steps had a loss or gradient that is not finite")
        done = step + 1
        if (step % every == 0 or done == steps) and isfinite(float(loss)):  # what is told is JSON, which has no NaN
            points.append({"step": step, "loss": round(float(loss), 6)})
            report(Progress(done, steps, done * settings.batch_size, points[-1]["loss"]))
        out_of_time = done < steps and time.monotonic() - began > seconds
        if (done % between == 0 or done == steps or out_of_time) and stopping.look(done, validation()):
            break
        if out_of_time:
            break
    after = stopping.restore()
    return Trained(
        tensors=module_tensors(modules),
        telemetry={
            "loss": settings.loss,
            "points": points,
            "validation": stopping.points,
            "validation_before": stopping.points[0]["loss"],
            "validation_after": round(after, 6),
            "steps": done,
            "steps_planned": steps,
            "out_of_time": out_of_time,
            "shots": done * settings.batch_size,
            "nan_steps": nan_steps,
            "inherited": inherited,
            "seconds": round(time.monotonic() - began, 3),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        },
    )


def _parts(batch: int, modules: torch.nn.ModuleDict) -> list[int]:
    """A batch in parts whose gradients add up, as few as the stages' memory allows: most take it whole."""
    most = min((int(getattr(module, "shots_at_once", batch)) for module in modules.values()), default=batch)
    return [most] * (batch // most) + ([batch % most] if batch % most else [])


def _evaluate(modules: torch.nn.ModuleDict) -> None:
    """Evaluation mode, but for stages that compute the same, only faster, in training mode."""
    modules.eval()
    for module in modules.values():
        if getattr(module, "same_in_training", False):
            module.train()
