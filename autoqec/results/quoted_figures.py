"""Sentences that quote figures of the record, and the check that each figure is what the record says.

A writer makes its prose of these. What it quotes names the object and the field that it comes from, so the check can look the
figure up again, in the JSON objects that commands print, and compare it with the digits that the sentence shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from autoqec.json_values import JsonObject


@dataclass(frozen=True)
class Named:
    """A name, or words, from the record: data, which a writer escapes."""

    text: str


@dataclass(frozen=True)
class Quoted:
    """A figure in a sentence.

    Attributes:
        text: As the sentence shows it, such as `0.617`, `57k`, `38.3 %` or `$1.20`; `∞` for an end that is open.
        about: The object of the record that it is of: a round's `run/number`, or an environment's `name@identity`.
        field: Where it stands in that object, such as `holdout.ler_ratio` or `holdout.ler_ratio_ci.0`.
    """

    text: str
    about: str
    field: str


Part = str | Named | Quoted


@dataclass(frozen=True)
class Sentence:
    """A sentence: words of ours, which have no digits, and what it names and quotes."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The sentence as plain text."""
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    @property
    def quoted(self) -> tuple[Quoted, ...]:
        """The figures."""
        return tuple(part for part in self.parts if isinstance(part, Quoted))


def sentence(*parts: Part | Iterable[Part]) -> Sentence:
    """Make a sentence of parts, and of lists of parts."""
    flat: list[Part] = []
    for each in parts:
        flat += [each] if isinstance(each, str | Named | Quoted) else each
    return Sentence(tuple(flat))


def unfounded(sentences: Iterable[Sentence], record: Mapping[str, JsonObject]) -> list[str]:
    """What sentences say that the record does not: a problem each; empty if all is founded.

    Args:
        sentences: The prose.
        record: The objects of the record, by the names that figures are `about`.
    """
    return [problem for each in sentences for problem in _problems(each, record)]


def _problems(told: Sentence, record: Mapping[str, JsonObject]) -> Iterator[str]:
    for part in told.parts:
        if isinstance(part, str) and re.search(r"\d", part):
            yield f"{part!r} has a figure that names no field of the record"
        elif isinstance(part, Quoted):
            value = field_of(record.get(part.about), part.field)
            if not shows(part.text, value):
                yield f"{part.about} {part.field} is {value!r} in the record, and {part.text!r} in the text"


def field_of(item: Any, path: str) -> Any:
    """The value at a path such as `holdout.ler_ratio_ci.0`; None if there is none.

    A name may have dots itself, as a decoder's has whose options are decimals; the shortest name that leads to a value is taken.
    """
    if not path:
        return item
    parts = path.split(".")
    if isinstance(item, Mapping):
        ends = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
        values = (field_of(item[name], path[len(name) + 1 :]) for name in ends if name in item)
        return next((value for value in values if value is not None), None)
    if isinstance(item, Sequence) and not isinstance(item, str) and parts[0].isdecimal() and int(parts[0]) < len(item):
        return field_of(item[int(parts[0])], path[len(parts[0]) + 1 :])
    return None


_NUMBER = re.compile(r"([-+−]?)\$?([-+−]?)(\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)([kMG]?)( %)?")
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


def shows(text: str, value: Any) -> bool:
    """Whether a text shows a value, rounded to the digits that it has. `∞` shows an end that is None."""
    if text == "∞" or value is None:
        return text == "∞" and value is None
    match = _NUMBER.fullmatch(text)
    if match is None or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    sign = -1.0 if {match[1], match[2]} & {"-", "−"} else 1.0
    scale = _UNITS[match[4]] / (100.0 if match[5] else 1.0)
    digits, _, power = match[3].replace(",", "").partition("e")
    place = 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))  # what the last digit stands for
    shown = sign * float(digits) * 10.0 ** int(power or 0)
    off, slack = abs(shown * scale - value), place * scale / 2
    return off <= slack or isclose(off, slack, rel_tol=1e-6, abs_tol=1e-12)
