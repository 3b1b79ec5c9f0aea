"""The loss of a candidate in training, on labelled shots drawn for it: of a batch, with gradients, and for validation."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from autoqec.candidate.compile import run_modules
from autoqec.candidate.schema import Training
from autoqec.decoding.decoder_contract import TeachingDecoder
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_labelled
from autoqec.problem.streams import derive_seed
from autoqec.runner.devices import mixed_precision
from autoqec.runner.losses import batch_loss

#: Shots of the validation loss, and at how many a time at most. Few shots have a gap that matters, so that loss takes more.
_VALIDATION_SHOTS = 2048
_VALIDATION_SHOTS_OF_GAP = 8192
_VALIDATION_BATCH = 256
_FEWEST_VALIDATION_SHOTS = 1024


def validation_size(loss: str, trained_on: int) -> int:
    """Shots of the validation loss: as many as it needs, but no more than are trained on, so that a short training is short."""
    needed = _VALIDATION_SHOTS_OF_GAP if loss == "logical_gap" else _VALIDATION_SHOTS
    return min(needed, max(trained_on, _FEWEST_VALIDATION_SHOTS))


class ShotLosses:
    """Losses of modules on shots of a stream of their own.

    Args:
        modules: The candidate's stages, on `device`.
        problems: Where shots come from; batches take turns, and the validation loss is the first one's.
        decoders: The decoder at each rate; only the loss `logical_gap` needs them.
        settings: The candidate's training.
        device: Where the modules are.
        seed: Key of the training stream.
        validation_shots: Shots of the validation loss.
    """

    def __init__(
        self,
        modules: torch.nn.ModuleDict,
        problems: Sequence[Problem],
        decoders: Sequence[TeachingDecoder] | None,
        settings: Training,
        device: torch.device,
        seed: bytes,
        validation_shots: int,
    ) -> None:
        self._modules, self._problems, self._decoders, self._settings = modules, problems, decoders, settings
        self._device, self._seed = device, seed
        self._priors = [torch.from_numpy(problem.priors_llr).to(device) for problem in problems]
        self._batch = _parts(settings.batch_size, modules)
        self._validation_shots = validation_shots

    def gradients(self, step: int, per_epoch: int) -> torch.Tensor:
        """Add the gradients of a step's batch to the parameters; returns the loss.

        An epoch is a pass over the same shots, so its seeds repeat; they are drawn again rather than stored.
        """
        loss = torch.zeros((), device=self._device)
        for part, shots in enumerate(self._batch):
            number = step % per_epoch * len(self._batch) + part
            share = self._loss(step % len(self._problems), shots, derive_seed(self._seed, "batch", number))
            share = share * (shots / self._settings.batch_size)
            share.backward()  # type: ignore[no-untyped-call]
            loss += share.detach()
        return loss

    def validation(self) -> float:
        """The loss on the validation shots, which are always the same."""
        _evaluate(self._modules)
        wanted = self._validation_shots
        batches = _parts(min(_VALIDATION_BATCH, wanted), self._modules) * max(1, wanted // _VALIDATION_BATCH)
        with torch.no_grad():
            losses = [
                shots * float(self._loss(0, shots, derive_seed(self._seed, "validation", i)))
                for i, shots in enumerate(batches)
            ]
        self._modules.train()
        return sum(losses) / wanted

    def _loss(self, rate: int, shots: int, chunk_seed: int) -> torch.Tensor:
        drawn, prior = sample_labelled(self._problems[rate], shots, chunk_seed), self._priors[rate]
        start = prior.expand(shots, -1).contiguous()
        with mixed_precision(self._device):
            syndromes = torch.from_numpy(drawn.syndromes).to(self._device).float()
            beliefs = run_modules(self._modules, syndromes, start).float()
        return batch_loss(self._settings.loss, beliefs, drawn, prior, self._decoders[rate] if self._decoders else None)


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
