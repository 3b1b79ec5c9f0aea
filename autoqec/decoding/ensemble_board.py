"""What an ensemble knows of each shot after some of its members: the classes that were found, and what speaks for each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autoqec.compiled_once import compiled_once
from autoqec.decoding.decoder_contract import Solutions
from autoqec.problem.dem import LLR_BOUND

#: Numbers that speak for a class, each with a coefficient:
#: 0. the logarithm of the sum of the probabilities of its distinct solutions, by the priors;
#: 1. minus the first member's own weight of it, above that of the class which this member prefers;
#: 2. the mean of the same over all members;
#: 3. the share of members that prefer it;
#: 4. the logarithm of the number of its distinct solutions.
COEFFICIENTS = 5

#: Scores that differ by less, in nats, are equal: then the class whose observables come first is chosen.
_EQUAL = 1e-9


class Board(NamedTuple):
    """The state of a batch. `room` is the largest number of solutions that a shot can have.

    Attributes:
        names: Distinct solutions so far, uint64 `[shots, room]`.
        solutions: How many there are, int32 `[shots]`.
        observables: The classes so far, uint8 `[shots, room, ceil(observables / 8)]`.
        classes: How many there are, int32 `[shots]`.
        log_sum: The logarithm of the sum of `exp(-weight)` over the distinct solutions of a class, float64 `[shots, room]`.
        least: Their least weight, float64 `[shots, room]`.
        distinct: Their number, int32 `[shots, room]`.
        first: The first member's weight of a class above its least, float64 `[shots, room]`.
        total: The same summed over members, float64 `[shots, room]`.
        first_worst: The largest such weight of the first member: what a class has that it did not find, float64 `[shots]`.
        worst: The largest such weight of each member, summed: what a class has that none of them found, float64 `[shots]`.
        votes: How many members prefer a class, int32 `[shots, room]`.
        members: How many were added, int32 `[shots]`.
    """

    names: np.ndarray
    solutions: np.ndarray
    observables: np.ndarray
    classes: np.ndarray
    log_sum: np.ndarray
    least: np.ndarray
    distinct: np.ndarray
    first: np.ndarray
    total: np.ndarray
    first_worst: np.ndarray
    worst: np.ndarray
    votes: np.ndarray
    members: np.ndarray


def empty_board(found: Solutions, members: int) -> Board:
    """A board for the shots of the first member's solutions."""
    shots, classes, width = found.observables.shape
    room = classes * members
    wide = (shots, room)
    return Board(
        names=np.zeros(wide, dtype=np.uint64),
        solutions=np.zeros(shots, dtype=np.int32),
        observables=np.zeros((shots, room, width), dtype=np.uint8),
        classes=np.zeros(shots, dtype=np.int32),
        log_sum=np.full(wide, -np.inf),
        least=np.full(wide, np.inf),
        distinct=np.zeros(wide, dtype=np.int32),
        first=np.zeros(wide),
        total=np.zeros(wide),
        first_worst=np.zeros(shots),
        worst=np.zeros(shots),
        votes=np.zeros(wide, dtype=np.int32),
        members=np.zeros(shots, dtype=np.int32),
    )


