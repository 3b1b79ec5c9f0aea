"""Tasks of the distance certificate: they send fault sets instead of sampled shots through candidate and decoder.

The candidate receives syndromes in the usual batches, and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import environment_from_files
from autoqec.problem.problem import Problem
from autoqec.sandbox.channel import Message
from autoqec.scoring.fault_sets import distance_of, drawn, how_many, listed, odds, shots_of
from autoqec.scoring.fault_strata import sets_to_list, strata_of, weights_of
from autoqec.scoring.scoring_requests import FaultTask, OutlineTask, StrataTask
from autoqec.scoring.shard import score_given

OUTLINE = "autoqec.scoring.fault_tasks:outline"
EXAMINE = "autoqec.scoring.fault_tasks:examine_faults"
STRATA = "autoqec.scoring.fault_tasks:strata"

#: Regressed fault sets that one task shows.
_SHOWN = 4


def outline(message: Message) -> Message:
    """Describe what a certificate of a problem has to examine.

    Args:
        message: An `OutlineTask`.

    Returns:
        Fields `distance` and `found` (see `fault_sets.distance_of`). For the weights 0 to `most`: `sets`, the numbers of sets,
        and `probabilities`, that exactly so many mechanisms fire.
    """
    task = OutlineTask.from_message(message)
    loaded = environment_from_files(task.environment, origin="the environment")
    problem = build_problem(loaded, load_plugins().maker("code"))
    most = task.most
    distance, found = distance_of(problem)
    return Message(
        {
            "distance": distance,
            "found": found,
            "sets": [how_many(problem, weight) for weight in range(most + 1)],
            "probabilities": weights_of(problem.mechanisms.priors, most)[0].tolist(),
        }
    )


def strata(message: Message) -> Message:
    """Describe the strata of a problem.

    Args:
        message: A `StrataTask`.

    Returns:
        Fields `listed`, how many sets of each listed stratum there are, from no fault on; `probabilities`, of all strata, these
        first; `beyond`, an upper bound on the probability of more faults.

    Raises:
        UsageError: Its shots cannot be drawn by strata.
    """
    task = StrataTask.from_message(message)
    problem = build_problem(
        environment_from_files(task.environment, origin="the environment"), load_plugins().maker("code")
    )
    found = strata_of(problem)
    listed_sets = sets_to_list(problem, task.most_listed)
    return Message({"listed": list(listed_sets), "probabilities": found.probabilities.tolist(), "beyond": found.beyond})


def examine_faults(message: Message) -> Message:
    """Decode some fault sets with and without the candidate.

    Args:
        message: A `FaultTask`. Its sets are listed in order from `first`, or drawn if `seeds` has a seed.

    Returns:
        Fields `counts`; `odds_baseline` and `odds_candidate`, sums over failed sets of the products of odds; and `regressions`,
        some of the sets that only the candidate fails: `mechanisms`, `detectors`, `observables` and `odds`.

    Raises:
        CandidateFault: The candidate broke its contract.
    """
    task = FaultTask.from_message(message)
    chosen: list[np.ndarray] = []

    def build(problem: Problem) -> Any:
        if task.seeds:
            sets = drawn(problem, task.weight, task.count, task.seeds[0])
        else:
            sets = listed(problem, task.weight, task.first, task.count)
        chosen.append(sets)
        return shots_of(problem, sets)

    given = score_given(task, build)
    (sets,) = chosen
    products = odds(given.problem)[sets].prod(axis=1)
    regressed = np.flatnonzero(given.candidate & ~given.baseline)
    regressed = regressed[np.argsort(-products[regressed], kind="stable")][:_SHOWN]
    return Message(
        {
            "counts": given.score.counts.to_dict(),
            "odds_baseline": float(products[given.baseline].sum()),
            "odds_candidate": float(products[given.candidate].sum()),
            "regressions": [_shown(given.problem, sets[row], float(products[row])) for row in regressed],
        }
    )


def _shown(problem: Problem, members: np.ndarray, product: float) -> dict[str, Any]:
    shot = shots_of(problem, members[None])
    bits = (
        np.unpackbits(shot.syndromes[0], count=problem.num_detectors, bitorder="little"),
        np.unpackbits(shot.observables[0], count=problem.num_observables, bitorder="little"),
    )
    detectors, observables = (np.flatnonzero(found).tolist() for found in bits)
    return {"mechanisms": members.tolist(), "detectors": detectors, "observables": observables, "odds": product}
