"""The fields of a `neural_bp` stage, and the shapes of its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from autoqec.candidate.stage_contract import StageConfig

if TYPE_CHECKING:
    from .layout import Tanner
    from .orbit_factors import OrbitTable


class NeuralBPConfig(StageConfig):
    """The fields of a `neural_bp` stage.

    In iteration i, the message from detector d to mechanism m is

        `message = (1 - damping) * scale * answer + damping * previous message`

    where `answer` is the log-likelihood ratio, by the rule of `algorithm`, that m did not fire, given the other mechanisms of
    d. A mechanism's belief is its bias plus all messages to it. Its bias is

        `(1 - memory) * prior_scale * incoming belief + memory * its belief of the previous iteration`

    Memories that differ between mechanisms, some of them negative, break the symmetry of equivalent errors, on which belief
    propagation gets stuck (Müller et al., "Improved belief propagation is sufficient for real-time decoding of quantum
    memory", arXiv:2506.01779).

    Attributes:
        iterations: Number of iterations. More is not always better: loops in the graph make late iterations overconfident.
        algorithm: `sum_product` is exact on trees; `min_sum` costs half and is less accurate.
        sharing: The messages that share one learned scale: `per_layer` all messages of an iteration; `per_check` those of one
            detector in an iteration; `orbit` those of detectors that are alike under translation, with a
            learned correction for messages that are alike; `none` every message of every iteration has
            its own.
        scale: Initial value of scales; None for 0.9 (`sum_product`) or 0.75 (`min_sum`).
        damping: `fixed` keeps `damping_value`; `scalar` learns one number; `per_iteration` learns one per iteration. The first
            iteration has no previous message and is never damped.
        damping_value: Initial or fixed value of the damping.
        memory: `none`; `scalar` learns one number for all mechanisms, `per_mechanism` one for each, or with `sharing: orbit`
            one for those that are alike under translation.
        memory_value: Initial value of memories.
        memory_spread: With `per_mechanism`, initial values are evenly spread over `memory_value` ± this, in random order.
        attention: With `messages`, a mechanism weights its messages by a softmax of two learned multiples: of their magnitude
            and of their agreement with its belief. Initially all weights are equal. It runs in torch only and is slow.
        learn_prior_scale: Learn the factor on incoming beliefs; otherwise it is 1.
    """

    kind: Literal["neural_bp"] = "neural_bp"
    iterations: int = Field(default=8, ge=1, le=200)
    algorithm: Literal["sum_product", "min_sum"] = "sum_product"
    sharing: Literal["none", "per_layer", "per_check", "orbit"] = "per_layer"
    scale: float | None = Field(default=None, gt=0.0, le=2.0)
    damping: Literal["fixed", "scalar", "per_iteration"] = "fixed"
    damping_value: float = Field(default=0.0, ge=0.0, lt=1.0)
    memory: Literal["none", "scalar", "per_mechanism"] = "none"
    memory_value: float = Field(default=0.0, gt=-1.0, lt=1.0)
    memory_spread: float = Field(default=0.0, ge=0.0, lt=1.0)
    attention: Literal["none", "messages"] = "none"
    learn_prior_scale: bool = False

    @property
    def initial_scale(self) -> float:
        """Initial value of scales: a little below 1 to compensate for loops; smaller for min-sum, which overestimates more."""
        if self.scale is not None:
            return self.scale
        return 0.9 if self.algorithm == "sum_product" else 0.75


def scale_width(config: NeuralBPConfig, tanner: Tanner, orbits: OrbitTable | None) -> int:
    """Return the number of scales of one iteration; `orbits` only with `sharing: orbit`."""
    if orbits is not None:
        return orbits.count("scale")
    return {"per_layer": 1, "per_check": len(tanner.start) - 1, "none": len(tanner.mechanism)}[config.sharing]


def memory_width(config: NeuralBPConfig, mechanisms: int, orbits: OrbitTable | None) -> int:
    """Return the number of memories, if there are any."""
    if config.memory != "per_mechanism":
        return 1
    return mechanisms if orbits is None else orbits.count("memory")
