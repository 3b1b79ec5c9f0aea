"""The loss of a candidate in training, on shots drawn for it: of a batch, with gradients, and for validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from autoqec.candidate.compile import run_modules
from autoqec.candidate.schema import Training
from autoqec.decoding.decoder_contract import TeachingDecoder
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import TrainingShots
from autoqec.problem.streams import derive_seed
from autoqec.runner.devices import mixed_precision
from autoqec.runner.gap_temperature import Temperature
from autoqec.runner.losses import batch_loss, mean_loss
from autoqec.runner.shot_labels import LabelledShots
from autoqec.runner.shot_sources import ShotSource
from autoqec.shared_threads import slices

#: Shots of the validation loss, and at how many a time at most. Few shots have a gap that matters, so that loss takes more.
_VALIDATION_SHOTS = 2048
_VALIDATION_SHOTS_OF_GAP = 8192
_VALIDATION_BATCH = 256
_FEWEST_VALIDATION_SHOTS = 1024

#: With `sampling: gated`, shots that the stages compute at once at most; a forward pass keeps half a megabyte a shot and more.
_MOST_TAKEN_AT_ONCE = 1024


def validation_size(loss: str, trained_on: int) -> int:
    """Shots of the validation loss: as many as it needs, but no more than are trained on, so that a short training is short."""
    needed = _VALIDATION_SHOTS_OF_GAP if loss == "logical_gap" else _VALIDATION_SHOTS
    return min(needed, max(trained_on, _FEWEST_VALIDATION_SHOTS))


def sampled_validation_size(trained_on: int, looks: int) -> int:
    """Shots to draw for the validation loss with `sampling: gated`, so that all looks take at most a tenth of the training.

    Validation has no backward pass, so it costs at most half as much for a shot.

    Args:
        trained_on: Shots to be drawn in training.
        looks: How often the validation loss is computed.
    """
    return max(trained_on // (5 * looks), _FEWEST_VALIDATION_SHOTS)


@dataclass(frozen=True)
class Validation:
    """A validation loss.

    Attributes:
        mean: Of all shots drawn, in nats.
        each: What each shot that was taken contributes, times the number drawn, float64 `[shots]`.
    """

    mean: float
    each: np.ndarray


class ShotLosses:
    """Losses of modules on shots of a stream of their own.

    Args:
        modules: The candidate's stages, on `device`.
        problems: Where shots come from; batches take turns, and the validation loss is the first one's.
        decoders: The decoder at each rate; only the loss `logical_gap` needs them.
        source: Draws the shots.
        settings: The candidate's training.
        device: Where the modules are.
        seed: Key of the training stream.
        validation_shots: Shots of the validation loss.
        levels: The problems of a curriculum, which `decoders` and `source` have after the rates.
    """

    def __init__(
        self,
        modules: torch.nn.ModuleDict,
        problems: Sequence[Problem],
        decoders: Sequence[TeachingDecoder],
        source: ShotSource,
        settings: Training,
        device: torch.device,
        seed: bytes,
        validation_shots: int,
        levels: Sequence[Problem] = (),
    ) -> None:
        self._modules, self._decoders, self._source, self._settings = modules, decoders, source, settings
        self._device, self._seed, self._problems, self._rates = device, seed, [*problems, *levels], len(problems)
        self._priors = [torch.from_numpy(problem.priors_llr).to(device) for problem in self._problems]
        self._validation_shots = validation_shots
        self._validation: list[TrainingShots] | None = None
        self._temperature = Temperature() if fits_temperature(settings, problems[0]) else None

    @property
    def labelled(self) -> LabelledShots | None:
        """The source of shots, where they have other labels than those that were drawn."""
        return self._source if isinstance(self._source, LabelledShots) else None

    def gradients(self, step: int, per_epoch: int, level: int | None = None) -> torch.Tensor:
        """Add the gradients of a step's batch to the parameters; returns the loss.

        An epoch is a pass over the same shots, so its seeds repeat; they are drawn again rather than stored.

        Args:
            step: How many steps are done.
            per_epoch: Steps of an epoch.
            level: The level of a curriculum to draw from; None for the rates in turn.
        """
        loss = torch.zeros((), device=self._device)
        rate = step % self._rates if level is None else self._rates + level
        for shots in self._batches("batch", step % per_epoch, self._settings.batch_size, rate):
            share = mean_loss(self._loss(rate, shots, self._temperature), shots) * (
                shots.drawn / self._settings.batch_size
            )
            share.backward()  # type: ignore[no-untyped-call]
            loss += share.detach()
            del share  # with it goes the memory of this pass, which the next one can use
        return loss

    def validation(self) -> Validation:
        """The loss on the validation shots, which are always the same."""
        if self._validation is None:
            most = _VALIDATION_BATCH if self._settings.sampling == "all" else self._validation_shots
            batch = min(most, self._validation_shots)
            self._validation = [
                part
                for number in range(max(1, self._validation_shots // batch))
                for part in self._batches("validation", number, batch, 0)
            ]
        _evaluate(self._modules)
        total, each = 0.0, []
        with torch.no_grad():
            found = [self._loss(0, shots) for shots in self._validation]
            if self._temperature is not None:
                found = _at_own_temperature(found, self._validation)
            for losses, shots in zip(found, self._validation, strict=True):
                total += shots.drawn * float(mean_loss(losses, shots))
                weights = 1.0 if shots.weights is None else shots.weights
                each.append(losses.double().cpu().numpy() * weights)
        self._modules.train()
        return Validation(total / self._validation_shots, np.concatenate(each))

    def _batches(self, domain: str, number: int, shots: int, rate: int) -> Iterator[TrainingShots]:
        """Draw a batch of a domain, in parts that the stages' memory allows and whose losses add up."""
        for_validation = domain == "validation"
        if self._settings.sampling == "all":
            # What is drawn depends on how many are drawn at once, so that every part has a seed of its own.
            parts = _parts(shots, self._modules)
            for place, size in enumerate(parts):
                seed = derive_seed(self._seed, domain, number * len(parts) + place)
                yield self._source.draw(rate, size, seed, validation=for_validation)
            return
        taken = self._source.draw(rate, shots, derive_seed(self._seed, domain, number), validation=for_validation)
        most = min(_at_once(self._modules) or _MOST_TAKEN_AT_ONCE, _MOST_TAKEN_AT_ONCE)
        for rows in slices(len(taken.syndromes), most):
            yield taken.part(rows)

    def _loss(self, rate: int, shots: TrainingShots, temperature: Temperature | None = None) -> torch.Tensor:
        """The loss of each shot."""
        prior, problem = self._priors[rate], self._problems[rate]
        start = prior.expand(len(shots.syndromes), -1).contiguous()
        bits = np.unpackbits(shots.syndromes, axis=1, count=problem.num_detectors, bitorder="little")
        with mixed_precision(self._device):
            syndromes = torch.from_numpy(bits).to(self._device).float()
            beliefs = run_modules(self._modules, syndromes, start).float()
        decoder = self._decoders[rate] if self._decoders else None
        return batch_loss(self._settings.loss, beliefs, shots, prior, decoder, temperature)


