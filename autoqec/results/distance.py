"""What a distance certificate says: whether few faults, which the baseline corrects, are too much for the candidate.

A code of distance d can correct any t = floor((d - 1) / 2) faults. Where error rates are low, the fault sets of weight at most
t that a decoder nevertheless fails are what its rate of failure consists of, so they decide whether a gain seen at the target
lasts below it. Three things are known of them:

- A single fault that the baseline corrects and the candidate does not is always damning: the rate of failure then falls like p
  and not like p^(t + 1), and no gain at one p makes up for that.
- At weights 2 to t every decoder whose weights follow the shot trades sets for others. Listing all 1,405,326 pairs of
  `surface_d5_depol` (p = 0.005), plain matching fails 24, correlated matching 1,177, and an honest predecoder, VERIFIED with a
  third fewer failures, 346 others, that make up 2.2e-6 of its rate of 9.0e-3. To call that a regression would call every gain
  one.
- What such sets weigh can be said: scale all error rates by s, and what the candidate loses to them goes like s^w, its gain
  over the baseline like s^(t + 1), to leading order. At some s they are equal. For correlated matching this puts it at 0.13 of
  the target, p = 6e-4, and shots there agree: its ratio is 0.78 at 1e-3 and 1.23 at 3e-4.

So a regression is a single fault, or sets of weight 2 to t that would outweigh the gain already at a tenth of the target's error
rates. Where sets are drawn and not all listed, the loss is taken at the lower end of its interval: it must be shown. What is
short of that is `traded`, and said with its figures. The scaling is a reason for suspicion and nothing else; no verdict says
anything about rates that were not sampled.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import delta_interval
from autoqec.results.verdict_parts import Certificate, CertificateRow, FaultSets, Regression

#: A loss that would outweigh the gain before all error rates are down to this share of the target's is a regression.
WORST_SHARE = 0.1

#: Below this share the break-even is not looked for.
_LEAST_SHARE = 1e-6


def certificate_row(
    weight: int, of: int, probability: float, none: float, counts: PairedCounts, sums: tuple[float, float] | None
) -> CertificateRow:
    """What the fault sets of one weight say.

    Args:
        weight: Faults in each set.
        of: Sets of this weight that there are.
        probability: That exactly so many mechanisms fire.
        none: That none fires.
        counts: The sets that were examined.
        sums: Where all sets were listed, sums over those that baseline and candidate fail of the products of their odds; None
            where they were drawn.
    """
    if sums is not None:
        baseline, candidate = none * sums[0], none * sums[1]
    else:
        baseline, candidate = probability * counts.ler_baseline, probability * counts.ler_candidate
    excess = candidate - baseline
    if sums is not None:
        ends = excess, excess
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
        found: How it is known.
        no_fault: The probability that no mechanism fires.
        rows: One for each weight.
        delta_ler: The candidate's gain at the target, per shot.
        regressions: Some sets that the candidate alone fails.
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
    """The share of the target's error rates below which the sets that were found would outweigh the gain, to leading order.

    Arguments are as of `certified`.

    Returns:
        At most 1; None where none were found, or they would at no share above 1e-6.
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
    """What few faults cost the candidate more than the baseline with all error rates at a share, to leading order."""
    terms = (((row.excess_ci[0] if sure else row.excess), row.weight) for row in rows)
    return sum(excess / no_fault * share**weight for excess, weight in terms)


def _gained(distance: int, share: float, delta_ler: float) -> float:
    return max(0.0, delta_ler) * share ** ((distance - 1) // 2 + 1)
