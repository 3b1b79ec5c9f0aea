"""The sections `constraints` and `protocol` of an environment: limits of a candidate, and budgets of shots."""

from __future__ import annotations

from typing import Annotated, Any, Literal

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
    """Error budget and numbers of shots.

    Attributes:
        alpha: Error budget of all verdicts of a run together.
        max_shots: Maximum number of shots of a verdict.
        harm_cells: Physical error rates of the do-no-harm cells, as factors of the target; where a file brings the noise, factors
            of its probabilities.
        score_shots: Maximum number of shots of a round's metrics at the target rate, for slow decoders; the profile's
            number applies if it is smaller.
        min_shots: Minimum number of shots of a verdict; by default the verifier's own number.
        headline_shots: Shots behind the figures that a verdict reports; by default the verifier's own number.
        shots_factor: How many times the profile's `score_shots` and `verify_shots` a round has here, for low rates: there
            failures are rare, and a shot costs little.
        cells: Further cells where the verdict must hold, each with its own shots.
        sampling: `plain`, shots as noise draws them, or `stratified`: shots of a verdict by how many mechanisms fire, for rates
            that plain shots do not reach. Development shots are plain either way.
    """

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    max_shots: int = Field(default=10_000_000, ge=8192)
    harm_cells: tuple[Annotated[float, Field(gt=0, lt=10)], ...] = (0.8, 1.2)
    score_shots: int | None = Field(default=None, ge=4096)
    min_shots: int | None = Field(default=None, ge=4096)
    headline_shots: int | None = Field(default=None, ge=4096)
    shots_factor: int | None = Field(default=None, ge=1, le=1000)
    cells: tuple[Cell, ...] | None = Field(default=None, min_length=1, max_length=16)
    sampling: Literal["plain", "stratified"] | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The environment's identity hashes these fields: a new field must not change the identities of old environments.
        return {name: value for name, value in write(self).items() if value is not None}

    @property
    def by_strata(self) -> bool:
        """Whether a verdict's shots are drawn by strata."""
        return self.sampling == "stratified"

    def scaled(self, shots: int) -> int:
        """A profile's number of scored or verified shots, as many times as this environment asks for."""
        return shots * (self.shots_factor or 1)
