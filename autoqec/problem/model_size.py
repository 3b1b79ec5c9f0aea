"""Bounds circuits and error models before any work on them: a repeat block of 60 bytes can stand for a terabyte.

Sizes are counted block by block without flattening, in integers that cannot overflow; stim's own counters do, in nested
blocks. So this comes before stim, and what comes after it may trust its sizes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import stim

from autoqec.errors import UsageError
from autoqec.size_limits import (
    CIRCUIT_OPERATIONS,
    DETECTORS,
    MEASUREMENTS,
    MODEL_INSTRUCTIONS,
    MODEL_TARGETS,
    OBSERVABLES,
    QUBITS,
)

#: Blocks within blocks.
DEEPEST = 64

#: A tag, which may have anything but a line end and a closing bracket.
TAG = re.compile(r"^(\s*\w+)\[[^\]\n]*\]", re.MULTILINE)

#: Where a block begins or ends in a model as stim writes it, or detectors are shifted.
_TURN = re.compile(r"^ *(?:repeat (?P<times>\d+) \{|\}|shift_detectors(?:\([^)\n]*\))? (?P<shift>\d+))$", re.MULTILINE)

_INSTRUCTION = re.compile(r"^ *[a-z]", re.MULTILINE)

_DETECTOR, _OBSERVABLE = re.compile(r" D(\d+)"), re.compile(r" L(\d+)")


@dataclass
class _Size:
    """What a model comes to when it is flattened, with shifts and the turns of blocks among its instructions."""

    instructions: int = 0
    targets: int = 0
    detectors: int = 0
    observables: int = 0
    shift: int = 0


def check_model(dem: stim.DetectorErrorModel, name: str) -> None:
    """Check the size that an error model has when it is flattened.

    Args:
        dem: The model.
        name: Its name in the error.

    Raises:
        UsageError: It is over a limit; the message has the size and the limit.
    """
    text = str(dem)
    if "repeat" in text or "shift_detectors" in text:
        size = model_size(text, name)
    else:
        size = _Size(text.count("\n") + 1, text.count(" "), dem.num_detectors, dem.num_observables)
    _require(name, size.detectors, DETECTORS, "detectors", "choose a smaller distance or fewer rounds")
    _require(name, size.observables, OBSERVABLES, "observables", "number the observables from L0")
    hint = "repeat fewer times"
    _require(name, size.instructions, MODEL_INSTRUCTIONS, "instructions once its repeats are flattened", hint)
    _require(name, size.targets, MODEL_TARGETS, "targets once its repeats are flattened", hint)


def check_circuit(circuit: stim.Circuit, name: str) -> None:
    """Check the size that a circuit has when it is flattened.

    Args:
        circuit: The circuit.
        name: Its name in the error.

    Raises:
        UsageError: It is over a limit; the message has the size and the limit.
    """
    text = str(circuit)
    operations = _operations(circuit, name, 0) if "REPEAT" in text else text.count("\n") + text.count(" ") + 1
    _require(name, operations, CIRCUIT_OPERATIONS, "operations once its repeats are flattened", "repeat fewer times")
    _require(name, circuit.num_qubits, QUBITS, "qubits", "number the qubits from 0")
    _require(name, circuit.num_measurements, MEASUREMENTS, "measurements", "choose fewer rounds")
    _require(name, circuit.num_detectors, DETECTORS, "detectors", "choose a smaller distance or fewer rounds")
    _require(name, circuit.num_observables, OBSERVABLES, "observables", "number the observables from 0")


def _require(name: str, size: int, limit: int, what: str, hint: str) -> None:
    if size > limit:
        told = f"{size:,}" if size < 10**18 else f"more than {10**18:,}"
        raise UsageError(
            f"{name} has {told} {what}; at most {limit:,} fit in memory",
            hint=hint,
            code="over_limit",
            about={"limit": limit},
        )


def model_size(text: str, name: str) -> _Size:
    """Go through a model's text, from one block or shift to the next."""
    if "[" in text:
        text = TAG.sub(r"\1", text)
    open_blocks: list[tuple[_Size, int]] = []
    size, done = _Size(), 0
    for turn in _TURN.finditer(text):
        _add_instructions(text[done : turn.start()], size)
        done = turn.end()
        if turn["times"]:
            if len(open_blocks) == DEEPEST:
                raise UsageError(f"{name} has blocks in blocks, more than {DEEPEST} deep", code="over_limit")
            open_blocks.append((size, int(turn["times"])))
            size = _Size()
        elif turn["shift"]:
            size.shift += int(turn["shift"])
            size.instructions += 1
        else:
            inner, (size, times) = size, open_blocks.pop()
            # A turn of a block costs time even if nothing is left of it.
            size.instructions += times * (1 + inner.instructions)
            size.targets += times * inner.targets
            if inner.detectors:
                size.detectors = max(size.detectors, size.shift + (times - 1) * inner.shift + inner.detectors)
            size.observables = max(size.observables, inner.observables)
            size.shift += times * inner.shift
    _add_instructions(text[done:], size)
    return size


def _add_instructions(text: str, size: _Size) -> None:
    """Add instructions without blocks and shifts."""
    detectors, observables = _DETECTOR.findall(text), _OBSERVABLE.findall(text)
    size.instructions += len(_INSTRUCTION.findall(text))
    size.targets += len(detectors) + len(observables)
    size.detectors = max(size.detectors, size.shift + 1 + max(map(int, detectors))) if detectors else size.detectors
    size.observables = max(size.observables, 1 + max(map(int, observables))) if observables else size.observables


def _operations(circuit: stim.Circuit, name: str, depth: int) -> int:
    if depth > DEEPEST:
        raise UsageError(f"{name} has blocks in blocks, more than {DEEPEST} deep", code="over_limit")
    operations = 0
    for item in circuit:
        if isinstance(item, stim.CircuitRepeatBlock):
            operations += item.repeat_count * (1 + _operations(item.body_copy(), name, depth + 1))
        else:
            operations += 1 + len(item.targets_copy())
    return operations
