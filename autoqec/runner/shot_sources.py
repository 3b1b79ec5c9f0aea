"""Where training shots come from: all that are drawn, or those that matter, weighted so that their loss is that of all.

Nine shots in ten are so clear that their loss has hardly a gradient, and a candidate costs a hundred times what drawing a shot
costs. So `sampling: gated` draws cheaply, asks the environment's decoder how sure it is of each shot, takes the least sure ones
and a random sample of the others, and weighs each shot by one over its probability of being taken (Horvitz and Thompson 1952).
The expected gradient is then that of all shots drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from autoqec.decoding.decoder_contract import ConfidentDecoder
from autoqec.decoding.gate_file import Gate
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import Draw, TrainingShots
from autoqec.shared_threads import in_parallel, slices

#: Larger gaps, in nats, are not told apart: plain matching is wrong there in one shot of 22,000 at most.
_SUREST = 10.0

#: How fast gradients fall with the gap, per nat: measured after eight iterations of belief propagation at distances 5 and 7.
#: There the root of their mean square is .77 below 1 nat, .28 at 4.5, .1 at 6.5, and .05 at 9.
_FALL = 0.4

#: Shots whose confidence a thread computes at a time.
_SHOTS_AT_A_TIME = 64


class ShotSource(Protocol):
    """Draws shots for training."""

    def draw(self, rate: int, shots: int, seed: int) -> TrainingShots:
        """Draw from the problem with the number `rate`; returns the shots that are worth computing."""
        ...


class AllShots:
    """Every shot that is drawn.

    Args:
        problems: Where shots come from.
        labels: Whether shots tell the mechanisms that fired.
    """

    def __init__(self, problems: Sequence[Problem], *, labels: bool) -> None:
        self._problems, self._labels = problems, labels

    def draw(self, rate: int, shots: int, seed: int) -> TrainingShots:
        """See `ShotSource.draw`."""
        return Draw(self._problems[rate], shots, seed, labels=self._labels).take()


class SampledShots:
    """The least sure shots and a weighted sample of the others.

    Args:
        problems: Where shots come from.
        decoders: The decoder at each rate.
        share: Shots to take, as a share of those drawn.
        gate: The candidate's gate. Shots that it does not send on keep their answers whatever the weights are, so their loss has
            no gradient, and none of them is taken. None takes shots of any confidence.
        labels: Whether shots tell the mechanisms that fired.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        decoders: Sequence[ConfidentDecoder],
        share: float,
        *,
        gate: Gate | None = None,
        labels: bool,
    ) -> None:
        self._problems, self._decoders, self._share, self._labels = problems, decoders, share, labels
        self._gate = gate
        for problem, decoder in zip(problems, decoders, strict=True):
            # What a decoder prepares on first use is prepared once, not by every thread at the same time.
            decoder.confidence(np.zeros((1, problem.syndrome_bytes), dtype=np.uint8), _SUREST)

    def draw(self, rate: int, shots: int, seed: int) -> TrainingShots:
        """See `ShotSource.draw`."""
        drawn, decoder = Draw(self._problems[rate], shots, seed, labels=self._labels), self._decoders[rate]
        found = in_parallel(
            lambda part: decoder.confidence(drawn.syndromes[part], self._surest(decoder)),
            slices(shots, _SHOTS_AT_A_TIME),
        )
        confidence = np.concatenate(found)
        sent = np.flatnonzero(self._sends(drawn.syndromes, confidence, decoder))
        sizes = importance(confidence[sent], decoder.confidence_kind)
        chances = inclusion_probabilities(sizes, max(1, round(self._share * shots)))
        # In the order of confidence, so that the sample has its share of shots of every confidence.
        order = np.argsort(sizes, kind="stable")
        rows = np.sort(order[systematic_sample(chances[order], np.random.default_rng(seed).random())])
        return drawn.take(sent[rows], (1.0 / chances[rows]).astype(np.float32))

    def _surest(self, decoder: ConfidentDecoder) -> float:
        """The confidence above which shots are alike, so that the decoder need not look further."""
        gate = self._gate
        return gate.threshold if gate is not None and gate.kind == decoder.confidence_kind else _SUREST

    def _sends(self, syndromes: np.ndarray, confidence: np.ndarray, decoder: ConfidentDecoder) -> np.ndarray:
        """The shots that the candidate's gate sends on by its first two steps, bool `[shots]`."""
        sent = np.ones(len(syndromes), dtype=bool)
        if self._gate is not None and self._gate.events:
            sent &= np.bitwise_count(syndromes).sum(axis=1, dtype=np.int64) >= self._gate.events
        if self._gate is not None and self._gate.kind == decoder.confidence_kind:
            sent &= confidence <= np.float32(self._gate.threshold)
        # A batch without any shot has no loss; one that no gate sends on is worth little, and does no harm.
        return sent if sent.any() else np.ones(len(syndromes), dtype=bool)


def importance(confidence: np.ndarray, kind: str) -> np.ndarray:
    """How large the gradient of each shot is expected to be, up to a factor, float64 `[shots]`.

    A gap of g nats is the log-odds that the plain answer is right. If the trained one were like it, the gap loss would have a
    gradient of about `exp(-g / 2)` in the root of the mean square; it falls somewhat slower. The unit of any other confidence is
    unknown, so its order alone counts: shots of the lowest fraction f get `1 / f²`.
    """
    if kind == "gap":
        return np.exp(-_FALL * np.minimum(confidence.astype(np.float64), _SUREST))
    order = np.sort(confidence)
    as_sure = np.searchsorted(order, confidence, side="right") / len(confidence)
    return 1.0 / as_sure**2


def inclusion_probabilities(sizes: np.ndarray, wanted: int) -> np.ndarray:
    """The chance of each shot to be taken: proportional to its size, at most 1, together `wanted`; float64 `[shots]`.

    Args:
        sizes: Positive, float64 `[shots]`.
        wanted: How many shots are taken; all where there are not so many.
    """
    if wanted >= len(sizes):
        return np.ones(len(sizes))
    order = np.argsort(-sizes, kind="stable")
    ordered = sizes[order]
    rest = np.cumsum(ordered[::-1])[::-1]
    # The first `certain` are taken for sure: as few as make the next one's chance at most 1.
    factors = (wanted - np.arange(wanted)) / rest[:wanted]
    certain = int(np.argmax(factors * ordered[:wanted] <= 1.0))
    chances = np.ones(len(sizes))
    chances[order[certain:]] = factors[certain] * ordered[certain:]
    return chances


def systematic_sample(chances: np.ndarray, start: float) -> np.ndarray:
    """Rows to take, each with its chance, as many as all chances add up to (Madow 1949).

    Args:
        chances: Of each row, at most 1, float64 `[rows]`.
        start: A random number from [0, 1).

    Returns:
        Rows in increasing order.
    """
    reached = np.floor(np.cumsum(chances) + start)
    return np.flatnonzero(np.diff(reached, prepend=0.0) > 0)
