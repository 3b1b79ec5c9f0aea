"""CNOT layers for any checks: a minimal edge colouring of the bipartite Tanner graph."""

from __future__ import annotations

import numpy as np

from autoqec.errors import UsageError
from autoqec.size_limits import MATRIX_ENTRIES


def edge_colouring(checks: np.ndarray) -> list[list[tuple[int, int]]]:
    """Split the ones of a matrix into layers in which no row and no column occurs twice.

    By Kőnig's theorem the number of layers equals the largest weight of a row or column. Each edge takes a colour that is free
    at its check. If the colour is used at its qubit, the path that alternates between this colour and one that is free at the
    qubit is recoloured.

    Args:
        checks: 0 and 1, `[checks, qubits]`.

    Returns:
        Per layer the (check, qubit) pairs, sorted.

    Raises:
        UsageError: A check or qubit has so many neighbours that the table of colours is too large.
    """
    rows, columns = checks.shape
    weights = [*checks.sum(axis=0, dtype=int), *checks.sum(axis=1, dtype=int)]
    colours = int(max(weights, default=0))
    if (rows + columns) * colours > MATRIX_ENTRIES:
        raise UsageError(
            f"code.paths: a check or qubit has {colours:,} neighbours; {rows + columns:,} checks and qubits may have at most "
            f"{MATRIX_ENTRIES // (rows + columns):,} each",
            code="over_limit",
        )
    # other[v, c]: the neighbour of vertex v by colour c, -1 for none; checks are 0…rows-1, qubits follow.
    other = np.full((rows + columns, colours), -1, dtype=np.int64)
    for check, qubit in np.argwhere(checks):
        left, right = int(check), int(rows + qubit)
        a = int(np.flatnonzero(other[left] < 0)[0])
        b = int(np.flatnonzero(other[right] < 0)[0])
        # The path from the qubit that starts with colour a cannot end at the check: in a bipartite graph it would arrive
        # there by colour a, which is free there.
        vertex, colour, path = right, a, []
        while other[vertex, colour] >= 0:
            following = int(other[vertex, colour])
            path.append((vertex, following, colour))
            vertex, colour = following, a + b - colour
        for one, two, colour in path:
            other[one, colour] = other[two, colour] = -1
        for one, two, colour in path:
            other[one, a + b - colour], other[two, a + b - colour] = two, one
        other[left, a], other[right, a] = right, left
    return [
        [(check, int(other[check, colour]) - rows) for check in range(rows) if other[check, colour] >= 0]
        for colour in range(colours)
    ]
