"""Warnings about a problem before any research, printed by `autoqec env check`. They are no reason to refuse it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from autoqec.problem.flat_errors import flat_errors
from autoqec.problem.problem import Problem
from autoqec.results.measured_decoder import MeasuredDecoder

#: Above this failure rate a decoder is hardly better than a coin flip, and a gain says nothing about low noise.
_TOO_LOUD = 0.3

#: Below so many failures the baseline's rate is not known to a factor of two, and a verdict needs very many shots.
_TOO_FEW = 10


def degrees(problem: Problem) -> dict[str, dict[str, float]]:
    """Least, mean and largest number of detectors per mechanism, and of mechanisms per detector."""
    mechanisms = problem.mechanisms
    per_detector = np.bincount(mechanisms.detector, minlength=problem.num_detectors)
    return {
        name: {"least": int(found.min()), "mean": round(float(found.mean()), 2), "largest": int(found.max())}
        for name, found in (("mechanism_degree", np.diff(mechanisms.start)), ("detector_degree", per_detector))
    }


def components(problem: Problem) -> int:
    """The number of connected components of the Tanner graph, without detectors that nothing flips."""
    mechanisms = problem.mechanisms
    owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
    size = problem.num_detectors + len(mechanisms)
    graph = coo_array((np.ones(len(owner)), (mechanisms.detector, owner + problem.num_detectors)), shape=(size, size))
    return int(connected_components(graph, directed=False)[0]) - len(_silent(problem))


def findings(problem: Problem, baseline: MeasuredDecoder) -> list[dict[str, str]]:
    """Each warning with the field of the environment it comes from.

    Args:
        problem: The problem.
        baseline: Its own decoder, on at least one shot.

    Returns:
        `field` and `finding` of each.
    """
    found = []
    silent = _silent(problem)
    if len(silent):
        found.append(("code", f"detectors that nothing flips: {len(silent)}, the first is D{silent[0]}"))
    unseen = _unseen(problem)
    if unseen:
        found.append(("code", f"an error of probability {unseen:.3g} flips an observable and no detector"))
    twins = _twins(problem)
    if twins:
        found.append(
            ("code", f"errors with the syndrome of another error but other observables: {twins}; the distance is two")
        )
    rate, failures = baseline.failures / baseline.shots, baseline.failures
    if rate > _TOO_LOUD:
        found.append(("noise.p", f"the baseline fails in {rate:.0%} of shots: the noise is above threshold"))
    if failures < _TOO_FEW:
        found.append(
            (
                "noise.p",
                f"failures of the baseline: {failures} in {baseline.shots:,} shots; a gain will hardly show",
            )
        )
    return [{"field": field, "finding": text} for field, text in found]


def _silent(problem: Problem) -> np.ndarray:
    return np.setdiff1d(np.arange(problem.num_detectors), problem.mechanisms.detector)


def _unseen(problem: Problem) -> float:
    """Probability that an error without detectors flips an observable; no decoder can correct it."""
    errors = flat_errors(problem.dem)
    sizes = errors.detectors_of(errors.whole, errors.whole_start)
    unseen = (sizes == 0) & (np.diff(errors.whole_start) > 0)
    return float(1 - np.prod(1 - errors.probability[unseen]))


def _twins(problem: Problem) -> int:
    data, ends = problem.mechanisms.detector.tobytes(), (4 * problem.mechanisms.start.astype(np.int64)).tolist()
    return len(problem.mechanisms) - len({data[i:j] for i, j in pairwise(ends)})
