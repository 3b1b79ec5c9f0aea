"""Converts between records and JSON: a frozen dataclass is the schema of a part of a note, and mismatches are named.

A field's annotation is its schema: `int`, `float`, `str`, `bool`, `X | None`, `tuple[X, ...]`, `Mapping[str, X]`,
`PairedCounts`, another record, or `Any`. A field with a default takes its default if it is missing or malformed. A missing or
malformed field without a default makes the whole record malformed. Anyone who can push can write a note, so numbers must be
finite, integers must fit in 64 bits, and a bool is not a number.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, field, fields
from functools import cache
from math import isfinite
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from autoqec.results.counts import PairedCounts

_T = TypeVar("_T")

#: No count comes near this. Much larger integers have no float, and in the end Python refuses to print their digits.
_LARGEST = 2**63

_Reader = Callable[[Any, str, list[str]], Any]


class Malformed(Exception):
    """A value does not match its schema; the message is its place in the note."""


def always(default: Any = None) -> Any:
    """A field that notes of earlier versions may lack. It is always written: None as null."""
    return field(default=default, metadata={"always": True})


def flat(default: Any = MISSING) -> Any:
    """A record whose fields are written beside those of its parent record, not in a nested object.

    An optional one is present if its first field is.
    """
    return field(metadata={"flat": True}) if default is MISSING else field(default=default, metadata={"flat": True})


def named(name: str, default: Any = MISSING) -> Any:
    """A field that has another name in notes."""
    return field(metadata={"name": name}) if default is MISSING else field(default=default, metadata={"name": name})


def mapping(*, always: bool = False) -> Any:
    """An optional mapping; empty if missing."""
    return field(default_factory=dict, metadata={"always": always})


class _Field(NamedTuple):
    """How one field of a record is read and written."""

    name: str
    key: str
    read: _Reader
    default: Any
    always: bool
    flat: type | None


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a finite number of ordinary size."""
    kind = type(value)  # JSON gives exactly these types, and a bool is no number
    return (kind is float and isfinite(value)) or (kind is int and -_LARGEST < value < _LARGEST)


def are_numbers(values: Iterable[Any]) -> bool:
    """Whether all of some values are; a log of thousands of rounds asks it of all their figures."""
    for value in values:
        kind = type(value)
        if kind is float:
            if value - value != 0.0:  # an infinity or not a number
                return False
        elif kind is not int or not -_LARGEST < value < _LARGEST:
            return False
    return True


def read_record(form: type[_T], note: Mapping[str, Any], where: str = "", problems: list[str] | None = None) -> _T:
    """A record from an object of a note.

    Args:
        form: The record's class.
        note: JSON values.
        where: The object's place in the note, for messages.
        problems: Receives the places of malformed fields that were replaced by their default.

    Raises:
        Malformed: A field without a default is missing or malformed.
    """
    found: dict[str, Any] = {}
    skipped = [] if problems is None else problems
    for each in _fields_of(form):
        place = where + each.key
        inside = note if each.flat else note.get(each.key, MISSING)
        if inside is MISSING:
            if each.default is MISSING:
                raise Malformed(place)
            continue
        try:
            if each.flat is None:
                found[each.name] = each.read(inside, place, skipped)
            elif each.default is MISSING or _first_of(each.flat) in note:
                found[each.name] = read_record(each.flat, note, where, skipped)
        except Malformed as error:
            if each.default is MISSING:
                raise
            skipped.append(str(error))
    return form(**found)


def write_record(record: Any) -> dict[str, Any]:
    """A record as an object of a note; fields at their default are left out, unless they are always written."""
    note: dict[str, Any] = {}
    for each in _fields_of(type(record)):
        value = getattr(record, each.name)
        if not each.always and each.default is not MISSING and value == each.default:
            continue
        if each.flat is not None:
            note |= write_record(value)
        else:
            note[each.key] = _written(value)
    return note


def keys_of(form: type) -> tuple[str, ...]:
    """The names that a record's fields have in a note, those of flat records included."""
    return tuple(key for each in _fields_of(form) for key in (keys_of(each.flat) if each.flat else (each.key,)))


@cache
def _first_of(form: Any) -> str:
    """The key whose presence shows that a flat record is present."""
    return keys_of(form)[0]


