"""Compares a candidate, on the same shots, with its parents or with a decoder near maximum likelihood.

Each is scored against the baseline on the same chunks, so any two can be paired shot by shot from their failures.
"""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import delta_interval, rate_interval
from autoqec.results.verdict_parts import Composition, ExactRate, ParentsScored, ShareOfGap
from autoqec.scoring.score_stream import Scored


def paired(first: Scored, second: Scored) -> PairedCounts:
    """Pair two candidates on the shots that both have, `first` in the baseline's place.

    Raises:
        ValueError: They were not scored on the same shots.
    """
    chunks = min(len(first.digests), len(second.digests))
    if not chunks or first.digests[:chunks] != second.digests[:chunks]:
        raise ValueError("the two were not scored on the same shots")
    one, two = (int("".join(scored.failed[:chunks]), 16) for scored in (first, second))
    return PairedCounts(
        shots=min(first.counts.shots, second.counts.shots),
        both=(one & two).bit_count(),
        baseline_only=(one & ~two).bit_count(),
        candidate_only=(two & ~one).bit_count(),
    )


def judge_composition(child: Scored, parents: Mapping[str, Scored]) -> Composition:
    """Whether the parents' gains add up in the child.

    `adds_up`: the child's gain over the baseline is at least the sum of the parents' gains. `partial`: it is more than the
    best parent's, and less than the sum. `interferes`: it is no more than the best parent's.

    Args:
        child: The composed candidate.
        parents: Each parent by name, scored on the same shots.

    Returns:
        The word; the parents' gains and their sum; the best parent; and the child's gain over it with its interval. If the
        interval contains zero, the word is only an estimate.
    """
    gains = {name: parent.counts.delta_ler for name, parent in parents.items()}
    best = min(gains, key=lambda name: (-gains[name], name))
    over_best = paired(parents[best], child)
    word = "partial" if over_best.delta_ler > 0 else "interferes"
    if child.counts.delta_ler >= sum(gains.values()):
        word = "adds_up"
    scored = ParentsScored(gains, sum(gains.values()), best, over_best.delta_ler, delta_interval(over_best), over_best)
    return Composition(word, scored=scored)


def share_of_gap(reference: str, scored: Scored) -> ShareOfGap:
    """The share of the gap between the baseline and a stronger decoder that a candidate closes.

    Args:
        reference: The stronger decoder's label among the references.
        scored: Baseline, candidate and references on the same shots.

    Returns:
        The three rates with exact 95 % intervals, the shots, and `share`, the quotient of their differences: None if the
        reference fails at least as often as the baseline.
    """
    counts = scored.counts
    failures = {
        "baseline": counts.both + counts.baseline_only,
        "candidate": counts.both + counts.candidate_only,
        "strong": scored.references[reference],
    }
    rates = {
        name: ExactRate(count / counts.shots, rate_interval(count, counts.shots)) for name, count in failures.items()
    }
    gap = failures["baseline"] - failures["strong"]
    share = (failures["baseline"] - failures["candidate"]) / gap if gap > 0 else None
    return ShareOfGap(reference, counts.shots, failures, share=share, **rates)