def disordered(beliefs: np.ndarray, shots: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The beliefs about some of the shots, shifted and within bounds, float32 `[asked, mechanisms]`.

    Args:
        beliefs: About all shots, float32 `[shots, mechanisms]`.
        shots: Which are asked about, int64 `[asked]`.
        shift: Of each mechanism, float32 `[mechanisms]`.
    """
    out = np.empty((len(shots), len(shift)), dtype=np.float32)
    _disorder(beliefs, shots, shift, np.float32(LLR_BOUND), out)
    return out


@njit(cache=True, nogil=True)
def _disorder(beliefs: np.ndarray, shots: np.ndarray, shift: np.ndarray, bound: np.float32, out: np.ndarray) -> None:
    for row in range(len(shots)):
        known, here = beliefs[shots[row]], out[row]
        for mechanism in range(len(shift)):
            here[mechanism] = min(max(known[mechanism] + shift[mechanism], -bound), bound)


@njit(cache=True, nogil=True)
def _class_of(board: Board, shot: int, observables: np.ndarray) -> int:
    """The place of a class on the board; a new one is added as one that no member found so far."""
    for place in range(board.classes[shot]):
        if (board.observables[shot, place] == observables).all():
            return place
    place = board.classes[shot]
    board.classes[shot] += 1
    board.observables[shot, place] = observables
    board.first[shot, place], board.total[shot, place] = board.first_worst[shot], board.worst[shot]
    return place


@njit(cache=True, nogil=True)
def _add_solution(board: Board, shot: int, place: int, weight: float, name: np.uint64) -> None:
    for other in range(board.solutions[shot]):
        if board.names[shot, other] == name:
            return
    board.names[shot, board.solutions[shot]] = name
    board.solutions[shot] += 1
    board.distinct[shot, place] += 1
    board.least[shot, place] = min(board.least[shot, place], weight)
    high, low = max(board.log_sum[shot, place], -weight), min(board.log_sum[shot, place], -weight)
    board.log_sum[shot, place] = high + np.log1p(np.exp(low - high))


@compiled_once("the choice of an ensemble", 6)
@njit(cache=True, nogil=True)
def add(
    board: Board,
    shots: np.ndarray,
    observables: np.ndarray,
    weights: np.ndarray,
    believed: np.ndarray,
    names: np.ndarray,
) -> None:
    """Add one member's solutions.

    Args:
        board: The board.
        shots: Which of its shots they belong to, int64 `[asked]`.
        observables, weights, believed, names: See `autoqec.decoding.decoder_contract.Solutions`, `[asked, classes, …]`.
    """
    classes = weights.shape[1]
    here, above = np.empty(classes, dtype=np.int64), np.empty(classes, dtype=np.float64)
    for row in range(len(shots)):
        shot = shots[row]
        found, least, worst = 0, np.inf, 0.0
        for each in range(classes):
            if np.isinf(weights[row, each]):
                continue
            place = _class_of(board, shot, observables[row, each])
            _add_solution(board, shot, place, np.float64(weights[row, each]), names[row, each])
            seen = -1
            for before in range(found):
                if here[before] == place:
                    seen = before
            if seen < 0:
                here[found], above[found] = place, believed[row, each]
                found += 1
            else:
                above[seen] = min(above[seen], np.float64(believed[row, each]))
        if found == 0:
            continue
        best = 0
        for each in range(found):
            if above[each] < above[best]:
                best = each
            least = min(least, above[each])
        for each in range(found):
            worst = max(worst, above[each] - least)
        for place in range(board.classes[shot]):
            own = worst
            for each in range(found):
                if here[each] == place:
                    own = above[each] - least
            board.total[shot, place] += own
            if board.members[shot] == 0:
                board.first[shot, place] = own
        if board.members[shot] == 0:
            board.first_worst[shot] = worst
        board.worst[shot] += worst
        board.members[shot] += 1
        board.votes[shot, here[best]] += 1


@njit(cache=True, nogil=True)
def _speaks(board: Board, shot: int, place: int, out: np.ndarray) -> None:
    """Write the features of a class; see `COEFFICIENTS`."""
    members = board.members[shot]
    out[0] = board.log_sum[shot, place]
    out[1] = -board.first[shot, place]
    out[2] = -board.total[shot, place] / members
    out[3] = board.votes[shot, place] / members
    out[4] = np.log(max(1.0, np.float64(board.distinct[shot, place])))


@njit(cache=True, nogil=True)
def _before(one: np.ndarray, other: np.ndarray) -> bool:
    for byte in range(len(one)):
        if one[byte] != other[byte]:
            return bool(one[byte] < other[byte])
    return False


@njit(cache=True, nogil=True)
def choose(
    board: Board,
    shots: np.ndarray,
    coefficients: np.ndarray,
    least_weight: bool,
    observables: np.ndarray,
    margin: np.ndarray,
    unanimous: np.ndarray,
) -> None:
    """Choose a class for each shot.

    Args:
        board: The board.
        shots: Which of its shots, int64 `[asked]`.
        coefficients: Of the features, float64 `[COEFFICIENTS]`.
        least_weight: Whether the least weight alone decides.
        observables: Written, uint8 `[asked, ceil(observables / 8)]`.
        margin: Written: how far the chosen class is ahead of the next one, float64 `[asked]`; infinity where there is one
            class, NaN where there is none.
        unanimous: Written: whether all members prefer the chosen class, bool `[asked]`.
    """
    speaks = np.empty(COEFFICIENTS, dtype=np.float64)
    for row in range(len(shots)):
        shot = shots[row]
        best, ahead, second = -1, -np.inf, -np.inf
        for place in range(board.classes[shot]):
            _speaks(board, shot, place, speaks)
            score = -board.least[shot, place] if least_weight else (speaks * coefficients).sum()
            if best < 0 or score > ahead + _EQUAL:
                best, ahead, second = place, score, ahead
            elif score > ahead - _EQUAL:
                second = score
                if _before(board.observables[shot, place], board.observables[shot, best]):
                    best = place
            elif score > second:
                second = score
        margin[row] = np.nan if best < 0 else ahead - second
        unanimous[row] = best >= 0 and board.votes[shot, best] == board.members[shot]
        if best >= 0:
            observables[row] = board.observables[shot, best]


def features(board: Board) -> tuple[np.ndarray, np.ndarray]:
    """What the choice is made from.

    Returns:
        Features of each class, float64 `[shots, classes, COEFFICIENTS]`, -infinity where a shot has no such class; and the
        observables of each, uint8 `[shots, classes, ceil(observables / 8)]`.
    """
    most = max(1, int(board.classes.max(initial=0)))
    out = np.full((len(board.classes), most, COEFFICIENTS), -np.inf)
    _features(board, out)
    return out, board.observables[:, :most]


@njit(cache=True, nogil=True)
def _features(board: Board, out: np.ndarray) -> None:
    for shot in range(len(out)):
        for place in range(board.classes[shot]):
            _speaks(board, shot, place, out[shot, place])
