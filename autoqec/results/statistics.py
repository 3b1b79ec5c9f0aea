"""The paired e-process: evidence and intervals from counts alone, valid at any stopping time.

For a null ratio r of logical error rates, X = 1[candidate fails] - r 1[baseline fails] has mean zero. Bet a fraction L of the
wealth on its sign. The wealth, averaged over a grid of L, is a nonnegative martingale, so by Ville's inequality it exceeds
1/alpha with probability at most alpha, however often you look (Waudby-Smith & Ramdas 2024; Ville 1939). It depends on the
counts only, not on order, batches, workers or resumption: anyone can recompute it by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from math import exp, inf, log, log1p

from autoqec.results.bets import BETS, log_mean_exp
from autoqec.results.counts import PairedCounts
from autoqec.results.stratified_counts import Counts, StratifiedCounts

#: Verdicts planned per run: each attempt may spend this share of the error budget (alpha spending with flat weights).
PLANNED_ATTEMPTS = 64

#: A number above the count of attempts by more than this is absurd. Clones that do not know of each other skip few numbers.
_SKIPPED = PLANNED_ATTEMPTS

#: Shares are powers of two, so sums of them are exact in units of this one.
_UNIT_BITS = 128

#: The last attempt that a note can number.
_LAST_ATTEMPT = 2**63 - 1

#: Ratios of rates that an interval may end at.
RATIO_RANGE = (1e-6, 1e6)


def log_e_better(counts: Counts, ratio: float = 1.0) -> float:
    """Log of the evidence that the candidate's rate is below `ratio` times the baseline's."""
    if isinstance(counts, StratifiedCounts):
        return counts.log_e(ratio, -1.0, 0.0)
    c = counts
    return log_mean_exp(
        [
            c.both * log1p(-bet * (1 - ratio)) + c.baseline_only * log1p(bet * ratio) + c.candidate_only * log1p(-bet)
            for bet in (b / max(1.0, 1.0 - ratio) for b in BETS)
        ]
    )


def best_bet(counts: Counts) -> tuple[float, float]:
    """The best bet in hindsight against a ratio of one, and the log of its wealth: the largest term of the evidence.

    The evidence is the mean over all bets, so it is at most this term, and at least this term divided by the number of bets.
    """
    if isinstance(counts, StratifiedCounts):
        return max(counts.log_wealths(1.0, -1.0, 0.0), key=lambda each: each[1])
    c = counts
    wealth = {bet: c.baseline_only * log1p(bet) + c.candidate_only * log1p(-bet) for bet in BETS}
    best = max(wealth, key=lambda bet: wealth[bet])
    return best, wealth[best]


def log_e_worse(counts: Counts, ratio: float = 1.0) -> float:
    """Log of the evidence that the candidate's rate is above `ratio` times the baseline's."""
    if isinstance(counts, StratifiedCounts):
        return counts.log_e(-ratio, 1.0, 0.0)
    c = counts
    return log_mean_exp(
        [
            c.both * log1p(bet * (1 - ratio)) + c.baseline_only * log1p(-bet * ratio) + c.candidate_only * log1p(bet)
            for bet in (b / max(1.0, ratio) for b in BETS)
        ]
    )


def log_e_mean_above(counts: Counts, mean: float) -> float:
    """Log of the evidence that the mean of 1[baseline fails] - 1[candidate fails] is above `mean`, in [-1, 1]."""
    if isinstance(counts, StratifiedCounts):
        return counts.log_e(1.0, -1.0, -mean)
    c = counts
    ties = c.shots - c.baseline_only - c.candidate_only
    return log_mean_exp(
        [
            c.baseline_only * log1p(bet * (1 - mean))
            + c.candidate_only * log1p(-bet * (1 + mean))
            + ties * log1p(-bet * mean)
            for bet in (b / (1 + abs(mean)) for b in BETS)
        ]
    )


def _crossing(rejected: Callable[[float], bool], low: float, high: float) -> float:
    """Find, by bisection, the border between a rejected value (`low`) and one that is not rejected (`high`)."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def border_of(alpha: float = 0.05) -> float:
    """The log evidence at which one end of a two-sided interval excludes a value."""
    return log(2 / alpha)


