"""A cell: one place where a verdict may be asked for — a physical error rate, a number of rounds, a distance."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from autoqec.problem.noise import Noise, Probability

#: What a cell may change of the code, where the code's own fields say it.
CODE_FIELDS = ("rounds", "distance")


class Cell(BaseModel):
    """What differs from the environment's target; at least one of the three.

    Attributes:
        p: Physical error rate.
        rounds: Syndrome-measurement rounds, of a code that says its rounds.
        distance: Code distance, of a code that says its distance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    p: Probability | None = None
    rounds: int | None = Field(default=None, ge=1, le=1000)
    distance: int | None = Field(default=None, ge=2, le=51)

    @property
    def said(self) -> dict[str, Any]:
        """The overrides that are there, by name."""
        return {name: value for name, value in self.model_dump().items() if value is not None}

    @property
    def label(self) -> str:
        """Such as `p = 0.004, rounds = 6`."""
        return ", ".join(f"{name} = {value}" for name, value in self.said.items())


def target_cell(code: dict[str, Any], noise: Noise) -> Cell:
    """Where an environment's verdict stands by itself, as far as its fields say.

    Args:
        code: The fields of its code.
        noise: Its noise.
    """
    own = {name: code[name] for name in CODE_FIELDS if isinstance(code.get(name), int)}
    return Cell(p=noise.target, **own)


def why_no_cell(cell: Cell, code: dict[str, Any], noise: Noise) -> str | None:
    """What keeps a cell from being one of an environment, as `field: sentence`; None if nothing does."""
    if not cell.said:
        return "it says nothing; name p, rounds or distance, or remove it: the target is always judged"
    if cell.p is not None and noise.kind == "given":
        return "p: the noise is what the file says, so there is no other strength of it; remove p"
    for name in CODE_FIELDS:
        if name in cell.said and name not in code:
            return f"{name}: the environment's code says no {name}; remove it, or say code.{name}"
    own = target_cell(code, noise).said
    if own == own | cell.said:
        return "it is the target, which is always judged; remove it"
    return None
