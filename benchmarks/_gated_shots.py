"""The shots of a problem that a gate sends on, on which benchmarks compare candidates behind the same gate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autoqec.candidate.compile import chained, compile_stages
from autoqec.candidate.schema import Candidate
from autoqec.decoding.decoder_contract import CompiledDecoder
from autoqec.decoding.gating import open_gate
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk

#: Shots that are predicted at once.
_BATCH = 512


class GatedShots:
    """Shots that a gate sends on, and what is known of the others.

    Args:
        drawn_from: The problem with its circuit.
        problem: What the candidates see.
        decoder: The environment's decoder of that problem.
        candidate: Whose gate it is.
        shots: How many, in whole chunks.
        seed: Of the first chunk.

    Attributes:
        shots: How many were drawn.
        kept_wrong: Failures among those that are not sent on.
    """

    def __init__(
        self,
        drawn_from: Problem,
        problem: Problem,
        decoder: CompiledDecoder,
        candidate: Candidate,
        shots: int,
        seed: int,
    ) -> None:
        assert candidate.gate is not None
        gating = open_gate(candidate.gate, decoder, problem)
        self.problem, self.decoder, self.shots, self.kept_wrong = problem, decoder, 0, 0
        syndromes, truths = [], []
        for chunk in range(-(-shots // CHUNK_SHOTS)):
            drawn = sample_chunk(drawn_from, seed + chunk)
            split = gating.split(drawn.syndromes)
            self.shots += len(drawn)
            self.kept_wrong += int(split.answer.failures(drawn.observables)[~split.sent].sum())
            syndromes.append(drawn.syndromes[split.sent])
            truths.append(drawn.observables[split.sent])
        self.syndromes, self.truth = np.concatenate(syndromes), np.concatenate(truths)

    def failures(self, candidate: Candidate, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
        """The shots that are sent on and wrong, bool `[sent]`."""
        infer = chained([stage.infer for stage in compile_stages(candidate, tensors, self.problem)])
        wrong = []
        for first in range(0, len(self.syndromes), _BATCH):
            part = np.ascontiguousarray(self.syndromes[first : first + _BATCH])
            priors = np.repeat(self.problem.priors_llr[None], len(part), axis=0)
            beliefs = np.ascontiguousarray(infer(part, priors), dtype=np.float32)
            wrong.append(self.decoder.decode(part, beliefs).failures(self.truth[first : first + _BATCH]))
        return np.concatenate(wrong)
