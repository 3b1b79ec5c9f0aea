"""When a comparison stops: when every pair is decided, after some shots, or after some seconds, whichever comes first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autoqec.errors import UsageError

#: Shots after which a comparison stops though pairs are undecided, unless more are asked for.
MOST_SHOTS = 10_000_000

#: No stream has more shots: they take years, and their number still fits in any language.
_ABSURD_SHOTS = 10**15

_NUMBER = re.compile(r"(?P<number>\d+(?:[_,]\d{3})*(?:\.\d+)?(?:[eE]\+?\d{1,2})?)\s*(?P<unit>[a-z]+)")
_UNITS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
}
_HINT = "write --until decided, --until 100000shots or --until 60s; several stop at the first"


@dataclass(frozen=True)
class StoppingRule:
    """When to stop.

    Attributes:
        decided: Once no pair is undecided.
        shots: After so many shots of the whole stream.
        seconds: After so many seconds of counting; None for no limit. Such a stop depends on the machine.
    """

    decided: bool = True
    shots: int = MOST_SHOTS
    seconds: float | None = None

    @property
    def limit(self) -> int | None:
        """The shots after which it stops; None where nobody set such a limit."""
        return None if self.shots >= _ABSURD_SHOTS else self.shots

    @property
    def label(self) -> str:
        """In words, as `read_until` takes them."""
        limits = [f"{self.shots}shots", *(() if self.seconds is None else (f"{self.seconds:g}s",))]
        return " or ".join((["decided"] if self.decided else []) + limits)


def read_until(words: Sequence[str]) -> StoppingRule:
    """Read what a user says; without any, a comparison stops when all pairs are decided.

    Raises:
        UsageError: One is neither `decided`, a number of shots nor a time.
    """
    if not isinstance(words, Sequence):  # from Python
        raise UsageError(f"{words!r} does not say when to stop", hint=f'"{words}shots" or "{words}s"')
    decided, shots, seconds = not words, None, None
    for word in words:
        match = _NUMBER.fullmatch(word.strip().lower())
        if word.strip().lower() == "decided":
            decided = True
        elif match is None or match["unit"] not in (*_UNITS, "shot", "shots"):
            raise UsageError(f"{word!r} does not say when to stop", hint=_HINT)
        else:
            number = float(match["number"].replace("_", "").replace(",", ""))
            if not 0 < number < _ABSURD_SHOTS:
                raise UsageError(
                    f"{word!r}: {number:g} is not a number of shots or seconds that is possible", hint=_HINT
                )
            if match["unit"] in _UNITS:
                seconds = min(seconds or number * _UNITS[match["unit"]], number * _UNITS[match["unit"]])
            else:
                shots = min(shots or round(number), max(1, round(number)))
    return StoppingRule(decided, shots or (MOST_SHOTS if decided else _ABSURD_SHOTS), seconds)
