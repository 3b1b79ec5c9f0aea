"""Where training shots come from: all that are drawn, or those that matter, weighted so that their loss is that of all.

Nine shots in ten are so clear that their loss has hardly a gradient, and a candidate costs a hundred times what drawing a shot
costs. So `sampling: gated` draws cheaply, asks the environment's decoder how sure it is of each shot, takes the least sure ones
and a random sample of the others, and weighs each shot by one over its probability of being taken (Horvitz and Thompson 1952).
The expected gradient is then that of all shots drawn.

Where shots are recorded, those for training take the place of shots of the error model at the target, unless the loss asks which
mechanisms fired: no recording says that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from autoqec.decoding.decoder_contract import ConfidentDecoder
from autoqec.decoding.gate_file import Gate
from autoqec.decoding.gating import open_gate
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import Draw, RecordedDraw, Shots, TrainingShots
from autoqec.shared_threads import in_parallel, slices

#: Larger gaps, in nats, are not told apart: plain matching is wrong there in one shot of 22,000 at most.
_SUREST = 10.0

#: How fast gradients fall with the gap, per nat: measured after eight iterations of belief propagation at distances 5 and 7.
#: There the root of their mean square is .77 below 1 nat, .28 at 4.5, .1 at 6.5, and .05 at 9.
_FALL = 0.4

#: Shots whose confidence a thread computes at a time.
_SHOTS_AT_A_TIME = 64

#: Shots that a thread applies a gate to at a time: its short belief propagation gets faster with many.
_SHOTS_GATED_AT_A_TIME = 256


class ShotSource(Protocol):
    """Draws shots for training."""

    def draw(self, rate: int, shots: int, seed: int, *, validation: bool = False) -> TrainingShots:
        """Draw from the problem with the number `rate`; returns the shots that are worth computing.

        Args:
            rate: The problem.
            shots: How many.
            seed: 64-bit seed.
            validation: Whether they are for the validation loss, and so must not be among those that are trained on.
        """
        ...


#: One recorded shot of so many is for the validation loss.
VALIDATION_PART = 8


class Stock:
    """Where shots are drawn from: error models, or recorded shots.

    Args:
        problems: The problem of each rate.
        labels: Whether shots tell the mechanisms that fired.
        recorded: Shots in the place of those of the first problem, if mechanisms need not be told.
    """

    def __init__(self, problems: Sequence[Problem], *, labels: bool, recorded: Shots | None) -> None:
        self._problems, self._labels = problems, labels
        self._recorded = None if labels or recorded is None or len(recorded) < VALIDATION_PART else recorded

    def draw(self, rate: int, shots: int, seed: int, *, validation: bool) -> Draw | RecordedDraw:
        """Draw shots; those for validation are never drawn for anything else."""
        recorded = self._recorded
        if recorded is None or rate:
            return Draw(self._problems[rate], shots, seed, labels=self._labels)
        rows = (np.arange(len(recorded)) % VALIDATION_PART == 0) == validation
        return RecordedDraw(Shots(recorded.syndromes[rows], recorded.observables[rows]), shots, seed)


class AllShots:
    """Every shot that is drawn.

    Args:
        problems: Where shots come from.
        labels: Whether shots tell the mechanisms that fired.
        recorded: Recorded shots; see `Stock`.
    """

    def __init__(self, problems: Sequence[Problem], *, labels: bool, recorded: Shots | None = None) -> None:
        self._stock = Stock(problems, labels=labels, recorded=recorded)

    def draw(self, rate: int, shots: int, seed: int, *, validation: bool = False) -> TrainingShots:
        """See `ShotSource.draw`."""
        return self._stock.draw(rate, shots, seed, validation=validation).take()


class SampledShots:
    """The least sure shots and a weighted sample of the others.

    Args:
        problems: Where shots come from.
        decoders: The decoder at each rate.
        share: Shots to take, as a share of those drawn.
        gate: The candidate's gate, which the judge will apply in the same way. Shots that it does not send on keep their
            answers whatever the weights are, so their loss has no gradient, and none of them is taken. None takes shots of any
            confidence.
        labels: Whether shots tell the mechanisms that fired.
        recorded: Recorded shots; see `Stock`.

    Raises:
        UsageError: The decoder does not offer the confidence that the gate asks for.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        decoders: Sequence[ConfidentDecoder],
        share: float,
        *,
        gate: Gate | None = None,
        labels: bool,
        recorded: Shots | None = None,
    ) -> None:
        self._stock = Stock(problems, labels=labels, recorded=recorded)
        self._decoders, self._share = decoders, share
        self._surest = _SUREST
        if gate is not None and gate.kind == decoders[0].confidence_kind:
            self._surest = gate.threshold  # no shot above it is sent on, so the decoder need not look further
        self._gates = [open_gate(gate, *pair) for pair in zip(decoders, problems, strict=True)] if gate else None
        for rate, (problem, decoder) in enumerate(zip(problems, decoders, strict=True)):
            # What a decoder prepares on first use is prepared once, not by every thread at the same time.
            nothing = np.zeros((1, problem.syndrome_bytes), dtype=np.uint8)
            decoder.confidence(nothing, self._surest)
            self._sent(nothing, rate)

    def draw(self, rate: int, shots: int, seed: int, *, validation: bool = False) -> TrainingShots:
        """See `ShotSource.draw`."""
        drawn, decoder = self._stock.draw(rate, shots, seed, validation=validation), self._decoders[rate]
        sent = self._sent(drawn.syndromes, rate)
        syndromes = np.ascontiguousarray(drawn.syndromes[sent])
        found = in_parallel(
            lambda part: decoder.confidence(syndromes[part], self._surest), slices(len(syndromes), _SHOTS_AT_A_TIME)
        )
        sizes = importance(np.concatenate(found), decoder.confidence_kind)
        chances = inclusion_probabilities(sizes, max(1, round(self._share * shots)))
        # In the order of confidence, so that the sample has its share of shots of every confidence.
        order = np.argsort(sizes, kind="stable")
        rows = np.sort(order[systematic_sample(chances[order], np.random.default_rng(seed).random())])
        return drawn.take(sent[rows], (1.0 / chances[rows]).astype(np.float32))

    def _sent(self, syndromes: np.ndarray, rate: int) -> np.ndarray:
        """The shots that the candidate's gate sends on, as rows."""
        if self._gates is None:
            return np.arange(len(syndromes))
        gate = self._gates[rate]
        parts = slices(len(syndromes), _SHOTS_GATED_AT_A_TIME)
        sent = np.flatnonzero(np.concatenate(in_parallel(lambda part: gate.split(syndromes[part]).sent, parts)))
        # A batch without any shot has no loss; one that no gate sends on is worth little, and does no harm.
        return sent if len(sent) else np.arange(len(syndromes))


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
