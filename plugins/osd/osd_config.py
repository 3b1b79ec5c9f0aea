"""The fields of `osd` and `bp_lsd`, and their translation to arguments of ldpc."""

from __future__ import annotations

from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from autoqec.errors import UsageError
from autoqec.field_problems import explain
from autoqec.problem.problem import Problem
from autoqec.strict_fields import checked_fields

#: Maximum order of an exhaustive search, which tries 2^order patterns in every shot.
MAX_EXHAUSTIVE = 15


class BeliefPropagation(BaseModel):
    """The fields of ldpc's belief propagation, which runs if no beliefs are given.

    Attributes:
        bp_iterations: Maximum number of iterations; it stops early when the result explains the syndrome.
        bp_method: `product_sum` (exact on trees) or `minimum_sum` (cheaper).
        ms_scaling_factor: Factor on the messages of `minimum_sum`; 0 for a factor that changes with the iteration.
        schedule: Update all messages at once (`parallel`), or mechanism by mechanism (`serial`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    bp_iterations: int = Field(default=30, ge=1, le=10_000)
    bp_method: Literal["product_sum", "minimum_sum"] = "product_sum"
    ms_scaling_factor: float = Field(default=1.0, ge=0.0, le=1.0)
    schedule: Literal["parallel", "serial"] = "parallel"

    @property
    def propagation(self) -> tuple[object, ...]:
        """The fields of belief propagation alone."""
        return tuple(getattr(self, name) for name in BeliefPropagation.model_fields)

    def for_ldpc(self, problem: Problem) -> dict[str, Any]:
        """Return the keyword arguments of ldpc's decoders: check matrix, priors and belief propagation fields."""
        return {
            "pcm": check_matrix(problem),
            "error_channel": problem.mechanisms.priors.tolist(),
            "max_iter": self.bp_iterations,
            "bp_method": self.bp_method,
            "ms_scaling_factor": self.ms_scaling_factor,
            "schedule": self.schedule,
        }


class OsdConfig(BeliefPropagation):
    """The fields of `osd`.

    Attributes:
        method: `osd_0`: a single solution. `osd_e`: also all patterns of the `order` most likely mechanisms outside its basis.
            `osd_cs` (combination sweep): also each single mechanism outside its basis, and pairs of the `order` most likely.
        order: See `method`.
        costs: The cost that `osd_e` and `osd_cs` minimise if beliefs are given: minus the log-probability of the solution by
            the `priors` of the problem, or by the `beliefs`.
    """

    method: Literal["osd_0", "osd_e", "osd_cs"] = "osd_0"
    order: int = Field(default=0, ge=0, le=100)
    costs: Literal["priors", "beliefs"] = "priors"

    @model_validator(mode="after")
    def _order_fits(self) -> Self:
        if self.method == "osd_0" and self.order:
            raise ValueError("osd_0 has no order; remove it, or choose method: osd_cs")
        if self.method == "osd_e" and not 1 <= self.order <= MAX_EXHAUSTIVE:
            raise ValueError(f"osd_e needs an order of 1 to {MAX_EXHAUSTIVE}, because it tries 2^order patterns")
        return self


class LsdConfig(BeliefPropagation):
    """The fields of `bp_lsd`.

    Attributes:
        method: The search within each cluster, as in `osd`.
        order: See `method`.
    """

    method: Literal["lsd_0", "lsd_e", "lsd_cs"] = "lsd_0"
    order: int = Field(default=0, ge=0, le=100)

    @model_validator(mode="after")
    def _order_fits(self) -> Self:
        if self.method == "lsd_0" and self.order:
            raise ValueError("lsd_0 has no order; remove it, or choose method: lsd_cs")
        if self.method == "lsd_e" and not 1 <= self.order <= MAX_EXHAUSTIVE:
            raise ValueError(f"lsd_e needs an order of 1 to {MAX_EXHAUSTIVE}, because it tries 2^order patterns")
        return self


_Config = TypeVar("_Config", bound=BeliefPropagation)


def validated(model: type[_Config], kind: str, fields: dict[str, Any]) -> _Config:
    """Validate an environment's fields and return the config.

    Raises:
        UsageError: A field is unknown or out of range; the message names it.
    """
    try:
        return checked_fields(model, fields)
    except ValidationError as error:
        known = ", ".join(model.model_fields)
        what = explain(error, model).replace("the file: ", "")  # the prefix of rules about several fields
        raise UsageError(f"decoder {kind}: {what}", hint=f"its fields are {known}") from error


def check_matrix(problem: Problem) -> Any:
    """Return the check matrix, detectors by mechanisms, as a scipy CSC matrix of uint8."""
    from scipy.sparse import csc_matrix

    mechanisms = problem.mechanisms
    ones = [1] * len(mechanisms.detector)
    shape = (problem.num_detectors, len(mechanisms))
    return csc_matrix((ones, mechanisms.detector, mechanisms.start), shape=shape, dtype="uint8")


def search_order(problem: Problem, order: int) -> int:
    """Return the order, limited to the number of mechanisms that are certainly outside the basis."""
    return max(0, min(order, len(problem.mechanisms) - problem.num_detectors))
