"""Applies a candidate's ensemble: asks its pipeline several times about a shot and chooses among the solutions.

The answer to a shot is a function of its syndrome alone: each member's disorder is a function of `ensemble.yaml` and the member's
number, and neither the other shots of a batch nor their number changes anything. The judge's matcher, exported rounds and
training apply it through this one module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from autoqec.decoding.decoder_contract import CompiledDecoder, Decoded, SolvingDecoder
from autoqec.decoding.ensemble_board import COEFFICIENTS, Board, add, choose, disordered, empty_board, features
from autoqec.decoding.ensemble_file import Ensemble, require_solutions
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.problem import Problem

#: Asks the pipeline about shots, from the given priors (float32 `[mechanisms]`), or from the problem's own if there are none. It
#: returns beliefs, float32 `[shots, mechanisms]`, and which shots have no valid ones, bool `[shots]`.
Predict = Callable[[np.ndarray, np.ndarray | None], tuple[np.ndarray, np.ndarray]]

#: Disorder is a multiple of this, in nats, as beliefs are, so that sums are exact.
_STEP = 1.0 / 1024

#: Shots that are decoded at once: the beliefs of each pass about them are kept for later members.
_BLOCK = 1024

#: Memory for the beliefs of a block: 64 passes about 1,024 shots of a code with 30,000 mechanisms would take 8 GB.
_BLOCK_BYTES = 256 * 2**20

#: The tensor with the learned coefficients of the choice, and its size. No stage's tensor has a slash in its name.
CHOICE_TENSOR, CHOICE_SIZE = "ensemble/choice", COEFFICIENTS

#: No coefficient of the choice is larger: each multiplies nats or shares.
_LARGEST = 1e3


@dataclass(frozen=True)
class Chosen:
    """What an ensemble answers.

    Attributes:
        answer: The answers.
        passes: How many times the pipeline was asked about each shot, int32 `[shots]`.
    """

    answer: Decoded
    passes: np.ndarray


class Ensembling:
    """An ensemble that is ready for one problem; see `open_ensemble`."""

    def __init__(self, ensemble: Ensemble, decoder: SolvingDecoder, problem: Problem, coefficients: np.ndarray):
        self.ensemble, self._decoder, self._problem = ensemble, decoder, problem
        self._coefficients = coefficients

    def decode(
        self, syndromes: np.ndarray, predict: Predict, told: Callable[[int], None] = lambda done: None
    ) -> Chosen:
        """Decode a batch.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.
            predict: Asks the pipeline.
            told: Called after each member with the number of shots that are done.

        Returns:
            The answers. A shot is invalid if any member's beliefs about it are, or if no member explains it.
        """
        observables = np.zeros((len(syndromes), self._problem.observable_bytes), dtype=np.uint8)
        invalid, passes = np.zeros(len(syndromes), dtype=bool), np.zeros(len(syndromes), dtype=np.int32)
        block = self.block_shots
        for first in range(0, len(syndromes), block):
            part = slice(first, first + block)
            chosen = self._decode_block(np.ascontiguousarray(syndromes[part]), predict, partial(told, first))
            observables[part], invalid[part] = chosen.answer.observables, chosen.answer.invalid
            passes[part] = chosen.passes
            told(min(first + block, len(syndromes)))
        return Chosen(Decoded(observables, invalid), passes)

    @property
    def block_shots(self) -> int:
        """How many shots are decoded at once, so that the beliefs that are kept for later members fit into `_BLOCK_BYTES`."""
        each = 4 * len(self._problem.mechanisms) * (1 + self._passes_kept)
        return max(1, min(_BLOCK, _BLOCK_BYTES // each))

    @property
    def _passes_kept(self) -> int:
        """How many passes have beliefs that a later member disorders."""
        return max(0, min(self.ensemble.passes, self.ensemble.members - self.ensemble.passes))

    def features(self, syndromes: np.ndarray, predict: Predict) -> tuple[np.ndarray, np.ndarray]:
        """What the choice is made from, after all members: see `autoqec.decoding.ensemble_board.features`.

        Returns:
            Features of each class, float32 `[shots, classes, CHOICE_SIZE]`, and the observables of each class, uint8
            `[shots, classes, ceil(observables / 8)]`. A class that a shot does not have has the features -infinity.
        """
        board = self._run(syndromes, predict, early=False)[0]
        return features(board)

    def _decode_block(self, syndromes: np.ndarray, predict: Predict, alive: Callable[[], None]) -> Chosen:
        board, invalid, passes, spare = self._run(syndromes, predict, early=True, alive=alive)
        observables, margin, _ = self._choice(board, np.arange(len(syndromes)))
        lost = np.isnan(margin)  # no member has a solution: the decoder's own answer to the first member's beliefs
        observables[lost], invalid[lost] = spare.observables[lost], invalid[lost] | spare.invalid[lost]
        observables[invalid] = 0
        return Chosen(Decoded(observables, invalid), passes)

    def _choice(self, board: Board, shots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The class chosen for each shot, by how much, and whether all members prefer it."""
        observables = np.zeros((len(shots), self._problem.observable_bytes), dtype=np.uint8)
        margin, unanimous = np.empty(len(shots), dtype=np.float64), np.empty(len(shots), dtype=np.bool_)
        least = self.ensemble.select == "least_weight"
        choose(board, shots, self._coefficients, least, observables, margin, unanimous)
        return observables, margin, unanimous

    def _run(
        self, syndromes: np.ndarray, predict: Predict, *, early: bool, alive: Callable[[], None] = lambda: None
    ) -> tuple[Board, np.ndarray, np.ndarray, Decoded]:
        """Ask the members one after another; `early` has shots end as `agree` says, `alive` is called after each member."""
        ensemble, shots = self.ensemble, len(syndromes)
        invalid, passes = np.zeros(shots, dtype=bool), np.zeros(shots, dtype=np.int32)
        left, board = np.arange(shots), None
        passes_beliefs: list[np.ndarray] = []  # of each pass, about all shots
        spare = Decoded(np.zeros((shots, self._problem.observable_bytes), dtype=np.uint8), np.zeros(shots, dtype=bool))
        for member in range(ensemble.members):
            asked = np.ascontiguousarray(syndromes[left])
            if member < ensemble.passes:
                beliefs, wrong = predict(asked, self.priors(member) if member else None)
                invalid[left] |= wrong
                passes[left] += 1
                if member < self._passes_kept:
                    passes_beliefs.append(np.empty((shots, beliefs.shape[1]), dtype=np.float32))
                    passes_beliefs[-1][left] = beliefs
            else:
                beliefs = disordered(passes_beliefs[member % ensemble.passes], left, self.shift(member))
            found = self._decoder.solutions(asked, beliefs)
            if board is None:
                board = empty_board(found, ensemble.members)
                lost = np.isinf(found.weights).all(axis=1)
                if lost.any():
                    own = self._decoder.decode(asked[lost], np.ascontiguousarray(beliefs[lost]))
                    spare.observables[lost], spare.invalid[lost] = own.observables, own.invalid
            add(board, left, found.observables, found.weights, found.believed, found.names)
            alive()
            left = left[~invalid[left]]
            if early and ensemble.agree and member + 1 >= ensemble.agree:
                _, margin, unanimous = self._choice(board, left)
                left = left[~(unanimous & (margin >= ensemble.margin))]
            if not len(left):
                break
        assert board is not None
        return board, invalid, passes, spare

    def shift(self, member: int) -> np.ndarray:
        """The disorder of a member, uniform, of its priors or its beliefs: a multiple of 1/1024 nat, float32 `[mechanisms]`."""
        ensemble = self.ensemble
        spread = ensemble.prior_spread if member < ensemble.passes else ensemble.belief_spread
        # The raw output of a bit generator is the same in every version of numpy; its distributions are not.
        raw = np.random.Philox(key=[ensemble.seed, member]).random_raw(len(self._problem.mechanisms))
        unit = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
        shift: np.ndarray = np.rint(unit * (np.sqrt(3.0) * spread / _STEP)) * _STEP
        return shift.astype(np.float32)

    def priors(self, member: int) -> np.ndarray:
        """The log-likelihood ratios that a pass starts from, float32 `[mechanisms]`."""
        return np.clip(self._problem.priors_llr + self.shift(member), -LLR_BOUND, LLR_BOUND)