def mirrored(counts: Counts) -> Counts:
    """The counts with baseline and candidate exchanged."""
    if isinstance(counts, StratifiedCounts):
        return counts.mirrored()
    return PairedCounts(counts.shots, counts.both, counts.candidate_only, counts.baseline_only)


def ratio_interval(counts: Counts, alpha: float = 0.05) -> tuple[float, float | None]:
    """Interval for candidate rate / baseline rate, valid at any stopping time with probability 1 - alpha.

    Returns:
        Lower and upper end; the upper end is None while no ratio, however large, is excluded.
    """
    border = border_of(alpha)
    low, high = (log(end) for end in RATIO_RANGE)
    below = log_e_worse(counts, exp(low)) >= border
    above = log_e_better(counts, exp(high)) >= border
    lower = exp(_crossing(lambda r: log_e_worse(counts, exp(r)) >= border, low, high)) if below else 0.0
    upper = exp(_crossing(lambda r: log_e_better(counts, exp(r)) >= border, high, low)) if above else None
    return lower, upper


def delta_interval(counts: Counts, alpha: float = 0.05) -> tuple[float, float]:
    """Interval for `ler_baseline - ler_candidate` per shot, valid at any stopping time with probability 1 - alpha."""
    border = border_of(alpha)

    def lower_end(c: Counts) -> float:
        if log_e_mean_above(c, -1.0) < border:
            return -1.0
        return _crossing(lambda mean: log_e_mean_above(c, mean) >= border, -1.0, 1.0)

    return lower_end(counts), -lower_end(mirrored(counts))


def rate_interval(failures: int, shots: int, alpha: float = 0.05) -> tuple[float, float]:
    """Exact (Clopper and Pearson 1934) interval of a failure rate at a number of shots fixed in advance."""
    from scipy.special import betaincinv  # scipy.stats would take a second to import

    low = 0.0 if failures == 0 else betaincinv(failures, shots - failures + 1, alpha / 2)
    high = 1.0 if failures == shots else betaincinv(failures + 1, shots - failures, 1 - alpha / 2)
    return float(low), float(high)


def candidate_rate_bounds(counts: StratifiedCounts, alpha: float) -> tuple[float, float]:
    """Bounds of the candidate's rate on shots by strata, each wrong with probability at most alpha, at any stopping time."""
    border = log(1 / alpha)

    def below(rate: float) -> bool:
        return counts.log_e(0.0, -1.0, rate) >= border

    def above(rate: float) -> bool:
        return counts.log_e(0.0, 1.0, -rate) >= border

    least = _crossing(above, 0.0, 1.0) if above(0.0) else 0.0
    return least, _crossing(below, 1.0, 0.0) if below(1.0) else 1.0


def mcnemar_p(counts: PairedCounts) -> float:
    """Exact one-sided McNemar p-value for "candidate better"; valid only if the number of shots was fixed in advance."""
    n, k = counts.baseline_only + counts.candidate_only, counts.candidate_only
    if n == 0:
        return 1.0
    from scipy.special import bdtr

    return float(bdtr(k, n, 0.5))


def attempt_alpha(alpha: float, attempt: int, verified_before: int = 0) -> float:
    """The level of a run's `attempt`-th verification (from 1): its share of the error budget `alpha`.

    The first 64 attempts share half the budget, the next 128 a quarter, and so on. The shares sum to at most one however long
    the run is, so the probability that any verdict of a run is false is at most `alpha`, under any dependence (a union bound).

    In verdicts of earlier versions each VERIFIED verdict before them earned the share again (e-LOND, Xu & Ramdas 2024); their
    notes say how many in `verified_before`. New verdicts earn nothing, because anyone who can write a note could then raise
    the next level.
    """
    return min(alpha, alpha * attempt_share(attempt) * (verified_before + 1))


