"""The decoder `belief_matching`: matching on weights from belief propagation (Higgott et al., Phys. Rev. X 13, 031007)."""

from __future__ import annotations

import numpy as np
import pymatching
import stim

from autoqec.decoding.sinter_adapter import CompiledForeign, needed
from autoqec.errors import UsageError
from autoqec.problem.problem import Problem

from . import NO_DEPENDENCIES


class BeliefMatching:
    """Belief-matching from its authors' package beliefmatching; about a millisecond per shot.

    Args:
        max_bp_iters: Maximum number of iterations of belief propagation.
        bp_method: `product_sum` or `minimum_sum`.
    """

    takes_beliefs = False

    def __init__(self, max_bp_iters: int = 20, bp_method: str = "product_sum") -> None:
        self._options = {"max_bp_iters": max_bp_iters, "bp_method": bp_method}

    def compile(self, problem: Problem) -> CompiledForeign:
        """Compile for one problem.

        Raises:
            UsageError: The error model is not graph-like.
            MissingPackageError: The package is not installed.
        """
        if problem.edges is None:
            raise UsageError(
                f"belief_matching cannot decode {problem.name}: its error model is not graph-like",
                hint="choose a decoder for hyperedges, such as osd",
            )
        return CompiledForeign(_Adapter(self._options), problem, name="belief_matching")


class _Adapter:
    """A sinter decoder without files; the package's own one goes through files, shot by shot.

    Attributes:
        not_a_number: Shots so far in which a message of belief propagation became NaN; plain matching decodes them.
    """

    def __init__(self, options: dict[str, object]) -> None:
        self._options = options
        self.not_a_number = 0

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> _Adapter:
        package = needed("beliefmatching", "beliefmatching", "belief_matching", pip_options=NO_DEPENDENCIES)
        self._matching = package.BeliefMatching(dem, **self._options)
        self._plain = pymatching.Matching.from_detector_error_model(dem)
        self._detectors = dem.num_detectors
        return self

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: np.ndarray) -> np.ndarray:
        bits = np.unpackbits(bit_packed_detection_event_data, axis=1, count=self._detectors, bitorder="little")
        flips = np.array([self._one(row) for row in bits], dtype=np.uint8)
        return np.packbits(flips, axis=1, bitorder="little")

    def _one(self, row: np.ndarray) -> np.ndarray:
        problem: Exception | None = None
        try:
            answer: np.ndarray = self._matching.decode(row)
        except ValueError as error:  # so matching says of weights that are NaN
            problem = error
        if not np.isnan(self._matching._bpd.log_prob_ratios).any():
            if problem is not None:
                raise problem
            return answer
        self.not_a_number += 1
        plain: np.ndarray = self._plain.decode(row)
        return plain
