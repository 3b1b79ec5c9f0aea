"""Which labels a training asks for, and the decoders that they need.

Processes that do not train import this too, so it imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoqec.candidate.schema import Training
from autoqec.decoding.compile_decoder import compile_decoder, without_gate
from autoqec.decoding.decoder_contract import ExplainingDecoder
from autoqec.errors import NotFoundError
from autoqec.plugins import Registry
from autoqec.problem.environment import Choice
from autoqec.problem.problem import Problem
from autoqec.runner.shot_labels import CanonicalLabels, Labelling


def needs_labels(loss: str) -> bool:
    """Whether a loss asks which mechanisms fired."""
    return loss != "logical_gap"


def labellings_for(
    training: Training, teacher: Mapping[str, Any], problems: Sequence[Problem], registry: Registry
) -> list[Labelling]:
    """How shots of each problem are labelled; empty where they are labelled as they are drawn.

    Args:
        training: The candidate's.
        teacher: The decoder that distilled labels come from, `{"kind", …}`.
        problems: The problem at each rate.
        registry: Installed plugins.

    Raises:
        NotFoundError, UsageError, MissingPackageError: A decoder is not installed, or cannot decode this problem.
    """
    by_mechanism, distilled = needs_labels(training.loss), training.labels == "distilled"
    if training.labels == "sampled" or not (by_mechanism or distilled):
        return []
    chosen = without_gate(Choice.model_validate(teacher)) if distilled else None
    return [
        Labelling(
            CanonicalLabels(each, lambda problem: _solver(problem, registry)) if by_mechanism else None,
            compile_decoder(chosen, each, registry) if chosen else None,
        )
        for each in problems
    ]


def _solver(problem: Problem, registry: Registry) -> ExplainingDecoder:
    """The first decoder that registers `explains`, one of our own if there is any."""
    for entry in sorted(registry.all("decoder"), key=lambda entry: not entry.is_own):
        if entry.capabilities.get("explains"):
            decoder = compile_decoder(Choice(kind=entry.name), problem, registry)
            assert isinstance(decoder, ExplainingDecoder)
            return decoder
    raise NotFoundError(
        "training.yaml: labels need a decoder that returns mechanisms, and none is installed",
        hint="use labels: sampled",
    )
