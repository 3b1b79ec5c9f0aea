"""Noise as a pass: a noiseless circuit goes in, a noisy one comes out, so that every code gets every noise.

Where a round begins is told by an identity gate with the tag `round` on the data qubits, `I[round] 0 1 2`.
"""

from __future__ import annotations

import stim

#: The tag of the identity gates that mark the data qubits at the start of a round.
ROUND = "round"

_FLIP_AFTER_RESET = {"R": "X_ERROR", "RX": "Z_ERROR", "RY": "X_ERROR"}
_FLIP_BEFORE_MEASUREMENT = {"M": "X_ERROR", "MX": "Z_ERROR", "MY": "X_ERROR"}


def depolarize(circuit: stim.Circuit, p: float) -> stim.Circuit:
    """Circuit-level depolarizing noise: what stim's own generated circuits have with all four arguments at p."""
    noisy = stim.Circuit()
    for gate in circuit:
        qubits = gate.targets_copy()
        if gate.name == "I" and gate.tag == ROUND:
            noisy.append("DEPOLARIZE1", qubits, p)
            continue
        if gate.name in _FLIP_BEFORE_MEASUREMENT:
            noisy.append(_FLIP_BEFORE_MEASUREMENT[gate.name], qubits, p)
        noisy.append(gate)
        if gate.name in _FLIP_AFTER_RESET:
            noisy.append(_FLIP_AFTER_RESET[gate.name], qubits, p)
        elif gate.name == "CX":
            noisy.append("DEPOLARIZE2", qubits, p)
    return noisy
