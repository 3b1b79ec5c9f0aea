"""Prints a verdict so that you can check it by hand: each figure has its formula beside it, with the numbers filled in.

The formulas are the verifier's own; `autoqec verify --audit` recomputes them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from autoqec.results.certificate_parts import FaultSets
from autoqec.results.finite_holdout import FiniteHoldout
from autoqec.results.reasons import verdict_words
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_parts import Ablation, Evidence, Place, Tested
from autoqec.results.workings import evidence_workings, level_workings
from autoqec.views.console import out, plain
from autoqec.views.figures_text import figures_text, gated_text, interval_text, rate_text, ratio_text
from autoqec.views.strata_text import strata_lines

_COMPOSITIONS = {
    "adds_up": "the parents' gains add up",
    "partial": "the parents' gains add up in part",
    "interferes": "the parents interfere",
    "unknown": "the parents could not be scored",
}

#: The row of the ablation that says what the ensemble as a whole earns.
_WITHOUT_ENSEMBLE = "without the ensemble"

#: What is left of an ensemble in a row of the ablation.
_VARIANTS = {
    "one member": "with one member alone",
    "half the members": "with half of the members",
    "least weight": "if the likeliest solution alone decides",
}


def print_verdict(verdict: Verdict, *, replay_agrees: bool | None = None) -> None:
    """A verdict, so that it can be checked by hand from its counts.

    Args:
        verdict: The verdict.
        replay_agrees: For a replay, whether it gave the same verdict.
    """
    out().print(plain(verdict_lines(verdict, replay_agrees=replay_agrees)))


def verdict_lines(verdict: Verdict, *, replay_agrees: bool | None = None) -> str:
    """A verdict as text. It names the parts that do not match the schema."""
    evidence = verdict.evidence
    lines = [", ".join(filter(None, [verdict_words(verdict.verdict, verdict.reason), attempt_words(evidence)]))]
    for part in _PARTS:
        lines += part(evidence)
    if evidence.target is None and verdict.figures is not None:
        lines.append(figures_text(verdict.figures, verdict.references))
    lines += [f"{place}: does not match the schema of a verdict" for place in verdict.malformed]
    if replay_agrees is not None:
        read = "read" if verdict.is_finite else "drew"
        agrees = f"{read} the same shots and counted the same" if replay_agrees else "DIFFERS from the verdict noted"
        lines.append(f"replay: {agrees}")
    return "\n".join(filter(None, [*lines, _ending(evidence)]))


def attempt_words(evidence: Evidence) -> str:
    """The number of the attempt, its level, and whose word the verdict is."""
    attempt = evidence.attempt
    told = f"attempt {attempt.attempt} of the run, at level {attempt.alpha_attempt:.2g}" if attempt is not None else ""
    return ", ".join(filter(None, [told, f"by {evidence.verifier}" if evidence.verifier else ""]))


def _ending(evidence: Evidence) -> str:
    attempt, parts = evidence.attempt, []
    if evidence.trusted_code:
        parts.append("trusted code, not locked")
    elif evidence.sandbox_level is not None:
        parts.append(f"sandbox level {evidence.sandbox_level}")
    if attempt is not None and attempt.seed_key:
        parts.append(f"holdout key {attempt.seed_key}" + (f"; beacon {attempt.beacon}" if attempt.beacon else ""))
    if evidence.seconds is not None:
        by_part = [f"{name.replace('_', ' ')} {seconds}" for name, seconds in evidence.seconds_by_part.items()]
        parts.append(f"took {evidence.seconds} s{': ' + ', '.join(by_part) if by_part else ''}")
    return "; ".join(parts)


def cell_lines(evidence: Evidence) -> Iterator[str]:
    """The cells that the verdict is about."""
    if evidence.cell is not None:
        labels = [_place(evidence.cell), *(_place(cell.cell) for cell in evidence.cells)]
        yield f"judged at {labels[0] or 'the noise of the file'}" + "".join(f"; and at {each}" for each in labels[1:])


def _place(place: Place) -> str:
    return ", ".join(f"{name} = {value}" for name, value in place.items())


def _level(evidence: Evidence) -> Iterator[str]:
    attempt = evidence.attempt
    if attempt is not None and attempt.look is not None:
        recording = (attempt.recording or "")[:12]
        yield (
            f"level: α · 2/4^look = {attempt.alpha:g} · 2/4^{attempt.look} = {attempt.alpha_attempt:.3g}; this is look"
            f" {attempt.look} at the holdout of the recording {recording}, by any run of the lab"
        )
    elif attempt is not None and (terms := level_workings(attempt)) is not None:
        # In verdicts of earlier versions, which name no intent, earlier successes raised the level.
        names, earned = ("", "") if evidence.intent else (" · (verified before + 1)", f" · {terms.earned}")
        yield (
            f"level: α · share{names} = {attempt.alpha:g} · 1/{terms.parts:g}{earned} ="
            f" {attempt.alpha_attempt:.3g} (the first {terms.planned} attempts of a run share half of α)"
        )


def _over(evidence: Evidence) -> Iterator[str]:
    if evidence.over:
        yield "; ".join(evidence.over)


def _target(evidence: Evidence) -> Iterator[str]:
    if evidence.target is not None:
        yield from _tested(evidence.target)


def _tested(tested: Tested) -> Iterator[str]:
    if tested.strata is not None:
        yield from strata_lines(tested, tested.strata)
        yield figures_text(tested.figures, tested.references, tested.references_missing)
        return
    c = tested.test
    yield (
        f"test: {c.shots:,} shots: both fail a = {c.both:,}, plain only b = {c.baseline_only:,},"
        f" candidate only c = {c.candidate_only:,}"
    )
    if tested.finite is not None:
        yield from _finite(tested, tested.finite)
        return
    terms = evidence_workings(tested)
    yield (
        f"log evidence {tested.log_e_better:.2f}, needed log(1/level) = {tested.log_e_needed:.2f}; it is the log of the mean over"
        f" {terms.bets} bets L of (1 + L)^b (1 - L)^c"
    )
    yield (
        f"  the largest term, L = {terms.bet:.4f}: {c.baseline_only:,} · log {1 + terms.bet:.4f} + {c.candidate_only:,} · log"
        f" {1 - terms.bet:.4f} = {terms.log_e:.2f}, so the mean is between that less log {terms.bets} = 3.18 and that"
    )
    if tested.extension is not None:
        c = tested.extension
        plain_failures, failures = c.baseline_failures, c.candidate_failures
        yield (
            f"headline, on {c.shots:,} further shots: both a = {c.both:,}, plain only b = {c.baseline_only:,},"
            f" candidate only c = {c.candidate_only:,}"
        )
        yield (
            f"  LER (a + c)/n = {failures:,}/{c.shots:,}, plain (a + b)/n = {plain_failures:,}/{c.shots:,},"
            f" ΔLER (b - c)/n = {c.fewer_failures:,}/{c.shots:,}, ratio (a + c)/(a + b) = {failures:,}/{plain_failures:,}"
        )
    yield from _rates(tested)


def _rates(tested: Tested) -> Iterator[str]:
    yield figures_text(tested.figures, tested.references, tested.references_missing)
    for name, gated in sorted(tested.gated.items()):
        yield gated_text(name, gated)


def _finite(tested: Tested, finite: FiniteHoldout) -> Iterator[str]:
    """The exact test on recorded shots."""
    c, p = tested.test, tested.mcnemar_p_fixed_n
    said = "none" if p is None else f"{p:.3g}"
    yield (
        f"finite holdout, all its shots: McNemar's exact p = P(at most {c.candidate_only:,} of"
        f" {c.baseline_only + c.candidate_only:,} at 1/2) = {said}, needed: the level or less"
    )
    yield (
        f"  exact 95 % intervals: plain {interval_text(finite.ler_baseline_ci, 6)}, candidate"
        f" {interval_text(finite.ler_candidate_ci, 6)}"
        + ("" if finite.share_ci is None else f", c/(b + c) {interval_text(finite.share_ci, 3)}")
    )
    yield from _rates(tested)


def bound_lines(evidence: Evidence) -> Iterator[str]:
    """The bound of the candidate's rate, where the environment has a target."""
    if evidence.ler_candidate_bound is not None:
        bound, target = evidence.ler_candidate_bound, evidence.target_ler
        yield f"LER at most {rate_text(bound, 6)} at the level of the attempt; the target is {target}"


