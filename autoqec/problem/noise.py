"""The `noise` section of an environment: kind and physical error rates.

`autoqec.problem.noisy` applies it to circuits.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

Probability = Annotated[float, Field(gt=0.0, lt=0.5)]

#: Fields that only one kind of noise has.
_OWN_FIELDS = {"eta": "biased", "erased": "erasure"}


class Noise(BaseModel):
    """The noise of an environment.

    Attributes:
        kind: `depolarizing`, `biased`, `phenomenological`, `code_capacity`, `si1000` or `erasure`, all explained in
            `docs/environments.md`; `given` means that the circuit or error model contains the noise.
        p: Physical error rates for training and scoring.
        target_p: The physical error rate of the verdict; by default the last of `p`.
        eta: For `biased`: the bias `p_Z / (p_X + p_Y)`; 1/2 means no bias on one qubit.
        erased: For `erasure`: the fraction of errors that are erasures, whose location is known.
        factor: For `given`: what every noise probability of the file is multiplied by; by default they stay.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["depolarizing", "biased", "phenomenological", "code_capacity", "si1000", "erasure", "given"] = "given"
    p: tuple[Probability, ...] = ()
    target_p: Probability | None = None
    eta: float | None = Field(default=None, gt=0, le=1e6)
    erased: float | None = Field(default=None, gt=0, le=1)
    factor: float | None = Field(default=None, gt=0, le=100)

    @field_validator("kind", mode="before")
    @classmethod
    def _leakage_is_beyond_stim(cls, kind: Any) -> Any:
        if kind == "leakage":
            raise ValueError(
                "stim cannot simulate leakage, because a leaked qubit is not a qubit; approximate it by noise of kind"
                " erasure, or supply an error model from elsewhere with code.kind: dem"
            )
        return kind

    @field_validator("p", mode="before")
    @classmethod
    def _rates_are_a_list(cls, p: Any) -> Any:
        if isinstance(p, int | float):
            raise ValueError(f"p must be a list, for example p: [{p}]")
        return p

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> Noise:
        for field, kind in _OWN_FIELDS.items():
            if (getattr(self, field) is not None) != (self.kind == kind):
                verb = "needs" if self.kind == kind else "has no"
                raise ValueError(f"noise of kind {self.kind!r} {verb} {field}")
        if self.factor is not None and self.kind != "given":
            raise ValueError(f"noise of kind {self.kind!r} has no factor; set p")
        if self.kind == "given":
            if self.p or self.target_p is not None:
                raise ValueError("for noise of kind 'given' the circuit or DEM file sets p; remove p and target_p")
            return self
        if not self.p:
            raise ValueError("p needs at least one physical error rate, for example p: [0.005]")
        if len(set(self.p)) != len(self.p):
            raise ValueError("p lists the same rate twice")
        if self.target_p is not None and self.target_p not in self.p:
            raise ValueError(f"target_p {self.target_p} is not one of p {list(self.p)}")
        return self

    @model_serializer(mode="wrap")
    def _without_fields_of_other_kinds(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The environment's identity hashes these fields: a new kind must not change the identities of old environments.
        fields = write(self)
        if self.factor is None:
            del fields["factor"]
        return {name: value for name, value in fields.items() if _OWN_FIELDS.get(name, self.kind) == self.kind}

    @property
    def target(self) -> float | None:
        """The physical error rate of the verdict; None if the circuit contains the noise."""
        return self.target_p if self.target_p is not None else (self.p[-1] if self.p else None)
