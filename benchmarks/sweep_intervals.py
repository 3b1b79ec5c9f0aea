"""How often the intervals of a sweep hold the truth: of Λ and of crossings, in simulations where the truth is known.

    python benchmarks/sweep_intervals.py [--times 400]

prints a JSON object for each setting: how often the interval held the truth, of how many, with its exact 95 % interval.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from math import exp

import numpy as np

from autoqec.results.crossing import LogRatio, fit_crossing, log_rate
from autoqec.results.piece_rates import shot_rate
from autoqec.results.statistics import rate_interval
from autoqec.results.suppression import DistanceCounts, fit_suppression

#: The physical error rate at which all curves cross.
THRESHOLD = 0.007

#: Λ, the rate per round at distance 3, the distances, and the shots of each.
FACTORS = [
    (2.5, 0.02, (3, 5, 7), (20_000, 60_000, 200_000)),
    (1.3, 0.05, (3, 5), (4_000, 6_000)),
    (8.0, 0.001, (3, 5, 7), (100_000, 300_000, 300_000)),
    (0.8, 0.05, (3, 5, 7, 9), (2_000, 2_000, 2_000, 2_000)),
    (0.8, 0.1, (3, 5, 7), (1_000, 1_000, 1_000)),
    (30.0, 0.001, (3, 5), (100_000, 100_000)),
]

#: Distances, shots of each point, and points between a third of the threshold and 2.2 times it.
CROSSINGS = [((3, 5), 200_000, 8), ((5, 7), 20_000, 8), ((3, 7), 3_000, 6), ((3, 5), 20_000, 12), ((3, 5), 20_000, 4)]


def saturating(p: float, d: int) -> float:
    """A rate per round that goes to chance above the threshold."""
    return (1 - exp(-0.06 * (p / THRESHOLD) ** ((d + 1) / 2))) / 2


def bending(p: float, d: int) -> float:
    """A rate per round that bends at the threshold."""
    x = (p / THRESHOLD) ** ((d + 1) / 2)
    return 0.06 * x / (1 + x)


def scaling(p: float, d: int) -> float:
    """A rate per round that depends on `(p / threshold - 1) d ** (2 / 3)`, as finite-size scaling has it."""
    z = min(5.0, (p / THRESHOLD - 1) * d ** (2 / 3))
    return 0.06 * exp(0.55 * z - 0.05 * z * z)


def factor_held(
    rng: np.random.Generator, setting: tuple[float, float, tuple[int, ...], tuple[int, ...]]
) -> bool | None:
    """Whether one simulated interval of Λ holds the truth; None if there is no interval."""
    factor, first, distances, shots = setting
    counts = [
        DistanceCounts(d, d, 1, n, int(rng.binomial(n, shot_rate(first * factor ** (-(d - 3) / 2), d, 1))))
        for d, n in zip(distances, shots, strict=True)
    ]
    fit = fit_suppression(counts)
    if fit is None:
        return None
    low, high = fit.interval
    return low <= factor and (high is None or factor <= high)


def fixed_shots(rng: np.random.Generator, rate: float, shots: int) -> tuple[int, int]:
    """Shots and failures of a point that has so many shots."""
    return shots, int(rng.binomial(shots, rate))


def fixed_failures(rng: np.random.Generator, rate: float, failures: int) -> tuple[int, int]:
    """Shots and failures of a point that is counted to so many failures, as a sweep counts to its relative error."""
    return failures + int(rng.negative_binomial(failures, rate)), failures


def crossing_held(
    rng: np.random.Generator,
    rate: Callable[[float, int], float],
    setting: tuple[tuple[int, int], int, int],
    counted: Callable[[np.random.Generator, float, int], tuple[int, int]] = fixed_shots,
) -> bool | None:
    """Whether one simulated interval of a crossing holds the truth; None if no crossing is said."""
    distances, target, count = setting
    ratios = []
    for p in np.geomspace(THRESHOLD / 3, THRESHOLD * 2.2, count):
        logs = [log_rate(*counted(rng, shot_rate(rate(p, d), 5, 1), target), 1) for d in distances]
        if logs[0] is not None and logs[1] is not None:
            ratios.append(LogRatio(float(p), logs[1][0] - logs[0][0], logs[0][1] + logs[1][1]))
    fit = fit_crossing(ratios)
    return None if fit is None else fit.interval[0] <= THRESHOLD <= fit.interval[1]


def report(what: str, setting: object, held: list[bool | None]) -> None:
    """Print how often it held."""
    said = [each for each in held if each is not None]
    share = {
        "held": sum(said),
        "of": len(said),
        "interval": rate_interval(sum(said), len(said)),
        "none": held.count(None),
    }
    print(json.dumps({"what": what, "setting": setting, **share}))


def main() -> None:
    """Simulate all settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=400, help="simulations of each setting")
    times = parser.parse_args().times
    rng = np.random.default_rng(5)
    for factor in FACTORS:
        report("suppression", factor, [factor_held(rng, factor) for _ in range(times)])
    for rate in (saturating, bending, scaling):
        for crossing in CROSSINGS:
            held = [crossing_held(rng, rate, crossing) for _ in range(times)]
            report("crossing", [rate.__name__, *crossing], held)
        for failures in (100, 400):
            for count in (5, 8):
                setting = (3, 5), failures, count
                held = [crossing_held(rng, rate, setting, fixed_failures) for _ in range(times)]
                report("crossing to failures", [rate.__name__, *setting], held)


if __name__ == "__main__":
    main()
