"""Multiplies the noise of a circuit or error model that a file brings: every probability p becomes p times a factor.

A factor is refused where a probability would leave what its channel allows: 1/2 for flips and for errors of a model, 3/4 and
15/16 for depolarization of one and two qubits, where the state is fully mixed, and 1 for the sum of errors that exclude each
other. Correlated errors of one chain exclude each other, so it is the probabilities of the chain's outcomes that are
multiplied. A model is scaled error by error; the error model of a scaled circuit differs from that by terms of second order.
"""

from __future__ import annotations

from collections.abc import Sequence

import stim

from autoqec.errors import UsageError

#: The largest sum of a channel's arguments, by instruction.
_LIMITS = {
    "DEPOLARIZE1": 3 / 4,
    "DEPOLARIZE2": 15 / 16,
    "PAULI_CHANNEL_1": 1.0,
    "PAULI_CHANNEL_2": 1.0,
    "HERALDED_ERASE": 1.0,
    "HERALDED_PAULI_CHANNEL_1": 1.0,
    "I_ERROR": 1.0,
    "II_ERROR": 1.0,
}

#: The largest probability of a flip: of a qubit, of a measurement's result, or of an error of a model.
_FLIP = 0.5

#: Rounding of sums.
_SLACK = 1e-12

#: The first error of a chain, and the later ones.
_FIRST, _LATER = "E", "ELSE_CORRELATED_ERROR"


def scaled_circuit(circuit: stim.Circuit, factor: float) -> stim.Circuit:
    """Return a circuit whose noise is multiplied.

    Raises:
        UsageError: A probability would leave what its channel allows.
    """
    scaled = stim.Circuit()
    fired, wanted = 0.0, 0.0  # of the current chain: that one of its errors has occurred, before and after
    for gate in circuit:
        if isinstance(gate, stim.CircuitRepeatBlock):
            scaled.append(
                stim.CircuitRepeatBlock(gate.repeat_count, scaled_circuit(gate.body_copy(), factor), tag=gate.tag)
            )
            continue
        arguments: Sequence[float] = gate.gate_args_copy()
        if gate.name in (_FIRST, _LATER):
            if gate.name == _FIRST:
                fired = wanted = 0.0
            chance = (1 - fired) * arguments[0]
            left = 1 - wanted
            fired, wanted = fired + chance, wanted + factor * chance
            _require(wanted, fired, 1.0, factor, gate)
            arguments = [min(1.0, factor * chance / left) if left > _SLACK else 0.0]
        elif arguments and stim.gate_data(gate.name).is_noisy_gate:
            _require(factor * sum(arguments), sum(arguments), _LIMITS.get(gate.name, _FLIP), factor, gate)
            arguments = [factor * p for p in arguments]
        scaled.append(stim.CircuitInstruction(gate.name, gate.targets_copy(), arguments, tag=gate.tag))
    return scaled


def scaled_model(dem: stim.DetectorErrorModel, factor: float) -> stim.DetectorErrorModel:
    """Return an error model whose probabilities are multiplied.

    Raises:
        UsageError: One would be above 1/2.
    """
    scaled = stim.DetectorErrorModel()
    for instruction in dem:
        if isinstance(instruction, stim.DemRepeatBlock):
            scaled.append(stim.DemRepeatBlock(instruction.repeat_count, scaled_model(instruction.body_copy(), factor)))
        elif instruction.type == "error":
            (p,) = instruction.args_copy()
            _require(factor * p, p, _FLIP, factor, instruction)
            scaled.append("error", factor * p, instruction.targets_copy(), tag=instruction.tag)
        else:
            scaled.append(instruction)
    return scaled


def _require(after: float, before: float, limit: float, factor: float, instruction: object) -> None:
    if after > limit + _SLACK and after > before:
        raise UsageError(
            f"noise.factor: {factor:g} times the noise of {str(instruction).splitlines()[0][:60]} is {after:.3g}, above its"
            f" maximum of {limit:g}",
            hint=f"noise: {{kind: given, factor: {factor * limit / after:.3g}}} is the most for it",
        )
