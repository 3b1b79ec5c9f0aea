"""Reading what a program printed: a JSON object among prose and code fences, and figures that may be anything."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_FENCE = re.compile(r"```[A-Za-z]*\s*\n(.*?)\n\s*```", re.DOTALL)

#: Places where an object may begin that are tried.
_TRIES = 200


def find_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, holds in a code fence, or holds somewhere: then the longest."""
    for part in (text, *_FENCE.findall(text)):
        found = _parsed(part)
        if found is not None:
            return found
    decoder, best, place = json.JSONDecoder(), (0, None), text.find("{")
    for _ in range(_TRIES):
        if place < 0:
            break
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            best = max(best, (end - place, value), key=lambda found: found[0])
        place = text.find("{", end)
    return best[1]


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def whole(value: Any) -> int:
    """A count; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def amount(value: Any) -> float | None:
    """A sum of money; None for what is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) and value >= 0 else None
