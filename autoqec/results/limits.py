"""What an environment's constraints say of a round's figures. Plain Python: readers import nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Constraint → the figure it bounds from above.
_BOUNDS = {"max_params": "params", "max_flops_per_shot": "flops_per_shot", "target_ler": "ler_candidate"}


def exceeded(constraints: Mapping[str, Any], figures: Mapping[str, Any]) -> list[str]:
    """Each limit that a figure is above, as a sentence; a limit or figure that is not given is not exceeded.

    Args:
        constraints: `max_params`, `max_flops_per_shot`, `target_ler`, any of them None or missing.
        figures: `params`, `flops_per_shot`, `ler_candidate`, likewise.
    """
    found = []
    for constraint, figure in _BOUNDS.items():
        limit, value = constraints.get(constraint), figures.get(figure)
        if limit is not None and value is not None and value > limit:
            found.append(f"{figure} {value:,} is above {constraint} {limit:,}")
    return found