def _cells(evidence: Evidence) -> Iterator[str]:
    for cell in evidence.cells:
        carried = ", with the target's weights" if cell.weights == "carried_over" else ""
        yield f"at {cell.label}{carried}: {cell.word}" + (f": {cell.fault}" if cell.fault is not None else "")
        if cell.tested is not None:
            yield from (f"  {line}" for text in _tested(cell.tested) for line in text.split("\n"))


def out_of_time_lines(evidence: Evidence) -> Iterator[str]:
    """The test that the limit of time ended."""
    stop = evidence.out_of_time
    if stop is not None:
        where = f"at {stop.cell}" if stop.cell else "at the target"
        budget = "" if stop.seconds is None else f" of {stop.seconds:g} s"
        yield f"out of time: the limit{budget} was reached while the test {where} was undecided, after {stop.shots:,} shots"


def composition_lines(evidence: Evidence) -> Iterator[str]:
    """Whether the gains of a composed round's parents add up."""
    compose = evidence.compose
    if compose is None:
        return
    text = f"compose: {_COMPOSITIONS.get(compose.composition, compose.composition)}"
    scored = compose.scored
    if scored is None:
        yield f"{text}: {compose.fault}"
        return
    gains = ", ".join(f"{name} {gain:+.6f}" for name, gain in sorted(scored.parents.items()))
    yield (
        f"{text}: on the same shots {gains}; over {scored.best_parent}"
        f" {scored.over_best:+.6f} {interval_text(scored.over_best_ci, 6)}"
    )


