"""What a sweep found: logical error rates of several decoders over a family of environments, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log
from typing import Any, Literal

from autoqec.results.crossing import CrossingFit, LogRatio, fit_crossing, log_rate
from autoqec.results.piece_rates import Per, rate_per
from autoqec.results.statistics import rate_interval
from autoqec.results.suppression import DistanceCounts, SuppressionFit, fit_suppression

#: Why counting ended at a point: the relative error was reached, or a bound; or it did not end.
Ended = Literal["relative_error", "max_errors", "max_shots", "max_seconds", "unfinished"]

#: Fields of which a curve has many values: its x axis, or what Λ is fitted over.
RATE_FIELD, DISTANCE_FIELD, ROUNDS_FIELD = "noise.p", "code.distance", "code.rounds"


@dataclass(frozen=True)
class Place:
    """A place of a sweep: one environment of the family.

    Attributes:
        env: The environment's name.
        values: The varied fields by their dotted names.
        p: Physical error rate; None if a file brings the noise along.
        distance, rounds: Of the code, where it has such fields.
        circuit: SHA-256 of the circuit's or error model's text.
    """

    env: str
    values: Mapping[str, Any]
    p: float | None
    distance: int | None
    rounds: int | None
    circuit: str

    @property
    def label(self) -> str:
        """Its values in words, such as `distance = 5, p = 0.003`."""
        return (
            ", ".join(f"{name.rpartition('.')[2]} = {said(value)}" for name, value in self.values.items()) or self.env
        )


def said(value: Any) -> str:
    """A value of a field, as a person writes it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class SweepPoint:
    """The counts of one decoder at one place.

    Attributes:
        place: Where.
        decoder: The decoder's label.
        observables: Logical observables of a shot.
        shots: Shots.
        errors: Shots that failed.
        seconds: Of the decoder's process for these shots.
        ended: Why counting ended.
        keys: The keys of the shots, in hexadecimal digits; more than one if several sweeps shared a file.
    """

    place: Place
    decoder: str
    observables: int
    shots: int
    errors: int
    seconds: float
    ended: Ended = "unfinished"
    keys: tuple[str, ...] = ()

    def rate(self, per: Per = "shot") -> float:
        """The logical error rate, of a point with shots."""
        return self._per(self.errors / self.shots, per)

    def interval(self, per: Per = "shot") -> tuple[float, float]:
        """The exact 95 % interval of the rate (Clopper and Pearson)."""
        low, high = self._shot_interval
        return self._per(low, per), self._per(high, per)

    @cached_property
    def _shot_interval(self) -> tuple[float, float]:
        return rate_interval(self.errors, self.shots)

    def _per(self, rate: float, per: Per) -> float:
        return rate_per(rate, per, self.place.rounds or 1, self.observables)

    @property
    def microseconds(self) -> float:
        """Of the decoder's process per shot."""
        return 1e6 * self.seconds / self.shots


