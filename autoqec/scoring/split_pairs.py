"""Whether the baseline is weaker than matching can be, because stim splits errors on two detectors into two edges.

stim decomposes an error of a channel into errors of the same channel that flip fewer detectors, even where the error itself is
an edge. Matching then pays for two edges where one error fired. A model without hyperedges is never decomposed
(`autoqec.problem.dem`); in one with hyperedges stim's decomposition is kept, as in the literature, and this measures its cost.
"""

from __future__ import annotations

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import CompiledDecoder
from autoqec.errors import UsageError
from autoqec.plugins import Registry
from autoqec.problem.dem import with_whole_pairs
from autoqec.problem.environment import Choice
from autoqec.problem.problem import Problem, problem_from_dem
from autoqec.problem.sampling import sample_chunk
from autoqec.problem.streams import derive_seed
from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import mcnemar_p

#: The check is one of many, and says nothing unless it is sure.
_ALPHA = 1e-4

#: Chunks that are decoded twice: fewer of a larger problem, at least and at most so many.
_FEWEST, _MOST, _MECHANISMS = 4, 64, 15_000


def split_pairs_finding(
    problem: Problem, choice: Choice, compiled: CompiledDecoder, registry: Registry
) -> list[dict[str, str]]:
    """Compare a decoder with itself on the same error model with these errors whole.

    Args:
        problem: The problem.
        choice: The decoder.
        compiled: The decoder, compiled for the problem.
        registry: Installed plugins.

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
    # The shots are the same each time, so that the finding does not come and go.
    for chunk in range(min(_MOST, max(_FEWEST, _MECHANISMS // len(problem.mechanisms)))):
        batch = sample_chunk(problem, derive_seed(bytes.fromhex(problem.fingerprint), "split pairs", chunk))
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
