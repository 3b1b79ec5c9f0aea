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

from autoqec.errors import UsageError
from autoqec.problem.css import CssCode
from autoqec.problem.noise import Noise
from autoqec.problem.noisy import PAUSE, ROUND, add_noise
from autoqec.size_limits import CIRCUIT_OPERATIONS, MEASUREMENTS, QUBITS

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
        UsageError: There is no noise to add, or the experiment is too large.
    """
    require_size(fields.rounds, code.hx, code.hz)
    both = fields.detectors == "both"
    circuit = css_memory(
        code, schedule, basis=fields.basis, rounds=fields.rounds, layout=layout, both=both, pauses=pauses
    )
    return add_noise(circuit, noise, p)


def require_size(rounds: int, hx: np.ndarray, hz: np.ndarray) -> None:
    """Bound a memory experiment before it is built, gate by gate.

    Args:
        rounds: Syndrome-measurement rounds.
        hx: X checks by qubits.
        hz: Z checks by qubits.

    Raises:
        UsageError: The circuit would be over a limit.
    """
    checks, qubits = len(hx) + len(hz), hx.shape[1]
    gates = int(np.count_nonzero(hx)) + int(np.count_nonzero(hz))
    for size, limit, what in (
        (qubits + checks, QUBITS, "qubits"),
        (rounds * checks + qubits, MEASUREMENTS, "measurements"),
        (4 * rounds * gates, CIRCUIT_OPERATIONS, "operations"),
    ):
        if size > limit:
            raise UsageError(
                f"code: {rounds} rounds of this code have {size:,} {what}; at most {limit:,} fit in memory",
                hint="choose fewer rounds or a smaller code",
                code="over_limit",
                about={"limit": limit},
            )


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

    Raises:
        UsageError: No check of the basis acts on any qubit.

    Returns:
        A circuit with `rounds + 1` detectors per check of the basis (one per round, one from the final readout) and, with
        `both`, `rounds - 1` per check of the other basis. Detector coordinates are x, y, round.
    """
    checks, logicals = (code.hx, code.lx) if basis == "X" else (code.hz, code.lz)
    experiment = _Experiment(code, schedule, layout or _in_a_row(code), pauses)
    if basis not in experiment.spans:
        raise UsageError(
            f"code: no {basis} check acts on any qubit, so there is nothing to decode", hint="choose the other basis"
        )
    experiment.begin(basis)
    for turn in range(rounds):
        experiment.extract(turn, last=turn + 1 == rounds)
        for kind in experiment.spans:
            if kind == basis or (both and turn > 0):
                experiment.compare(kind, turn)
    experiment.read_out(basis, rounds, checks, logicals)
    return experiment.circuit


class _Experiment:
    """The circuit of a memory experiment while it is built.

    Attributes:
        circuit: What there is of it.
        spans: First and last layer in which the checks of each basis do anything; without those that never do.
    """

    def __init__(self, code: CssCode, schedule: Schedule, layout: Layout, pauses: bool) -> None:
        self.circuit = stim.Circuit()
        self.spans = {kind: span for kind, span in (("X", _span(schedule.x)), ("Z", _span(schedule.z))) if span}
        self._schedule, self._layout, self._pauses = schedule, layout, pauses
        self._places = {"X": layout.x, "Z": layout.z}
        self._data = range(code.num_qubits)
        x_checks = _after(self._data, len(code.hx))
        self._ancillas = {"X": x_checks, "Z": _after(x_checks, len(code.hz))}
        self._early = [kind for kind, (first, _) in self.spans.items() if first == 0]
        self._late = [kind for kind, (_, last) in self.spans.items() if last == len(schedule.x) - 1]
        # (basis, round) → place in the record of the first of its measurements
        self._measured: dict[tuple[str, int], int] = {}

    def begin(self, basis: Basis) -> None:
        """Say where qubits are, and prepare what the first layer needs."""
        for qubit, place in enumerate([*self._layout.data, *self._layout.x, *self._layout.z]):
            self.circuit.append("QUBIT_COORDS", [qubit], place)
        self.circuit.append(_PREPARE[basis], self._data)
        for kind in self._early:
            self._prepare(kind)

    def extract(self, turn: int, *, last: bool) -> None:
        """One round: all layers of CNOTs, with preparations and measurements of ancillas around them."""
        self.circuit.append("TICK")
        self.circuit.append("I", self._data, tag=ROUND)
        for layer in range(len(self._schedule.x)):
            if layer:
                self.circuit.append("TICK")
            self._touch(layer, turn)
        self.circuit.append("TICK")
        for kind in self._late:
            self._measure(kind, turn)
        if not last:
            if set(self._early) & set(self._late):
                self.circuit.append("TICK")  # an ancilla is not prepared while it is measured
            for kind in self._early:
                self._prepare(kind)

    def compare(self, kind: str, turn: int) -> None:
        """A detector per check of a basis: its measurement in this round against that before, where there is one."""
        for check, place in enumerate(self._places[kind]):
            now, before = (self._measured.get((kind, t)) for t in (turn, turn - 1))
            records = [start + check for start in (now, before) if start is not None]
            self.circuit.append("DETECTOR", self._parity(records), (*place, turn))

    def read_out(self, basis: Basis, rounds: int, checks: np.ndarray, logicals: np.ndarray) -> None:
        """Measure the data qubits: the last detector of each check of the basis, and the observables."""
        self.circuit.append("TICK")
        readout, last = self.circuit.num_measurements, self._measured[basis, rounds - 1]
        self.circuit.append(_MEASURE[basis], self._data)
        for check, place in enumerate(self._places[basis]):
            records = [readout + qubit for qubit in np.flatnonzero(checks[check])] + [last + check]
            self.circuit.append("DETECTOR", self._parity(records), (*place, rounds))
        for index, logical in enumerate(logicals):
            records = [readout + qubit for qubit in np.flatnonzero(logical)]
            self.circuit.append("OBSERVABLE_INCLUDE", self._parity(records), index)

    def _touch(self, layer: int, turn: int) -> None:
        """One layer of CNOTs; ancillas that begin in the next are prepared meanwhile, those that ended in the last measured."""
        for kind, (first, last) in self.spans.items():
            if first == layer + 1:
                self._prepare(kind)
            if last == layer - 1:
                self._measure(kind, turn)
        x_pairs, z_pairs = self._schedule.x[layer], self._schedule.z[layer]
        cnots = [(self._ancillas["X"][check], qubit) for check, qubit in x_pairs]
        cnots += [(qubit, self._ancillas["Z"][check]) for check, qubit in z_pairs]
        self.circuit.append("CX", [qubit for pair in cnots for qubit in pair])
        if self._pauses:
            idle = set(self._data) - {qubit for pair in cnots for qubit in pair}
            self.circuit.append("I", sorted(idle), tag=PAUSE)

    def _prepare(self, kind: str) -> None:
        self.circuit.append(_PREPARE[kind], self._ancillas[kind])

    def _measure(self, kind: str, turn: int) -> None:
        self._measured[kind, turn] = self.circuit.num_measurements
        self.circuit.append(_MEASURE[kind], self._ancillas[kind])

    def _parity(self, records: Sequence[int]) -> list[stim.GateTarget]:
        return [stim.target_rec(record - self.circuit.num_measurements) for record in records]


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
