"""Edges between the same two ends that flip different observables: which of them matching uses, whatever their order.

PyMatching has one edge for each pair of ends: it adds up the probabilities of what is parallel, and keeps the observables of
whichever comes first in the error model. So a rare error that comes first decided the class of a frequent one. Minimum-weight
matching takes the lightest of them instead, with its own weight, and that is what is built here. Edges with the same
observables are one edge, which fires if an odd number of its errors does; so they are in PyMatching too.

With weights below zero, all edges that fire more often than not are taken for granted, and the lightest change decides. So a
place has a lightest odd and a lightest even choice; matching sees their difference, and the even ones are added to every answer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import stim

from autoqec.problem.dem import Pieces, every_piece
from autoqec.problem.flat_errors import FlatErrors, flat_errors
from autoqec.problem.problem import Problem


class OneEdgeEach(NamedTuple):
    """A matching problem with one edge for each pair of ends.

    Attributes:
        dem: Its error model.
        granted: Observables that are added to each answer, uint8 `[ceil(observables / 8)]`.
        offset: The weight of what is granted, in nats; added to the weight of each answer.
        pieces: The edges that it was made of, with those that are parallel.
    """

    dem: stim.DetectorErrorModel
    granted: np.ndarray
    offset: float
    pieces: Pieces


def pieces_of(problem: Problem) -> Pieces:
    """All pieces of a problem's errors, also those of other decompositions than the one its `edges` have."""
    return every_piece(flat_errors(problem.dem), problem.num_observables)


def has_parallel(pieces: Pieces) -> bool:
    """Whether two pieces with other observables have the same ends."""
    return bool((pieces.ends[1:] == pieces.ends[:-1]).all(axis=1).any())


def weights_of(pieces: Pieces) -> np.ndarray:
    """Log-odds that each piece is not flipped, float64 `[pieces]`."""
    probability = np.minimum(pieces.probability, np.nextafter(1.0, 0.0))
    return np.asarray(np.log1p(-probability) - np.log(probability))


def one_edge_each(problem: Problem, pieces: Pieces) -> OneEdgeEach:
    """Choose among parallel edges. The choice depends on their probabilities and observables alone.

    Args:
        problem: The problem.
        pieces: Its pieces.
    """
    slot, weights = _slots(pieces), weights_of(pieces)
    light = np.lexsort((np.abs(weights), slot))
    lightest = light[np.searchsorted(slot[light], np.arange(slot[-1] + 1))]
    likely = weights < 0
    odd = np.bincount(slot, weights=likely, minlength=len(lightest)) % 2 == 1
    # The even choice is what is likely, or that with the lightest edge changed.
    even = likely.copy()
    even[lightest[odd]] ^= True
    granted = np.bitwise_xor.reduce(pieces.observables[even], axis=0, initial=0)
    change = np.where(odd, -1.0, 1.0) * np.abs(weights[lightest])
    probability = np.minimum(1.0 / (1.0 + np.exp(change)), np.nextafter(1.0, 0.0))
    lines = [
        f"error({p!r}) {_targets(ends, flips)}"
        for p, ends, flips in zip(
            probability.tolist(),
            pieces.ends[lightest].tolist(),
            _observables(pieces.observables[lightest], problem.num_observables),
            strict=True,
        )
    ]
    dem = stim.DetectorErrorModel("\n".join([*lines, *_sizes(problem)]))
    return OneEdgeEach(dem, granted, float(weights[even].sum()), pieces)


def with_likeliest_observables(problem: Problem, pieces: Pieces) -> stim.DetectorErrorModel:
    """The problem's error model in which parallel pieces flip what the likeliest of them flips.

    It is for correlated matching, which needs each error with all of its pieces. PyMatching adds up the probabilities of
    parallel edges there, and no order of errors decides their observables any more.
    """
    slot = _slots(pieces)
    order = np.lexsort((-pieces.probability, slot))
    likeliest = order[np.searchsorted(slot[order], np.arange(slot[-1] + 1))]
    flips = _observables(pieces.observables[likeliest], problem.num_observables)
    chosen = {
        tuple(ends): _targets(ends, what) for ends, what in zip(pieces.ends[likeliest].tolist(), flips, strict=True)
    }
    errors = flat_errors(problem.dem)
    lines = [
        f"error({p!r}) {' ^ '.join(_pieces_of_error(errors, error, chosen))}"
        for error, p in enumerate(errors.probability.tolist())
    ]
    return stim.DetectorErrorModel("\n".join([*lines, *_sizes(problem)]))


def _pieces_of_error(errors: FlatErrors, error: int, chosen: dict[tuple[int, ...], str]) -> list[str]:
    found = []
    for piece in range(errors.owner_start[error], errors.owner_start[error + 1]):
        targets = errors.piece[errors.piece_start[piece] : errors.piece_start[piece + 1]]
        ends = targets[targets < errors.base].tolist()
        if ends:
            found.append(chosen.get((*ends, -1)[:2], ""))
    return [each for each in found if each]


def _slots(pieces: Pieces) -> np.ndarray:
    """Number the pairs of ends, which are in ascending order."""
    new = (pieces.ends[1:] != pieces.ends[:-1]).any(axis=1)
    return np.concatenate([[0], np.cumsum(new)])


def _observables(packed: np.ndarray, count: int) -> list[list[int]]:
    bits = np.unpackbits(packed, axis=1, count=count, bitorder="little")
    row, observable = np.nonzero(bits)
    return [part.tolist() for part in np.split(observable, np.searchsorted(row, np.arange(1, len(packed))))]


def _targets(ends: list[int], flips: list[int]) -> str:
    return " ".join([*(f"D{end}" for end in ends if end >= 0), *(f"L{flip}" for flip in flips)])


def _sizes(problem: Problem) -> list[str]:
    return [f"detector D{problem.num_detectors - 1}", f"logical_observable L{problem.num_observables - 1}"]
