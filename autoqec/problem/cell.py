"""Cells: a cell is a variant of an environment with another physical error rate, number of rounds or distance."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from autoqec.problem.noise import Noise, Probability

#: The code fields that a cell may change, if the code has them.
CODE_FIELDS = ("rounds", "distance")


class Cell(BaseModel):
    """The differences from the environment's target; at least one field is set.

    Attributes:
        p: Physical error rate.
        rounds: Syndrome-measurement rounds, for a code with the field `rounds`.
        distance: Code distance, for a code with the field `distance`.
        factor: For noise that a file brings: what its probabilities are multiplied by; 1 is the file as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    p: Probability | None = None
    rounds: int | None = Field(default=None, ge=1, le=1000)
    distance: int | None = Field(default=None, ge=2, le=51)
    factor: float | None = Field(default=None, gt=0, le=100)

    @model_serializer(mode="wrap")
    def _without_what_came_later(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The environment's identity hashes these fields: a new field must not change the identities of old environments.
        fields = write(self)
        return {name: value for name, value in fields.items() if name != "factor" or value is not None}

    @property
    def said(self) -> dict[str, Any]:
        """The fields that are set, by name."""
        return {name: value for name, value in self.model_dump().items() if value is not None}

    @property
    def label(self) -> str:
        """The cell in words, such as `p = 0.004, rounds = 6`."""
        return ", ".join(f"{name} = {value}" for name, value in self.said.items())


def target_cell(code: dict[str, Any], noise: Noise) -> Cell:
    """Return the cell of an environment's own verdict, as far as its fields tell.

    Args:
        code: The fields of its code.
        noise: Its noise.
    """
    own = {name: code[name] for name in CODE_FIELDS if isinstance(code.get(name), int)}
    return Cell(p=noise.target, factor=noise.factor, **own)


def why_no_cell(cell: Cell, code: dict[str, Any], noise: Noise) -> str | None:
    """Return why a cell is not valid in an environment, as `field: sentence`; None if it is valid."""
    if not cell.said:
        return "the cell is empty; set p, rounds or distance, or remove the cell (the target is always judged)"
    if cell.p is not None and noise.kind == "given":
        return "p: the file fixes the noise, so a cell cannot change p; set factor, which multiplies its probabilities"
    if cell.factor is not None and noise.kind != "given":
        return "factor: only noise that a file brings has a factor; set p"
    for name in CODE_FIELDS:
        if name in cell.said and name not in code:
            return f"{name}: the environment's code has no {name}; remove it, or set code.{name}"
    own = ({"factor": 1.0} if noise.kind == "given" else {}) | target_cell(code, noise).said
    if own == own | cell.said:
        return "the cell is the target, which is always judged; remove it"
    return None
