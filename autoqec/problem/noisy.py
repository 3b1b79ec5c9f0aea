"""Adds noise to a noiseless circuit, so that every code works with every noise model.

The circuit marks the data qubits at the start of each round by an identity gate with the tag `round`, such as
`I[round] 0 1 2`; the gate takes no time. If the published cycle of a code has errors on idle data qubits, the circuit may mark
these by `I[pause]`. TICKs separate the layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import stim

from autoqec.errors import UsageError
from autoqec.problem.model_size import check_circuit
from autoqec.problem.noise import Noise
from autoqec.problem.noise_models import Model, noise_model

#: The tag of the identity gates that mark the data qubits at the start of a round.
ROUND = "round"

#: The tag of the identity gates that mark idle data qubits in a layer.
PAUSE = "pause"


def add_noise(circuit: stim.Circuit, noise: Noise, p: float | None) -> stim.Circuit:
    """Add noise to a noiseless circuit.

    Args:
        circuit: The circuit without noise, with rounds marked as the module docstring describes.
        noise: The noise.
        p: Physical error rate; None if the noise is `given`.

    Returns:
        The noisy circuit, flattened. Erasure adds one detector for each data qubit and round, before those of the round.

    Raises:
        UsageError: There is no noise to add, the circuit already has noise, or the noise needs marked rounds.
    """
    if p is None:
        raise UsageError("noise.kind: this code needs a noise model", hint="noise: {kind: depolarizing, p: [0.005]}")
    check_circuit(circuit, "code: the circuit")
    flat = circuit.flattened()
    _require_noiseless(flat)
    model = noise_model(noise, p)
    if noise.kind in ("phenomenological", "code_capacity", "erasure") and not any(map(is_round, flat)):
        raise UsageError(
            f"noise.kind: {noise.kind} noise acts at the start of rounds, but the circuit does not mark rounds",
            hint="add I[round] with the numbers of the data qubits at the start of each round",
        )
    noisy = stim.Circuit()
    everyone = _qubits(flat)
    started = False
    for layer in _layers(flat):
        for gate in layer:
            if is_round(gate):
                if model.waiting and not (model.once and started):
                    noisy.append(model.waiting[0], gate.targets_copy(), model.waiting[1])
                started = True
                if model.erased:
                    noisy.append(gate)
            elif _is_pause(gate):
                if model.pausing:
                    noisy.append(model.pausing[0], gate.targets_copy(), model.pausing[1])
            else:
                _append(noisy, gate, model)
        if model.idle or model.bystander:
            _append_idling(noisy, layer, everyone, model)
    return with_heralds(noisy, model.erased) if model.erased else noisy


def is_round(gate: stim.CircuitInstruction | stim.CircuitRepeatBlock) -> bool:
    """Tell whether an instruction marks the start of a round."""
    return gate.name == "I" and gate.tag == ROUND


def _is_pause(gate: stim.CircuitInstruction | stim.CircuitRepeatBlock) -> bool:
    return gate.name == "I" and gate.tag == PAUSE


def with_heralds(circuit: stim.Circuit, p: float) -> stim.Circuit:
    """Replace the round markers by heralded erasures, with one detector each.

    Args:
        circuit: Flattened.
        p: Probability that a qubit is erased.
    """
    heralded = stim.Circuit()
    places = circuit.get_final_qubit_coordinates()
    moved: list[int] = []  # new index in the record of each of the circuit's own measurements
    turn = 0
    for gate in circuit:
        targets = gate.targets_copy()
        if is_round(gate):
            heralded.append("HERALDED_ERASE", targets, p)
            for back, target in enumerate(targets):
                place = (*places.get(target.value, [float(target.value)]), turn)
                heralded.append("DETECTOR", [stim.target_rec(back - len(targets))], place)
            turn += 1
            continue
        if any(target.is_measurement_record_target for target in targets):
            end = heralded.num_measurements
            targets = [stim.target_rec(moved[t.value] - end) if t.is_measurement_record_target else t for t in targets]
        before = heralded.num_measurements
        heralded.append(gate.name, targets, gate.gate_args_copy(), tag=gate.tag)
        moved += range(before, heralded.num_measurements)
    return heralded


_FLIP_AFTER_RESET = {
    "R": "X_ERROR",
    "MR": "X_ERROR",
    "RX": "Z_ERROR",
    "MRX": "Z_ERROR",
    "RY": "X_ERROR",
    "MRY": "X_ERROR",
}
_FLIP_BEFORE_MEASUREMENT = {
    "M": "X_ERROR", "MR": "X_ERROR", "MX": "Z_ERROR", "MRX": "Z_ERROR", "MY": "X_ERROR", "MRY": "X_ERROR",
}  # fmt: skip


def _append(noisy: stim.Circuit, gate: stim.CircuitInstruction, model: Model) -> None:
    """Append a gate with its noise."""
    facts, targets = stim.gate_data(gate.name), gate.targets_copy()
    flip = _FLIP_BEFORE_MEASUREMENT.get(gate.name)
    if facts.produces_measurements and model.measured and flip is None:
        noisy.append(gate.name, targets, model.measured, tag=gate.tag)  # a multi-qubit measurement: flip the result
        return
    if flip is not None and model.measured:
        noisy.append(flip, [target.value for target in targets], model.measured)
    noisy.append(gate)
    if facts.is_reset and model.prepared:
        noisy.append(_FLIP_AFTER_RESET[gate.name], targets, model.prepared)
    if facts.is_unitary and facts.is_single_qubit_gate and model.single:
        noisy.append(model.single[0], targets, model.single[1])
    if facts.is_unitary and facts.is_two_qubit_gate and model.double:
        # A classically controlled gate only changes the Pauli frame and takes no time.
        pairs = [t for pair in gate.target_groups() if all(t.is_qubit_target for t in pair) for t in pair]
        if pairs:
            noisy.append(model.double[0], pairs, model.double[1])


def _append_idling(
    noisy: stim.Circuit, layer: Sequence[stim.CircuitInstruction], everyone: set[int], model: Model
) -> None:
    """Append the noise of idle qubits in a layer."""
    acting = [gate for gate in layer if not is_round(gate) and not _is_pause(gate)]
    read = _qubits(gate for gate in acting if _reads_or_resets(gate))
    idle = sorted(everyone - _qubits(acting))
    if model.idle and idle and acting:
        noisy.append("DEPOLARIZE1", idle, model.idle)
    if model.bystander and read and everyone - read:
        noisy.append("DEPOLARIZE1", sorted(everyone - read), model.bystander)


def _reads_or_resets(gate: stim.CircuitInstruction) -> bool:
    facts = stim.gate_data(gate.name)
    return facts.produces_measurements or facts.is_reset


def _qubits(gates: Iterable[stim.CircuitInstruction]) -> set[int]:
    """Return the qubits that gates act on; QUBIT_COORDS does not count."""
    return {t.qubit_value for gate in gates if gate.name != "QUBIT_COORDS" for t in gate.targets_copy() if _is_qubit(t)}


def _is_qubit(target: stim.GateTarget) -> bool:
    return target.is_qubit_target or target.pauli_type != "I"


def _layers(circuit: stim.Circuit) -> Iterator[list[stim.CircuitInstruction]]:
    """Yield the instructions between TICKs, layer by layer."""
    layer: list[stim.CircuitInstruction] = []
    for gate in circuit:
        if gate.name == "TICK":
            yield layer
            layer = []
        layer.append(gate)
    yield layer


def first_noise(circuit: stim.Circuit) -> str | None:
    """The first instruction of a circuit that is noise; None for a circuit without noise."""
    for gate in circuit:
        if isinstance(gate, stim.CircuitRepeatBlock):
            inner = first_noise(gate.body_copy())
            if inner is not None:
                return inner
            continue
        facts = stim.gate_data(gate.name)
        if facts.is_noisy_gate and (not facts.produces_measurements or gate.gate_args_copy() or "HERALD" in gate.name):
            return str(gate).splitlines()[0][:60]
    return None


def _require_noiseless(circuit: stim.Circuit) -> None:
    noise = first_noise(circuit)
    if noise is not None:
        raise UsageError(
            f"noise.kind: the circuit already has noise, {noise}",
            hint="remove the noise section, or use noise: {kind: given}",
        )
