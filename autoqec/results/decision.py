"""The rules of a verdict: from evidence to a word. They use only what the note holds, so an audit can apply them again.

Nothing here draws or decodes shots. A verifier collects counts; this module alone decides what they mean.
"""

from __future__ import annotations

from math import log
from typing import TypedDict

from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Figures
from autoqec.results.finite_holdout import FiniteHoldout
from autoqec.results.reasons import word_for
from autoqec.results.statistics import (
    candidate_rate_bounds,
    finite,
    log_e_better,
    log_e_worse,
    mcnemar_p,
    rate_interval,
    ratio_interval,
)
from autoqec.results.strata_parts import ByStrata
from autoqec.results.stratified_counts import Counts, StratifiedCounts
from autoqec.results.verdict import Word
from autoqec.results.verdict_parts import Evidence, Tested

#: "No worthwhile gain": the test shows, at its level, that the candidate's rate is not below this ratio of the baseline's.
FUTILE_RATIO = 0.97
FUTILE_ALPHA = 0.05

#: Digits to which a note keeps evidence.
_DIGITS = 6


class LogEvidence(TypedDict):
    """The evidence in a test's counts, in natural logarithms; fields of `Tested`.

    Attributes:
        log_e_better: Evidence that the candidate's rate is below the baseline's.
        log_e_futile: Evidence that the ratio of rates is above `FUTILE_RATIO`.
        log_e_needed: The evidence that "better" needs at this level.
    """

    log_e_better: float
    log_e_futile: float
    log_e_needed: float


def evidence(counts: Counts, alpha: float) -> LogEvidence:
    """The evidence in a test's counts, at the level of its attempt."""
    return {
        "log_e_better": round(finite(log_e_better(counts)), _DIGITS),
        "log_e_futile": round(finite(log_e_worse(counts, FUTILE_RATIO)), _DIGITS),
        "log_e_needed": round(log(1 / alpha), _DIGITS),
    }


def test_word(counts: Counts, alpha: float) -> str:
    """The word of a test that stops at these counts: `better`, `not_better` (no worthwhile gain shown) or `undecided`."""
    return "better" if log_e_better(counts) >= log(1 / alpha) else _not_better(counts)


def exact_word(counts: PairedCounts, alpha: float) -> str:
    """The same for a number of shots that was fixed before anybody looked: McNemar's exact test sees more than bets do."""
    return "better" if mcnemar_p(counts) <= alpha else _not_better(counts)


def _not_better(counts: Counts) -> str:
    return "not_better" if log_e_worse(counts, FUTILE_RATIO) >= log(1 / FUTILE_ALPHA) else "undecided"


def rate_surely_below(extension: Counts, alpha: float) -> float:
    """Exact upper bound of the candidate's rate, wrong with probability at most alpha.

    The extension's size is fixed before it is drawn, and its shots are separate from those that decided when to stop, so the
    Clopper-Pearson bound holds. With alpha the level of the attempt, "better and on target" is a false discovery no more
    often than "better" alone: whichever of the two is false, its test errs with probability at most alpha, given the past.
    On shots by strata the bound is that of the bets, which holds too.
    """
    if isinstance(extension, StratifiedCounts):
        return candidate_rate_bounds(extension, alpha)[1]
    return rate_interval(extension.both + extension.candidate_only, extension.shots, 2 * alpha)[1]


def decide(evidence: Evidence) -> tuple[Word, str]:
    """The word and its reason.

    FAILED means the claim is not shown: a limit is exceeded, a cell shows no gain, or the target is not shown to be met.
    SUSPICIOUS means the claim is shown but not believed: a check failed. Everything else is VERIFIED.
    """
    reason = _reason(evidence)
    return word_for(reason), reason


def _reason(evidence: Evidence) -> str:
    if evidence.over:
        return "over_budget"
    for place in evidence.places:
        if place.word != "better":
            return place.word
    for check in evidence.checks or ():
        if check.result == "failed":
            return str(check.reason)
    bound, target = evidence.ler_candidate_bound, evidence.target_ler
    return "target_missed" if target is not None and bound is not None and bound > target else "better"


def cell_result(
    test: PairedCounts,
    alpha: float,
    digests: tuple[str, ...],
    *,
    extension: PairedCounts | None = None,
    neutral: PairedCounts | None = None,
    invalid: int = 0,
    references: dict[str, float] | None = None,
    references_missing: dict[str, str] | None = None,
    sent: int | None = None,
    gate_flops: int = 0,
    passes: int | None = None,
    strata: ByStrata | None = None,
    finite: bool = False,
) -> Tested:
    """The result of one cell's test: evidence from the test's counts, figures from the extension's counts, if there is one.

    Args:
        test: The shots that decide the word.
        alpha: Level of the attempt.
        digests: One per chunk, the extension's chunks included.
        extension, neutral: See `Tested`.
        invalid, references, references_missing: Of the shots behind the figures.
        sent, gate_flops, passes: Of all shots; see `Tested`.
        strata: The counts by strata, if shots are drawn so.
        finite: Whether the shots are recorded: all of them are the test's.
    """
    headline = extension or test
    everything = test + extension if extension else test
    by: Counts = test if strata is None else strata.counts(strata.test)
    behind: Counts = headline if strata is None else strata.counts(strata.extension or strata.test)
    return Tested(
        test=test,
        **evidence(by, alpha),
        digests=digests,
        figures=Figures.of(behind),
        shots_in_all=everything.shots,
        ler_ratio_ci_all_shots=ratio_interval(everything if strata is None else strata.everything),
        mcnemar_p_fixed_n=mcnemar_p(headline) if strata is None else None,
        word=exact_word(test, alpha) if finite else test_word(by, alpha),
        invalid=invalid,
        references=references or {},
        references_missing=references_missing or {},
        extension=extension,
        neutral=neutral,
        sent=sent,
        gate_flops=gate_flops,
        passes=passes,
        strata=strata,
        finite=FiniteHoldout.of(test) if finite else None,
    )
