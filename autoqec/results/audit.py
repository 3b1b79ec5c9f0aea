"""Audits a verdict from its own note: recomputes everything that follows from the counts and compares it with what the note says.

An audit draws no shots, so it cannot tell whether the counts are true. A replay of the shots from the revealed key can.
The ends of intervals are searched for, as when the note was written; or evaluated, which is much faster and as strict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isclose
from typing import Any, TypeVar

from autoqec.results.certificate_parts import Certificate, CertificateRow, FaultSets
from autoqec.results.counts import PairedCounts
from autoqec.results.decision import decide, evidence, exact_word, rate_surely_below, test_word
from autoqec.results.distance import certificate_row, certified
from autoqec.results.figures import Figures
from autoqec.results.finite_holdout import FiniteHoldout
from autoqec.results.gate_costs import counts_fit
from autoqec.results.harm import harm_evidence, harm_word, slope_of
from autoqec.results.interval_ends import CLOSE, SEARCHED, Ends
from autoqec.results.limits import exceeded
from autoqec.results.note_form import write_record
from autoqec.results.reasons import REASONS, word_for
from autoqec.results.reference_gates import gate_faults
from autoqec.results.statistics import mcnemar_p
from autoqec.results.strata_parts import ByStrata, StrataSample
from autoqec.results.stratified_counts import Counts, shares_for
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_checks import NotWhole, run_checks
from autoqec.results.verdict_parts import Check, Composition, Evidence, ParentsScored, ShareOfGap, Tested, Variant
from autoqec.results.wider_comparisons import COMPARED, added_up, gap_closed

#: No error budget of an environment is as large as this.
_MOST_ALPHA = 0.5

#: Relative tolerance between two computations of one p-value, which may be tiny.
_CLOSE_P = 1e-6

#: A number of failures that a rate is worked out from may be this far from a whole one.
_WHOLE = 1e-3

#: A number in a sentence.
_FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")

_T = TypeVar("_T")


def audit(verdict: Verdict, ends: Ends = SEARCHED) -> list[str]:
    """Find what a verdict's note says that does not follow from its counts.

    Args:
        verdict: As it stands in git. Verdicts of earlier versions hold fewer fields; the audit examines those they hold.
        ends: How to find the ends of intervals.

    Returns:
        One sentence per figure that disagrees, `field: …`; empty if all agree.
    """
    found = [f"the note is incomplete: {place} does not match the schema of a verdict" for place in verdict.malformed]
    try:
        found += _differences(verdict, ends)
    except NotWhole as missing:
        found += [f"the note is incomplete: it has no {missing}"] if not found else []
    except (ArithmeticError, ValueError) as error:
        found.append(f"the note is incomplete: {type(error).__name__}: {error}")
    return found


def _differences(verdict: Verdict, ends: Ends) -> Iterator[str]:
    evidence = verdict.evidence
    attempt = _needed(evidence.attempt, "attempt")
    faults = [*level_faults(evidence)]
    yield from faults
    if faults:  # no level, and so nothing else, follows from such numbers
        return
    alpha = attempt.level
    yield from _beside("alpha_attempt", attempt.alpha_attempt, alpha)
    yield from _limits(evidence)
    yield from _gated_costs(evidence)
    stopped, target = evidence.fault is not None or bool(evidence.over), evidence.target
    if stopped:
        yield from _stopped(verdict)
    else:
        target = _needed(target, "test")
    if target is not None:
        yield from _figures_of_all(evidence, target, alpha, ends)
        if not stopped:
            yield from _word(verdict, target, alpha)


def _limits(evidence: Evidence) -> Iterator[str]:
    """Check the costs against the limits, where a note says both."""
    if evidence.constraints is not None:
        over = exceeded(evidence.constraints, flops=evidence.flops_per_shot, params=evidence.params)
        yield from _beside("over", bool(evidence.over), bool(over))


def _gated_costs(evidence: Evidence) -> Iterator[str]:
    """Check that the mean cost of a gated candidate follows from the shots that were sent on."""
    target = evidence.target
    if target is None or (target.sent is None and evidence.flops_per_sent_shot is None):
        return
    _needed(target.sent, "sent")
    _needed(evidence.flops_per_sent_shot, "flops_per_sent_shot")
    yield from _beside("flops_per_shot", evidence.flops_per_shot, evidence.mean_flops)


def _figures_of_all(evidence: Evidence, target: Tested, alpha: float, ends: Ends) -> Iterator[str]:
    """Check every part of the evidence that has counts."""
    chunk_shots = _needed(evidence.chunk_shots or None, "chunk_shots")
    looked = evidence.attempt is not None and evidence.attempt.look is not None
    yield from _beside("finite", target.finite is not None, looked)
    yield from _tested("", target, alpha, chunk_shots, ends)
    for place, cell in enumerate(evidence.cells):
        if cell.tested is not None:
            yield from _tested(f"cells.{place}.", cell.tested, alpha, chunk_shots, ends)
        elif cell.word == "better":
            yield f"cells.{place}.word: better, but there are no counts"
    yield from _out_of_time(evidence)
    for place, row in enumerate(evidence.harm or ()):
        if row.counted is not None:
            counts = row.counted.counts
            noted = write_record(row.counted) | {"word": row.word}
            again = harm_evidence(counts) | _figures(counts, row.counted.figures, ends) | {"word": harm_word(counts)}
            yield from _beside(f"harm.{place}", noted, again)
    if evidence.certificate is not None and evidence.certificate.sets is not None:
        yield from _certificate(evidence.certificate, evidence.certificate.sets, target.figures.delta_ler, ends)
    for place, variant in enumerate(evidence.ablation.variants if evidence.ablation else ()):
        yield from _variant(f"ablation.variants.{place}", variant, ends)
    if evidence.share_of_gap is not None:
        yield from _share_of_gap(evidence.share_of_gap)
    if evidence.compose is not None and evidence.compose.scored is not None:
        yield from _composition(evidence.compose, evidence.compose.scored, ends)


def figures_differ(where: str, noted: Figures, counts: PairedCounts, ends: Ends = SEARCHED) -> Iterator[str]:
    """Report the figures that do not follow from the counts behind them.

    Args:
        where: Their place in the note, for messages.
        noted: The figures.
        counts: The counts.
        ends: How to find the ends of intervals.
    """
    yield from _beside(where, noted.to_note(), _figures(counts, noted, ends))


def _figures(counts: Counts, noted: Figures, ends: Ends) -> dict[str, Any]:
    """The figures of counts as a note holds them."""
    rates = counts.shots, counts.ler_baseline, counts.ler_candidate, counts.delta_ler
    gain, ratio = ends.delta(counts, noted.gain_interval), ends.ratio(counts, noted.ratio_interval)
    return Figures(*rates, gain, counts.ler_ratio, ratio).to_note()  # type: ignore[arg-type]


def level_faults(evidence: Evidence) -> Iterator[str]:
    """Find numbers of an attempt from which no level follows: a level above the budget, or successes that it cannot have had."""
    attempt = evidence.attempt
    if attempt is None:
        return
    if attempt.attempt < 1:
        yield f"attempt: the note says {attempt.attempt}, but attempts are numbered from 1"
    elif not 0 <= attempt.verified_before < attempt.attempt:
        yield f"verified_before: the note says {attempt.verified_before}, but {attempt.attempt - 1} attempts came before"
    if (attempt.look is None) != (attempt.recording is None) or (attempt.look is not None and attempt.look < 1):
        yield f"look: the note says look {attempt.look} at the recording {attempt.recording}"
    if evidence.intent and attempt.verified_before != 0:
        yield f"verified_before: the note says {attempt.verified_before}, but earlier verdicts do not raise a level: 0"
    if not 0 < attempt.alpha < _MOST_ALPHA:
        yield f"alpha: the note says {attempt.alpha:g}, but an error budget is between 0 and {_MOST_ALPHA}"
    elif attempt.alpha_attempt > attempt.alpha:
        yield f"alpha_attempt: the note says {attempt.alpha_attempt:g}, above the error budget of the run, {attempt.alpha:g}"


def _needed(part: _T | None, name: str) -> _T:
    if part is None:
        raise NotWhole(name)
    return part


def _stopped(verdict: Verdict) -> Iterator[str]:
    """Check the word for a candidate that broke its contract or its limits, against the table of reasons."""
    evidence, known = verdict.evidence, REASONS.get(verdict.reason)
    if evidence.over:
        yield from _beside("verdict and reason", [verdict.verdict, verdict.reason], list(decide(evidence)))
    elif known is not None and not known.fault:
        yield f"verdict: {verdict.verdict} ({verdict.reason}), but the reason must say how the candidate broke its contract"
    elif verdict.verdict != word_for(verdict.reason):
        yield (
            f"verdict: {verdict.verdict}, but a candidate that broke its contract by {verdict.reason} is"
            f" {word_for(verdict.reason)}"
        )


def _tested(where: str, noted: Tested, alpha: float, chunk_shots: int, ends: Ends) -> Iterator[str]:
    """Audit one cell: its evidence from the test's counts, its figures from the extension's counts."""
    headline, strata = noted.headline, noted.strata
    everything = noted.test + noted.extension if noted.extension else noted.test
    whole: Counts = everything if strata is None else strata.everything
    again: dict[str, Any] = {
        **evidence(noted.test_counts, alpha),
        **_figures(noted.headline_counts, noted.figures, ends),
        "shots_in_all": everything.shots,
        "ler_ratio_ci_all_shots": ends.ratio(whole, noted.ler_ratio_ci_all_shots or (0.0, None)),
    }
    if noted.finite is not None:
        again |= {"finite": write_record(FiniteHoldout.of(noted.test)), "extension": None, "strata": None}
    if noted.word:
        finite = noted.finite is not None
        again["word"] = exact_word(noted.test, alpha) if finite else test_word(noted.test_counts, alpha)
    said = write_record(noted)
    for name, value in again.items():
        yield from _beside(where + name, said.get(name), value)
    if noted.sent is None and noted.passes is not None:
        yield f"{where}passes: the note counts passes, but not the shots that were sent on"
    if noted.sent is not None and not counts_fit(noted.sent, noted.passes, noted.cost_shots):
        passes = "" if noted.passes is None else f", and {noted.passes} passes"
        yield f"{where}sent: the note says {noted.sent} of {noted.cost_shots} shots{passes}"
    if noted.gate_flops < 0:
        yield f"{where}gate_flops: the note says {noted.gate_flops} FLOPs of the gate"
    for name, rate in noted.references.items() if strata is None else ():
        failures = rate * headline.shots
        if not (0 <= rate <= 1 and isclose(failures, round(failures), abs_tol=_WHOLE)):
            yield f"{where}references.{name}: the note says {rate}, which no number of failures of {headline.shots} shots gives"
    for name, gated in noted.gated.items():
        yield from gate_faults(f"{where}gated.{name}", gated, headline.shots)
    if strata is not None:
        yield from _by_strata(f"{where}strata", noted, strata)
    p = mcnemar_p(headline)
    if strata is not None:
        yield from _beside(f"{where}mcnemar_p_fixed_n", noted.mcnemar_p_fixed_n, None)
    elif noted.mcnemar_p_fixed_n is None or not isclose(noted.mcnemar_p_fixed_n, p, rel_tol=_CLOSE_P):
        yield f"{where}mcnemar_p_fixed_n: the note says {noted.mcnemar_p_fixed_n}, its counts give {p}"
    drawn = len(noted.digests) * chunk_shots
    if noted.finite is not None and 0 <= drawn - everything.shots < chunk_shots:
        drawn = everything.shots  # the last chunk of recorded shots may be smaller
    yield from _beside(f"{where}digests, times {chunk_shots} shots", drawn, everything.shots)


def _by_strata(where: str, noted: Tested, strata: ByStrata) -> Iterator[str]:
    """Check counts by strata against the plain ones, and that past shots alone decided how later ones were shared."""
    drawn, test = strata.drawn, strata.counts(strata.test)
    raw = {"test": (strata.test, noted.test), "extension": (strata.extension, noted.extension)}
    for name, (sample, plain) in raw.items():
        found = None if sample is None else strata.counts(sample).raw
        yield from _beside(f"{where}.{name}", _json_counts(found), _json_counts(plain))
    for place, phase in enumerate(test.phases):
        shares = shares_for(drawn.probabilities, test.phases[:place])
        yield from _beside(f"{where}.test.phases.{place}.shares", phase.shares, shares)
    if strata.extension is not None:
        shares = shares_for(drawn.probabilities, test.phases)
        yield from _beside(f"{where}.extension.shares", [e.shares for e in strata.extension.phases], [shares])
        yield from _beside(f"{where}.extension.listed", _sets(strata.extension), _sets(strata.test))
    if strata.cost_shots < 0:
        yield f"{where}.cost_shots: the note says {strata.cost_shots} shots"
    sets = [each.counts.shots for each in test.listed]
    ones = sets[1] if len(sets) > 1 else 0
    yield from _beside(f"{where}.listed", sets, [1, ones, ones * (ones - 1) // 2][: len(sets)])
    yield from _beside(f"{where}.effective_shots", strata.effective_shots, noted.headline_counts.effective_shots)  # type: ignore[union-attr]
    rates = {name: strata.counts(each).ler_baseline for name, each in strata.references.items()}
    yield from _beside(f"{where}.references", dict(noted.references), rates)


def _json_counts(counts: PairedCounts | None) -> dict[str, int] | None:
    return None if counts is None else counts.to_dict()


def _sets(sample: StrataSample) -> list[int]:
    return [each.counts.shots for each in sample.listed]


def _out_of_time(evidence: Evidence) -> Iterator[str]:
    """Check that only an undecided test stopped early, and where the note says so."""
    stop = evidence.out_of_time
    if stop is None:
        return
    places = [evidence.target] if stop.cell is None else [c.tested for c in evidence.cells if c.label == stop.cell]
    yield from _beside("out_of_time.cell", [place.word if place else None for place in places], ["undecided"])
    yield from _beside("out_of_time.shots", [stop.shots], [place.test.shots for place in places if place])


def _certificate(noted: Certificate, sets: FaultSets, delta_ler: float, ends: Ends) -> Iterator[str]:
    none = sets.no_fault
    for place, row in enumerate(sets.rows):
        # For listed sets the note holds the summed probabilities; for drawn sets they follow from counts.
        sums = (row.failing[0] / none, row.failing[1] / none) if row.how == "listed" else None
        interval = _drawn_interval(row, ends) if sums is None else None
        again = certificate_row(row.weight, row.of, row.probability, none, row.counts, sums, interval)
        yield from _beside(f"certificate.rows.{place}", write_record(row), write_record(again))
    whole = certified(_needed(noted.distance, "certificate.distance"), noted.found, none, sets.rows, delta_ler)
    yield from _beside("certificate.word", noted.word, whole.word)
    yield from _beside("certificate.break_even", sets.break_even, _needed(whole.sets, "certificate.rows").break_even)


def _drawn_interval(row: CertificateRow, ends: Ends) -> tuple[Any, Any]:
    """The interval of the excess, from that of the difference of rates among the drawn sets, which it mirrors."""
    if row.probability == 0:
        return 0.0, 0.0
    low, high = (-end / row.probability for end in row.excess_ci)
    found = ends.delta(row.counts, (high, low))
    turned = [-row.probability * end if isinstance(end, float) else end for end in reversed(found)]
    return turned[0], turned[1]


def _variant(where: str, variant: Variant, ends: Ends) -> Iterator[str]:
    counted = variant.counted
    if counted is not None:
        yield from _beside(f"{where}.delta_ler", counted.delta_ler, counted.counts.delta_ler)
        yield from _beside(f"{where}.earned", counted.earned, counted.against_whole.delta_ler)
        yield from _beside(
            f"{where}.earned_ci", counted.earned_ci, ends.delta(counted.against_whole, counted.earned_ci)
        )


def _share_of_gap(noted: ShareOfGap) -> Iterator[str]:
    counts = [noted.failures.get(name) for name in COMPARED]
    if any(count is None or not 0 <= count <= noted.shots for count in counts) or noted.shots < 1:
        raise NotWhole("share_of_gap.failures")
    if noted.gated is not None:
        yield from gate_faults("share_of_gap.gated", noted.gated, noted.shots)
    again = gap_closed(noted.reference, noted.shots, noted.failures, noted.gated)
    yield from _beside("share_of_gap", write_record(noted), write_record(again))


def _composition(noted: Composition, scored: ParentsScored, ends: Ends) -> Iterator[str]:
    if not scored.parents:
        raise NotWhole("compose.parents")
    again = added_up(
        scored.parents, None, lambda best: scored.counts, lambda counts: ends.delta(counts, scored.over_best_ci)
    )
    yield from _beside("compose", write_record(noted), write_record(again))


def _word(verdict: Verdict, target: Tested, alpha: float) -> Iterator[str]:
    evidence = verdict.evidence
    if not target.word:  # version 0.1 made its checks but did not note them, so only the test can be audited
        better = test_word(target.test_counts, alpha) == "better"
        if better != (verdict.verdict != "FAILED" or verdict.reason in ("target_missed", "constraint")):
            yield f"verdict: {verdict.verdict} ({verdict.reason}) does not follow from the counts of the test"
        if verdict.reason in REASONS and verdict.verdict != word_for(verdict.reason):
            yield f"verdict: {verdict.verdict}, but {verdict.reason} is a reason of {word_for(verdict.reason)}"
        return
    if evidence.target_ler is not None and target.shown is not None:
        bound = rate_surely_below(target.headline_counts, alpha)
        yield from _beside("ler_candidate_bound", evidence.ler_candidate_bound, bound)
    if evidence.checks is not None:
        yield from _beside("two_p_slope", _json(evidence.two_p_slope), _json(slope_of(evidence)))
        checks = run_checks(evidence)
        yield from _beside("checks", [*map(_figures_of, evidence.checks)], [*map(_figures_of, checks)])
        evidence = replace(evidence, checks=checks)
    elif evidence.intent and all(place.word == "better" for place in evidence.places):
        raise NotWhole("checks")  # a verdict that names its intent is of a version that notes them
    yield from _beside("verdict and reason", [verdict.verdict, verdict.reason], list(decide(evidence)))


def _figures_of(check: Check) -> dict[str, Any]:
    """A check with the figures of its sentence in place of the sentence: its words may change from version to version."""
    return {**write_record(check), "says": sorted(_FIGURE.findall(check.says))}


def _json(record: Any) -> Any:
    return None if record is None else write_record(record)


def _beside(name: str, noted: Any, again: Any) -> Iterator[str]:
    """Report where a noted value differs from the recomputed one; of a mapping, only recomputed keys are compared."""
    if isinstance(again, Mapping) and isinstance(noted, Mapping):
        for key, value in again.items():
            yield from _beside(f"{name}.{key}", noted.get(key), value)
    elif isinstance(again, list | tuple) and isinstance(noted, list | tuple) and len(again) == len(noted):
        for place, (one, other) in enumerate(zip(noted, again, strict=True)):
            yield from _beside(f"{name}.{place}", one, other)
    elif not _same(noted, again):
        yield f"{name}: the note says {noted}, its counts give {again}"


def _same(noted: Any, again: Any) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (noted, again))
    return isclose(noted, again, rel_tol=CLOSE, abs_tol=CLOSE) if numbers else bool(noted == again)
