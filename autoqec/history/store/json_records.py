"""Encoding and decoding of JSON records in git (claims, runs, notes), and their time stamps."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, NoReturn

from autoqec.canonical import dump_json
from autoqec.errors import AutoQECError


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0.0:  # an infinity, such as 1e400
        raise ValueError("a number in it is not finite")
    return number


#: Shared: making one costs more than reading a short record.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_SURROGATE = re.compile("[\ud800-\udfff]")


def utc_now() -> str:
    """Return the time as `2025-06-01T12:00:00.000000Z`: always 27 characters, so text order is time order."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def encode_record(record: dict[str, Any], *, name: str) -> bytes:
    """Encode a record as one canonical JSON line, without the line feed.

    Args:
        record: Plain data: dicts with text keys, lists, text, finite numbers, booleans, null.
        name: The record's name in errors.

    Raises:
        AutoQECError: The record holds other data, or a number that is not finite.
    """
    try:
        text = dump_json(record)
    except (TypeError, ValueError, RecursionError) as error:
        raise AutoQECError(f"{name} cannot be written as JSON: {error}") from error
    # A lone surrogate has no UTF-8 encoding; the JSON escape keeps it, and it can only occur inside a string.
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode()


def refuse_newer(version: Any, known: int, *, name: str) -> None:
    """Check that this autoqec can read a record's schema version.

    Args:
        version: The version in the record.
        known: The newest version that this autoqec reads.
        name: The record's name in errors.

    Raises:
        AutoQECError: The version is newer, or not a version.
    """
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise AutoQECError(f"{name} is damaged: {version!r} is not a schema version", hint="autoqec fsck")
    if version > known:
        raise AutoQECError(
            f"{name} was written by a newer autoqec: it has schema version {version}, but this one reads up to {known}",
            hint="pip install --upgrade autoqec",
        )


def decode_record(data: bytes, *, name: str) -> dict[str, Any]:
    """Decode a record that `encode_record` wrote.

    Raises:
        AutoQECError: The data is not UTF-8, not one JSON object, or holds NaN or an infinity.
    """
    try:
        record = _DECODER.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise AutoQECError(f"{name} is not a JSON record: {error}") from error
    if not isinstance(record, dict):
        raise AutoQECError(f"{name} is not a JSON record: it holds a {type(record).__name__}")
    return record


def record_id(line: bytes) -> str | None:
    """Return the id of a record in a line of a note; None if the line is not such a record."""
    try:
        ident = decode_record(line, name="a record").get("id")
    except AutoQECError:
        return None
    return ident if isinstance(ident, str) else None
