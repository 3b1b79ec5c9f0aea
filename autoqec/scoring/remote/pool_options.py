"""Options of executors with workers elsewhere: the user's words for them, so they may be anything."""

from __future__ import annotations

import math
from typing import Any

from autoqec.errors import UsageError


def require_count(name: str, value: Any, most: int | None = None) -> int:
    """An option that counts something, from 1 on.

    Args:
        name: As the user knows it.
        value: What is given.
        most: The largest that is allowed; None for no limit.

    Raises:
        UsageError: It is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or (most is not None and value > most):
        wanted = "a whole number from 1" + (f" to {most}" if most is not None else "")
        raise UsageError(
            f"{name} must be {wanted}, not {value!r}", hint=f"set {name} to such a number, or leave it out"
        )
    return value


def require_seconds(name: str, value: Any) -> float:
    """An option that is a time; see `require_count`.

    Raises:
        UsageError: It is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        hint = f"set {name} to such a number, or leave it out"
        raise UsageError(f"{name} must be a number of seconds from 0, not {value!r}", hint=hint)
    return value


def require_text(name: str, value: Any) -> str:
    """An option that is text; see `require_count`.

    Raises:
        UsageError: It is no text.
    """
    if not isinstance(value, str):
        raise UsageError(f"{name} must be text, not {value!r}", hint=f"set {name} to text, or leave it out")
    return value
