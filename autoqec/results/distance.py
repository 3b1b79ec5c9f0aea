"""The distance certificate: whether the candidate fails on few faults that the baseline corrects.

A code of distance d can correct any t = floor((d - 1) / 2) faults. At low error rates a decoder's failure rate is dominated by
the fault sets of weight at most t that it fails nevertheless. They decide whether a gain at the target persists below it.
Three facts about them:

- A single fault that the baseline corrects and the candidate does not is always a regression: the failure rate then falls like
  p and not like p^(t + 1), and no gain at one p makes up for that.
- At weights 2 to t every decoder with per-shot weights corrects some sets and fails others instead. Of all 1,405,326 pairs of
  `surface_d5_depol` (p = 0.005), plain matching fails 24, correlated matching 1,177. An honest predecoder, VERIFIED with a
  third fewer failures, fails 346 others, which make up 2.2e-6 of its rate of 9.0e-3. If that were a regression, every gain
  would be one.
- The cost of such sets can be estimated. Scale all error rates by s: to leading order the candidate's loss to them goes like
  s^w, and its gain over the baseline like s^(t + 1). At some s they are equal. For correlated matching this break-even is at
  0.13 of the target, p = 6e-4, and shots there agree: its ratio is 0.78 at 1e-3 and 1.23 at 3e-4.

So a regression is a single fault, or sets of weight 2 to t that would already outweigh the gain at a tenth of the target's error
rates. Where sets are drawn and not all listed, the loss is the lower end of its interval, so that it is shown. Anything less
is `traded`, and is reported with its figures. The scaling is a reason for suspicion and nothing else; no verdict makes a claim
about rates that were not sampled.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoqec.results.certificate_parts import Certificate, CertificateRow, FaultSets, Regression
from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import delta_interval

#: A loss is a regression if it already outweighs the gain at this share of the target's error rates.
WORST_SHARE = 0.1

#: The search for the break-even stops at this share.
_LEAST_SHARE = 1e-6


def certificate_row(
    weight: int,
    of: int,
    probability: float,
    none: float,
    counts: PairedCounts,
    sums: tuple[float, float] | None,
    interval: tuple[float, float] | None = None,
) -> CertificateRow:
    """What the fault sets of one weight say.

    Args:
        weight: Faults in each set.
        of: How many sets of this weight exist.
        probability: Probability that exactly so many mechanisms fire.
        none: Probability that none fires.
        counts: Paired counts of the examined sets.
        sums: Where all sets were listed, sums over those that baseline and candidate fail of the products of their odds; None
            where they were drawn.
        interval: The interval of the candidate's excess, if it is known; by default it is searched for.
    """
    if sums is not None:
        baseline, candidate = none * sums[0], none * sums[1]
    else:
        baseline, candidate = probability * counts.ler_baseline, probability * counts.ler_candidate
    excess = candidate - baseline
    if sums is not None:
        ends = excess, excess
    elif interval is not None:
        ends = interval
    else:
        low, high = delta_interval(counts)
        ends = -probability * high, -probability * low
    how = "listed" if sums is not None else "drawn"
    return CertificateRow(weight, of, how, counts, probability, (baseline, candidate), excess, ends)  # type: ignore[arg-type]


def certified(
    distance: int,
    found: str,
    no_fault: float,
    rows: Sequence[CertificateRow],
    delta_ler: float,
    regressions: Sequence[Regression] = (),
) -> Certificate:
    """The certificate that the rows come to.

    Args:
        distance: The code's.
        found: How it was found.
        no_fault: The probability that no mechanism fires.
        rows: One for each weight.
        delta_ler: The candidate's gain at the target, per shot.
        regressions: Some of the sets that only the candidate fails.
    """
    sets = FaultSets(tuple(rows), no_fault, tuple(regressions), break_even(distance, no_fault, rows, delta_ler))
    return Certificate(certificate_word(distance, no_fault, rows, delta_ler), distance, found, sets=sets)


def certificate_word(distance: int, no_fault: float, rows: Sequence[CertificateRow], delta_ler: float) -> str:
    """`kept`, `traded` or `regression`; see the module. Arguments are as of `certified`."""
    if any(row.weight == 1 and row.counts.candidate_only for row in rows):
        return "regression"
    if _lost(no_fault, rows, WORST_SHARE, sure=True) > _gained(distance, WORST_SHARE, delta_ler):
        return "regression"
    return "traded" if any(row.counts.candidate_only for row in rows) else "kept"


def break_even(distance: int, no_fault: float, rows: Sequence[CertificateRow], delta_ler: float) -> float | None:
    """The share of the target's error rates below which the found sets would outweigh the gain, to leading order.

    Arguments are as of `certified`.

    Returns:
        At most 1; None where no sets were found, or where the break-even is below 1e-6.
    """

    def outweighs(share: float) -> bool:
        return _lost(no_fault, rows, share) > _gained(distance, share, delta_ler)

    if not outweighs(_LEAST_SHARE):
        return None
    low, high = _LEAST_SHARE, 1.0
    if outweighs(high):
        return high
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if outweighs(middle) else (low, middle)
    return low


def _lost(no_fault: float, rows: Sequence[CertificateRow], share: float, *, sure: bool = False) -> float:
    """The candidate's loss to few faults beyond the baseline's, with all error rates scaled to a share, to leading order."""
    terms = (((row.excess_ci[0] if sure else row.excess), row.weight) for row in rows)
    return sum(excess / no_fault * share**weight for excess, weight in terms)


def _gained(distance: int, share: float, delta_ler: float) -> float:
    return max(0.0, delta_ler) * share ** ((distance - 1) // 2 + 1)
