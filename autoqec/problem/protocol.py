"""What an environment asks of a candidate and how shots are spent on it: its sections `constraints` and `protocol`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from autoqec.problem.cell import Cell


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Constraints(_Strict):
    """Limits that a VERIFIED candidate keeps.

    Attributes:
        max_params: Most learned parameters.
        max_flops_per_shot: Most floating-point operations per shot.
        target_ler: A logical error rate per shot that the candidate must be shown to be below.
    """

    max_params: int | None = Field(default=None, ge=0)
    max_flops_per_shot: int | None = Field(default=None, ge=0)
    target_ler: float | None = Field(default=None, gt=0, lt=1)


class Protocol(_Strict):
    """How shots are spent.

    Attributes:
        alpha: Error budget of all verdicts of a run together.
        max_shots: Most shots of a verdict.
        harm_cells: Neighbouring physical error rates, as factors of the target.
        score_shots: Most shots of a round's metrics at the target rate, where decoding takes milliseconds; the profile's
            number if that is less.
        min_shots: No verdict before this many; the verifier's own number by default.
        headline_shots: Shots of the figures that a verdict reports; the verifier's own number by default.
        cells: Where a verdict must hold beside the target, each with shots of its own.
    """

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    max_shots: int = Field(default=10_000_000, ge=8192)
    harm_cells: tuple[Annotated[float, Field(gt=0, lt=10)], ...] = (0.8, 1.2)
    score_shots: int | None = Field(default=None, ge=4096)
    min_shots: int | None = Field(default=None, ge=4096)
    headline_shots: int | None = Field(default=None, ge=4096)
    cells: tuple[Cell, ...] | None = Field(default=None, min_length=1, max_length=16)

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # An environment's identity hashes what is written here: a new field must not change the old ones' identities.
        return {name: value for name, value in write(self).items() if value is not None}
