"""The one translator of pydantic's errors: which field is wrong, what it may be in plain words, and what was found.

Nothing of pydantic's own wording reaches a person: what a field may be is read from the model's schema, not from the message.
The sentences of our own validators, and of a plugin's, stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from autoqec.allowed_values import choices, field_at, in_words, known_fields, schema_of
from autoqec.json_values import JsonObject
from autoqec.nearest_names import unknown_name

#: An error names at most so many wrong fields.
_MOST_PROBLEMS = 8

#: Of a value that was found, at most so many characters are shown.
_MOST_SHOWN = 60

#: A longer list is only counted.
_MOST_ITEMS = 4

#: Errors of pydantic's that carry the sentence of a validator.
_SAID = {"value_error": "Value error, ", "assertion_error": "Assertion failed, "}

_UNKNOWN = frozenset({"extra_forbidden", "unexpected_keyword_argument", "no_such_attribute"})
_MISSING = frozenset(
    {"missing", "missing_argument", "missing_keyword_only_argument", "missing_positional_only_argument"}
)

#: All that pydantic can raise itself; the type of any other error is a validator's own.
_PYDANTICS = frozenset(get_args(ErrorType))


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field.

    Attributes:
        field: Its dotted name; empty for the whole.
        text: What is wrong, such as `must be a whole number from 2 to 51, not 60`.
        unknown: Whether there is no such field.
        choices: The words among which it is chosen; none if it is not a choice.
        least: The smallest value that is allowed, where that is itself allowed.
        most: The largest one, likewise.
    """

    field: str
    text: str
    unknown: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


def field_problems(error: ValidationError, model: type[BaseModel]) -> list[FieldProblem]:
    """What is wrong with each field, in pydantic's order; one problem for each field, whatever number of errors it has.

    Args:
        error: The error from pydantic.
        model: The model that was read.
    """
    schema = schema_of(model)
    # Each member of a union complains; what the field may be is the same sentence for all of them.
    found = [_problem(item, schema) for item in error.errors(include_url=False)]
    return list({(problem.field, problem.text): problem for problem in reversed(found)}.values())[::-1]


def explain(error: ValidationError, model: type[BaseModel], *, inside: str = "") -> str:
    """Format validation errors as `field: problem`, joined with semicolons.

    Args:
        error: The error from pydantic.
        model: The model that was read.
        inside: The field whose content was validated, if not the whole file.
    """
    found = field_problems(error, model)
    parts = [
        f"{'.'.join(filter(None, (inside, problem.field))) or 'the file'}: {problem.text}"
        for problem in found[:_MOST_PROBLEMS]
    ]
    more = [f"and {len(found) - len(parts)} more"] if len(found) > len(parts) else []
    return "; ".join(parts + more)


def first_problem(error: ValidationError, model: type[BaseModel]) -> tuple[str, JsonObject]:
    """The code of the first validation error, and what it is about: `field` and `problem`, and which values are allowed.

    Those are `least` and `most`, where an end is itself allowed, and `choices`.
    """
    problem = field_problems(error, model)[0]
    about: dict[str, Any] = {"field": problem.field, "problem": problem.text}
    about |= {name: end for name, end in (("least", problem.least), ("most", problem.most)) if end is not None}
    if problem.choices:
        about["choices"] = list(problem.choices)
    return ("unknown_field" if problem.unknown else "bad_value"), about


def _problem(item: ErrorDetails, schema: JsonObject) -> FieldProblem:
    kind, place = item["type"], tuple(item["loc"])
    if kind in _UNKNOWN:
        outer, part = field_at(schema, place[:-1])
        name = str(place[-1]) if place else ""
        return FieldProblem(
            ".".join((*outer, name)),
            f"unknown field{unknown_name(name, known_fields(schema, part))}",
            unknown=True,
        )
    steps, part = field_at(schema, place)
    field = ".".join(steps)
    if kind in _SAID or kind not in _PYDANTICS:
        return FieldProblem(field, item["msg"].removeprefix(_SAID.get(kind, "")))
    allowed = in_words(schema, part)
    if kind in _MISSING:
        return FieldProblem(field, f"missing; it must be {allowed}" if allowed else "missing")
    limits = item.get("ctx", {})
    text = f"must be {allowed or 'another value'}, not {_found(item['input'], kind)}"
    return FieldProblem(
        field,
        text,
        choices=tuple(choices(schema, part)),
        least=limits.get("ge"),
        most=limits.get("le"),
    )


def _found(value: Any, kind: str) -> str:
    """What was found, short; of a list or text of the wrong length, the length."""
    if kind in ("too_short", "too_long") and hasattr(value, "__len__"):
        return f"{len(value):,}"
    if kind in ("string_too_short", "string_too_long") and isinstance(value, str):
        return f"{len(value):,}"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value):,}" if len(value) > _MOST_ITEMS else f"the list {_shown(list(value))}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return _shown(value)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # a value of foreign code, which may raise anything
        text = f"a {type(value).__name__}"
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."
