"""The checks of a verdict beyond its statistics: each has a name, and each is a function of the verdict's note.

Only counts make a candidate suspicious, never anything it says. Some properties of a fair comparison hold by construction here,
because of the way shots are drawn and decoders built. They are listed too, so that you need not look for them.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple, TypeVar

from autoqec.counted_words import counted
from autoqec.results.counts import PairedCounts
from autoqec.results.harm import slope_of, strength_of
from autoqec.results.reference_gates import GatedReference
from autoqec.results.statistics import log_e_better, mcnemar_p, rate_interval
from autoqec.results.strata_parts import ByStrata
from autoqec.results.verdict_parts import Check, Evidence, Recorded

#: A candidate is too good to be true if it is shown to fail less than this many times as often as a decoder near maximum
#: likelihood. Such a decoder may be a little off, on hyperedges or because of its beam, but not by that much.
TOO_GOOD_RATIO = 0.9

#: How far the counts of scored shots may be above those on which the cost was counted before.
COST_MARGIN = 1.1

#: For verdicts without recorded operations, which version 0.1 wrote: foreign code counted its own operations, and a count below
#: this many per microsecond of processor time, as measured by the kernel, is not credible.
LEAST_FLOPS_PER_US = 10.0

_T = TypeVar("_T")


class NotWhole(Exception):
    """Evidence lacks a part that a check looks at; the message names it."""


def check(name: str, result: str, says: str, reason: str | None = None) -> Check:
    """One line of a verdict's checks; `reason` is the code of a check that failed."""
    return Check(name, result, says, reason if result == "failed" else None)


def run_checks(evidence: Evidence) -> tuple[Check, ...]:
    """All checks of a verdict whose tests passed, the gravest first.

    Args:
        evidence: The evidence collected so far.

    Raises:
        NotWhole: A part is missing.
    """
    return (
        _batches(evidence),
        _neutral(evidence),
        _own_code(evidence),
        _cost(evidence),
        _reference_ml(evidence),
        _distance(evidence),
        _harm(evidence),
        _slope(evidence),
        _error_model(evidence),
        check(
            "extrapolation",
            "by_construction",
            "every rate is counted on shots of its own cell; none is fitted, scaled or continued to other p or more rounds",
        ),
        *_finite_holdout(evidence),
    )


def _error_model(evidence: Evidence) -> Check:
    if _is_finite(evidence):
        return check(
            "error_model",
            "not_made",
            "the error model came with the recorded shots; whether it was fitted to these, those of the holdout among them, no"
            " file says",
        )
    return check(
        "error_model",
        "by_construction",
        "priors and matching weights are computed from the environment's circuit; no shot, least of all one that is scored,"
        " has a part in them",
    )


def _is_finite(evidence: Evidence) -> bool:
    return evidence.target is not None and evidence.target.finite is not None


def _finite_holdout(evidence: Evidence) -> tuple[Check, ...]:
    """Of recorded shots: that the holdout is finite, and how many have looked at it."""
    if not _is_finite(evidence):
        return ()
    attempt = _needed(evidence.attempt, "attempt")
    look = _needed(attempt.look, "look")
    says = (
        f"the holdout is finite: this is look {look} at its {_extension(evidence).shots:,} recorded shots, at level"
        f" {attempt.alpha_attempt:.3g}"
    )
    if look > 1:
        says += (
            "; the level holds if whoever chose the candidate knew of each earlier look only whether it was VERIFIED"
        )
    return (check("holdout", "warned" if look > 1 else "passed", says),)


def _needed(part: _T | None, name: str) -> _T:
    if part is None:
        raise NotWhole(name)
    return part


def _extension(evidence: Evidence) -> PairedCounts:
    return _needed(_needed(evidence.target, "test").shown, "extension")


def _batches(evidence: Evidence) -> Check:
    again = _needed(evidence.answered_again, "answered_again")
    says = (
        f"of {counted(len(again.chunks), 'chunk')} that fresh processes answered again, mixed and in other batches,"
        f" {len(again.differing)} came out otherwise"
    )
    return check("batches", "failed" if again.differing else "passed", says, "batch_dependent")


