"""Which other rounds a round sees, as its claim says in `details["seen"]`: those closed to it, and those open to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autoqec.errors import AutoQECError
from autoqec.history.rounds.claims import Claim
from autoqec.json_values import JsonObject

#: The field of a claim's details.
SEEN = "seen"

_NUMBER = "[1-9][0-9]{0,8}"
_RANGES = re.compile(f"(?:{_NUMBER}(?:-{_NUMBER})?(?:,(?!$)|$))*")


@dataclass(frozen=True)
class RoundNumbers:
    """Numbers of rounds as ranges, because a long run has thousands, and nearly all of them follow each other.

    Attributes:
        ranges: First and last number of each range.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, numbers: Iterable[int]) -> RoundNumbers:
        """These numbers."""
        found: list[tuple[int, int]] = []
        for number in sorted(set(numbers)):
            if found and found[-1][1] == number - 1:
                found[-1] = found[-1][0], number
            else:
                found.append((number, number))
        return cls(tuple(found))

    @classmethod
    def parse(cls, text: object) -> RoundNumbers:
        """The inverse of `str`.

        Raises:
            ValueError: The text is no list of ranges such as `1-5,7`.
        """
        if not isinstance(text, str) or _RANGES.fullmatch(text) is None:
            raise ValueError(f"{text!r} is no list of ranges such as 1-5,7")
        ends = [part.split("-") for part in text.split(",") if part]
        return cls(tuple((int(each[0]), int(each[-1])) for each in ends))

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ranges)

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.ranges)

    def missing_from(self, numbers: Iterable[int]) -> int | None:
        """The first of these numbers that is not among others; None if all are."""
        there = RoundNumbers.of(numbers)
        for first, last in self.ranges:
            inside = next((end for begin, end in there.ranges if begin <= first <= end), None)
            if inside is None or inside < last:
                return first if inside is None else inside + 1
        return None


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
        hint = f"autoqec resume --abandon {name}"
        raise AutoQECError(f"the claim of {name} is damaged: seen: {error}", hint=hint) from error