def share_lines(evidence: Evidence) -> Iterator[str]:
    """The share of the gap to a stronger decoder."""
    found = evidence.share_of_gap
    if found is None:
        return
    sides = (("plain", found.baseline), ("candidate", found.candidate), (found.reference, found.strong))
    rates = ", ".join(f"{name} {rate.ler:.6f} {interval_text(rate.ler_ci, 6)}" for name, rate in sides)
    share = "none" if found.share is None else f"{found.share:.0%}"
    yield f"share of the gap to {found.reference} closed: {share}, on the same {found.shots:,} shots: {rates}"
    if found.gated is not None:
        yield f"  {gated_text(found.reference, found.gated)}"


def _harm(evidence: Evidence) -> Iterator[str]:
    for row in evidence.harm or ():
        said = f"next to the target, {row.label}: {row.word.replace('_', ' ')}"
        if row.counted is not None:
            c, figures = row.counted.counts, row.counted.figures
            if not c.baseline_failures and not c.candidate_only:
                yield f"{said}: neither side failed one of {c.shots:,} shots"
                continue
            said += (
                f": ratio ({c.both:,} + {c.candidate_only:,})/({c.both:,} + {c.baseline_only:,}) ="
                f" {ratio_text(figures.ler_ratio, 3)} {interval_text(figures.ratio_interval, 3)} over {c.shots:,} shots"
            )
        yield said + (f": {row.why}" if row.why is not None else "")


def _certificate(evidence: Evidence) -> Iterator[str]:
    found = evidence.certificate
    if found is None:
        return
    if found.sets is None:
        if found.why is not None:
            yield f"few faults: not examined: {found.why}"
        return
    yield (
        f"few faults, of which distance {found.distance} ({found.found}) can have {found.correctable}:"
        + f" {found.word}"
    )
    yield from _fault_sets(found.sets)


def _fault_sets(sets: FaultSets) -> Iterator[str]:
    for row in sets.rows:
        c = row.counts
        how = f"all {row.of:,}" if row.how == "listed" else f"{c.shots:,} drawn of {row.of:,}"
        yield (
            f"  weight {row.weight}, {how}: both fail {c.both:,}, plain only {c.baseline_only:,}, candidate only"
            f" {c.candidate_only:,}; as a share of all shots: plain {row.failing[0]:.2g}, candidate {row.failing[1]:.2g}"
        )
    for each in sets.regressions:
        flipped = " and ".join(f"L{number}" for number in each.observables) or "no observable"
        yield (
            f"  the candidate alone fails mechanisms {', '.join(map(str, each.mechanisms))} together (detectors"
            f" {' '.join(f'D{number}' for number in each.detectors)}, {flipped}), probability {each.probability:.2g}"
        )
    if sets.break_even is not None:
        yield f"  to leading order they outweigh the gain below {sets.break_even:.2g} of the target's error rates"