def _neutral(evidence: Evidence) -> Check:
    """The gain must be the candidate's, not its decoder's.

    An error model decomposes errors with one effect in several ways. A decoder that takes beliefs keeps one decomposition; the
    plain decoder has them all. So uninformative beliefs decode differently from no beliefs (2 % better on `surface_d5_depol`).
    The test is McNemar's exact test on the shots of the figures, whose number is fixed in advance, at the attempt's level.
    """
    target = _needed(evidence.target, "test")
    if target.strata is not None:
        return _neutral_by_strata(evidence, target.strata)
    counts = _needed(target.neutral, "neutral")
    p = mcnemar_p(counts)
    says = (
        f"of {counts.shots:,} shots the decoder fails {counts.baseline_only:,} with beliefs that say nothing and not with the"
        f" candidate's, and {counts.candidate_only:,} the other way round: p = {p:.2g}"
    )
    level = _needed(evidence.attempt, "attempt").alpha_attempt
    return check("neutral", "passed" if p <= level else "failed", says, "decoder_gain")


def _neutral_by_strata(evidence: Evidence, strata: ByStrata) -> Check:
    """The same by bets: on shots by strata McNemar's test has another hypothesis."""
    counts = strata.counts(_needed(strata.neutral, "strata.neutral"))
    found, needed = log_e_better(counts), log(1 / _needed(evidence.attempt, "attempt").alpha_attempt)
    says = (
        f"the decoder fails at a rate of {counts.ler_baseline:.3g} with beliefs that say nothing and of"
        f" {counts.ler_candidate:.3g} with the candidate's: log evidence {found:.2f} of {needed:.2f}"
    )
    return check("neutral", "passed" if found >= needed else "failed", says, "decoder_gain")


def _own_code(evidence: Evidence) -> Check:
    """A candidate's own code could do more than answer: it is credible only as far as the sandbox restricts it."""
    if _needed(evidence.trusted_code, "trusted_code"):
        return check(
            "own_code", "passed", "the candidate has no code of its own: it chooses among stages that are trusted"
        )
    level = _needed(evidence.sandbox_level, "sandbox_level")
    says = f"the candidate's own code ran at sandbox level {level}"
    return check("own_code", "passed" if level else "failed", says, "unsandboxed_custom_code")


def _cost(evidence: Evidence) -> Check:
    """Trusted stages are counted by AutoQEC. Other code is recorded: a process without it answers scored shots by the record."""
    flops, cpu = (
        _needed(evidence.flops_per_shot, "flops_per_shot"),
        _needed(evidence.cpu_us_per_shot, "cpu_us_per_shot"),
    )
    if evidence.trusted_code:
        return check("cost", "passed", f"trusted stages counted {flops:,} FLOPs a shot")
    if evidence.recorded is not None:
        return _recorded_cost(evidence, evidence.recorded, flops, cpu)
    says = f"its process counted {flops:,} FLOPs a shot, and the kernel {cpu} µs of processor time"
    return check("cost", "failed" if flops < cpu * LEAST_FLOPS_PER_US else "passed", says, "cost_mismatch")


def _recorded_cost(evidence: Evidence, recorded: Recorded, flops: float, cpu: float) -> Check:
    if evidence.flops_per_sent_shot is not None:  # the operations are counted on shots that are sent on
        flops = evidence.flops_per_sent_shot
    constants = _needed(evidence.constants, "constants")
    says = (
        f"of {counted(len(recorded.chunks), 'chunk')} that a process without its code answered by its recorded operations,"
        f" {len(recorded.differing)} came out otherwise; they take {recorded.flops_per_shot:,} FLOPs a shot and hold"
        f" {recorded.constants:,} constants, and {flops:,} and {constants:,} were counted before;"
        f" the kernel counted {cpu} µs of processor time for the code and {recorded.cpu_us_per_shot} µs for the operations"
    )
    more = recorded.flops_per_shot > COST_MARGIN * flops or recorded.constants > COST_MARGIN * constants
    return check("cost", "failed" if recorded.differing or more else "passed", says, "cost_mismatch")


def _reference_ml(evidence: Evidence) -> Check:
    """Both ends are exact (Clopper-Pearson), at 2.5 % each. Both numbers of shots are fixed in advance.

    A reference behind a gate may miss answers. A candidate surely better than it is held against the one without a gate.
    """
    for name in ungated_wanted(evidence):
        raise NotWhole(f"failures of {name} without its gate")
    bounds = _bounds(evidence)
    if not bounds:
        return check("reference_ml", "not_made", "no decoder near maximum likelihood ran, or it failed no shot")
    name = min(bounds, key=lambda each: bounds[each])
    says = f"the candidate fails at most {bounds[name]:.3f} times as often as {name}, at 95 %"
    too_good = bounds[name] < TOO_GOOD_RATIO
    return check("reference_ml", "failed" if too_good else "passed", says, "beats_reference_ml")


