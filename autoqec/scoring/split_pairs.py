"""Whether the baseline is weaker than matching can be, because stim splits errors on two detectors into two edges.

stim decomposes an error of a channel into errors of the same channel that flip fewer detectors, even where the error itself is
an edge. Matching then pays for two edges where one error fired. A model without hyperedges is never decomposed
(`autoqec.problem.dem`); in one with hyperedges stim's decomposition is kept, as in the literature, and this measures its cost.
"""

from __future__ import annotations

from collections.abc import Iterable

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import CompiledDecoder
from autoqec.errors import UsageError
from autoqec.plugins import Registry
from autoqec.problem.dem import with_whole_pairs
from autoqec.problem.environment import Choice
from autoqec.problem.problem import Problem, problem_from_dem
from autoqec.problem.sampling import Shots
from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import mcnemar_p

#: The check is one of many, and says nothing unless it is sure.
_ALPHA = 1e-4

#: Chunks that are decoded twice.
MOST_CHUNKS = 16


def split_pairs_finding(
    problem: Problem, choice: Choice, compiled: CompiledDecoder, registry: Registry, batches: Iterable[Shots]
) -> list[dict[str, str]]:
    """Compare a decoder with itself on the same error model with these errors whole.

    Args:
        problem: The problem.
        choice: The decoder.
        compiled: The decoder, compiled for the problem.
        registry: Installed plugins.
        batches: Shots; at most `MOST_CHUNKS` batches of them are used, and none where no error is split.

    Returns:
        A finding with both figures, where keeping them whole is better beyond doubt; else none.
    """
    if problem.edges is None or registry.get("decoder", choice.kind).capabilities.get("slow"):
        return []
    dem, split = with_whole_pairs(problem.dem)
    if not split:
        return []
    try:
        other = compile_decoder(choice, problem_from_dem(dem, name=problem.name), registry)
    except UsageError:
        return []
    counts = PairedCounts()
    for batch, _ in zip(batches, range(MOST_CHUNKS), strict=False):
        ours = compiled.decode(batch.syndromes).failures(batch.observables)
        whole = other.decode(batch.syndromes).failures(batch.observables)
        both, only_ours, only_whole = ((ours & whole).sum(), (ours & ~whole).sum(), (whole & ~ours).sum())
        counts += PairedCounts(len(batch), int(both), int(only_ours), int(only_whole))
    if mcnemar_p(counts) > _ALPHA:
        return []
    return [
        {
            "field": "decoder",
            "finding": f"errors on two detectors that stim splits into several edges: {split:,}; {choice.label} fails in "
            f"{counts.baseline_failures:,} of {counts.shots:,} shots, and with these errors whole in "
            f"{counts.candidate_failures:,}",
        }
    ]
