"""Compiles a detector error model into the two graphs for decoders: mechanisms (a Tanner graph) and matching edges.

Mechanisms are independent errors, hyperedges over detectors; belief propagation runs on them. Edges are the one- and
two-detector pieces into which stim decomposes mechanisms; matching runs on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import stim

from autoqec.errors import UsageError

#: Bound on log-likelihood ratios: exp(-50) is far below any rate that sampling can resolve.
LLR_BOUND = 50.0


@dataclass(frozen=True)
class Mechanisms:
    """The independent errors of a problem, merged so that each (detectors, observables) pair occurs once.

    Attributes:
        priors: Probability that each mechanism fires, float64 `[mechanisms]`, in (0, 1).
        detector: Detector of each incidence, int32 `[incidences]`, ordered by mechanism, then detector.
        start: Incidences of mechanism m are `start[m]:start[m + 1]`, int32 `[mechanisms + 1]`.
        observables: Observables that each mechanism flips, bit-packed little-endian, uint8
            `[mechanisms, ceil(observables / 8)]`.
        of_instruction: Mechanism of each flattened DEM error instruction, int32; -1 for a dropped instruction.
    """

    priors: np.ndarray
    detector: np.ndarray
    start: np.ndarray
    observables: np.ndarray
    of_instruction: np.ndarray

    def __len__(self) -> int:
        return len(self.priors)


@dataclass(frozen=True)
class Edges:
    """The matching graph: graph-like pieces of the mechanisms, each (detectors, observables) pair once.

    Attributes:
        ends: The two detectors of each edge, int32 `[edges, 2]`; -1 is the boundary.
        observables: Observables that each edge flips, bit-packed little-endian, uint8 `[edges, ceil(observables / 8)]`.
        of_mechanism: Edges of all mechanisms, concatenated, int32 `[uses]`.
        start: Edges of mechanism m are `of_mechanism[start[m]:start[m + 1]]`, int32 `[mechanisms + 1]`.
    """

    ends: np.ndarray
    observables: np.ndarray
    of_mechanism: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)


_Piece = tuple[tuple[int, ...], tuple[int, ...]]


def _odd(values: list[int]) -> tuple[int, ...]:
    """Return the values that occur an odd number of times, sorted: two flips of one detector cancel."""
    left: set[int] = set()
    for value in values:
        left ^= {value}
    return tuple(sorted(left))


def _pieces(instruction: stim.DemInstruction) -> list[_Piece]:
    pieces = []
    for group in instruction.target_groups():
        detectors = _odd([t.val for t in group if t.is_relative_detector_id()])
        observables = _odd([t.val for t in group if t.is_logical_observable_id()])
        if detectors or observables:
            pieces.append((detectors, observables))
    return pieces


def _packed(rows: list[tuple[int, ...]], count: int) -> np.ndarray:
    bits = np.zeros((len(rows), count), dtype=np.uint8)
    for row, members in enumerate(rows):
        bits[row, list(members)] = 1
    return np.packbits(bits, axis=1, bitorder="little")


def _offsets(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int32)


def read_dem(dem: stim.DetectorErrorModel) -> tuple[Mechanisms, Edges | None]:
    """Compile a detector error model into mechanisms and, if every piece is graph-like, matching edges.

    Instructions with the same (detectors, observables) merge by `p(1-q) + q(1-p)`, the probability that an odd number of
    them fires. Instructions with probability zero or without effect are dropped. So are errors that flip an observable but
    no detector, because no decoder can see them.

    Args:
        dem: Any detector error model; this function flattens repeats and shifts.

    Returns:
        The mechanisms, and the edges; None instead of edges if a piece has three or more detectors, or only observables.

    Raises:
        UsageError: An instruction has probability 1, or no mechanism is left.
    """
    index: dict[_Piece, int] = {}
    priors: list[float] = []
    decompositions: list[list[_Piece]] = []
    of_instruction: list[int] = []
    for instruction in dem.flattened():
        if instruction.type != "error":
            continue
        probability = instruction.args_copy()[0]
        if probability >= 1.0:
            raise UsageError(
                f"the error model has an error that always fires: {instruction}", hint="give it a probability below 1"
            )
        pieces = _pieces(instruction)
        whole = (_odd([d for ds, _ in pieces for d in ds]), _odd([o for _, obs in pieces for o in obs]))
        if probability == 0.0 or not whole[0]:
            of_instruction.append(-1)
            continue
        mechanism = index.setdefault(whole, len(index))
        of_instruction.append(mechanism)
        if mechanism == len(priors):
            priors.append(probability)
            decompositions.append(pieces)
        else:
            # Keep the first decomposition: all of them have the same detectors and observables.
            priors[mechanism] = priors[mechanism] * (1 - probability) + probability * (1 - priors[mechanism])
    if not index:
        raise UsageError(
            "the error model has no error that flips a detector", hint="add noise and detectors to the circuit"
        )
    wholes = list(index)
    mechanisms = Mechanisms(
        priors=np.array(priors, dtype=np.float64),
        detector=np.array([d for detectors, _ in wholes for d in detectors], dtype=np.int32),
        start=_offsets([len(detectors) for detectors, _ in wholes]),
        observables=_packed([observables for _, observables in wholes], dem.num_observables),
        of_instruction=np.array(of_instruction, dtype=np.int32),
    )
    return mechanisms, _edges(decompositions, dem.num_observables)


def _edges(decompositions: list[list[_Piece]], observables: int) -> Edges | None:
    index: dict[_Piece, int] = {}
    uses: list[list[int]] = []
    for pieces in decompositions:
        if any(not 1 <= len(detectors) <= 2 for detectors, _ in pieces):
            return None
        uses.append([index.setdefault(piece, len(index)) for piece in pieces])
    ends = [detectors if len(detectors) == 2 else (*detectors, -1) for detectors, _ in index]
    return Edges(
        ends=np.array(ends, dtype=np.int32).reshape(-1, 2),
        observables=_packed([flipped for _, flipped in index], observables),
        of_mechanism=np.array([edge for row in uses for edge in row], dtype=np.int32),
        start=_offsets([len(row) for row in uses]),
    )


def prior_llr(priors: np.ndarray) -> np.ndarray:
    """Return `log((1 - p) / p)`, float32, clipped to ±`LLR_BOUND`; positive means "did not fire"."""
    with np.errstate(divide="ignore"):
        return np.clip(np.log1p(-priors) - np.log(priors), -LLR_BOUND, LLR_BOUND).astype(np.float32)
