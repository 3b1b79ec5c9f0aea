"""Numbers of rounds as ranges such as `1-5,7`, and what a claim says with them: which other rounds its round sees.

A long run has thousands of rounds, and nearly all of their numbers follow each other. Anybody may have written such a list, so
nothing here takes longer for a range of a billion numbers than for one of two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: The field of a claim's details that says which other rounds its round sees: lists of numbers by name.
SEEN = "seen"

_NUMBER = "[1-9][0-9]{0,8}"
_RANGES = re.compile(f"(?:{_NUMBER}(?:-{_NUMBER})?(?:,(?!$)|$))*")


@dataclass(frozen=True)
class RoundNumbers:
    """Some numbers.

    Attributes:
        ranges: First and last number of each range, in order; no range touches the next one.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, numbers: Iterable[int]) -> RoundNumbers:
        """These numbers."""
        return cls(_merged((number, number) for number in numbers))

    @classmethod
    def parse(cls, text: object) -> RoundNumbers:
        """The inverse of `str`.

        Raises:
            ValueError: The text is no list of ranges such as `1-5,7`.
        """
        if not isinstance(text, str) or _RANGES.fullmatch(text) is None:
            raise ValueError(f"{text!r} is no list of ranges such as 1-5,7")
        ends = [part.split("-") for part in text.split(",") if part]
        return cls(_merged((int(each[0]), int(each[-1])) for each in ends))

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ranges)

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.ranges)

    def missing_from(self, numbers: Iterable[int]) -> int | None:
        """The first of these numbers that is not among others; None if all are."""
        there = RoundNumbers.of(numbers)
        for first, last in self.ranges:
            end = next((end for begin, end in there.ranges if begin <= first <= end), None)
            if end is None or end < last:
                return first if end is None else end + 1
        return None

    def renumbered(self, numbers: Mapping[int, int]) -> RoundNumbers:
        """The same rounds after some of them got new numbers.

        Args:
            numbers: New number by old number.
        """
        kept, first_free = [], 0
        for old in sorted(numbers):
            kept += self._between(first_free, old - 1)
            first_free = old + 1
        kept += self._between(first_free, None)
        return RoundNumbers(_merged([*kept, *((new, new) for old, new in numbers.items() if old in self)]))

    def _between(self, low: int, high: int | None) -> list[tuple[int, int]]:
        cut = ((max(first, low), last if high is None else min(last, high)) for first, last in self.ranges)
        return [(first, last) for first, last in cut if first <= last]


def renumbered_details(details: Mapping[str, Any], numbers: Mapping[int, int]) -> dict[str, Any]:
    """A claim's details after rounds that it names got new numbers; what cannot be read stays as it is."""
    seen = details.get(SEEN)
    if not isinstance(seen, dict):
        return dict(details)
    return {**details, SEEN: {name: _renumbered_text(text, numbers) for name, text in seen.items()}}


def _renumbered_text(text: object, numbers: Mapping[int, int]) -> object:
    try:
        return str(RoundNumbers.parse(text).renumbered(numbers))
    except ValueError:
        return text


def _merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Ranges in order, those that touch or overlap made one; a range that ends before it begins has no numbers."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(each for each in ranges if each[0] <= each[1]):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)
