"""Predicts the relative gain of a candidate from rounds of the run and of its family: a Gaussian process on candidates' fields.

The relative gain is one minus the ratio to the plain decoder, so rounds of different environments compare. The covariance of two
candidates is a sum: one term says whether they are of one environment, one for the kinds of their stages, one for whether they
have an ensemble, and one for each field. So a change that helped one candidate is expected to help others too. A round of another
environment counts as one with further noise. The noise of a round follows from its paired counts.

A round that is open now counts at its expected value, as if it had ended with the gain that the model expects of it (Ginsbourger
et al. 2010). That leaves the expectation of every candidate unchanged, and makes the model surer of candidates that are like it.
So rounds that run at once try different things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, sqrt
from statistics import median
from typing import Any

import numpy as np

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE
from autoqec.results.reasons import FOUND_OUT

from .family import elsewhere
from .normal_form import NO_MEMBERS, normal_form
from .relations import relative_gain
from .space import Parsed, choices, first_gate, parse

#: Standard deviations, as relative gains, of what is not known beforehand: of an environment's level, of a set of stage kinds, of
#: having an ensemble, and of the difference between the ends of one field's values.
_LEVEL, _STAGES, _ENSEMBLE, _FIELD = 0.2, 0.05, 0.08, 0.02

#: How much a round of another environment may differ from one of this environment with the same fields.
_ELSEWHERE = 0.02

#: The noise of a round whose counts are not known.
_NOISE = 0.02

#: Distance between two values of a field, as a share of the distance between its ends, at which they tell little of each other.
_LENGTH = 0.5

#: Fields of which more computes more. More rarely costs gain, so the expectation rises by this much from end to end.
_SIZES = ("iterations", "members", "passes", "threshold", "layers", "hidden", "channels", "width", "agree")
_RISE = 0.01


@dataclass(frozen=True)
class Place:
    """A candidate as the model sees it.

    Attributes:
        env: Name of the environment.
        kinds: Kinds of its stages, in order.
        ensemble: Whether it has an ensemble.
        at: The place of each field among the values to try, from 0 to 1.
    """

    env: str
    kinds: tuple[str, ...]
    ensemble: bool
    at: Mapping[str, float]

    @property
    def expected(self) -> float:
        """What more computation is expected to gain."""
        return _RISE * sum(place for name, place in self.at.items() if name.split(":")[-1] in _SIZES)


def place_of(parsed: Parsed, context: Context) -> Place:
    """Return a candidate's place; fields of a stage are named by its kind, because its name means nothing."""
    whole, at = normal_form(parsed, context), {}
    for (path, field), values in choices(parsed, context).items():
        value = whole[path].get(field)
        if value in values and len(values) > 1:
            owner = str(whole[path].get("kind")) if path.startswith("stages/") else path
            at[f"{owner}:{field}"] = values.index(value) / (len(values) - 1) - _origin(path, field, values, context)
    stages = [whole[path] for path in whole if path.startswith("stages/")]
    kinds = [str(each.get("kind")) for each in sorted(stages, key=lambda each: int(each.get("position") or 0))]
    ensemble = whole[ENSEMBLE_FILE]["members"] != NO_MEMBERS
    return Place(str(context.environment.get("name")), tuple(kinds), ensemble, at)


def _origin(path: str, field: str, values: Sequence[Any], context: Context) -> float:
    """Where a field's scale begins: a gate's threshold counts from the environment's first one, which grows with distance."""
    first = first_gate(context).get("threshold") if (path, field) == (GATE_FILE, "threshold") else None
    return values.index(first) / (len(values) - 1) if first in values else 0.0


def _covariance(one: Place, other: Place) -> float:
    found = _LEVEL**2 * (one.env == other.env) + _STAGES**2 * (one.kinds == other.kinds)
    found += _ENSEMBLE**2 * (one.ensemble == other.ensemble)
    for name, place in one.at.items():
        if name in other.at:
            found += _FIELD**2 * exp(-abs(place - other.at[name]) / _LENGTH)
    return found


def noise_of(past: PastRound) -> float:
    """Return the standard deviation of a round's relative gain, from its paired counts."""
    counts = past.metrics.measured.counts if past.metrics else None
    if counts is None or not counts.baseline_failures:
        return _NOISE
    ratio = counts.candidate_failures / counts.baseline_failures
    spread = counts.candidate_only + ratio**2 * counts.baseline_only + (1 - ratio) ** 2 * counts.both
    return max(sqrt(spread) / counts.baseline_failures, 1e-4)


class GainModel:
    """The model after some rounds.

    Args:
        context: Its history and its family are what the model knows; its open rounds count at their expected values.
    """

    def __init__(self, context: Context):
        self._context = context
        known = [(past, context) for past in context.history if _tells(past)]
        known += [(each.past, elsewhere(context, each)) for each in context.family]
        self._places = [place_of(parse(past.files), where) for past, where in known]
        self._gains = [
            relative_gain(past) - place.expected for (past, _), place in zip(known, self._places, strict=True)
        ]
        own = str(context.environment.get("name"))
        self._noises = [
            noise_of(past) ** 2 + _ELSEWHERE**2 * (place.env != own)
            for (past, _), place in zip(known, self._places, strict=True)
        ]
        self._open = [place_of(parse(past.files), context) for past in context.open_rounds if past.files]

    @cached_property
    def _solved(self) -> tuple[np.ndarray, np.ndarray, float]:
        """The inverse of the covariance, that times the gains less their mean, and their mean."""
        inverse = _inverse(self._places, self._noises)
        mean = float(np.mean(self._gains))
        return inverse, inverse @ (np.array(self._gains) - mean), mean

    @cached_property
    def _looked_at(self) -> tuple[list[Place], np.ndarray]:
        """The places of rounds that have ended and of open ones, and the inverse of their covariance."""
        if not self._open:
            return self._places, self._solved[0]
        noise = median(self._noises) if self._noises else _NOISE**2
        places = [*self._places, *self._open]
        return places, _inverse(places, [*self._noises, *(noise for _ in self._open)])

    def predict(self, parsed: Parsed) -> tuple[float, float]:
        """Return the expected relative gain of a candidate and its standard deviation; (0, large) without any round."""
        place = place_of(parsed, self._context)
        if not self._places and not self._open:
            return place.expected, _LEVEL
        places, inverse = self._looked_at
        along = np.array([_covariance(place, other) for other in places])
        left = _covariance(place, place) - float(along @ inverse @ along)
        return self._expected(place, along), sqrt(max(left, 0.0))

    def _expected(self, place: Place, along: np.ndarray) -> float:
        """What rounds that have ended say; an open one adds nothing to it."""
        if not self._places:
            return place.expected
        _, weights, mean = self._solved
        return mean + place.expected + float(along[: len(weights)] @ weights)


def _inverse(places: Sequence[Place], noises: Sequence[float]) -> np.ndarray:
    between = np.array([[_covariance(a, b) for b in places] for a in places])
    return np.asarray(np.linalg.inv(between + np.diag(noises)))


def _tells(past: PastRound) -> bool:
    scored = past.status == "ok" and past.metrics is not None and bool(past.files)
    return scored and past.verdict_reason not in FOUND_OUT  # its gain is not true
