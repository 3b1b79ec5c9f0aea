"""Weights of one problem on another of its family, and which tensors are labels instead of parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autoqec.candidate.schema import Candidate, Stage
from autoqec.candidate.stage_contract import Carried
from autoqec.problem.problem import Problem


def binds_to_family(candidate: Candidate) -> bool:
    """Whether all weights fit other problems of the family: every stage's do, and there is a stage."""
    return bool(candidate.stages) and all(_binds(stage) for stage in candidate.stages)


def _binds(stage: Stage) -> bool:
    told = getattr(stage.kind, "binds_to_family", None)
    return told is not None and bool(told(stage.config))


def carried_stage(stage: Stage, tensors: Mapping[str, np.ndarray], problem: Problem) -> Carried:
    """The weights of one stage, by the names that they have there, in the shapes of a problem of their family.

    Raises:
        AutoQECError: They belong to another family.
    """
    if not tensors or not _binds(stage):
        return Carried(tensors)
    found: Carried = stage.kind.carried(stage.config, tensors, problem)  # type: ignore[attr-defined]
    return found


def carried_weights(candidate: Candidate, tensors: Mapping[str, np.ndarray], problem: Problem) -> Carried:
    """All weights, by `<slug>.<parameter>`, in the shapes of a problem of their family.

    Raises:
        AutoQECError: Those of a stage belong to another family.
    """
    found, counts = dict(tensors), (0, 0, 0)
    for stage in candidate.stages:
        prefix = f"{stage.slug}."
        own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        carried = carried_stage(stage, own, problem)
        found |= {f"{prefix}{name}": tensor for name, tensor in carried.tensors.items()}
        more = (carried.messages, carried.coarser, carried.layer)
        counts = (counts[0] + more[0], counts[1] + more[1], counts[2] + more[2])
    return Carried(found, *counts)


def labels_among(candidate: Candidate, tensors: Mapping[str, np.ndarray]) -> list[str]:
    """The tensors of stages, by `<slug>.<parameter>`, that say what others belong to, and count as no parameters."""
    names = {
        f"{stage.slug}.{name}" for stage in candidate.stages for name in getattr(stage.kind, "LABELS", frozenset())
    }
    return sorted(names & tensors.keys())
