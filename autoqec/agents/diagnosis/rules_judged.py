"""Rules for rounds that were judged: what a verdict that is not VERIFIED means, and what clears it."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log

from autoqec.agents.diagnosis.cases import Case, Diagnosis, figure, found, interval, number, part, rows, span, text
from autoqec.agents.diagnosis.old_records import fault_in_words
from autoqec.agents.diagnosis.patches import smaller_stages
from autoqec.agents.diagnosis.rules_ended import fault_cause

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
    dev, holdout = interval(case.past.metrics, "delta_ler_ci"), interval(case.past.holdout, "delta_ler_ci")
    if reason in ("not_better", "undecided") and dev is not None and holdout is not None and dev[0] > 0 >= holdout[0]:
        evidence = (f"gain on development shots: delta_ler_ci {span(dev)}", f"on the holdout: {span(holdout)}")
        yield found(case, "winners_curse", *evidence, *_cells(case, reason))
    if reason == "undecided":
        yield _undecided(case, said)
    elif reason in ("over_budget", "constraint"):
        over = case.verdict.get("over")
        limits = [each for each in over if isinstance(each, str)] if isinstance(over, list) else []
        yield found(case, "over_budget", said, *limits, changes=smaller_stages(case.files))
    elif reason == "target_missed":
        bound, target = (number(case.verdict, name) for name in ("ler_candidate_bound", "target_ler"))
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
    return " ".join([said, *(text(case.verdict.get(name)) for name in ("problem", "fault"))]).strip()


def _fault_code(case: Case, reason: str) -> str:
    return text(case.verdict.get("fault_code")) or fault_in_words(reason, _fault_said(case, reason))


def _ratio(case: Case) -> str:
    ratio, ends = number(case.past.holdout, "ler_ratio"), interval(case.verdict, "ler_ratio_ci")
    if ratio is None:
        return ""
    shots = figure(number(case.past.holdout, "shots"))
    return f"ratio {figure(ratio)} over {shots} shots" + (f", 95 % {span(ends)}" if ends else "")


def _cells(case: Case, word: str) -> list[str]:
    """The environment's other cells where the verdict's word was said."""
    return [f"at {text(row.get('label'))}: {word}" for row in rows(case.verdict, "cells") if row.get("word") == word]


def _check(case: Case, reason: str) -> list[str]:
    failed = [row for row in rows(case.verdict, "checks") if row.get("result") == "failed"]
    return [text(row.get("says")) for row in failed if row.get("reason") == reason]


def _undecided(case: Case, said: str) -> Diagnosis:
    wanted, late = shots_needed(case), number(case.verdict, "out_of_time", "shots")
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
    counts = part(case.verdict, "test") or part(case.verdict, "counts")
    shots = number(counts, "shots")
    base, own = number(counts, "baseline_only"), number(counts, "candidate_only")
    if not shots or base is None or own is None or min(shots, base, own) < 0 or base <= own:
        return None
    pairs = base + own
    worth = sum(side / pairs * log(2 * side / pairs) for side in (base, own) if side)
    needed = number(case.verdict, "log_e_needed")
    evidence = needed if needed is not None and needed > 0 else log(20)
    total = ceil(_SPREAD * evidence / (worth * pairs / shots))
    rounded = 10 ** max(0, len(str(total)) - 2)
    return max(50_000, -(-total // rounded) * rounded)
