"""Compares a candidate, on the same shots, with its parents or with a decoder near maximum likelihood.

Each is scored against the baseline on the same chunks, so any two can be paired shot by shot from their failures.
"""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.results.counts import PairedCounts
from autoqec.results.verdict_parts import Composition, ShareOfGap
from autoqec.results.wider_comparisons import added_up, gap_closed
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
    """Whether the parents' gains add up in the child; see `autoqec.results.wider_comparisons.added_up`.

    Args:
        child: The composed candidate.
        parents: Each parent by name, scored on the same shots.
    """
    gains = {name: parent.counts.delta_ler for name, parent in parents.items()}
    return added_up(gains, child.counts.delta_ler, lambda best: paired(parents[best], child))


def share_of_gap(reference: str, scored: Scored, candidate: Scored | None = None) -> ShareOfGap:
    """The share of the gap between the baseline and a stronger decoder that a candidate closes.

    Args:
        reference: The stronger decoder's label among the references.
        scored: Baseline, candidate and references on the same shots.
        candidate: The candidate, if it was scored on these shots before, and `scored` has none.

    Raises:
        ValueError: They were not scored on the same shots.
    """
    counts = scored.counts if candidate is None else paired(scored, candidate)
    failures = {
        "baseline": counts.both + counts.baseline_only,
        "candidate": counts.both + counts.candidate_only,
        "strong": scored.references[reference],
    }
    return gap_closed(reference, counts.shots, failures, scored.gated(reference))
