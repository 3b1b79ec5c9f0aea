"""Reads circuits and error models in stim's text formats, from strangers: one reader, which bounds what stim is given."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import stim

from autoqec.errors import UsageError
from autoqec.problem.model_size import DEEPEST, check_circuit, check_model

_Read = TypeVar("_Read")

#: Where a block begins or ends.
_BRACE = re.compile(r"\{[ \t\r]*(?:#.*)?$|^[ \t]*\}", re.MULTILINE)

#: A look back at nothing, which stim reads and then fails on when shots are drawn.
_NOTHING = re.compile(r"rec\[-0+\]")


def read_circuit(data: bytes, name: str) -> stim.Circuit:
    """Read a circuit.

    Args:
        data: Contents of the file.
        name: The field or file, for messages.

    Raises:
        UsageError: It is not text, stim cannot read it, or it is over a limit once its repeats are flattened.
    """
    text = _text(data, name)
    if _NOTHING.search(text):
        raise UsageError(f"{name}: rec[-0] is no measurement", hint="the last measurement is rec[-1]")
    circuit = _parsed(stim.Circuit, text, name, "stim circuit")
    check_circuit(circuit, name)
    return circuit


def read_model(data: bytes, name: str) -> stim.DetectorErrorModel:
    """Read a detector error model.

    Args:
        data: Contents of the file.
        name: The field or file, for messages.

    Raises:
        UsageError: It is not text, stim cannot read it, or it is over a limit once its repeats are flattened.
    """
    dem = _parsed(stim.DetectorErrorModel, _text(data, name), name, "detector error model")
    check_model(dem, name)
    return dem


def _parsed(read: Callable[[str], _Read], text: str, name: str, what: str) -> _Read:
    try:
        return read(text)
    except (ValueError, IndexError) as error:
        raise UsageError(f"{name} is not a {what}: {_reason(error)}") from error


def _text(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not a text file") from error
    depth = 0
    for brace in _BRACE.finditer(text):
        depth += 1 if brace[0].startswith("{") else -1
        if depth > DEEPEST:  # stim reads blocks by recursion, and ends in a segmentation fault
            raise UsageError(f"{name} has blocks in blocks, more than {DEEPEST} deep", code="over_limit")
    return text


def _reason(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
