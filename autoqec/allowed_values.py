"""What the field of a model may be, in plain words: read from the model's JSON schema, so that it says what the check does."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from autoqec.json_values import JsonObject

#: What a pattern of text means. A pattern that is not here is shown as it is.
PATTERNS = {
    r"^[a-z0-9][a-z0-9_-]{0,63}$": "a name of at most 64 lower-case letters, digits, _ and -, which does not begin with _ or -",
    r"^[a-z][a-z0-9_-]{0,39}$": "a name of at most 40 lower-case letters, digits, _ and -, which begins with a letter",
    r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$": "a name of letters, digits, _, ., : and -",
    r"^[a-z0-9][a-z0-9-]{0,39}/[1-9][0-9]{0,6}$": "a round, such as surface-ab12/3",
}

#: Names of bounds in a JSON schema: of a number, with the words for each end.
_FROM, _ABOVE, _TO, _BELOW = "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"

#: The step of a place that means the key of a mapping, not what it holds.
_KEY = "[key]"


@cache
def schema_of(model: type[BaseModel]) -> JsonObject:
    """The JSON schema of what a model reads; empty for a model that has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about defaults that JSON cannot hold, which do not matter here
            return model.model_json_schema()
    except PydanticUserError:
        return {}


def field_at(schema: JsonObject, place: Sequence[str | int]) -> tuple[tuple[str, ...], JsonObject]:
    """The part of a schema that a place leads to.

    Args:
        schema: Of the model.
        place: Keys and numbers, and steps of pydantic's own, such as the member of a union, which lead nowhere.

    Returns:
        The steps that a person can follow, and what is there; empty where everything is allowed.
    """
    part, steps = schema, []
    for step in place:
        following = _inside(schema, part, step)
        if following is None and part:
            continue
        if step != _KEY:
            steps.append(str(step))
        part = following or {}
    return tuple(steps), _resolved(schema, part)


def known_fields(schema: JsonObject, part: JsonObject) -> tuple[str, ...]:
    """The names of the fields of a model, in their own order; none for anything else."""
    return tuple(name for branch in _branches(schema, part) for name in branch.get("properties", {}))


def choices(schema: JsonObject, part: JsonObject) -> list[str]:
    """The words among which a field is chosen; none if it is not a choice."""
    return [str(word) for branch in _branches(schema, part) for word in _enumerated(branch)]


def in_words(schema: JsonObject, part: JsonObject) -> str | None:
    """What a part of a schema allows, such as `a whole number from 2 to 51, or null`; None where everything is."""
    said = [_words(branch) for branch in _branches(schema, part)]
    if not said or None in said:
        return None
    told = list(dict.fromkeys(words for words in said if words))
    *others, last = told
    return f"{', '.join(others)}, or {last}" if others else last


def _resolved(schema: JsonObject, part: JsonObject) -> JsonObject:
    """A part with its reference followed; what stands beside the reference wins."""
    while "$ref" in part:
        target: Any = schema
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = dict(target) | {name: value for name, value in part.items() if name != "$ref"}
    return part


def _branches(schema: JsonObject, part: JsonObject) -> Iterator[JsonObject]:
    part = _resolved(schema, part)
    inner = part.get("anyOf") or part.get("oneOf") or part.get("allOf")
    if inner:
        for each in inner:
            yield from _branches(schema, each)
    else:
        yield part


def _inside(schema: JsonObject, part: JsonObject, step: str | int) -> JsonObject | None:
    for branch in _branches(schema, part):
        fields = branch.get("properties", {})
        if step in fields:
            return dict(fields[step])
        if step == _KEY:
            return dict(branch.get("propertyNames", {"type": "string"}))
        more = branch.get("additionalProperties")
        if branch.get("type") == "object" and more not in (None, False) and not isinstance(step, int):
            return dict(more) if isinstance(more, dict) else {}
        if branch.get("type") == "array" and str(step).isdigit():
            listed = branch.get("prefixItems", [])
            found = listed[int(step)] if int(step) < len(listed) else branch.get("items", {})
            return dict(found) if isinstance(found, dict) else {}
    return None


def _enumerated(branch: JsonObject) -> list[Any]:
    return list(branch.get("enum", [branch["const"]] if "const" in branch else []))


def _words(branch: JsonObject) -> str | None:
    listed = _enumerated(branch)
    if listed:
        told = ["empty" if word == "" else str(word) for word in listed]
        return told[0] if len(told) == 1 else f"one of {', '.join(told)}"
    return {
        "integer": lambda: f"a whole number{_range(branch)}",
        "number": lambda: f"a number{_range(branch)}",
        "boolean": lambda: "true or false",
        "null": lambda: "null",
        "string": lambda: _text(branch),
        "array": lambda: f"a list{_size(branch, 'item', 'Items')}",
        "object": lambda: f"a mapping of fields{_size(branch, 'field', 'Properties')}",
    }.get(str(branch.get("type")), lambda: None)()


def _range(branch: JsonObject) -> str:
    least, above, most, below = (branch.get(name) for name in (_FROM, _ABOVE, _TO, _BELOW))
    if least is not None and most is not None:
        return f" from {_number(least)} to {_number(most)}"
    low = f"above {_number(above)}" if above is not None else f"at least {_number(least)}" if least is not None else ""
    high = f"below {_number(below)}" if below is not None else f"at most {_number(most)}" if most is not None else ""
    if least is not None and not high:
        return f" from {_number(least)} up"
    return " " + " and ".join(filter(None, (low, high))) if low or high else ""


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{int(value):,}" if value == int(value) else f"{value:g}"


def _text(branch: JsonObject) -> str:
    pattern = branch.get("pattern")
    if pattern is not None:
        return PATTERNS.get(pattern, f"text of the form {pattern}")
    return f"text{_size(branch, 'character', 'Length')}"


def _size(branch: JsonObject, unit: str, of: str) -> str:
    least, most = branch.get(f"min{of}"), branch.get(f"max{of}")
    if least and most is not None:
        return f" of {least:,} to {most:,} {unit}s"
    if most is not None:
        return f" of at most {most:,} {unit}{'s' * (most != 1)}"
    return f" of at least {least:,} {unit}{'s' * (least != 1)}" if least else ""
