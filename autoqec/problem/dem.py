"""Compiles a detector error model into the two graphs for decoders: mechanisms (a Tanner graph) and matching edges.

Mechanisms are independent errors, hyperedges over detectors; belief propagation runs on them. Edges are the one- and
two-detector pieces into which stim decomposes mechanisms; matching runs on them. A model in which no error flips more than two
detectors is a matching graph as it stands, so what it suggests to decompose errors into is ignored: two pieces in place of one
edge would make matching pay for one error twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import stim

from autoqec.errors import UsageError
from autoqec.problem.flat_errors import FlatErrors, flat_errors
from autoqec.size_limits import FLIPS_BYTES, in_words

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


def read_dem(dem: stim.DetectorErrorModel) -> tuple[Mechanisms, Edges | None]:
    """Compile a detector error model into mechanisms and, if every piece is graph-like, matching edges.

    Args:
        dem: Any detector error model within the limits of `model_size.check_model`; this function flattens repeats and shifts.

    Returns:
        See `compile_errors`.

    Raises:
        UsageError: See `compile_errors`.
    """
    return compile_errors(flat_errors(dem.flattened()), dem.num_observables)


def compile_errors(errors: FlatErrors, observables: int) -> tuple[Mechanisms, Edges | None]:
    """Compile errors into mechanisms and, if every piece is graph-like, matching edges.

    Errors with the same (detectors, observables) merge by `p(1-q) + q(1-p)`, the probability that an odd number of
    them fires. Errors with probability zero or without effect are dropped. So are errors that flip an observable but
    no detector, because no decoder can see them.

    Args:
        errors: The errors of a flattened model.
        observables: How many observables it has.

    Returns:
        The mechanisms, and the edges; None instead of edges if a piece has three or more detectors, or only observables.

    Raises:
        UsageError: An error has probability 1, no mechanism is left, or the flips of all mechanisms take too much memory.
    """
    sure = np.flatnonzero(errors.probability >= 1.0)
    if len(sure):
        raise UsageError(
            f"the error model has an error that always fires: {_written(errors, int(sure[0]))}",
            hint="give it a probability below 1",
        )
    sizes = errors.detectors_of(errors.whole, errors.whole_start)
    kept = np.flatnonzero((errors.probability > 0) & (sizes > 0))
    of_error, first = _numbered(errors.whole, errors.whole_start, kept)
    if not len(first):
        raise UsageError(
            "the error model has no error that flips a detector", hint="add noise and detectors to the circuit"
        )
    if len(first) * ((observables + 7) // 8) > FLIPS_BYTES:
        raise UsageError(
            f"the error model has {len(first):,} mechanisms and {observables:,} observables; the observables that they flip "
            f"may take {in_words(FLIPS_BYTES)}",
            hint="choose fewer observables",
            code="over_limit",
        )
    probability = errors.probability[kept]
    priors = probability[first]
    again = np.ones(len(kept), dtype=np.bool_)
    again[first] = False
    for mechanism, p in zip(of_error[again].tolist(), probability[again].tolist(), strict=True):
        priors[mechanism] = priors[mechanism] * (1 - p) + p * (1 - priors[mechanism])
    of_instruction = np.full(len(errors), -1, dtype=np.int32)
    of_instruction[kept] = of_error
    chosen = kept[first]
    targets, start = _rows(errors.whole, errors.whole_start, chosen)
    inner = targets < errors.base
    mechanisms = Mechanisms(
        priors=priors,
        detector=targets[inner],
        start=_offsets(sizes[chosen]),
        observables=_packed(targets, start, errors.base, observables),
        of_instruction=of_instruction,
    )
    # Of several decompositions the first is kept: all of them have the same detectors and observables.
    return mechanisms, _edges(errors, chosen, observables)


def _edges(errors: FlatErrors, chosen: np.ndarray, observables: int) -> Edges | None:
    """The pieces of the chosen errors; None if one is no edge."""
    owned, start = _rows(np.arange(len(errors.piece_start) - 1), errors.owner_start, chosen)
    real = errors.piece_start[owned + 1] > errors.piece_start[owned]
    start = np.concatenate([[0], np.cumsum(real)])[start]
    owned = owned[real]
    sizes = errors.detectors_of(errors.piece, errors.piece_start)[owned]
    if ((sizes < 1) | (sizes > 2)).any():
        return None
    number, first = _numbered(errors.piece, errors.piece_start, owned)
    targets, begin = _rows(errors.piece, errors.piece_start, owned[first])
    return Edges(
        ends=_ends(targets, begin, sizes[first]),
        observables=_packed(targets, begin, errors.base, observables),
        of_mechanism=number,
        start=start.astype(np.int32),
    )


class Pieces(NamedTuple):
    """All pieces of all errors, not only of the first decomposition of each, every (detectors, observables) pair once.

    Attributes:
        ends: The two detectors of each, int32 `[pieces, 2]`; -1 is the boundary. Ascending, then by observables.
        observables: What each flips, bit-packed little-endian, uint8 `[pieces, ceil(observables / 8)]`.
        probability: That an odd number of the errors with it fires, float64 `[pieces]`, in (0, 1].
    """

    ends: np.ndarray
    observables: np.ndarray
    probability: np.ndarray


def every_piece(errors: FlatErrors, observables: int) -> Pieces:
    """Merge the pieces of a graph-like model. The result does not depend on the order of its errors.

    Args:
        errors: The errors; no piece has more than two detectors. A piece without detectors is left out.
        observables: How many observables the model has.
    """
    sizes = errors.detectors_of(errors.piece, errors.piece_start)
    owner = np.repeat(np.arange(len(errors)), np.diff(errors.owner_start))
    kept = np.flatnonzero((sizes > 0) & (errors.probability[owner] > 0))
    number, first = _numbered(errors.piece, errors.piece_start, kept)
    targets, begin = _rows(errors.piece, errors.piece_start, kept[first])
    ends = _ends(targets, begin, sizes[kept[first]])
    flips = _packed(targets, begin, errors.base, observables)
    # A product of floats depends on its order, so the factors of each are sorted.
    factors = 1.0 - 2.0 * errors.probability[owner[kept]]
    by_piece = np.lexsort((factors, number))
    starts = np.searchsorted(number[by_piece], np.arange(len(first)))
    probability = (1.0 - np.multiply.reduceat(factors[by_piece], starts)) / 2.0 if len(first) else np.zeros(0)
    alone = np.bincount(number, minlength=len(first)) == 1
    probability[alone] = errors.probability[owner[kept[first[alone]]]]
    order = np.lexsort((*flips.T[::-1], ends[:, 1], ends[:, 0]))
    return Pieces(ends[order], flips[order], probability[order])


def _ends(targets: np.ndarray, begin: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The one or two detectors that each row begins with, int32 `[rows, 2]`; -1 is the boundary."""
    ends = np.full((len(sizes), 2), -1, dtype=np.int32)
    ends[:, 0] = targets[begin[:-1]]
    joined = sizes == 2
    ends[joined, 1] = targets[begin[:-1][joined] + 1]
    return ends


