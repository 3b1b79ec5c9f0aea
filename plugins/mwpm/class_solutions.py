"""The lightest solutions of many shots in both classes of an observable, each weighed by its mechanisms."""

from __future__ import annotations

import numpy as np
from numba import njit

from autoqec.compiled_once import compiled_once

from .boundary_sweeps import Sweeps
from .class_room import make_block, make_room, see
from .classes import solve_shot
from .cover import Cover
from .matching_kernel import WEIGHTS_PER_NAT
from .weighing import Makings, weigh

#: FNV-1a, 64 bits: the name of a solution is the hash of its edges' numbers.
_START, _FACTOR = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@njit(cache=True, nogil=True)
def describe(
    solution: np.ndarray, flips: np.ndarray, made: Makings, place: np.ndarray, observables: np.ndarray
) -> tuple[float, np.uint64]:
    """Weigh and name one solution, and write what it flips.

    Args:
        solution: Its edges, uint8 `[edges]`.
        flips: Observables of each edge, bit-packed, uint8 `[edges, ceil(observables / 8)]`.
        made, place: See `weigh`.
        observables: Written, uint8 `[ceil(observables / 8)]`.
    """
    chosen = np.flatnonzero(solution)
    observables[:] = 0
    name = _START
    for edge in chosen:
        name = (name ^ np.uint64(edge)) * _FACTOR
        for byte in range(len(observables)):
            observables[byte] ^= flips[edge, byte]
    return weigh(chosen, made, place), name


@compiled_once("solutions in both classes", 16)
@njit(cache=True, nogil=True)
def solve_classes(
    syndromes: np.ndarray,
    log_odds: np.ndarray,
    parity: np.ndarray,
    cover: Cover,
    sweeps: Sweeps,
    flips: np.ndarray,
    made: Makings,
    observables: np.ndarray,
    weights: np.ndarray,
    believed: np.ndarray,
    names: np.ndarray,
    left_out: np.ndarray,
) -> None:
    """Solve shots in both classes of one observable.

    Args:
        syndromes: Bit-packed, uint8 `[shots, ceil(detectors / 8)]`.
        log_odds: Of each edge in each shot, float32 `[shots, edges]`.
        parity: Whether each edge flips the observable, uint8 `[edges]`.
        cover: The graph.
        sweeps: The relaxations of its double cover.
        flips, made: See `describe`.
        observables: Written, uint8 `[shots, 2, ceil(observables / 8)]`.
        weights: Written: of each solution by its mechanisms, in nats, float32 `[shots, 2]`.
        believed: Written: of each by the log-odds, above a common constant, in nats, float32 `[shots, 2]`.
        names: Written, uint64 `[shots, 2]`.
        left_out: Written: shots of which `solve_shot` did not find both, bool `[shots]`.
    """
    found = np.empty(2, dtype=np.int64)
    solutions = np.empty((2, log_odds.shape[1]), dtype=np.uint8)
    place = np.full(log_odds.shape[1], -1, dtype=np.int32)
    room = make_room(log_odds.shape[1], len(cover.start) - 1)
    block = make_block(log_odds.shape[1], len(cover.start) - 1)
    for shot in range(len(syndromes)):
        told = see(shot, log_odds, parity, cover, sweeps, block, room)
        left_out[shot] = not solve_shot(syndromes[shot], log_odds[shot], parity, cover, room, told, found, solutions)
        if left_out[shot]:
            continue
        for side in range(2):
            weights[shot, side], names[shot, side] = describe(
                solutions[side], flips, made, place, observables[shot, side]
            )
            believed[shot, side] = np.float32(found[side]) / np.float32(WEIGHTS_PER_NAT)
