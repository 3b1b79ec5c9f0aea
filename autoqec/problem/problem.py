"""The decoding problem that an environment compiles to: circuit, error model, Tanner graph, matching graph, priors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import stim

from autoqec.canonical import content_hash
from autoqec.errors import UsageError
from autoqec.problem.dem import Edges, Mechanisms, compile_errors, prior_llr, rewritten
from autoqec.problem.flat_errors import flat_errors, without_pieces
from autoqec.problem.model_size import check_circuit, check_model


@dataclass(frozen=True, eq=False, repr=False)
class Problem:
    """One decoding problem at one noise strength.

    Attributes:
        name: Name for messages.
        dem: The flattened detector error model, decomposed where stim can; not if no error flips more than two detectors.
        circuit: The noisy circuit for sampling; None if only the error model is known, as in the candidate's process.
        mechanisms: The Tanner graph with priors.
        edges: The matching graph; None if the error model is not graph-like.
    """

    name: str
    dem: stim.DetectorErrorModel
    circuit: stim.Circuit | None
    mechanisms: Mechanisms
    edges: Edges | None

    def __repr__(self) -> str:
        return f"<Problem {self.name}: {self.num_detectors} detectors, {len(self.mechanisms)} mechanisms>"

    @property
    def num_detectors(self) -> int:
        """Detectors per shot."""
        return self.dem.num_detectors

    @property
    def num_observables(self) -> int:
        """Logical observables per shot."""
        return self.dem.num_observables

    @property
    def syndrome_bytes(self) -> int:
        """Bytes of one bit-packed syndrome."""
        return (self.num_detectors + 7) // 8

    @property
    def observable_bytes(self) -> int:
        """Bytes of one bit-packed set of observables."""
        return (self.num_observables + 7) // 8

    @cached_property
    def priors_llr(self) -> np.ndarray:
        """Prior log-likelihood ratios, float32 `[mechanisms]`."""
        return prior_llr(self.mechanisms.priors)

    @cached_property
    def structure(self) -> str:
        """SHA-256 of the Tanner graph without priors: the same for one code at two physical error rates."""
        parts = (self.mechanisms.detector, self.mechanisms.start, self.mechanisms.observables)
        sizes = f"{self.num_detectors},{self.num_observables};".encode()
        return content_hash(sizes + b"".join(part.tobytes() for part in parts))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of structure and priors (to 9 significant digits, so that rounding does not matter)."""
        priors = ",".join(f"{p:.8e}" for p in self.mechanisms.priors)
        return content_hash(f"{self.structure};{priors}".encode())


def problem_from_dem(dem: stim.DetectorErrorModel, *, name: str, circuit: stim.Circuit | None = None) -> Problem:
    """Compile an error model into a problem.

    Raises:
        UsageError: It has no detectors, no observables, no errors that flip a detector, or is too large.
    """
    check_model(dem, name)
    if dem.num_detectors == 0:
        raise UsageError(f"{name} has no detectors, so there is nothing to decode", hint="add DETECTOR instructions")
    if dem.num_observables == 0:
        raise UsageError(
            f"{name} has no logical observables, so no shot can fail", hint="add OBSERVABLE_INCLUDE instructions"
        )
    flat = dem.flattened()
    errors = flat_errors(flat)
    if errors.pair_like and errors.decomposed:
        errors = without_pieces(errors)
        flat = rewritten(flat, errors)
    elif errors.cancels:
        flat = rewritten(flat, errors)
    mechanisms, edges = compile_errors(errors, flat.num_observables)
    return Problem(name=name, dem=flat, circuit=circuit, mechanisms=mechanisms, edges=edges)


def problem_from_circuit(circuit: stim.Circuit, *, name: str) -> Problem:
    """Compile a circuit. If stim cannot decompose a hyperedge, it stays whole and the problem has no matching graph.

    Mutually exclusive errors of one channel become independent mechanisms with the same rates, an approximation with an
    error of second order in the rates. Shots are drawn from the circuit, where the errors do exclude each other.

    Raises:
        UsageError: stim cannot build an error model (the message has its reason), or as for `problem_from_dem`.
    """
    check_circuit(circuit, name)
    try:
        dem = circuit.detector_error_model(
            decompose_errors=True,
            ignore_decomposition_failures=True,
            # Needed for channels of exclusive errors, such as biased noise on pairs and erasure; no effect on others.
            approximate_disjoint_errors=True,
        )
    except ValueError as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "unknown reason")
        raise UsageError(
            f"{name}: stim cannot build an error model from this circuit: {reason}",
            hint="correct the circuit; `stim analyze_errors` shows the full reason",
        ) from error
    return problem_from_dem(dem, name=name, circuit=circuit)


#: Relative tolerance: two compilations of one circuit may differ in the last digits of a probability.
_SAME_PRIOR = 1e-6


def same_problem(one: Problem, other: Problem) -> bool:
    """Tell whether two problems have the same mechanisms and priors, in any order and decomposition.

    In contrast, fingerprints are equal only if the order is the same too.
    """
    if (one.num_detectors, one.num_observables) != (other.num_detectors, other.num_observables):
        return False
    mine, theirs = _by_effect(one), _by_effect(other)
    return mine.keys() == theirs.keys() and all(
        abs(mine[effect] - theirs[effect]) <= _SAME_PRIOR * mine[effect] for effect in mine
    )


def _by_effect(problem: Problem) -> dict[tuple[bytes, bytes], float]:
    mechanisms = problem.mechanisms
    detectors = np.split(mechanisms.detector, mechanisms.start[1:-1])
    return {
        (touched.tobytes(), flipped.tobytes()): float(prior)
        for touched, flipped, prior in zip(detectors, mechanisms.observables, mechanisms.priors, strict=True)
    }
