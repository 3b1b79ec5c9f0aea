"""What to say of a name that is not known: the nearest known ones, and which there are."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown_name(name: str, known: Iterable[str]) -> str:
    """What to say of an unknown name: the nearest known ones, and all of them."""
    names = list(known)
    near = get_close_matches(name, names, n=2)
    nearest = f"; did you mean {' or '.join(near)}?" if near else ";"
    return f"{nearest} known: {', '.join(names) or 'none'}"
