"""The ratio of a round's logical error rate to that of the reference decoder which fails least on the same shots."""

from __future__ import annotations

from dataclasses import dataclass

from autoqec.results.round_results import RoundResults
from autoqec.results.statistics import rate_interval

#: Both rates are within their intervals with probability at least one minus this, and then so is their ratio.
ALPHA = 0.05


@dataclass(frozen=True)
class ReferenceRatio:
    """How a candidate compares with the best reference.

    Attributes:
        name: The reference.
        ler: Its logical error rate per shot.
        shots: How many shots both decoded: those behind the round's figures.
        ratio: The candidate's rate over it; None where the reference never failed.
        interval: Of the ratio, at least 95 %; its upper end is None while no ratio is excluded. None as a whole where the counts
            have weights, or where the reference decoded a part of the shots alone.
    """

    name: str
    ler: float
    shots: int
    ratio: float | None
    interval: tuple[float, float | None] | None


def best_reference(results: RoundResults) -> ReferenceRatio | None:
    """The best reference on the shots behind a round's figures: its verdict's, or else those of development; None without one.

    Notes hold the failures of each reference, and not which shots it failed. So the interval joins the exact intervals
    (Clopper and Pearson 1934) of the two rates, each at half of the level: it holds however the failures coincide, and is
    wider than one of paired counts.
    """
    verdict, metrics = results.verdict, results.metrics
    if verdict is not None and verdict.figures is not None:
        target = verdict.evidence.target
        figures, rates = verdict.figures, verdict.references
        partial = {} if target is None else target.gated
        plain = not verdict.by_strata
    elif metrics is not None:
        figures, rates, partial, plain = metrics.figures, metrics.references, metrics.measured.gated, True
    else:
        return None
    known = {name: rate for name, rate in (rates or {}).items() if 0 <= rate <= 1}
    if not known or figures.shots < 1:
        return None
    name = min(known, key=lambda each: (known[each], each))
    ratio = figures.ler_candidate / known[name] if known[name] else None
    interval = None
    if plain and name not in partial:
        failures, beside = (round(rate * figures.shots) for rate in (figures.ler_candidate, known[name]))
        interval = interval_of_ratio(failures, beside, figures.shots)
    return ReferenceRatio(name, known[name], figures.shots, ratio, interval)


def interval_of_ratio(failures: int, beside: int, shots: int) -> tuple[float, float | None]:
    """The interval of the ratio of two rates on the same shots, of which only the counts of failures are known.

    Args:
        failures: Of the decoder.
        beside: Of the one that it is compared with.
        shots: How many both decoded, at least one.

    Returns:
        Its ends; the upper one is None while no ratio is excluded.
    """
    (low, high), (least, most) = (rate_interval(count, shots, ALPHA / 2) for count in (failures, beside))
    return low / most, high / least if least else None
