"""Losses of a batch: how wrong the beliefs are about the mechanisms that fired, or how wrong the decoder's answer would be.

`bce`, `weighted_bce` and `focal` ask which mechanisms fired. Many patterns of mechanisms are the same up to a stabiliser, so
most of that question does not matter. `logical_gap` asks the environment's decoder only which logical class is lighter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from autoqec.decoding.decoder_contract import TeachingDecoder
from autoqec.problem.sampling import TrainingShots
from autoqec.runner.gap_temperature import Temperature
from autoqec.shared_threads import in_parallel, slices

_FOCAL_GAMMA = 2.0

#: Shots that a thread takes at a time; they cost very different times, so this is few.
_SHOTS_AT_A_TIME = 32


def batch_loss(
    name: str,
    beliefs: torch.Tensor,
    shots: TrainingShots,
    priors: torch.Tensor,
    decoder: TeachingDecoder | None,
    temperature: Temperature | None = None,
) -> torch.Tensor:
    """Loss of each shot, in nats, float32 `[shots]`.

    Args:
        name: A value of `Training.loss`.
        beliefs: Log-odds of not firing, float32 `[shots, mechanisms]`.
        shots: What really happened; its weights are not applied.
        priors: The problem's own log-odds of not firing, float32 `[mechanisms]`.
        decoder: The decoder that asks for `logical_gap`; the other losses need none.
        temperature: Of the loss `logical_gap`; None for 1.
    """
    if name == "logical_gap":
        assert decoder is not None
        loss: torch.Tensor = _LogicalGap.apply(beliefs, shots, decoder, temperature)  # type: ignore[no-untyped-call]
        return loss
    assert shots.fired is not None
    fired = torch.from_numpy(shots.fired).to(beliefs)
    nats = functional.binary_cross_entropy_with_logits(-beliefs, fired, reduction="none")
    if name == "focal":
        # Lin et al. 2017: reduce the weight of clear cases, so that the few ambiguous mechanisms dominate.
        nats = nats * (1.0 - (-nats).exp()) ** _FOCAL_GAMMA
    if name == "weighted_bce":
        # Weigh each mechanism by the inverse entropy of its prior, so that rare ones count as much as common ones. The usual
        # weights per outcome would teach beliefs that are off by the logarithm of the weights' ratio.
        chance = torch.sigmoid(-priors)
        entropy = functional.binary_cross_entropy_with_logits(-priors, chance, reduction="none")
        nats = nats * (entropy.mean() / entropy.clamp(min=1e-9))
    return nats.sum(dim=1)


def mean_loss(each: torch.Tensor, shots: TrainingShots) -> torch.Tensor:
    """The loss of all shots drawn, estimated from that of those that were taken."""
    if shots.weights is None and len(each) == shots.drawn:
        return each.mean()
    if shots.weights is not None:
        each = each * torch.from_numpy(shots.weights).to(each)
    return each.sum() / shots.drawn


class _LogicalGap(torch.autograd.Function):
    """`TeachingDecoder.logical_gap_loss` as a differentiable operation; threads share the shots, which are independent."""

    @staticmethod
    def forward(
        ctx: Any, beliefs: torch.Tensor, shots: TrainingShots, decoder: TeachingDecoder, temperature: Temperature | None
    ) -> torch.Tensor:
        rows = np.ascontiguousarray(beliefs.detach().cpu().numpy())
        done = in_parallel(
            lambda part: decoder.logical_gap_loss(shots.syndromes[part], rows[part], shots.observables[part]),
            slices(len(rows), _SHOTS_AT_A_TIME),
        )
        losses = np.concatenate([loss for loss, _ in done])
        by_beliefs = np.concatenate([gradient for _, gradient in done])
        if temperature is not None:
            losses, factor = temperature.rescale(losses, shots.weights)
            by_beliefs *= factor[:, None]
        ctx.by_beliefs = torch.from_numpy(by_beliefs).to(beliefs.device)
        return torch.from_numpy(losses).to(beliefs.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_loss: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return ctx.by_beliefs * by_loss.unsqueeze(1), None, None, None
