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
    syndromes, observables, errors = problem.dem.compile_sampler(seed=seed).sample(shots, return_errors=True)
    assert errors is not None  # return_errors=True
    fired = np.zeros((shots, len(problem.mechanisms)), dtype=bool)
    kept = np.flatnonzero(problem.mechanisms.of_instruction >= 0)
    owner = problem.mechanisms.of_instruction[kept]
    # Mechanisms with one instruction need no parity: copy those in one step, and loop over the rest only.
    counts = np.bincount(owner, minlength=len(problem.mechanisms))
    single = counts[owner] == 1
    fired[:, owner[single]] = errors[:, kept[single]]
    for instruction, mechanism in zip(kept[~single], owner[~single], strict=True):
        fired[:, mechanism] ^= errors[:, instruction]
    return Labelled(syndromes, observables, fired)