def _fields_of(form: Any) -> tuple[_Field, ...]:
    return _plan(form)  # to mypy, which sees Any here, a class such as `type[_T]` is not hashable


def _written(value: Any) -> Any:
    if isinstance(value, PairedCounts):
        return value.to_dict()
    if hasattr(value, "__dataclass_fields__"):
        return write_record(value)
    if isinstance(value, Mapping):
        return {name: _written(inside) for name, inside in value.items()}
    return [_written(inside) for inside in value] if isinstance(value, list | tuple) else value


@cache
def _plan(form: Any) -> tuple[_Field, ...]:
    hints = get_type_hints(form)
    found = []
    for each in fields(form):
        if not each.init:
            continue
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        hint = hints[each.name]
        beside = next((part for part in (hint, *get_args(hint)) if isinstance(part, type)), None)
        found.append(
            _Field(
                each.name,
                each.metadata.get("name", each.name),
                _reader(hint),
                default,
                bool(each.metadata.get("always")),
                beside if each.metadata.get("flat") else None,
            )
        )
    return tuple(found)


@cache
def _reader(hint: Any) -> _Reader:
    """What reads values of an annotation."""
    origin, inside = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda value, where, problems: value
    if origin in (Union, types.UnionType):
        return _optional(_reader(next(part for part in inside if part is not type(None))))
    if origin is tuple:
        return _many(_reader(inside[0])) if inside[-1] is ... else _exactly([_reader(part) for part in inside])
    if origin is Literal:
        return _checked(lambda value: type(value) is str and value in inside)
    if origin is not None:  # Mapping[str, X]
        return _mapping(_reader(inside[1]))
    if hint in _PLAIN:
        return _checked(_PLAIN[hint])
    return _counts if hint is PairedCounts else _record(hint)


_PLAIN: Mapping[Any, Callable[[Any], bool]] = {
    int: lambda value: type(value) is int and -_LARGEST < value < _LARGEST,
    float: is_number,
    str: lambda value: type(value) is str,
    bool: lambda value: type(value) is bool,
}


def _checked(fits: Callable[[Any], bool]) -> _Reader:
    def read(value: Any, where: str, problems: list[str]) -> Any:
        if not fits(value):
            raise Malformed(where)
        return value

    return read


def _optional(inner: _Reader) -> _Reader:
    return lambda value, where, problems: None if value is None else inner(value, where, problems)


def _many(inner: _Reader) -> _Reader:
    def read(value: Any, where: str, problems: list[str]) -> Any:
        if not isinstance(value, list | tuple):
            raise Malformed(where)
        return tuple(inner(each, f"{where}.{place}", problems) for place, each in enumerate(value))

    return read


def _exactly(inner: list[_Reader]) -> _Reader:
    def read(value: Any, where: str, problems: list[str]) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(inner):
            raise Malformed(where)
        return tuple(
            each(part, f"{where}.{n}", problems) for n, (each, part) in enumerate(zip(inner, value, strict=True))
        )

    return read


def _mapping(inner: _Reader) -> _Reader:
    def read(value: Any, where: str, problems: list[str]) -> Any:
        if not isinstance(value, Mapping):
            raise Malformed(where)
        return {str(name): inner(each, f"{where}.{name}", problems) for name, each in value.items()}

    return read


def _record(form: type) -> _Reader:
    def read(value: Any, where: str, problems: list[str]) -> Any:
        if not isinstance(value, Mapping):
            raise Malformed(where)
        return read_record(form, value, f"{where}.", problems)

    return read


def _counts(value: Any, where: str, problems: list[str]) -> PairedCounts:
    counts = read_counts(value)
    if counts is None:
        raise Malformed(where)
    return counts


def read_counts(value: Any) -> PairedCounts | None:
    """Counts from an object of a note; None if it holds no possible counts."""
    if not isinstance(value, Mapping):
        return None
    counted: list[Any] = [value.get(name) for name in ("shots", "both", "baseline_only", "candidate_only")]
    if not all(type(each) is int and 0 <= each < _LARGEST for each in counted):
        return None
    try:
        return PairedCounts(*counted)
    except ValueError:
        return None
