"""What counts beside the test give: the share of the gap to a strong decoder, and whether parents' gains add up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.reference_gates import GatedReference
from autoqec.results.statistics import delta_interval, rate_interval
from autoqec.results.verdict_parts import Composition, ExactRate, ParentsScored, ShareOfGap

#: The decoders whose failures a share of the gap is made of.
COMPARED = ("baseline", "candidate", "strong")

#: Two gains that differ by less than this are equal; they are sums of a few quotients of counts.
_EQUAL = 1e-12


def gap_closed(
    reference: str, shots: int, failures: Mapping[str, int], gated: GatedReference | None = None
) -> ShareOfGap:
    """The share of the gap between the baseline and a stronger decoder that a candidate closes.

    Args:
        reference: The stronger decoder.
        shots: How many shots all three decoded.
        failures: Their failures, by the names in `COMPARED`.
        gated: What the stronger decoder was run on, if it ran behind a gate.

    Returns:
        The three rates with exact 95 % intervals, and the quotient of their differences: None if the stronger decoder fails at
        least as often as the baseline.
    """
    baseline, candidate, strong = (failures[name] for name in COMPARED)
    plain, own, best = (
        ExactRate(count / shots, rate_interval(count, shots)) for count in (baseline, candidate, strong)
    )
    share = (baseline - candidate) / (baseline - strong) if baseline > strong else None
    return ShareOfGap(reference, shots, failures, plain, own, best, share, gated)


def added_up(
    gains: Mapping[str, float],
    child: float | None,
    over: Callable[[str], PairedCounts],
    interval: Callable[[PairedCounts], Sequence[Any]] = delta_interval,
) -> Composition:
    """Whether the parents' gains add up in a composed candidate.

    `adds_up`: the child's gain over the baseline is at least the sum of the parents' gains. `partial`: it is more than the
    best parent's, and less than the sum. `interferes`: it is no more than the best parent's.

    Args:
        gains: The parents' gains over the baseline, by name.
        child: The child's gain on the same shots; None to work it out from the best parent's.
        over: The paired counts of the child, with a parent in the baseline's place.
        interval: Finds the interval of the child's gain over the best parent. If it contains zero, the word is an estimate.
    """
    best = min(gains, key=lambda name: (-gains[name], name))
    counts, total = over(best), sum(gains.values())
    gain = gains[best] + counts.delta_ler if child is None else child
    word = "adds_up" if gain >= total - _EQUAL else "partial" if counts.delta_ler > 0 else "interferes"
    low, high = interval(counts)
    return Composition(word, scored=ParentsScored(gains, total, best, counts.delta_ler, (low, high), counts))