def fits_temperature(settings: Training, problem: Problem) -> bool:
    """Whether the loss has a fitted temperature: the gaps of several observables cannot be read from the sum of their losses."""
    return settings.loss == "logical_gap" and settings.temperature == "fitted" and problem.num_observables == 1


def _at_own_temperature(found: Sequence[torch.Tensor], parts: Sequence[TrainingShots]) -> list[torch.Tensor]:
    """The validation losses at the temperature that suits all of them, so that two looks differ only by how shots are ordered."""
    weights = [
        np.ones(len(each)) if shots.weights is None else shots.weights for each, shots in zip(found, parts, strict=True)
    ]
    together = np.concatenate([each.cpu().numpy() for each in found])
    rescaled, _ = Temperature().rescale(together, np.concatenate(weights))
    ends = np.cumsum([len(each) for each in found])[:-1]
    return [torch.from_numpy(part) for part in np.split(rescaled, ends)]


def _at_once(modules: torch.nn.ModuleDict) -> int | None:
    """How many shots the stages' memory allows at once; None for any number."""
    wanted = [getattr(module, "shots_at_once", None) for module in modules.values()]
    return min((int(most) for most in wanted if most is not None), default=None)


def _parts(batch: int, modules: torch.nn.ModuleDict) -> list[int]:
    """A batch in parts whose gradients add up, as few as the stages' memory allows: most take it whole."""
    most = _at_once(modules) or batch
    return [most] * (batch // most) + ([batch % most] if batch % most else [])


def _evaluate(modules: torch.nn.ModuleDict) -> None:
    """Evaluation mode, but for stages that compute the same, only faster, in training mode."""
    modules.eval()
    for module in modules.values():
        if getattr(module, "same_in_training", False):
            module.train()