@dataclass(frozen=True)
class LeftOut:
    """A decoder that gave no answers at a place.

    Attributes:
        place: Where.
        decoder: The decoder's label.
        reason: What kind of failure it is; `unusable` where a decoder does not fit.
        problem: Why, in a sentence.
        hint: What to do about it; empty if nothing is known.
    """

    place: Place
    decoder: str
    reason: str
    problem: str
    hint: str = ""


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is, for a callback.

    Attributes:
        done, total: Points, each decoder at each place, that are over; and all.
        decoder, place: Whose counts these are.
        shots, errors: What is counted there.
        ended: Why counting is over there; `unfinished` while it goes on.
        problem: Why the decoder gives no answers there; empty if it does.
        message: Something to say that is about no point.
    """

    done: int
    total: int
    decoder: str = ""
    place: str = ""
    shots: int = 0
    errors: int = 0
    ended: Ended = "unfinished"
    problem: str = ""
    message: str = ""


@dataclass(frozen=True)
class Suppression:
    """Λ of a decoder at one physical error rate.

    Attributes:
        decoder: The decoder's label.
        p: Physical error rate.
        others: The values of the other varied fields.
        distances: The distances that it was fitted over.
        fit: Λ with its interval.
    """

    decoder: str
    p: float | None
    others: Mapping[str, Any]
    distances: tuple[int, ...]
    fit: SuppressionFit


@dataclass(frozen=True)
class Crossing:
    """Where the curves of two distances of a decoder cross.

    Attributes:
        decoder: The decoder's label.
        others: The values of the other varied fields.
        distances: The smaller and the larger distance.
        fit: The physical error rate with its interval.
    """

    decoder: str
    others: Mapping[str, Any]
    distances: tuple[int, int]
    fit: CrossingFit


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep.

    Attributes:
        env: The environment's name.
        decoders: The labels of all decoders, as they were given.
        axes: The fields that vary by themselves, in their order; others follow them.
        points: What was counted, by place and then by decoder.
        left_out: Decoders without answers.
        per: What the rates are per.
        file: The file that has the counts; empty if there is none.
    """

    env: str
    decoders: tuple[str, ...]
    axes: tuple[str, ...]
    points: tuple[SweepPoint, ...]
    left_out: tuple[LeftOut, ...] = ()
    per: Per = "shot"
    file: str = ""

    def others_of(self, place: Place, *inner: str) -> dict[str, Any]:
        """The values of the fields that vary by themselves, without some of them."""
        return {name: place.values[name] for name in self.axes if name not in inner}

    def counted(self) -> list[SweepPoint]:
        """The points with shots."""
        return [point for point in self.points if point.shots]

    @cached_property
    def suppressions(self) -> tuple[Suppression, ...]:
        """Λ wherever a decoder has shots at two distances and all else is equal."""
        found = []
        for points in _grouped(self.counted(), lambda each: self.others_of(each.place, DISTANCE_FIELD)):
            counts = [
                DistanceCounts(each.place.distance, each.place.rounds or 1, each.observables, each.shots, each.errors)
                for each in points
                if each.place.distance is not None
            ]
            fit = fit_suppression(counts)
            if fit is not None:
                first = points[0]
                others = self.others_of(first.place, DISTANCE_FIELD, RATE_FIELD)
                distances = tuple(sorted({each.distance for each in counts}))
                found.append(Suppression(first.decoder, first.place.p, others, distances, fit))
        return tuple(found)

    @cached_property
    def crossings(self) -> tuple[Crossing, ...]:
        """Where the curves of neighbouring distances cross, in the rates that are shown; nothing where they do not."""
        found = []
        for points in _grouped(self.counted(), lambda each: self.others_of(each.place, DISTANCE_FIELD, RATE_FIELD)):
            distances = sorted({each.place.distance for each in points if each.place.distance is not None})
            for pair in pairwise(distances):
                fit = fit_crossing(self._log_ratios(points, *pair))
                if fit is not None:
                    others = self.others_of(points[0].place, DISTANCE_FIELD, RATE_FIELD)
                    found.append(Crossing(points[0].decoder, others, pair, fit))
        return tuple(found)

    def _log_ratios(self, points: Sequence[SweepPoint], small: int, large: int) -> list[LogRatio]:
        found = []
        by_rate: dict[float, dict[int, SweepPoint]] = {}
        for each in points:
            if each.place.p is not None and each.place.distance is not None:
                by_rate.setdefault(each.place.p, {})[each.place.distance] = each
        for p, at in by_rate.items():
            logs = [self._log_rate(at[distance]) for distance in (small, large) if distance in at]
            if len(logs) == 2 and logs[0] is not None and logs[1] is not None:
                found.append(LogRatio(p, logs[1][0] - logs[0][0], logs[0][1] + logs[1][1]))
        return found

    def _log_rate(self, point: SweepPoint) -> tuple[float, float] | None:
        found = log_rate(point.shots, point.errors, point.observables)
        if found is None or self.per != "round":
            return found
        return found[0] - log(point.place.rounds or 1), found[1]


def _grouped(points: Iterable[SweepPoint], others: Callable[[SweepPoint], Mapping[str, Any]]) -> list[list[SweepPoint]]:
    """Points of one decoder at the same values, in the order in which they first appear."""
    groups: dict[tuple[Any, ...], list[SweepPoint]] = {}
    for each in points:
        key = (each.decoder, *(f"{name}={value!r}" for name, value in others(each).items()))
        groups.setdefault(key, []).append(each)
    return list(groups.values())
