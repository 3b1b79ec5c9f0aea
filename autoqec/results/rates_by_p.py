"""Logical error rates of a round against the physical error rate p, with exact intervals: from its verdict, else its metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Figures
from autoqec.results.metrics import Metrics
from autoqec.results.round_results import RoundResults
from autoqec.results.statistics import rate_interval
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_parts import ExactRate, Place, Tested

#: Where a rate was counted: at the target of a verdict, at another cell that it covers, next to the target for the check of
#: harm, or on development shots.
Source = Literal["target", "cell", "harm", "development"]


@dataclass(frozen=True)
class RatePoint:
    """The rates of both sides at one p, on the same shots.

    Attributes:
        p: The physical error rate; None where the environment has none, because its circuit says the noise.
        shots: How many.
        source: Where they were counted.
        plain, candidate: Rates per shot with exact 95 % intervals. Counts by strata have weights; their intervals are not here,
            and both ends are the rate.
        exact: Whether the intervals are there.
        ratio, ratio_interval: Of the second to the first, from the paired counts.
        references: Rates of reference decoders on the same shots.
        decided: Whether the number of shots was fixed in advance. That of a test that stopped early was not, and its exact
            intervals are a little too short.
    """

    p: float | None
    shots: int
    source: Source
    plain: ExactRate
    candidate: ExactRate
    exact: bool
    ratio: float | None
    ratio_interval: tuple[float, float | None]
    references: Mapping[str, ExactRate] = field(default_factory=dict)
    decided: bool = True

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        told: dict[str, Any] = {
            "p": self.p,
            "shots": self.shots,
            "source": self.source,
            "exact": self.exact,
            "fixed_shots": self.decided,
        }
        for name, rate in (("ler_baseline", self.plain), ("ler_candidate", self.candidate)):
            told |= {name: rate.ler, f"{name}_ci": list(rate.ler_ci) if self.exact else None}
        references = {name: rate.ler for name, rate in self.references.items()}
        return told | {"ler_ratio": self.ratio, "ler_ratio_ci": list(self.ratio_interval), "references": references}


def rates_by_p(results: RoundResults) -> list[RatePoint]:
    """The rates of a round by p, in order: those of its verdict, and development shots at any other p.

    Cells with another number of rounds or another distance are other circuits, and not among these.
    """
    found = [*_of_verdict(results.verdict), *_of_metrics(results.metrics)]
    best: dict[float | None, RatePoint] = {}
    for each in found:  # of one p, the shots that nobody had seen come first
        best.setdefault(each.p, each)
    return sorted(best.values(), key=lambda each: -1.0 if each.p is None else each.p)


def _of_verdict(verdict: Verdict | None) -> Iterator[RatePoint]:
    if verdict is None or verdict.figures is None:
        return
    evidence = verdict.evidence
    target, place = evidence.target, evidence.cell or {}
    if target is not None:
        yield _tested(target, place, "target")
    for cell in evidence.cells:
        if cell.tested is not None and _beside(cell.cell, place):
            yield _tested(cell.tested, cell.cell, "cell")
    for row in evidence.harm or ():
        if row.counted is not None and _beside(row.cell, place):
            yield _point(row.cell.get("p"), row.counted.figures, row.counted.counts, "harm")


def _of_metrics(metrics: Metrics | None) -> Iterator[RatePoint]:
    if metrics is None:
        return
    for row in metrics.rates_beside:
        yield _point(row.p, row.figures, row.counts, "development")


def _beside(cell: Place, target: Place) -> bool:
    """Whether a cell differs from the target in p alone; it says all its coordinates, or only those that differ."""
    return {**target, **cell, "p": 0.0} == {**target, "p": 0.0}


def _tested(tested: Tested, place: Place, source: Source) -> RatePoint:
    counts = None if tested.strata is not None else tested.headline
    decided = tested.extension is not None or tested.finite is not None
    return _point(place.get("p"), tested.figures, counts, source, tested.references, decided=decided)


def _point(
    p: float | None,
    figures: Figures,
    counts: PairedCounts | None,
    source: Source,
    references: Mapping[str, float] | None = None,
    *,
    decided: bool = True,
) -> RatePoint:
    exact = counts is not None and counts.shots == figures.shots > 0
    failures = (counts.baseline_failures, counts.candidate_failures) if exact and counts is not None else (None, None)
    plain, candidate = (
        exact_rate(rate, count, figures.shots)
        for rate, count in zip((figures.ler_baseline, figures.ler_candidate), failures, strict=True)
    )
    beside = {
        name: exact_rate(rate, round(rate * figures.shots) if exact else None, figures.shots)
        for name, rate in sorted((references or {}).items())
        if 0 <= rate <= 1
    }
    ratio = figures.ler_ratio, figures.ratio_interval
    return RatePoint(p, figures.shots, source, plain, candidate, exact, *ratio, beside, decided)


def exact_rate(rate: float, failures: int | None, shots: int) -> ExactRate:
    """A rate with its exact interval; without a count of failures, both ends are the rate."""
    return ExactRate(rate, (rate, rate) if failures is None else rate_interval(failures, shots))
