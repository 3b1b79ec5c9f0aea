"""The gap of a shot with a large cluster, as an integer programme: slow, but exact whatever the graph.

In general no fast method is known: the lightest set of paths with a given parity is NP-hard in graphs with odd cycles away
from the boundary (Schlotter and Sebő, "Odd paths, cycles, and T-joins", arXiv:2211.12862).
"""

from __future__ import annotations

import numpy as np

from .gap_kernel import gather
from .gap_tables import NO_WAY, Tables


def exact_gap(defects: np.ndarray, side: int, tables: Tables) -> int:
    """Return how much heavier the other class is than class `side`; at least `NO_WAY` where it cannot be reached.

    Args:
        defects: Detectors that fire, int64 `[defects]`.
        side: The class of the answer.
        tables: Distances of the observable.
    """
    count = len(defects)
    exits, pair = np.empty((count, 2), dtype=np.int64), np.empty((count, count, 2), dtype=np.int64)
    gather(defects, tables.exits, tables.pair, exits, pair, np.empty(count, dtype=np.int64))
    weights = [_lightest(exits, pair, parity) for parity in range(2)]
    even, odd = min(weights[0], weights[1] + tables.loop), min(weights[1], weights[0] + tables.loop)
    return int(odd - even if side == 0 else even - odd)


def _lightest(exits: np.ndarray, pair: np.ndarray, parity: int) -> int:
    """The weight of the lightest pairing whose paths' parities add up to `parity`; `NO_WAY` for none."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    count = len(exits)
    rows: list[int] = []
    columns: list[int] = []
    costs: list[int] = []
    turns: list[int] = []
    for i in range(count):
        ways: list[tuple[tuple[int, ...], int, int]] = [((i,), int(exits[i, turn]), turn) for turn in range(2)]
        ways += [((i, j), int(pair[i, j, turn]), turn) for j in range(i + 1, count) for turn in range(2)]
        for members, cost, turn in ways:
            if cost < NO_WAY:
                rows += members
                columns += [len(costs)] * len(members)
                costs.append(cost)
                turns.append(turn)
    # One more unknown: how many pairs of odd paths there are.
    used = len(costs)
    rows += [count] * (sum(turns) + 1)
    columns += [*np.flatnonzero(turns).tolist(), used]
    values = np.ones(len(rows))
    values[-1] = -2
    matrix = csr_array((values, (rows, columns)), shape=(count + 1, used + 1))
    wanted = np.ones(count + 1)
    wanted[count] = parity
    upper = np.ones(used + 1)
    upper[used] = count
    found = milp(
        np.array([*costs, 0.0]),
        integrality=np.ones(used + 1),
        bounds=Bounds(np.zeros(used + 1), upper),
        constraints=LinearConstraint(matrix, wanted, wanted),
        options={"mip_rel_gap": 0.0},
    )
    if found.x is None:
        return NO_WAY
    return int(np.rint(found.x[:used]) @ np.array(costs, dtype=np.int64))