def _ablation(evidence: Evidence) -> Iterator[str]:
    found = evidence.ablation
    if found is None:
        if evidence.checks is not None and evidence.target is not None and evidence.target.strata is not None:
            yield "ablation: not made on shots by strata"
        return
    yield f"ablation, on {found.shots:,} of the headline shots: {earners_words(found)}"
    for row in found.variants:
        name = _VARIANTS.get(row.name, row.name)
        if row.counted is None:
            yield f"  {name}: {row.fault}"
            continue
        c = row.counted.against_whole
        yield (
            f"  {name}: ΔLER {row.counted.delta_ler:+.6f}; the whole candidate gains"
            f" ({c.baseline_only:,} - {c.candidate_only:,})/{c.shots:,} ="
            f" {row.counted.earned:+.6f} {interval_text(row.counted.earned_ci, 6)} more"
        )


def earners_words(found: Ablation) -> str:
    """Which stages, and whether the ensemble, are shown to earn something: their intervals lie above zero."""
    sure = [row.name for row in found.variants if row.counted is not None and row.counted.earned_ci[0] > 0]
    # A stage's name has no blank; those of the other variants have.
    stages = [name.removeprefix("without ") for name in sure if name.startswith("without ") and name.count(" ") == 1]
    said = "no stage alone is shown to earn anything"
    if len(stages) == 1:
        said = f"stage {stages[0]} is shown to earn something"
    elif stages:
        said = f"stages {', '.join(stages)} are shown to earn something, {found.earner} most"
    if any(row.name == _WITHOUT_ENSEMBLE and row.counted is not None for row in found.variants):
        said += f"; the ensemble is{' too' if stages else ''}" if _WITHOUT_ENSEMBLE in sure else "; the ensemble is not"
    return said


def _costs(evidence: Evidence) -> Iterator[str]:
    """Only in verdicts that name their run: older ones have no constants."""
    if not evidence.run or evidence.flops_per_shot is None or evidence.params is None or evidence.bytes is None:
        return
    held = f" ({evidence.constants:,} constants of its code)" if evidence.constants else ""
    loading = (
        "" if evidence.loading_cpu_ms is None else f"; loading took {evidence.loading_cpu_ms:,} ms of processor time"
    )
    target, each = evidence.target, evidence.flops_per_sent_shot
    if target is not None and target.sent is not None and each is not None:
        yield _mean_cost(evidence, target, target.sent, each)
    yield (
        f"costs {evidence.flops_per_shot:,} FLOPs per shot and {evidence.params:,} parameters{held};"
        f" {evidence.bytes:,} bytes of files and weights{loading}"
    )
    took = evidence.us_per_shot
    if took is not None:
        gate = f"plain decoding {took.plain:.1f}, gate {took.gate:.1f}, " if each is not None else ""
        yield f"took {took.whole:.1f} µs per shot: {gate}predecoder {took.predict:.1f}, decoding its beliefs {took.decode:.1f}"


def _mean_cost(evidence: Evidence, target: Tested, sent: int, each: int) -> str:
    """The mean cost behind a gate or of an ensemble, from its counts."""
    own, passes = f" + {target.gate_flops:,}" if target.gate_flops else "", target.passes
    shots = target.cost_shots
    said = f"the gate sent {sent:,} of {shots:,} shots on, {evidence.sent_on or 0.0:.2%}, at {each:,} FLOPs each"
    if passes is not None:
        average = f", {passes / sent:.2f} for each on average" if sent else ""
        said = (
            f"the ensemble took {passes:,} passes of {each:,} FLOPs over {sent:,} of {shots:,} shots"
            f" ({evidence.sent_on or 0.0:.2%}){average}"
        )
    asked = sent if passes is None else passes
    return f"{said}: ({each:,} · {asked:,}{own})/{shots:,} = {evidence.flops_per_shot:,} per shot"


def _checks(evidence: Evidence) -> Iterator[str]:
    for row in evidence.checks or ():
        yield f"check {row.check}, {row.result.replace('_', ' ')}: {row.says}"


def _fault(evidence: Evidence) -> Iterator[str]:
    if evidence.fault is not None:
        yield evidence.fault


#: In the order in which a verdict is read.
_PARTS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    cell_lines,
    _level,
    _over,
    _target,
    bound_lines,
    _cells,
    out_of_time_lines,
    composition_lines,
    share_lines,
    _harm,
    _certificate,
    _ablation,
    _costs,
    _checks,
    _fault,
)
