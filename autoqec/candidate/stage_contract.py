"""What a stage kind is: one step of a predecoder, `(syndromes, beliefs, problem) → beliefs`, trained with torch.

Stage kinds are plugins. A kind may also offer an inference path without torch; it must give the same beliefs within 1e-4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import torch

    from autoqec.problem.problem import Problem

#: `(syndromes uint8 [shots, ceil(detectors / 8)], beliefs float32 [shots, mechanisms]) → beliefs`, neither changed.
Inference = Callable[[np.ndarray, np.ndarray], np.ndarray]


class StageConfig(BaseModel):
    """The fields every `stage.yaml` has; a kind adds its own by subclassing.

    Attributes:
        kind: The stage kind, a plugin's name.
        position: Stages run in increasing position; equal positions run in order of their slugs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str
    position: int = Field(default=100, ge=0, le=10_000)


class StageKind(Protocol):
    """A kind of stage, as a plugin offers it.

    Attributes:
        Config: The pydantic model of its `stage.yaml`, a subclass of `StageConfig` with a default for every own field.
    """

    Config: type[Any]

    def build(self, config: Any, problem: Problem) -> torch.nn.Module:
        """The trainable module: `forward(syndromes float32 [shots, detectors], beliefs float32 [shots, mechanisms])`.

        It returns refined beliefs of the same shape. Parameters start at values for which the untrained stage is sane. A
        module may have `shots_at_once`, beyond which a training batch is taken in parts; and `same_in_training = True` if
        its training mode computes the same as evaluation, only faster.
        """
        ...

    def inference(self, config: Any, tensors: Mapping[str, np.ndarray], problem: Problem) -> Inference | None:
        """The same computation without torch, from the module's `state_dict` as arrays; None where there is none."""
        ...

    # A kind may also have `flops_per_shot(config, problem) -> int`, for work a counter of torch operations cannot see; and
    # `with_module(source, path) -> StageKind`, the same kind bound to the text of the stage's `module.py`, which it checks and
    # must not run. Stages of such a kind have a `module.py`, and no others do; the kind has the text of one as `STAND_IN`, which
    # does a little of everything, for the warm-up before a process is locked.

    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """The fields a search may vary, each with the values worth trying, in order."""
        ...
