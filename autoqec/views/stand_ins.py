"""Spells what an output's encoding lacks: in text for people with look-alikes of ASCII, in data as JSON does."""

from __future__ import annotations

from typing import TextIO

#: Characters of our own tables and sentences, and what stands for them; as wide wherever there is such a character.
_LIKE = {
    "–": "-", "—": "-", "−": "-", "…": "~", "×": "x", "·": "*", "µ": "u", "μ": "u", "Δ": "d", "Λ": "L", "λ": "l", "α": "a",
    "σ": "s", "±": "+-", "∞": "inf", "≤": "<=", "≥": ">=", "≈": "~", "→": ">", "←": "<", "↑": "^", "↓": "v", "✓": "v", "•": "*",
    "†": "+", "‡": "#", "§": "$", "“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ", "─": "-", "│": "|",
    **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)), "⁻": "-", "╌": "-", "━": "-", "╸": "-", "╺": "-", "█": "#", "░": ".",
}  # fmt: skip


def spelled(text: str) -> str:
    """Text for people with ASCII alone: look-alikes of our own characters, and any others as JSON spells them."""
    return "".join(_LIKE.get(character) or _one(character) for character in text)


def escaped(text: str) -> str:
    """Text with ASCII alone, as JSON spells what it lacks: nothing is lost."""
    return "".join(character if character.isascii() else _units(character) for character in text)


def speaks_unicode(stream: TextIO) -> bool:
    """Whether a stream can print any character."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "").startswith("utf")


def _one(character: str) -> str:
    if character.isascii():
        return character
    return "*" if "\u2800" <= character <= "\u28ff" else _units(character)  # the dots that spin


def _units(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))