def _numbered(targets: np.ndarray, start: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number different rows by their first occurrence; returns each row's number, int32, and where each number came first."""
    values, begin = _rows(targets, start, rows)
    _, first, number = np.unique(_hashes(values, begin), return_index=True, return_inverse=True)
    order = np.argsort(first)
    first, number = first[order], np.argsort(order)[number].astype(np.int32)
    if not _equal(values, begin, first[number]):  # two different rows with one hash
        index: dict[bytes, int] = {}
        parts = [part.tobytes() for part in np.split(values, begin[1:-1])]
        number = np.array([index.setdefault(part, len(index)) for part in parts], dtype=np.int32)
        first = np.unique(number, return_index=True)[1]
    return number, first


def _hashes(values: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """A hash of the set that each row is, uint64."""
    mixed = (values.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed ^ (mixed >> np.uint64(29)), dtype=np.uint64)])
    return np.asarray(total[begin[1:]] - total[begin[:-1]])


def _equal(values: np.ndarray, begin: np.ndarray, same: np.ndarray) -> bool:
    """Whether each row equals the row that `same` says."""
    sizes = np.diff(begin)
    if (sizes != sizes[same]).any():
        return False
    return bool((values == _rows(values, begin, same)[0]).all())


def _rows(values: np.ndarray, start: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate some rows, and say where each starts."""
    sizes = start[rows + 1] - start[rows]
    begin = np.concatenate([[0], np.cumsum(sizes)])
    places = np.arange(begin[-1]) + np.repeat(start[rows] - begin[:-1], sizes)
    return values[places], begin


def _packed(targets: np.ndarray, start: np.ndarray, base: int, observables: int) -> np.ndarray:
    """The observables among the targets of each row, bit-packed."""
    flips = np.zeros((len(start) - 1, (observables + 7) // 8), dtype=np.uint8)
    places = np.flatnonzero(targets >= base)
    row = np.searchsorted(start, places, side="right") - 1
    byte, bit = np.divmod(targets[places] - base, 8)
    np.bitwise_or.at(flips, (row, byte), (1 << bit).astype(np.uint8))
    return flips


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int32)


def _written(errors: FlatErrors, error: int) -> str:
    """An error as a model writes it."""
    pieces = []
    for piece in range(errors.owner_start[error], errors.owner_start[error + 1]):
        names = errors.named(errors.piece[errors.piece_start[piece] : errors.piece_start[piece + 1]])
        pieces += [names] if names else []
    return f"error({errors.probability[error].item()!r}) {' ^ '.join(pieces)}".rstrip()


def rewritten(dem: stim.DetectorErrorModel, errors: FlatErrors) -> stim.DetectorErrorModel:
    """The same flattened model with its errors as the arrays have them, and all else as it was."""
    lines, found = str(dem).split("\n"), 0
    for place, line in enumerate(lines):
        if line.startswith("error"):
            lines[place] = _written(errors, found)
            found += 1
    # Targets that cancel may have been the last ones.
    lines += [f"detector D{dem.num_detectors - 1}"] if dem.num_detectors else []
    lines += [f"logical_observable L{dem.num_observables - 1}"] if dem.num_observables else []
    return stim.DetectorErrorModel("\n".join(lines))


def with_whole_pairs(dem: stim.DetectorErrorModel) -> tuple[stim.DetectorErrorModel, int]:
    """A flattened model in which errors on one or two detectors stay in one piece, and how many of them were in several."""
    errors = flat_errors(dem)
    sizes = errors.detectors_of(errors.whole, errors.whole_start)
    split = ((sizes == 1) | (sizes == 2)) & (np.diff(errors.owner_start) > 1)
    lines, found = str(dem).split("\n"), 0
    for place, line in enumerate(lines):
        if line.startswith("error"):
            if split[found]:
                names = errors.named(errors.whole[errors.whole_start[found] : errors.whole_start[found + 1]])
                lines[place] = f"error({errors.probability[found].item()!r}) {names}"
            found += 1
    return stim.DetectorErrorModel("\n".join(lines)), int(split.sum())


def prior_llr(priors: np.ndarray) -> np.ndarray:
    """Return `log((1 - p) / p)`, float32, clipped to ±`LLR_BOUND`; positive means "did not fire"."""
    with np.errstate(divide="ignore"):
        return np.clip(np.log1p(-priors) - np.log(priors), -LLR_BOUND, LLR_BOUND).astype(np.float32)
