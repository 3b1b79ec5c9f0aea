"""Quotes untrusted text (of people, programs and earlier replies) in a prompt, so that it cannot pass for our own."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from autoqec.json_values import JsonObject

#: Unicode categories of characters that are invisible or change the display of later text.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def quoted(value: Any) -> str:
    """Write a JSON value on one line, so that no part of it can open or close a section, break a line or be invisible.

    Angle brackets and invisible characters become JSON escapes; the value stays the same.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "), allow_nan=False, default=str)
    return "".join(
        _escaped(letter) if letter in "<>" or unicodedata.category(letter) in _UNSEEN else letter for letter in text
    )


def section(name: str, *values: Any) -> str:
    """Write a section of data: one JSON value per line between its tags."""
    return "\n".join([f'<data name="{name}">', *map(quoted, values), "</data>"])


def shortened(text: str, length: int) -> str:
    """Cut a text to a length, and append how much was left out."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length:,} characters more)"


def trimmed(value: Any, *, letters: int = 20_000, items: int = 64) -> Any:
    """Limit the length of all texts and lists in a JSON value; each cut one ends with how much was left out."""
    if isinstance(value, str):
        return shortened(value, letters)
    if isinstance(value, Mapping):
        return {str(name): trimmed(each, letters=letters, items=items) for name, each in value.items()}
    if isinstance(value, list | tuple):
        kept = [trimmed(each, letters=letters, items=items) for each in value[:items]]
        return [*kept, f"… ({len(value) - items:,} more)"] if len(value) > items else kept
    return value


def count_tokens(text: str) -> int:
    """Estimate the number of tokens in a text, rather too high than too low, because budgets depend on it."""
    return -(-len(text.encode()) // 3)


def without_empty(fields: JsonObject) -> dict[str, Any]:
    """Return the non-empty fields."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {}, ())}