def learned_choice(tensor: bytes | None) -> np.ndarray | None:
    """The learned coefficients of the choice, float64 `[CHOICE_SIZE]`; None if there are none.

    Args:
        tensor: The bytes of the tensor `CHOICE_TENSOR`, float32, little-endian.

    Raises:
        ValueError: They are too few or too many, or are no numbers of a sensible size.
    """
    if tensor is None:
        return None
    found = np.frombuffer(tensor, dtype="<f4").astype(np.float64)
    if len(found) != CHOICE_SIZE or not (np.abs(found) <= _LARGEST).all():
        raise ValueError(f"weight {CHOICE_TENSOR} must hold {CHOICE_SIZE} numbers within ±{_LARGEST:g}")
    return found


def untrained(ensemble: Ensemble) -> np.ndarray:
    """The coefficients of the choice where none were learned, float64 `[CHOICE_SIZE]`."""
    return np.array([1.0, ensemble.gap_share, 0.0, 0.0, 0.0])


def open_ensemble(
    ensemble: Ensemble,
    decoder: CompiledDecoder,
    problem: Problem,
    coefficients: np.ndarray | None = None,
    *,
    name: str = "of this environment",
) -> Ensembling:
    """Prepare an ensemble.

    Args:
        ensemble: The candidate's.
        decoder: What decodes its beliefs.
        problem: What is decoded.
        coefficients: The learned coefficients of the choice, `[CHOICE_SIZE]`; None for `untrained`.
        name: The decoder's name, for messages.

    Raises:
        UsageError: The decoder has no solutions to choose among.
    """
    require_solutions(isinstance(decoder, SolvingDecoder), name)
    assert isinstance(decoder, SolvingDecoder)
    chosen = untrained(ensemble) if coefficients is None else np.asarray(coefficients, dtype=np.float64)
    return Ensembling(ensemble, decoder, problem, chosen)
