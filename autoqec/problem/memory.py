"""Memory experiments of CSS codes: prepare, measure all checks in every round, then read out all data qubits.

The circuit has no noise. `I[round]`, an identity gate, marks the data qubits at the start of each round;
`autoqec.problem.noisy` replaces it by noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import stim
from pydantic import BaseModel, ConfigDict, Field

from autoqec.problem.css import CssCode
from autoqec.problem.noise import Noise
from autoqec.problem.noisy import PAUSE, ROUND, add_noise

Basis = Literal["X", "Z"]

#: Simultaneous CNOTs as (check, data qubit) pairs, layer by layer.
Layers = Sequence[Sequence[tuple[int, int]]]

Place = tuple[float, float]


@dataclass(frozen=True)
class Schedule:
    """The CNOT layers of one round.

    Attributes:
        x: Layers of the X checks.
        z: Layers of the Z checks, the same number; within a layer, no qubit occurs twice in x and z together.
    """

    x: Layers
    z: Layers


@dataclass(frozen=True)
class Layout:
    """Coordinates in the plane of each data qubit, X check and Z check; for pictures only."""

    data: Sequence[Place]
    x: Sequence[Place]
    z: Sequence[Place]


class MemoryFields(BaseModel):
    """An environment's fields for a memory experiment; a code adds its own fields by inheritance.

    Attributes:
        rounds: Syndrome-measurement rounds.
        basis: The basis of the stored eigenstate.
        detectors: Detectors of the checks of that basis, or of `both` bases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    rounds: int = Field(ge=1, le=1000)
    basis: Basis = "Z"
    detectors: Literal["basis", "both"] = "basis"


def noisy_memory(
    fields: MemoryFields,
    code: CssCode,
    schedule: Schedule,
    noise: Noise,
    p: float | None,
    *,
    layout: Layout | None = None,
    pauses: bool = False,
) -> stim.Circuit:
    """Build the noisy memory experiment of an environment; see `css_memory` and `add_noise` for the arguments.

    Raises:
        UsageError: There is no noise to add.
    """
    both = fields.detectors == "both"
    circuit = css_memory(
        code, schedule, basis=fields.basis, rounds=fields.rounds, layout=layout, both=both, pauses=pauses
    )
    return add_noise(circuit, noise, p)


def css_memory(
    code: CssCode,
    schedule: Schedule,
    *,
    basis: Basis,
    rounds: int,
    layout: Layout | None = None,
    both: bool = False,
    pauses: bool = False,
) -> stim.Circuit:
    """Build the noiseless memory experiment.

    Qubits are numbered data, X checks, Z checks. Ancillas are prepared one layer before their first CNOT and measured one
    layer after their last, so checks that start early are prepared while others are still being measured.

    Args:
        code: The code.
        schedule: CNOT layers of one round; each check must touch each of its qubits once.
        basis: The basis of the stored eigenstate; every logical operator of that basis is an observable.
        rounds: Syndrome-measurement rounds, at least 1.
        layout: Coordinates of qubits and detectors; by default in a row.
        pauses: Mark the data qubits that are idle in a layer of CNOTs, for noise models that include idle errors.
        both: Add detectors of the other basis. They identify Y errors, at about twice the size.

    Returns:
        A circuit with `rounds + 1` detectors per check of the basis (one per round, one from the final readout) and, with
        `both`, `rounds - 1` per check of the other basis. Detector coordinates are x, y, round.
    """
    checks, logicals = (code.hx, code.lx) if basis == "X" else (code.hz, code.lz)
    layout = layout or _in_a_row(code)
    data = range(code.num_qubits)
    ancillas = {"X": _after(data, len(code.hx)), "Z": _after(_after(data, len(code.hx)), len(code.hz))}
    places = {"X": layout.x, "Z": layout.z}
    spans = {kind: span for kind, span in (("X", _span(schedule.x)), ("Z", _span(schedule.z))) if span}
    depth = len(schedule.x)
    early = [kind for kind, (first, _) in spans.items() if first == 0]
    late = [kind for kind, (_, last) in spans.items() if last == depth - 1]

    circuit = stim.Circuit()
    measured: dict[tuple[str, int], int] = {}  # (basis, round) → index of its first measurement in the record

    def prepare(kind: str) -> None:
        circuit.append(_PREPARE[kind], ancillas[kind])

    def measure(kind: str, turn: int) -> None:
        measured[kind, turn] = circuit.num_measurements
        circuit.append(_MEASURE[kind], ancillas[kind])

    def parity(records: Sequence[int]) -> list[stim.GateTarget]:
        return [stim.target_rec(record - circuit.num_measurements) for record in records]

    for qubit, place in enumerate([*layout.data, *layout.x, *layout.z]):
        circuit.append("QUBIT_COORDS", [qubit], place)
    circuit.append(_PREPARE[basis], data)
    for kind in early:
        prepare(kind)
    for turn in range(rounds):
        circuit.append("TICK")
        circuit.append("I", data, tag=ROUND)
        for layer, (x_pairs, z_pairs) in enumerate(zip(schedule.x, schedule.z, strict=True)):
            if layer:
                circuit.append("TICK")
            for kind, (first, last) in spans.items():
                if first == layer + 1:
                    prepare(kind)
                if last == layer - 1:
                    measure(kind, turn)
            cnots = [(ancillas["X"][check], qubit) for check, qubit in x_pairs]
            cnots += [(qubit, ancillas["Z"][check]) for check, qubit in z_pairs]
            circuit.append("CX", [qubit for pair in cnots for qubit in pair])
            if pauses:
                idle = set(data) - {qubit for pair in cnots for qubit in pair}
                circuit.append("I", sorted(idle), tag=PAUSE)
        circuit.append("TICK")
        for kind in late:
            measure(kind, turn)
        if turn + 1 < rounds:
            if set(early) & set(late):
                circuit.append("TICK")  # an ancilla cannot be prepared while it is being measured
            for kind in early:
                prepare(kind)
        for kind in spans:
            if kind != basis and (not both or turn == 0):
                continue
            for check, place in enumerate(places[kind]):
                now, before = (measured.get((kind, t)) for t in (turn, turn - 1))
                records = [start + check for start in (now, before) if start is not None]
                circuit.append("DETECTOR", parity(records), (*place, turn))
    circuit.append("TICK")
    readout = circuit.num_measurements
    circuit.append(_MEASURE[basis], data)
    for check, place in enumerate(places[basis]):
        records = [readout + qubit for qubit in np.flatnonzero(checks[check])] + [measured[basis, rounds - 1] + check]
        circuit.append("DETECTOR", parity(records), (*place, rounds))
    for index, logical in enumerate(logicals):
        circuit.append("OBSERVABLE_INCLUDE", parity([readout + q for q in np.flatnonzero(logical)]), index)
    return circuit


_PREPARE = {"X": "RX", "Z": "R"}
_MEASURE = {"X": "MX", "Z": "M"}


def _after(before: range, count: int) -> range:
    return range(before.stop, before.stop + count)


def _span(layers: Layers) -> tuple[int, int] | None:
    """Return the first and last layer with a gate."""
    busy = [number for number, pairs in enumerate(layers) if pairs]
    return (busy[0], busy[-1]) if busy else None


def _in_a_row(code: CssCode) -> Layout:
    sizes = (code.num_qubits, len(code.hx), len(code.hz))
    return Layout(*([(float(i), float(row)) for i in range(size)] for row, size in enumerate(sizes)))
