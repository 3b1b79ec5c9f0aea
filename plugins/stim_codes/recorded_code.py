"""The code `recorded`: an error model whose shots come from an experiment; `autoqec.problem.recording` shares them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import stim

from autoqec.errors import UsageError
from autoqec.problem.noise import Noise
from autoqec.problem.problem import problem_from_circuit
from autoqec.problem.recording import RecordedFields
from autoqec.problem.stim_files import read_circuit, read_model

_MODEL = "error(0.1) D0 L0\nerror(0.1) D0 D1\nerror(0.1) D1\n"


class RecordedShots:
    """An error model from a file, or from a circuit that has noise; the shots are no part of it."""

    Config = RecordedFields
    EXAMPLE: ClassVar = {
        "code": {"dem": "model.dem", "shots": "events.01", "observables": "flips.01"},
        "noise": {"kind": "given"},
        "files": {"model.dem": _MODEL, "events.01": "10\n01\n" * 8, "flips.01": "1\n0\n" * 8},
    }

    def build(
        self, config: RecordedFields, noise: Noise, p: float | None, files: Mapping[str, bytes]
    ) -> stim.DetectorErrorModel:
        """See `autoqec.problem.code_contract.Code.build`."""
        if noise.kind != "given":
            raise UsageError(
                "noise.kind: recorded shots have the noise of their experiment",
                hint="remove the noise section, or use noise: {kind: given}",
            )
        circuit = (
            None if config.circuit is None else read_circuit(files[config.circuit], f"code.circuit: {config.circuit}")
        )
        if config.dem is not None:
            model = read_model(files[config.dem], f"code.dem: {config.dem}")
            return model if circuit is None else _with_places(model, circuit)
        assert circuit is not None
        return problem_from_circuit(circuit, name=f"code.circuit: {config.circuit}").dem


def _with_places(model: stim.DetectorErrorModel, circuit: stim.Circuit) -> stim.DetectorErrorModel:
    """The model, with the circuit's coordinates of those detectors that have none in it.

    Raises:
        UsageError: The two have other detectors.
    """
    if model.num_detectors != circuit.num_detectors:
        raise UsageError(
            f"code.circuit: the circuit has {circuit.num_detectors} detectors, but the error model {model.num_detectors}",
            hint="use the circuit of this error model, or leave out code.circuit",
        )
    known, placed = model.get_detector_coordinates(), model.copy()
    for detector, place in circuit.get_detector_coordinates().items():
        if place and not known.get(detector):
            placed.append("detector", place, [stim.target_relative_detector_id(detector)])
    return placed
