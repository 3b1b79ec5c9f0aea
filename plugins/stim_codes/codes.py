"""Builders for stim's generated circuits and for `.stim` and `.dem` files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import stim
from pydantic import BaseModel, ConfigDict, Field

from autoqec.errors import UsageError
from autoqec.problem.model_size import check_circuit
from autoqec.problem.noise import Noise
from autoqec.problem.noisy import ROUND, add_noise
from autoqec.problem.stim_files import read_circuit, read_model

#: The example of a circuit: three qubits of a repetition code, read out once.
_REPEATED = """\
R 0 1 2
I[round] 0 1 2
M 0 1 2
DETECTOR rec[-3] rec[-2]
DETECTOR rec[-2] rec[-1]
OBSERVABLE_INCLUDE(0) rec[-1]
"""


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GeneratedFields(_Fields):
    """What `stim.Circuit.generated` is asked for.

    Attributes:
        task: As in `stim.Circuit.generated`, such as `surface_code:rotated_memory_z`.
        distance: Code distance.
        rounds: Syndrome-measurement rounds.
    """

    task: str
    distance: int = Field(ge=2, le=51)
    rounds: int = Field(ge=1, le=1000)


class FileFields(_Fields):
    """A file that is the code.

    Attributes:
        path: Of a file beside the environment.
    """

    path: str


class StimGenerated:
    """A memory experiment from `stim.Circuit.generated`; depolarizing noise is stim's own four arguments at one p."""

    Config = GeneratedFields
    EXAMPLE: ClassVar = {"code": {"task": "surface_code:rotated_memory_z", "distance": 3, "rounds": 3}}

    def build(self, config: GeneratedFields, noise: Noise, p: float | None, files: Mapping[str, bytes]) -> stim.Circuit:
        """See `autoqec.problem.code_contract.Code.build`."""
        if noise.kind == "depolarizing":
            return _generated(
                config,
                after_clifford_depolarization=p,
                after_reset_flip_probability=p,
                before_measure_flip_probability=p,
                before_round_data_depolarization=p,
            )
        return add_noise(marked(config), noise, p)


def marked(config: GeneratedFields) -> stim.Circuit:
    """The noiseless circuit with its rounds marked, as `autoqec.problem.noisy` wants it."""
    # Stim itself says where the data qubits wait, if asked for noise there and nowhere else. The strength is no matter.
    where = _generated(config, before_round_data_depolarization=0.5)
    circuit = stim.Circuit()
    for gate in where.flattened():
        if gate.name == "DEPOLARIZE1":
            circuit.append("I", gate.targets_copy(), tag=ROUND)
        else:
            circuit.append(gate)
    return circuit


def _generated(config: GeneratedFields, **noise: float | None) -> stim.Circuit:
    strengths = {argument: p for argument, p in noise.items() if p is not None}
    try:
        circuit = stim.Circuit.generated(config.task, distance=config.distance, rounds=config.rounds, **strengths)
    except ValueError as error:
        raise UsageError(f"code.task, distance or rounds: stim refuses: {str(error).splitlines()[0]}") from error
    check_circuit(circuit, "code.distance, code.rounds: the circuit")
    return circuit


class CircuitFile:
    """A `.stim` circuit with detectors and observables, and noise of its own or a noise pass of the environment."""

    Config = FileFields
    EXAMPLE: ClassVar = {"code": {"path": "repeated.stim"}, "files": {"repeated.stim": _REPEATED}}

    def build(self, config: FileFields, noise: Noise, p: float | None, files: Mapping[str, bytes]) -> stim.Circuit:
        """See `autoqec.problem.code_contract.Code.build`."""
        circuit = read_circuit(files[config.path], f"code.path: {config.path}")
        return circuit if noise.kind == "given" else add_noise(circuit, noise, p)


class ErrorModelFile:
    """A `.dem` detector error model."""

    Config = FileFields
    EXAMPLE: ClassVar = {
        "code": {"path": "model.dem"},
        "noise": {"kind": "given"},
        "files": {"model.dem": "error(0.1) D0 L0\nerror(0.1) D0 D1\nerror(0.1) D1\n"},
    }

    def build(
        self, config: FileFields, noise: Noise, p: float | None, files: Mapping[str, bytes]
    ) -> stim.DetectorErrorModel:
        """See `autoqec.problem.code_contract.Code.build`."""
        if noise.kind != "given":
            raise UsageError(
                f"noise.kind: {config.path} already has noise",
                hint="remove the noise section, or use noise: {kind: given}",
            )
        return read_model(files[config.path], f"code.path: {config.path}")
