"""What training tells a candidate about a shot, where that is not what was drawn: canonical and distilled labels.

Errors that differ by a stabiliser have the same detectors and observables, and are equally right. The error that was drawn is
one of them by chance, so a mechanism-wise loss on it asks for more than anybody can know. A canonical label is one likely error
of the same class: it depends on the shot's detectors and observables alone. Belief propagation finds it on the problem with a
detector for each observable, so that the class is a part of the syndrome; where it finds none, a decoder that orders mechanisms
by these beliefs does. It is not always the likeliest error of its class.

A distilled label is in the class that a strong decoder answers, instead of the class that was drawn. A shot that the strong
decoder gets wrong is one that hardly anything could have told right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import stim

from autoqec.decoding.decoder_contract import CompiledDecoder, ExplainingDecoder
from autoqec.decoding.short_bp import SCALE
from autoqec.decoding.sum_product import SumProduct, decisions
from autoqec.errors import AutoQECError
from autoqec.problem.problem import Problem, problem_from_dem
from autoqec.problem.sampling import TrainingShots
from autoqec.runner.shot_sources import ShotSource
from autoqec.shared_threads import in_parallel, slices

#: Iterations of belief propagation in the class, and the memories of its passes, the lighter answer of which is the label. Of the
#: shots that a gate sends on, the label is heavier than the error that was drawn in 0.2 % at distance 5 and 16 % on bb72_depol.
#: A single pass has 1.2 and 21 %, and twice the iterations 0.7 and 27 %: they converge more often, and on heavier errors.
_ITERATIONS = 8
_MEMORIES = (0.125, 0.25)

#: Shots that a thread labels at a time: belief propagation gets faster with many, and a batch has few.
_SHOTS_AT_A_TIME = 64

#: Shots on which the time of a label is measured before training begins.
MEASURED_SHOTS = 16

#: The share of the training's time that labels of the validation shots may take.
_MOST_OF_THE_TIME = 0.25


def with_classes(problem: Problem) -> Problem:
    """The same mechanisms, with a detector for each observable after those that there are, and without a circuit."""
    mechanisms, lines = problem.mechanisms, stim.DetectorErrorModel()
    flips = np.unpackbits(mechanisms.observables, axis=1, count=problem.num_observables, bitorder="little")
    for number, prior in enumerate(mechanisms.priors):
        touched = mechanisms.detector[mechanisms.start[number] : mechanisms.start[number + 1]].tolist()
        flipped = np.flatnonzero(flips[number]).tolist()
        detectors = [*touched, *(problem.num_detectors + each for each in flipped)]
        targets = [*map(stim.target_relative_detector_id, detectors), *map(stim.target_logical_observable_id, flipped)]
        lines.append("error", [float(prior)], targets)
    # Observables and detectors that no mechanism flips count too.
    lines.append(
        "detector", [], [stim.target_relative_detector_id(problem.num_detectors + problem.num_observables - 1)]
    )
    lines.append("logical_observable", [], [stim.target_logical_observable_id(problem.num_observables - 1)])
    return problem_from_dem(lines, name=f"{problem.name}, by class")


class CanonicalLabels:
    """Finds a likely error of a given class.

    Args:
        problem: What is decoded.
        compile_solver: Compiles a decoder that can return the mechanisms of its solution, for any problem.
    """

    def __init__(self, problem: Problem, compile_solver: Callable[[Problem], ExplainingDecoder]) -> None:
        self._problem, self._by_class = problem, with_classes(problem)
        self._passes = [SumProduct(self._by_class, _ITERATIONS, SCALE, memory) for memory in _MEMORIES]
        self._solver, self._costs = compile_solver(self._by_class), problem.priors_llr.astype(np.float64)
        # Kernels are compiled, and what is made on first use is made, here: not by every thread, and not behind a lock.
        nothing = np.zeros((1, self._by_class.syndrome_bytes), dtype=np.uint8)
        self._solver.explain(nothing, self._passes[0].mechanisms(nothing).beliefs)

    def find(self, syndromes: np.ndarray, observables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find an error for each shot; it depends on nothing but the shot's detectors and observables.

        Args:
            syndromes: Bit-packed little-endian, uint8 `[shots, ceil(detectors / 8)]`.
            observables: Its class, bit-packed, uint8 `[shots, ceil(observables / 8)]`.

        Returns:
            The mechanisms, bool `[shots, mechanisms]`; and which shots have any such error, bool `[shots]`.
        """
        problem = self._problem
        bits = [
            np.unpackbits(syndromes, axis=1, count=problem.num_detectors, bitorder="little"),
            np.unpackbits(observables, axis=1, count=problem.num_observables, bitorder="little"),
        ]
        told = np.packbits(np.concatenate(bits, axis=1), axis=1, bitorder="little")
        found = in_parallel(lambda part: self._find(told[part]), slices(len(told), _SHOTS_AT_A_TIME))
        if not found:
            return np.zeros((0, len(problem.mechanisms)), dtype=bool), np.zeros(0, dtype=bool)
        return np.concatenate([fired for fired, _ in found]), np.concatenate([solved for _, solved in found])

    def _find(self, told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lightest answer of all passes; every pass finds one where there is one."""
        best, solved = self._pass(self._passes[0], told)
        weight = self._weights(best)
        for each in self._passes[1:]:
            fired, _ = self._pass(each, told)
            other = self._weights(fired)
            lighter = other < weight
            best[lighter], weight[lighter] = fired[lighter], other[lighter]
        return best, solved

    def _pass(self, propagation: SumProduct, told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        believed = propagation.mechanisms(told)
        fired, solved = decisions(believed.beliefs), believed.explained.copy()
        rest = ~solved
        if rest.any():
            rows = np.ascontiguousarray(told[rest]), np.ascontiguousarray(believed.beliefs[rest])
            fired[rest], solved[rest] = self._solver.explain(*rows)
        return fired, solved

    def _weights(self, fired: np.ndarray) -> np.ndarray:
        """Minus the log-probability of each row, up to a constant, added up in an order that no other row changes."""
        return np.where(fired, self._costs, 0.0).sum(axis=1)


@dataclass(frozen=True)
class Labelling:
    """How shots of one problem are labelled.

    Attributes:
        canonical: Finds mechanisms; None for a loss that asks for none.
        teacher: Answers the class; None for the class that was drawn.
    """

    canonical: CanonicalLabels | None = None
    teacher: CompiledDecoder | None = None

    def apply(self, shots: TrainingShots) -> TrainingShots:
        """The same shots with other labels.

        A shot without a valid answer of the teacher keeps the class that was drawn. One without any error in its class, which
        only an observable that flips unseen can cause, has no weight.
        """
        drawn = observables = shots.observables
        if self.teacher is not None:
            answer = self.teacher.decode(shots.syndromes)
            observables = np.where(answer.invalid[:, None], drawn, answer.observables)
        if self.canonical is None:
            return shots._replace(observables=observables)
        fired, solved = self.canonical.find(shots.syndromes, observables)
        if self.teacher is not None and not solved.all():
            rest = np.flatnonzero(~solved)
            fired[rest], solved[rest] = self.canonical.find(shots.syndromes[rest], drawn[rest])
            observables[rest] = drawn[rest]
        weights = shots.weights
        if not solved.all():
            weights = solved.astype(np.float32) * (1.0 if weights is None else weights)
        return shots._replace(observables=observables, fired=fired, weights=weights)


class LabelledShots:
    """Shots of another source, labelled.

    Args:
        source: Where they come from; it need not tell the mechanisms that fired.
        labellings: How shots are labelled at each rate.
    """

    def __init__(self, source: ShotSource, labellings: Sequence[Labelling]) -> None:
        self._source, self._labellings = source, labellings
        self.labelled, self.seconds = 0, 0.0

    def draw(self, rate: int, shots: int, seed: int, *, validation: bool = False) -> TrainingShots:
        """See `ShotSource.draw`."""
        return self._label(rate, self._source.draw(rate, shots, seed, validation=validation))

    def _label(self, rate: int, shots: TrainingShots) -> TrainingShots:
        began = time.monotonic()
        labelled = self._labellings[rate].apply(shots)
        self.seconds += time.monotonic() - began
        self.labelled += len(shots.syndromes)
        return labelled

    def require_time(self, validated_on: int, share: float, seconds: float, seed: int) -> None:
        """Measure a few labels before the first step, and refuse what cannot be done in time.

        Args:
            validated_on: Shots to draw for the validation loss.
            share: How many of them are taken.
            seconds: The time of the training.
            seed: Of the shots that are measured.

        Raises:
            AutoQECError: Labels of the validation shots alone would take more than a quarter of the time.
        """
        shots = self._source.draw(0, max(MEASURED_SHOTS, round(MEASURED_SHOTS / share)), seed)
        shots = shots.part(slice(0, MEASURED_SHOTS))
        self._label(0, shots.part(slice(0, 1)))  # what is made on first use is not measured
        began = time.monotonic()
        self._label(0, shots)
        wanted = validated_on * share * (time.monotonic() - began) / len(shots.syndromes)
        if wanted > _MOST_OF_THE_TIME * seconds:
            raise AutoQECError(
                f"training.yaml: teacher: labels of {round(validated_on * share):,} validation shots would take"
                f" {wanted:.0f} s, and training has {seconds:.0f} s",
                hint="choose a faster teacher, a smaller sampled_share or fewer shots, or a profile with more train_seconds",
                code="labels_too_slow",
            )

    def telemetry(self) -> dict[str, float | int]:
        """What is worth telling: shots that were labelled, and the seconds that took."""
        return {"labelled": self.labelled, "label_seconds": round(self.seconds, 3)}