def look_alpha(alpha: float, look: int) -> float:
    """The level of the `look`-th verification (from 1) on one finite holdout, of whatever run: `alpha * 2 / 4 ** look`.

    The shots of a later look are those of the earlier ones, so whoever chose its candidate may have learned from them. If all
    that was learned of each look is one bit, whether it ended VERIFIED, then there are at most `2 ** (look - 1)` candidates
    that could stand here, each fixed without the shots. The probability that any of them passes falsely is at most
    `2 ** (look - 1)` times the level, which is the share `look_share` of alpha; all shares sum to one. So the probability
    that any look is falsely VERIFIED is at most alpha (a union bound over what could have been learned; Dwork et al. 2015).
    """
    return alpha * look_share(look) / 2.0 ** (look - 1)


def look_share(look: int) -> float:
    """The share of the error budget of a finite holdout that its `look`-th verification (from 1) spends: `1 / 2 ** look`."""
    return 2.0**-look


def next_look(begun: Iterable[int]) -> int | None:
    """The number of the next look at a finite holdout, given the numbers of all that have begun, in any order.

    As for `next_attempt`, two clones that did not know of each other may have spent one share twice, and numbers that are
    absurd do not decide.

    Returns:
        The number; None if the whole budget is spent.
    """
    numbers = list(begun)
    known = [number for number in numbers if number <= len(numbers) + _SKIPPED]
    look = 1 + max(len(numbers), *known, 0)
    spent = sum(Fraction(1, 2 ** min(number, 2 * _SKIPPED + len(numbers))) for number in numbers)
    return look if spent + Fraction(1, 2**look) <= 1 else None


def attempt_share(attempt: int) -> float:
    """The share of a run's error budget that its `attempt`-th verification (from 1) spends. All shares sum to one."""
    epoch, _, _ = _epoch_of(attempt)
    return float(2.0 ** -(epoch + 1) / (PLANNED_ATTEMPTS * 2**epoch))


def shares_spent(begun: Iterable[int]) -> float:
    """The part of a run's error budget that verifications of these numbers have spent; above one if it is overspent."""
    return sum(map(_units, begun)) / 2**_UNIT_BITS


def next_attempt(begun: Iterable[int]) -> int | None:
    """The number of a run's next verification, given the numbers of all that have begun, in any order.

    One clone begins 1, 2, 3 and so on. Two clones that did not know of each other may both have begun attempt 7, and both
    spent its share. The share then counts twice: the next attempt is the first whose predecessors' shares sum to what was
    spent. So the shares spent never exceed one, and the result depends on what was begun, not on who looks.

    Anyone who can write to the repository can add numbers. More numbers never give an earlier attempt, and so never a higher
    level. A number far above the count of attempts does not decide the next one: it counts as one attempt with its own share.

    Returns:
        The number; None if the whole budget is spent.
    """
    numbers = list(begun)
    spent = sum(map(_units, numbers))
    if spent >= 2**_UNIT_BITS:
        return None
    believed = [number for number in numbers if number <= len(numbers) + _SKIPPED]
    attempt = max([len(numbers), *believed]) + 1
    while (missing := spent - _units_before(attempt)) > 0:
        _, _, following = _epoch_of(attempt)
        steps = -(-missing // _units(attempt))  # rounded up
        attempt = min(following, attempt + steps)
        if attempt > _LAST_ATTEMPT:
            return None
    return attempt


def _epoch_of(attempt: int) -> tuple[int, int, int]:
    """An attempt's epoch, the epoch's first attempt, and the first attempt of the next epoch."""
    epoch, first = 0, 1
    while attempt >= first + PLANNED_ATTEMPTS * 2**epoch:
        first += PLANNED_ATTEMPTS * 2**epoch
        epoch += 1
    return epoch, first, first + PLANNED_ATTEMPTS * 2**epoch


def _units(attempt: int) -> int:
    """An attempt's share in units of `2**-_UNIT_BITS`."""
    epoch, _, _ = _epoch_of(min(attempt, _LAST_ATTEMPT))
    return 2**_UNIT_BITS // (PLANNED_ATTEMPTS * 2 ** (2 * epoch + 1))


def _units_before(attempt: int) -> int:
    epoch, first, _ = _epoch_of(attempt)
    return 2**_UNIT_BITS - 2 ** (_UNIT_BITS - epoch) + (attempt - first) * _units(attempt)


def finite(value: float) -> float:
    """A log e-value as it is stored: capped so that JSON can hold its exponential."""
    return min(value, 700.0) if value != inf else 700.0
