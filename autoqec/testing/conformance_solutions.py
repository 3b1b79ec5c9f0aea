"""Conformance checks of the solutions that a decoder offers to ensembles, if it offers any."""

from __future__ import annotations

import numpy as np

from autoqec.decoding.decoder_contract import CompiledDecoder, Decoder, Solutions, SolvingDecoder
from autoqec.errors import UsageError
from autoqec.problem.problem import Problem, problem_from_dem
from autoqec.problem.sampling import sample_chunk
from autoqec.testing.conformance_confidence import SMALL_MODEL, all_sets

_SHOTS = 64
_ALONE = 8

#: How far a weight may be from the sum that it stands for, in nats.
_NOISE = 0.01


def check_solutions(decoder: Decoder, compiled: CompiledDecoder, problem: Problem, seed: int) -> None:
    """Check the solutions of a decoder; one that offers none passes.

    Args:
        decoder: The decoder.
        compiled: It, compiled for the problem.
        problem: The problem.
        seed: Of the shots.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    if not isinstance(compiled, SolvingDecoder):
        return
    syndromes = sample_chunk(problem, seed).syndromes[:_SHOTS]
    beliefs = _beliefs(problem, len(syndromes), seed)
    found = compiled.solutions(syndromes, beliefs)
    _check_arrays(found, len(syndromes), problem)
    _check_batches(compiled, syndromes, beliefs, found)
    _check_names(found, compiled.solutions(syndromes, _beliefs(problem, len(syndromes), seed + 1)))
    answer = compiled.decode(syndromes, beliefs)
    solved = np.isfinite(found.weights)
    among = ((found.observables == answer.observables[:, None]).all(axis=2) & solved).any(axis=1)
    assert (among | answer.invalid | ~solved.any(axis=1)).all(), (
        "the answer of decode to the same beliefs must be among the solutions"
    )
    _check_weights(decoder)


def _beliefs(problem: Problem, shots: int, seed: int) -> np.ndarray:
    """The priors, disordered, float32 `[shots, mechanisms]`."""
    noise = np.random.default_rng(seed).normal(0, 1, (shots, len(problem.mechanisms)))
    return (np.rint((problem.priors_llr + noise) * 1024) / 1024).astype(np.float32)


def _check_arrays(found: Solutions, shots: int, problem: Problem) -> None:
    classes = found.weights.shape[1] if found.weights.ndim == 2 else 0
    assert classes > 0, "weights must have shape (shots, classes), with at least one class"
    shapes = {
        "observables": (np.uint8, (shots, classes, problem.observable_bytes)),
        "weights": (np.float32, (shots, classes)),
        "believed": (np.float32, (shots, classes)),
        "names": (np.uint64, (shots, classes)),
    }
    for name, (dtype, shape) in shapes.items():
        each = getattr(found, name)
        assert each.dtype == dtype, f"{name} must be {np.dtype(dtype).name}, not {each.dtype}"
        assert each.shape == shape, f"{name} must have shape {shape}, not {each.shape}"
    assert not np.isnan(found.weights).any(), "a weight must not be NaN"
    assert (found.weights > -np.inf).all(), "a weight must not be minus infinity"
    assert np.isfinite(found.believed[np.isfinite(found.weights)]).all(), "what is believed must be finite"


def _check_batches(compiled: SolvingDecoder, syndromes: np.ndarray, beliefs: np.ndarray, whole: Solutions) -> None:
    for shot in range(_ALONE):
        alone = compiled.solutions(syndromes[shot : shot + 1], beliefs[shot : shot + 1])
        for name in ("observables", "weights", "believed", "names"):
            same = np.array_equal(getattr(alone, name)[0], getattr(whole, name)[shot])
            assert same, f"{name} of a shot must not depend on the other shots of a batch"


def _check_names(one: Solutions, other: Solutions) -> None:
    """Check that a name stands for one solution of a shot, whatever the beliefs are."""
    for here, there in ((one, one), (one, other)):
        same = (here.names[:, :, None] == there.names[:, None, :]) & np.isfinite(here.weights)[:, :, None]
        same &= np.isfinite(there.weights)[:, None, :]
        flips = (here.observables[:, :, None] == there.observables[:, None, :]).all(axis=3)
        weights = np.abs(here.weights[:, :, None] - there.weights[:, None, :]) <= _NOISE
        assert (flips & weights)[same].all(), "solutions with equal names must have equal observables and weights"


def _check_weights(decoder: Decoder) -> None:
    """Check that each weight is that of a set of mechanisms with the syndrome and the observables of the solution."""
    import stim

    problem = problem_from_dem(stim.DetectorErrorModel(SMALL_MODEL), name="small")
    weights, places, classes = all_sets(problem)
    syndromes = np.arange(1 << problem.num_detectors, dtype=np.uint8)[:, None]
    try:
        compiled = decoder.compile(problem)
    except UsageError:
        return
    assert isinstance(compiled, SolvingDecoder)
    found = compiled.solutions(syndromes, _beliefs(problem, len(syndromes), 1))
    told: dict[tuple[int, int], tuple[int, float]] = {}
    for syndrome, place in np.argwhere(np.isfinite(found.weights)).tolist():
        flips, weight = int(found.observables[syndrome, place, 0]), float(found.weights[syndrome, place])
        there = weights[(places == syndrome) & (classes == flips)]
        assert len(there), (
            f"a solution of syndrome {syndrome} of a small model flips {flips:b}, which no errors explain"
        )
        nearest = float(there[np.abs(there - weight).argmin()])
        assert abs(nearest - weight) <= _NOISE, (
            f"a weight is the sum of the prior log-likelihood ratios of a solution's mechanisms: {nearest:.3f} nats is "
            f"the nearest for syndrome {syndrome:0{problem.num_detectors}b} of a small model, not {weight:.3f}"
        )
        name = int(found.names[syndrome, place])
        known = told.setdefault((syndrome, name), (flips, round(weight, 1)))
        assert known == (flips, round(weight, 1)), "two solutions of one shot must not have one name"
