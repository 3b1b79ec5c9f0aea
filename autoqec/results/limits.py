"""Checks a round's figures against its environment's constraints. Plain Python: readers import nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from autoqec.results.note_form import always


@dataclass(frozen=True)
class Limits:
    """An environment's constraints; None where there is none."""

    max_flops_per_shot: float | None = always()
    max_params: float | None = always()
    target_ler: float | None = always()


def exceeded(
    limits: Limits, *, flops: float | None, params: float | None, ler_candidate: float | None = None
) -> tuple[str, ...]:
    """Each exceeded limit, as a sentence; a missing limit or figure counts as not exceeded.

    Args:
        limits: The environment's.
        flops, params: Costs per shot, and learned parameters.
        ler_candidate: The rate, where it is known.
    """
    found = []
    for constraint, limit, figure, value in (
        ("max_params", limits.max_params, "params", params),
        ("max_flops_per_shot", limits.max_flops_per_shot, "flops_per_shot", flops),
        ("target_ler", limits.target_ler, "ler_candidate", ler_candidate),
    ):
        if limit is not None and value is not None and value > limit:
            found.append(f"{figure} {value:,} is above {constraint} {limit:,}")
    return tuple(found)
