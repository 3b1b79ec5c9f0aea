"""From evidence to a word: the rules of a verdict as functions of what its note holds, so that an audit can apply them again.

No shot is drawn here and nothing is decoded. A verifier collects counts; what they mean is decided here, and only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any, Literal

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import finite, log_e_better, log_e_worse, rate_interval

Word = Literal["VERIFIED", "SUSPICIOUS", "FAILED"]

#: "No worthwhile gain": the candidate is shown, at this level, not to be below this ratio of the baseline.
FUTILE_RATIO = 0.97
FUTILE_ALPHA = 0.05

#: Digits to which a note keeps evidence.
_DIGITS = 6


def evidence(counts: PairedCounts, alpha: float) -> dict[str, float]:
    """What a test's counts are worth, in natural logarithms.

    Returns:
        `log_e_better`, evidence that the candidate's rate is below the baseline's; `log_e_needed`, what "better" takes at
        this level; `log_e_futile`, evidence that the ratio of rates is above `FUTILE_RATIO`.
    """
    return {
        "log_e_better": round(finite(log_e_better(counts)), _DIGITS),
        "log_e_futile": round(finite(log_e_worse(counts, FUTILE_RATIO)), _DIGITS),
        "log_e_needed": round(log(1 / alpha), _DIGITS),
    }


def test_word(counts: PairedCounts, alpha: float) -> str:
    """`better`, `not_better` where no worthwhile gain is shown, or `undecided`, when a test stops at these counts."""
    if log_e_better(counts) >= log(1 / alpha):
        return "better"
    return "not_better" if log_e_worse(counts, FUTILE_RATIO) >= log(1 / FUTILE_ALPHA) else "undecided"


def rate_surely_below(extension: PairedCounts, alpha: float) -> float:
    """Exact upper bound of the candidate's rate, wrong with probability at most alpha.

    The extension's size is fixed before it is drawn, and its shots are not those that decided to stop, so that Clopper and
    Pearson's bound holds. With alpha the level of the attempt, "better and on target" is a false discovery of a run as
    seldom as "better" alone: whichever of the two is false, its test errs with probability at most alpha, given the past.
    """
    return rate_interval(extension.both + extension.candidate_only, extension.shots, 2 * alpha)[1]


def decide(details: Mapping[str, Any]) -> tuple[Word, str]:
    """The word and its reason.

    A limit that is broken, a cell without a gain, and a target that is not shown to be met are FAILED: the claim is not shown.
    A check that failed is SUSPICIOUS: the claim is shown and not believed. Only what is left is VERIFIED.

    Args:
        details: A verdict's note: `over`, limits that are exceeded; `word`, what the target's test says; `cells`, each with its
            `word`; `checks`, each with `result` and `reason`; `ler_candidate_bound` and `target_ler`.
    """
    if details.get("over"):
        return "FAILED", "over_budget"
    for cell in (details, *details.get("cells", ())):
        if cell["word"] != "better":
            return "FAILED", str(cell["word"])
    for check in details.get("checks", ()):
        if check["result"] == "failed":
            return "SUSPICIOUS", str(check["reason"])
    if details.get("target_ler") is not None and details["ler_candidate_bound"] > details["target_ler"]:
        return "FAILED", "target_missed"
    return "VERIFIED", "better"
