"""Rules for rounds that were judged: what a verdict that is not VERIFIED means, and what clears it."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log

from autoqec.agents.diagnosis.cases import Case, Diagnosis, figure, found, span, text
from autoqec.agents.diagnosis.old_records import fault_in_words
from autoqec.agents.diagnosis.patches import smaller_stages
from autoqec.agents.diagnosis.rules_ended import fault_cause
from autoqec.results.figures import Figures

#: A test that spreads its bets needs about this many times the shots of one that knew the ratio beforehand.
_SPREAD = 1.6

#: More shots than this are not worth an idea.
_MOST_SHOTS = 1e9

#: The check of a verdict by the reason that it fails for; its own words are evidence.
_CHECKS = ("batch_dependent", "decoder_gain", "distance_regression", "harm", "cost_mismatch", "beats_reference_ml",
           "unsandboxed_custom_code")  # fmt: skip


def judged_causes(case: Case) -> Iterator[Diagnosis]:
    """Why a verdict is SUSPICIOUS or FAILED."""
    word, reason = text(case.past.verdict), text(case.past.verdict_reason)
    if word not in ("FAILED", "SUSPICIOUS"):
        return
    said = f"{word}: {reason}"
    dev = case.past.metrics.figures.gain_interval if case.past.metrics else None
    judged = _figures(case)
    holdout = judged.gain_interval if judged else None
    if reason in ("not_better", "undecided") and dev is not None and holdout is not None and dev[0] > 0 >= holdout[0]:
        evidence = (f"gain on development shots, 95 %: {span(dev)}", f"on the holdout: {span(holdout)}")
        yield found(case, "winners_curse", *evidence, *_cells(case, reason))
    if reason == "undecided":
        yield _undecided(case, said)
    elif reason in ("over_budget", "constraint"):
        yield found(case, "over_budget", said, *case.evidence.over, changes=smaller_stages(case.files))
    elif reason == "target_missed":
        bound, target = case.evidence.ler_candidate_bound, case.evidence.target_ler
        yield found(case, reason, said, f"surely below {figure(bound)}, and target_ler is {figure(target)}")
    elif reason in _CHECKS:
        yield found(case, reason, said, *_check(case, reason))
    elif (fault := fault_cause(case, reason, _fault_code(case, reason), _fault_said(case, said))) is not None:
        yield fault
    elif reason in ("not_better", "weights_do_not_fit"):
        yield found(case, reason, said, _ratio(case), *_cells(case, reason))
    else:
        yield found(case, "other_reason", said)


def _fault_said(case: Case, said: str) -> str:
    return " ".join([said, text(case.evidence.fault)]).strip()


def _fault_code(case: Case, reason: str) -> str:
    return text(case.evidence.fault_code) or fault_in_words(reason, text(case.evidence.fault))


def _figures(case: Case) -> Figures | None:
    return case.past.holdout.figures if case.past.holdout else None


def _ratio(case: Case) -> str:
    figures = _figures(case)
    if figures is None or figures.ler_ratio is None:
        return ""
    low, high = figures.ratio_interval
    ends = f", 95 % {span((low, high))}" if high is not None else ""
    return f"ratio {figure(figures.ler_ratio)} over {figure(figures.shots)} shots{ends}"


def _cells(case: Case, word: str) -> list[str]:
    """The environment's other cells where the verdict's word was said."""
    return [f"at {cell.label}: {word}" for cell in case.evidence.cells if cell.word == word]


def _check(case: Case, reason: str) -> list[str]:
    return [check.says for check in case.evidence.checks or () if check.result == "failed" and check.reason == reason]


def _undecided(case: Case, said: str) -> Diagnosis:
    wanted, stop = shots_needed(case), case.evidence.out_of_time
    late = stop.shots if stop else None
    if wanted is None:
        step = "as it is measured there is no gain to show: leave it, or a candidate that gains more"
    elif wanted > _MOST_SHOTS:
        step = f"about {wanted:.0e} shots would be needed: a candidate that gains more"
    else:
        step = f"autoqec verify {case.past.name} --max-shots {wanted}" + (" --max-seconds 0" if late else "")
    needed = f"about {wanted:,} shots would decide at this ratio" if wanted is not None else ""
    stopped = f"the time was spent after {figure(late)} shots" if late else ""
    return found(case, "undecided", said, _ratio(case), stopped, needed, *_cells(case, "undecided"), step=step)


def shots_needed(case: Case) -> int | None:
    """About how many shots decide at the measured ratio: the evidence needed, over what a shot is worth to the best bet.

    A shot that fails on one side only is worth, to a test that knew the shares beforehand, their distance from even (in nats);
    None where fewer fail with the plain decoder only, or the counts are not at hand.
    """
    target = case.evidence.target
    if target is not None and target.strata is not None:
        # The evidence grows in proportion to the shots, whatever their weights.
        grown = target.log_e_better
        return ceil(_SPREAD * target.test.shots * target.log_e_needed / grown) if grown > 0 else None
    if target is None or target.test.baseline_only <= target.test.candidate_only:
        return None
    base, own, shots = target.test.baseline_only, target.test.candidate_only, target.test.shots
    pairs = base + own
    worth = sum(side / pairs * log(2 * side / pairs) for side in (base, own) if side)
    evidence = target.log_e_needed if target.log_e_needed > 0 else log(20)
    total = ceil(_SPREAD * evidence / (worth * pairs / shots))
    rounded = 10 ** max(0, len(str(total)) - 2)
    return max(50_000, -(-total // rounded) * rounded)
