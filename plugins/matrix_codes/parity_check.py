"""CSS codes by their parity-check matrices, as a memory experiment.

The CNOT layers are an edge colouring of the Tanner graph: Z checks first, then X checks. This is a valid circuit for every CSS
code and says nothing of hook errors: an error on an ancilla spreads to the qubits the check has yet to touch, and the distance
of the circuit may be half the code's. For a code with a schedule of its own, give the circuit: `code.kind: circuit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import stim
from pydantic import BaseModel, ConfigDict

from autoqec.errors import UsageError
from autoqec.problem.css import css_code
from autoqec.problem.matrices import read_matrix
from autoqec.problem.memory import Layers, MemoryFields, Schedule, noisy_memory, require_size
from autoqec.problem.noise import Noise

from .colouring import edge_colouring


class Matrices(BaseModel):
    """Files beside the environment; see `autoqec.problem.matrices` for their formats.

    Attributes:
        hx: X checks by qubits.
        hz: Z checks by qubits.
        lx: X logical operators by qubits; computed if not given.
        lz: Z logical operators by qubits; computed if not given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    hx: str
    hz: str
    lx: str | None = None
    lz: str | None = None


class ParityCheckFields(MemoryFields):
    """The code by its matrices, and the memory experiment.

    Attributes:
        paths: The files of the matrices.
    """

    paths: Matrices


class ParityCheck:
    """A memory experiment of a CSS code; see the module."""

    Config = ParityCheckFields
    EXAMPLE: ClassVar = {
        "code": {"rounds": 2, "paths": {"hx": "steane.txt", "hz": "steane.txt"}},
        "files": {"steane.txt": "1 0 1 0 1 0 1\n0 1 1 0 0 1 1\n0 0 0 1 1 1 1\n"},
    }

    def build(
        self, config: ParityCheckFields, noise: Noise, p: float | None, files: Mapping[str, bytes]
    ) -> stim.Circuit:
        """See `autoqec.problem.code_contract.Code.build`."""
        read = {
            name: read_matrix(files[path], path, f"code.paths.{name}")
            for name, path in config.paths.model_dump(exclude_none=True).items()
        }
        require_size(config.rounds, read["hx"], read["hz"])
        try:
            code = css_code(read["hx"], read["hz"], read.get("lx"), read.get("lz"))
        except UsageError as error:
            raise UsageError(f"code.paths: {error.problem}", hint=error.hint) from error
        x, z = edge_colouring(code.hx), edge_colouring(code.hz)
        schedule = Schedule(x=[*_idle(len(z)), *x], z=[*z, *_idle(len(x))])
        return noisy_memory(config, code, schedule, noise, p)


def _idle(layers: int) -> Layers:
    return [[] for _ in range(layers)]
