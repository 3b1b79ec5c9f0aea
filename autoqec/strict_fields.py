"""Fields of files, settings and replies as a model, with true and false told from numbers.

pydantic takes `true` for 1 and `false` for 0, so a field that was meant as a switch would pass for a number. Its strict mode
would refuse too much: settings from variables are text, and YAML has no tuples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

_Model = TypeVar("_Model", bound=BaseModel)


def checked_fields(model: type[_Model], fields: Any) -> _Model:
    """Validate fields.

    Raises:
        ValidationError: One is unknown or not valid, or is true or false and should be a number.
    """
    found = model.model_validate(fields)
    wrong = list(_booleans_as_numbers(fields, found, ()))
    if wrong:
        problem = PydanticCustomError("number_type", "must be a number, not true or false")
        details = [InitErrorDetails(type=problem, loc=place, input=value) for place, value in wrong]
        raise ValidationError.from_exception_data(model.__name__, details)
    return found


def _booleans_as_numbers(
    given: Any, read: Any, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], bool]]:
    if isinstance(given, bool):
        if isinstance(read, int | float) and not isinstance(read, bool):
            yield place, given
    elif isinstance(given, Mapping):
        for name, value in given.items():
            inner = read.get(name) if isinstance(read, Mapping) else getattr(read, str(name), None)
            yield from _booleans_as_numbers(value, inner, (*place, str(name)))
    elif isinstance(given, list | tuple) and isinstance(read, list | tuple):
        for number, (value, inner) in enumerate(zip(given, read, strict=False)):
            yield from _booleans_as_numbers(value, inner, (*place, number))
