"""Quoting: how words of people, programs and earlier replies stand in a prompt, so that none of them can be taken for ours."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

_TAG = re.compile(r"^<data name=\"([a-z_]+)\">$", re.MULTILINE)

#: Unicode categories that show nothing, or change how what follows is shown.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def quoted(value: Any) -> str:
    """A JSON value on one line, in which nothing opens or closes a section, breaks a line or hides.

    Angle brackets, and letters that show nothing, are written as JSON escapes: the value stays the same.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "), allow_nan=False, default=str)
    return "".join(
        _escaped(letter) if letter in "<>" or unicodedata.category(letter) in _UNSEEN else letter for letter in text
    )


def section(name: str, *values: Any) -> str:
    """A section of data: one JSON value a line between its tags."""
    return "\n".join([f'<data name="{name}">', *map(quoted, values), "</data>"])


def sections(prompt: str) -> list[str]:
    """The names of a prompt's sections, in order: its structure."""
    return _TAG.findall(prompt)


def shortened(text: str, length: int) -> str:
    """The beginning of a text, and how much was left out."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length:,} characters more)"


def trimmed(value: Any, *, letters: int = 20_000, items: int = 64) -> Any:
    """A JSON value without end to no text and no list in it: long ones are cut, and say by how much."""
    if isinstance(value, str):
        return shortened(value, letters)
    if isinstance(value, Mapping):
        return {str(name): trimmed(each, letters=letters, items=items) for name, each in value.items()}
    if isinstance(value, list | tuple):
        kept = [trimmed(each, letters=letters, items=items) for each in value[:items]]
        return [*kept, f"… ({len(value) - items:,} more)"] if len(value) > items else kept
    return value


def count_tokens(text: str) -> int:
    """About how many tokens a text has; rather too many than too few, for budgets are reserved by it."""
    return -(-len(text.encode()) // 3)


def without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {}, ())}
