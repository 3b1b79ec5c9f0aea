"""Reads a program's output: a JSON object among prose and code fences, and numbers of unreliable type."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_FENCE = re.compile(r"```[A-Za-z]*\s*\n(.*?)\n\s*```", re.DOTALL)

#: Maximum number of positions to try as the start of an object.
_TRIES = 200


def find_object(text: str) -> dict[str, Any] | None:
    """Find a JSON object: the whole text, else the content of a code fence, else the longest object in the text."""
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
    """Return a count; 0 if the value is not one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def amount(value: Any) -> float | None:
    """Return an amount of money; None if the value is not one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) and value >= 0 else None
