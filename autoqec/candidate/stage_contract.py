"""The interface of stage plugins. A stage is one step of a predecoder, `(syndromes, beliefs, problem) → beliefs`.

A stage trains with torch. A kind may also offer inference without torch, which must give the same beliefs within 1e-4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import torch

    from autoqec.problem.problem import Problem

#: `(syndromes uint8 [shots, ceil(detectors / 8)], beliefs float32 [shots, mechanisms]) → beliefs`; inputs stay unchanged.
Inference = Callable[[np.ndarray, np.ndarray], np.ndarray]


class StageConfig(BaseModel):
    """The fields of every `stage.yaml`; a kind adds its own by subclassing.

    Attributes:
        kind: The stage kind, a plugin's name.
        position: Stages run in order of position; equal positions run in order of their slugs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str
    position: int = Field(default=100, ge=0, le=10_000)


@dataclass(frozen=True)
class Carried:
    """A stage's weights in the shapes that another problem of the same family gives them.

    Attributes:
        tensors: By the names of the module's `state_dict`, in its shapes.
        messages: How many messages of the problem have a learned factor; 0 if the weights are this problem's own.
        coarser: How many of them have that of a coarser orbit, because theirs did not occur in training.
        layer: How many of them have the mean factor of their layer, because no coarser orbit occurred either.
    """

    tensors: Mapping[str, np.ndarray]
    messages: int = 0
    coarser: int = 0
    layer: int = 0


class StageKind(Protocol):
    """The interface of a stage plugin.

    Attributes:
        Config: The pydantic model of its `stage.yaml`, a subclass of `StageConfig` with a default for every own field.
    """

    Config: type[Any]

    def build(self, config: Any, problem: Problem) -> torch.nn.Module:
        """Build the trainable module: `forward(syndromes float32 [shots, detectors], beliefs float32 [shots, mechanisms])`.

        It returns refined beliefs of the same shape. The initial parameters give a usable untrained stage. A module may have
        `shots_at_once`, the largest part of a training batch per call; and `same_in_training = True` if its training mode
        computes the same as evaluation, only faster.
        """
        ...

    def inference(self, config: Any, tensors: Mapping[str, np.ndarray], problem: Problem) -> Inference | None:
        """Return the same computation without torch, given the module's `state_dict` as arrays; None if unavailable."""
        ...

    # A kind may also have `flops_per_shot(config, problem) -> int`, for work that a counter of torch operations cannot see; and
    # `with_module(source, path) -> StageKind`, the same kind bound to the text of the stage's `module.py`, which it checks but
    # must not run. Only stages of such a kind have a `module.py`. The kind also has `STAND_IN`, the text of a module that uses
    # a little of everything, for the warm-up before a process is locked.
    #
    # A kind whose weights can fit a family of problems has `binds_to_family(config) -> bool`, whether with these fields they do,
    # and `carried(config, tensors, problem) -> Carried`, which raises AutoQECError, code `weights_of_another_family`, where they
    # do not fit this problem. It may have `LABELS`, the names of tensors that say what the others belong to: they are not
    # learned, and count as no parameters.

    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the fields that a search may vary, each with its values in order."""
        ...
