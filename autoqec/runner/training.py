"""Training: fresh labelled shots in, weights out; the label of a shot is the set of mechanisms that really fired.

Several error patterns share a syndrome, so a label is a sample from the posterior: cross-entropy on the marginals is well
posed, an exact match is not a metric. Shots of a stream of their own give a validation loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoqec.candidate.compile import build_modules, load_tensors, module_tensors, run_modules
from autoqec.candidate.schema import Candidate
from autoqec.decoding.contract import TeachingDecoder
from autoqec.errors import AutoQECError
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_labelled
from autoqec.problem.streams import derive_seed
from autoqec.runner.losses import batch_loss

if TYPE_CHECKING:
    import torch

#: Fraction of steps with a non-finite loss or gradient beyond which training is stopped.
MAX_NAN_RATE = 0.05

#: Shots of the validation loss, and about how many points of telemetry a round keeps.
_VALIDATION_SHOTS = 2048
_TELEMETRY_POINTS = 50


class TrainingDiverged(AutoQECError):
    """Too many steps had a loss or gradient that was not finite."""


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Attributes:
        tensors: Weights by `<slug>.<parameter>`.
        telemetry: `{"step", "loss"}` points, the validation loss before and after, steps, shots, NaN steps, seconds.
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
    problem: Problem,
    decoder: TeachingDecoder | None,
    *,
    seed: bytes,
    max_shots: int,
    initial: Mapping[str, np.ndarray],
    inherit: bool,
    report: Callable[[Progress], None],
) -> Trained:
    """Train a candidate's stages end to end with Adam and a cosine schedule.

    Args:
        candidate: What to train; an empty pipeline or zero shots leaves the initial weights.
        problem: Where shots come from.
        decoder: What the beliefs will feed, where it can teach; needed by the loss `logical_gap` alone.
        seed: Key of the training stream; the same key gives the same weights on the same machine.
        max_shots: The profile's cap on shots drawn, over all epochs.
        initial: Weights of the parents, used where names and shapes fit if `inherit` or the candidate's `init: parents` says so.
        inherit: Whether this is a composed child, which always starts from its parents.
        report: Called about fifty times.

    Raises:
        TrainingDiverged: More than `MAX_NAN_RATE` of the steps were not finite.
    """
    import torch

    torch.use_deterministic_algorithms(True)
    torch.manual_seed(derive_seed(seed, "init", 0))
    settings = candidate.training
    modules = build_modules(candidate, problem)
    inherited = load_tensors(modules, initial) if inherit or settings.init == "parents" else []
    parameters = [p for p in modules.parameters() if p.requires_grad]
    per_epoch = max(1, min(settings.shots, max_shots // max(settings.epochs, 1)) // settings.batch_size)
    steps = per_epoch * settings.epochs if parameters and settings.shots and max_shots >= settings.batch_size else 0
    priors = torch.from_numpy(problem.priors_llr)

    def loss_of(shots: int, chunk_seed: int) -> torch.Tensor:
        drawn = sample_labelled(problem, shots, chunk_seed)
        start = priors.expand(shots, -1).contiguous()
        beliefs = run_modules(modules, torch.from_numpy(drawn.syndromes).float(), start)
        return batch_loss(settings.loss, beliefs, drawn, decoder)

    def validation() -> float:
        with torch.no_grad():
            return float(loss_of(_VALIDATION_SHOTS, derive_seed(seed, "validation", 0)))

    began = time.monotonic()
    before = validation()
    if steps:
        report(Progress(0, steps, 0, before))
    points: list[dict[str, float]] = []
    nan_steps = 0
    if steps:
        optimiser = torch.optim.Adam(parameters, lr=settings.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
        every = max(1, steps // _TELEMETRY_POINTS)
        for step in range(steps):
            # An epoch is a pass over the same shots, so its seeds repeat; they are drawn again rather than stored.
            optimiser.zero_grad()
            loss = loss_of(settings.batch_size, derive_seed(seed, "batch", step % per_epoch))
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm=10.0)
            if torch.isfinite(loss) and torch.isfinite(norm):
                optimiser.step()
            else:
                nan_steps += 1
                if nan_steps > max(3, MAX_NAN_RATE * steps):
                    raise TrainingDiverged(f"{nan_steps} of {step + 1} steps had a loss or gradient that is not finite")
            schedule.step()
            if step % every == 0 or step == steps - 1:
                points.append({"step": step, "loss": round(float(loss.detach()), 6)})
                report(Progress(step + 1, steps, (step + 1) * settings.batch_size, points[-1]["loss"]))
    return Trained(
        tensors=module_tensors(modules),
        telemetry={
            "loss": settings.loss,
            "points": points,
            "validation_before": round(before, 6),
            "validation_after": round(validation(), 6),
            "steps": steps,
            "shots": steps * settings.batch_size,
            "nan_steps": nan_steps,
            "inherited": inherited,
            "seconds": round(time.monotonic() - began, 3),
            "threads": torch.get_num_threads(),
        },
    )
