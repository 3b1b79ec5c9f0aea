"""The fields of a `neural_bp` stage, and what they say of the shapes of its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from autoqec.candidate.stage import StageConfig

if TYPE_CHECKING:
    from .layout import Tanner


class NeuralBPConfig(StageConfig):
    """The fields of a `neural_bp` stage.

    In iteration i, detector d tells mechanism m

        `message = (1 - damping) * scale * answer + damping * previous message`

    where `answer` is the log-likelihood ratio, by the rule of `algorithm`, that m did not fire, given what the other
    mechanisms of d say. A mechanism's belief is `prior_scale` times the incoming belief plus all messages to it.

    Attributes:
        iterations: Rounds of messages. More is not better: loops in the graph make late rounds overconfident.
        algorithm: `sum_product` is exact on trees; `min_sum` costs half and knows less.
        sharing: What shares one learned scale: `per_layer` all messages of an iteration; `per_check` those of one
            detector in an iteration; `none` nothing, every message of every iteration has its own.
        scale: Where scales start; None for 0.9 (`sum_product`) or 0.75 (`min_sum`).
        damping: `fixed` keeps `damping_value`; `scalar` learns one number; `per_iteration` learns one each. The first
            iteration has no previous message and is never damped.
        damping_value: Where the damping starts, or stays.
        learn_prior_scale: Learn the factor on incoming beliefs; otherwise it is 1.
    """

    kind: Literal["neural_bp"] = "neural_bp"
    iterations: int = Field(default=8, ge=1, le=50)
    algorithm: Literal["sum_product", "min_sum"] = "sum_product"
    sharing: Literal["none", "per_layer", "per_check"] = "per_layer"
    scale: float | None = Field(default=None, gt=0.0, le=2.0)
    damping: Literal["fixed", "scalar", "per_iteration"] = "fixed"
    damping_value: float = Field(default=0.0, ge=0.0, lt=1.0)
    learn_prior_scale: bool = False

    @property
    def initial_scale(self) -> float:
        """Where scales start: a little below 1, which makes up for the loops; min-sum overestimates by more."""
        if self.scale is not None:
            return self.scale
        return 0.9 if self.algorithm == "sum_product" else 0.75


def scale_width(config: NeuralBPConfig, tanner: Tanner) -> int:
    """How many scales one iteration has."""
    return {"per_layer": 1, "per_check": len(tanner.start) - 1, "none": len(tanner.mechanism)}[config.sharing]
