"""Which other rounds a round sees, as its claim says in `details["seen"]`: those closed to it, and those open to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoqec.errors import AutoQECError
from autoqec.history.rounds.claims import Claim
from autoqec.history.rounds.round_numbers import SEEN, RoundNumbers
from autoqec.json_values import JsonObject

#: What to do about a damaged claim of a round that is closed.
_HARMLESS = "nothing to do, unless the run is to be repeated with --like: choose another run for that"


@dataclass(frozen=True)
class Seen:
    """Which other rounds a round sees.

    Attributes:
        closed: Those it takes as closed; it sees all of them.
        open: Those it takes as open, of which it sees the hypothesis and the candidate.
        ideas: Those it takes as open, of which it sees the hypothesis alone.
    """

    closed: RoundNumbers = field(default_factory=RoundNumbers)
    open: RoundNumbers = field(default_factory=RoundNumbers)
    ideas: RoundNumbers = field(default_factory=RoundNumbers)

    def to_details(self) -> JsonObject:
        """The value of `details["seen"]` in a claim."""
        return {name: str(value) for name, value in vars(self).items()}

    @staticmethod
    def from_details(told: object) -> Seen:
        """The inverse of `to_details`; other fields, of a later version, mean nothing.

        Raises:
            ValueError: It is damaged.
        """
        if not isinstance(told, Mapping):
            raise ValueError("it is no object")
        return Seen(*(RoundNumbers.parse(told.get(name)) for name in ("closed", "open", "ideas")))


def seen_by(claim: Claim) -> Seen | None:
    """What the round of a claim sees; None if the claim does not say.

    Raises:
        AutoQECError: What it says is damaged.
    """
    if SEEN not in claim.details:
        return None
    try:
        return Seen.from_details(claim.details[SEEN])
    except ValueError as error:
        name = f"{claim.run}/{claim.number}"
        hint = f"autoqec resume --abandon {name}" if claim.state == "open" else _HARMLESS
        raise AutoQECError(f"the claim of {name} is damaged: seen: {error}", hint=hint) from error