def ungated_wanted(evidence: Evidence) -> tuple[str, ...]:
    """Decoders near maximum likelihood that ran behind a gate only, and that the candidate is surely better than."""
    near = {each.name: each for each in _near_ml(evidence)}
    return tuple(name for name, bound in _bounds(evidence).items() if bound < 1.0 and near[name].only_gated)


def _bounds(evidence: Evidence) -> dict[str, float]:
    """How many times as often the candidate fails, at most, as each decoder near maximum likelihood that failed any shot."""
    extension = _extension(evidence)
    upper = rate_interval(extension.both + extension.candidate_only, extension.shots)[1]
    return {
        each.name: upper / lower
        for each in _near_ml(evidence)
        if (lower := rate_interval(each.failed, each.shots)[0]) > 0
    }


class _NearMl(NamedTuple):
    """A decoder near maximum likelihood: its shots and failures, and whether these are of the gated one alone."""

    name: str
    shots: int
    failed: int
    only_gated: bool


def _near_ml(evidence: Evidence) -> list[_NearMl]:
    """Each decoder near maximum likelihood that ran; where it ran without a gate too, its failures are those."""
    target, shots = _needed(evidence.target, "test"), _extension(evidence).shots
    rates = {name: _needed(target.references.get(name), f"references.{name}") for name in evidence.near_ml or ()}
    found = [_near(name, shots, round(rate * shots), target.gated.get(name)) for name, rate in rates.items()]
    share = evidence.share_of_gap
    if share is not None:
        failed = _needed(share.failures.get("strong"), "share_of_gap.failures")
        found.append(_near(share.reference, share.shots, failed, share.gated))
    return found


def _near(name: str, shots: int, failed: int, gated: GatedReference | None) -> _NearMl:
    if gated is None:
        return _NearMl(name, shots, failed, only_gated=False)
    return _NearMl(name, shots, failed if gated.ungated is None else gated.ungated, gated.ungated is None)


def _distance(evidence: Evidence) -> Check:
    certificate = _needed(evidence.certificate, "certificate")
    if certificate.word == "not_enumerable":
        return check("distance", "not_made", _needed(certificate.why, "certificate.why"))
    rows = _needed(certificate.sets, "certificate.rows").rows
    counted = ", ".join(f"{row.counts.candidate_only} of weight {row.weight}" for row in rows)
    says = f"fault sets that the candidate alone fails: {counted}"
    return check("distance", "failed" if certificate.word == "regression" else "passed", says, "distance_regression")


def _harm(evidence: Evidence) -> Check:
    """Harm at another p fails the check; harm at another number of rounds is only a warning.

    A device's error rates drift, so a predecoder will see shots at a slightly different p. Another number of rounds is
    another circuit; everywhere but here, AutoQEC refuses to use weights on it.
    """
    rows = [row for row in _needed(evidence.harm, "harm") if row.word != "not_applicable"]
    if not rows:
        return check("harm", "not_made", "there is no other p or number of rounds to look at")
    at = {word: [row.label for row in rows if row.word == word] for word in ("harm", "unknown", "no_harm")}
    says = "; ".join(f"{word.replace('_', ' ')} at {', '.join(labels)}" for word, labels in at.items() if labels)
    if any(row.counted is not None and not _seen(row.counted.counts) for row in rows):
        says += "; where neither side failed a shot, nothing is shown"
    damning = any(row.word == "harm" and row.same_shape for row in rows)
    return check("harm", "failed" if damning else "warned" if at["harm"] else "passed", says, "harm")


def _seen(counts: PairedCounts) -> int:
    """Shots on which a side failed."""
    return counts.both + counts.baseline_only + counts.candidate_only


def _slope(evidence: Evidence) -> Check:
    slope = slope_of(evidence)
    if slope is None:
        return check("two_p_slope", "not_made", "there are no failures at two p to compare")
    says = (
        f"from {strength_of(evidence)} = {slope.p[0]} to {slope.p[1]} the plain decoder's rate grows like"
        f" p^{slope.baseline:.2f}, the candidate's like p^{slope.candidate:.2f}"
    )
    return check("two_p_slope", "warned" if slope.word == "flatter" else "passed", says)
