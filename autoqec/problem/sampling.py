"""Draws shots (syndromes and true outcomes) in chunks, each fixed by its seed whatever the number of workers.

Stim's shots depend on the seed and on the number of shots per call. So every stream consists of chunks of one size, each with
its own seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from autoqec.problem.problem import Problem

#: Shots per seed. A stream is `chunk 0, chunk 1, …`, each always drawn in full.
CHUNK_SHOTS = 4096


@dataclass(frozen=True)
class Shots:
    """A batch of shots.

    Attributes:
        syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.
        observables: True logical flips, bit-packed little-endian, uint8 `[shots, ceil(observables / 8)]`.
    """

    syndromes: np.ndarray
    observables: np.ndarray

    def __len__(self) -> int:
        return len(self.syndromes)


def sample_chunk(problem: Problem, seed: int) -> Shots:
    """Draw `CHUNK_SHOTS` shots from the circuit if there is one, else from the error model.

    Args:
        problem: The problem.
        seed: 64-bit seed of this chunk.
    """
    if problem.circuit is not None:
        sampler = problem.circuit.compile_detector_sampler(seed=seed)
        syndromes, observables = sampler.sample(CHUNK_SHOTS, separate_observables=True, bit_packed=True)
    else:
        syndromes, observables, _ = problem.dem.compile_sampler(seed=seed).sample(CHUNK_SHOTS, bit_packed=True)
    return Shots(syndromes, observables)


class Labelled(NamedTuple):
    """Shots with the mechanisms that fired, for training.

    Attributes:
        syndromes: bool `[shots, detectors]`.
        observables: True logical flips, bool `[shots, observables]`.
        fired: Mechanisms that fired, bool `[shots, mechanisms]`; instructions merged into one mechanism cancel in pairs.
    """

    syndromes: np.ndarray
    observables: np.ndarray
    fired: np.ndarray


def sample_labelled(problem: Problem, shots: int, seed: int) -> Labelled:
    """Draw shots and the mechanisms that fired from the error model."""
    syndromes, observables, fired, _, _ = Draw(problem, shots, seed, labels=True).take()
    assert fired is not None
    return Labelled(_bits(syndromes, problem.num_detectors), _bits(observables, problem.num_observables), fired)


def _bits(packed: np.ndarray, count: int) -> np.ndarray:
    return np.unpackbits(packed, axis=1, count=count, bitorder="little").view(bool)


class TrainingShots(NamedTuple):
    """Shots to train on.

    Attributes:
        syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.
        observables: True logical flips, packed as `syndromes`, uint8 `[shots, ceil(observables / 8)]`.
        fired: Mechanisms that fired, bool `[shots, mechanisms]`, as in `Labelled`; None if they were not asked for.
        weights: Of each shot in a loss, float32 `[shots]`; None if all have the weight 1.
        drawn: How many shots these stand for: the loss is the weighted sum over `shots`, divided by this number.
    """

    syndromes: np.ndarray
    observables: np.ndarray
    fired: np.ndarray | None
    weights: np.ndarray | None
    drawn: int

    def part(self, rows: slice) -> TrainingShots:
        """Some of these shots, which stand for as many; the losses of all parts add up to the loss."""
        fired = None if self.fired is None else self.fired[rows]
        weights = None if self.weights is None else self.weights[rows]
        return TrainingShots(self.syndromes[rows], self.observables[rows], fired, weights, self.drawn)


class Draw:
    """Shots drawn from the error model, of which `take` returns some; mechanisms are looked up for those only.

    The same seed and number of shots give the shots of `sample_labelled`.

    Args:
        problem: The problem.
        shots: How many.
        seed: 64-bit seed.
        labels: Whether `take` tells the mechanisms that fired; drawing costs more then.
    """

    def __init__(self, problem: Problem, shots: int, seed: int, *, labels: bool) -> None:
        self._problem = problem
        self.syndromes, self._observables, self._errors = problem.dem.compile_sampler(seed=seed).sample(
            shots, return_errors=labels, bit_packed=True
        )

    def take(self, rows: np.ndarray | None = None, weights: np.ndarray | None = None) -> TrainingShots:
        """Return the shots of some rows, in their order, with the given weights; None for all."""
        chosen: np.ndarray | slice = slice(None) if rows is None else rows
        syndromes = np.ascontiguousarray(self.syndromes[chosen])
        fired = None if self._errors is None else _fired(self._problem, self._errors[chosen])
        return TrainingShots(syndromes, self._observables[chosen], fired, weights, len(self.syndromes))


class RecordedDraw:
    """Shots chosen from recorded ones, which are taken as from a `Draw`; which mechanisms fired in them nobody knows.

    Args:
        recorded: Where they are chosen from: without replacement, if there are enough.
        shots: How many.
        seed: 64-bit seed.
    """

    def __init__(self, recorded: Shots, shots: int, seed: int) -> None:
        rows = np.random.default_rng(seed).choice(len(recorded), shots, replace=shots > len(recorded))
        self.syndromes, self._observables = recorded.syndromes[rows], recorded.observables[rows]

    def take(self, rows: np.ndarray | None = None, weights: np.ndarray | None = None) -> TrainingShots:
        """See `Draw.take`."""
        chosen: np.ndarray | slice = slice(None) if rows is None else rows
        syndromes = np.ascontiguousarray(self.syndromes[chosen])
        return TrainingShots(syndromes, self._observables[chosen], None, weights, len(self.syndromes))


def _fired(problem: Problem, errors: np.ndarray) -> np.ndarray:
    """Fold instructions that fired, bit-packed `[shots, bytes]`, into mechanisms, by parity."""
    fired = np.zeros((len(errors), len(problem.mechanisms)), dtype=bool)
    # Few instructions fire, so it is cheaper to list them than to copy a column for each.
    of_instruction = problem.mechanisms.of_instruction
    shot, instruction = np.nonzero(_bits(errors, of_instruction.size))
    owner = of_instruction[instruction]
    kept = owner >= 0
    np.bitwise_xor.at(fired.view(np.uint8).reshape(-1), shot[kept] * fired.shape[1] + owner[kept], 1)
    return fired
