"""The distance certificate: fault sets of low weight through candidate and decoder, all of them where there are few."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.results.certificate_parts import Certificate, Regression
from autoqec.results.counts import PairedCounts
from autoqec.results.distance import certificate_row, certified
from autoqec.scoring.fault_sets import LISTED
from autoqec.scoring.fault_tasks import EXAMINE, OUTLINE
from autoqec.scoring.score_stream import ScoreStream
from autoqec.scoring.verifier_contract import Report

from .sequential import Plan, progress

#: Fault sets that are examined beside the single ones, and how many more where a full certificate is asked for.
CERTIFICATE_SETS = 65_536
FULL_CERTIFICATE_SETS = 4_000_000

#: Sets of more faults are not examined: at any p where shots can be drawn they are part of what the shots say.
MOST_FAULTS = 3

#: Regressed sets that a verdict shows, the likeliest first.
_SHOWN = 8


def certify(stream: ScoreStream, plan: Plan, delta_ler: float, report: Report, *, full: bool) -> Certificate:
    """Examine the fault sets of weight 1 to t = floor((d - 1) / 2) at the target.

    Args:
        stream: The target's; sets that are drawn are keyed by it.
        plan: Fewer sets are drawn where an environment has few headline shots.
        delta_ler: The candidate's gain at the target.
        report: Told of progress.
        full: Whether to list all sets of weight 2, if they are no more than four million.

    Raises:
        CandidateFault: The candidate broke its contract.
    """
    known = stream.run(OUTLINE, most=MOST_FAULTS)
    distance, found = known["distance"], known["found"]
    if distance is None:
        return Certificate("not_enumerable", distance, found, why=found)
    most = min((distance - 1) // 2, MOST_FAULTS)
    if most == 0:
        why = f"at distance {distance} no fault is sure to be corrected"
        return Certificate("not_enumerable", distance, found, why=why)
    budget = FULL_CERTIFICATE_SETS if full else plan.few(CERTIFICATE_SETS)
    none, rows, regressions = known["probabilities"][0], [], list[Regression]()
    for weight in range(1, most + 1):
        of = known["sets"][weight]
        everything = weight == 1 or (weight in LISTED and of <= budget)
        count = of if everything else plan.few(CERTIFICATE_SETS) // (most - 1)
        counts, sums, shown = _examined(stream, weight, count, everything, report)
        rows.append(
            certificate_row(weight, of, known["probabilities"][weight], none, counts, sums if everything else None)
        )
        regressions += [Regression(weight, none * each.pop("odds"), **each) for each in shown]
    return certified(distance, found, none, rows, delta_ler, regressions)


def _examined(
    stream: ScoreStream, weight: int, count: int, everything: bool, report: Report
) -> tuple[PairedCounts, tuple[float, float], list[dict[str, Any]]]:
    """Counts of the sets, sums of the odds of those that either side fails, and the likeliest that the candidate alone fails."""
    drawing = replace(stream, domain=f"certificate/{weight}")
    counted = progress(report, f"certificate, weight {weight}", total=count)
    tasks = [
        drawing.task(
            EXAMINE,
            [] if everything else [first // CHUNK_SHOTS],
            weight=weight,
            first=first,
            count=min(CHUNK_SHOTS, count - first),
        )
        for first in range(0, count, CHUNK_SHOTS)
    ]
    answers = stream.gather(tasks, lambda done: counted(int(min(done * CHUNK_SHOTS, count)), count))
    counts = sum((PairedCounts.from_dict(answer["counts"]) for answer in answers), PairedCounts())
    sums = tuple(sum(answer[f"odds_{side}"] for answer in answers) for side in ("baseline", "candidate"))
    # One set may be drawn twice; it is shown once.
    shown = {tuple(each["mechanisms"]): dict(each) for answer in answers for each in answer["regressions"]}
    likeliest = sorted(shown.values(), key=lambda each: (-each["odds"], each["mechanisms"]))[:_SHOWN]
    return counts, (sums[0], sums[1]), likeliest
