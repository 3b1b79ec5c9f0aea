"""What is said of a sweep in words: beside the table, below the plot and on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from autoqec.results.sweep_records import Crossing, LeftOut, Place, Suppression, Sweep, said

#: Distances whose rates are on no line, at this level.
_NO_LINE = 0.01


def per_words(sweep: Sweep) -> str:
    """What rates are per, in words."""
    return {"shot": "shot", "round": "round", "logical": "logical observable"}[sweep.per]


def values_words(values: Mapping[str, Any]) -> str:
    """Values of fields, such as `rounds = 9, kind = si1000`."""
    return ", ".join(f"{name.rpartition('.')[2]} = {said(value)}" for name, value in values.items())


def factor_text(each: Suppression) -> str:
    """Λ with its interval, such as `2.37 [1.79, 3.13]`."""
    low, high = each.fit.interval
    value = "–" if each.fit.value is None else f"{each.fit.value:.3g}"
    return f"{value} [{low:.3g}, {'∞' if high is None else f'{high:.3g}'}]"


def bent_words(sweep: Sweep) -> list[str]:
    """Where the logs of rates are on no line in the distance, so that Λ is only a mean slope."""
    bent = [each for each in sweep.suppressions if each.fit.line_p is not None and each.fit.line_p < _NO_LINE]
    return [
        f"{each.decoder}, {values_words({'p': each.p, **each.others})}: the rates are on no line in the distance"
        f" (deviance, p-value {each.fit.line_p:.1g}), so Λ changes with it"
        for each in bent
    ]


def crossing_words(crossing: Crossing, curves: str = "the curves") -> str:
    """A crossing in a sentence; `curves` says what of the distances crosses, where no axis beside it does."""
    low, high = crossing.fit.interval
    others = "".join(f", {name.rpartition('.')[2]} = {said(value)}" for name, value in crossing.others.items())
    small, large = crossing.distances
    return (
        f"{crossing.decoder}{others}: {curves} of distances {small} and {large} cross at p = {crossing.fit.p:.3g}"
        f" [{low:.3g}, {high:.3g}]"
    )


def left_out_words(sweep: Sweep) -> list[str]:
    """What is left out, in sentences: places with the same reason together."""
    grouped: dict[tuple[str, str], list[LeftOut]] = {}
    for each in sweep.left_out:
        grouped.setdefault((each.decoder, _without_sizes(each.problem)), []).append(each)
    return [
        f"{decoder} is left out{_where(sweep, [each.place for each in items])}: {problem}"
        for (decoder, problem), items in grouped.items()
    ]


def _where(sweep: Sweep, places: Sequence[Place]) -> str:
    """Places in words: the values of each field that does not have all of its values, if they are all combinations of these."""
    everywhere = places_of(sweep)
    values = {axis: distinct([{axis: each.values[axis]} for each in places]) for axis in sweep.axes}
    if prod(len(each) for each in values.values()) != len({each.circuit for each in places}):
        some = "; ".join(each.label for each in places[:3])
        return f" at {some}" + (f"; and at {len(places) - 3} more places" if len(places) > 3 else "")
    parts = []
    for axis, found in values.items():
        if len(found) < len(distinct([{axis: each.values[axis]} for each in everywhere])):
            parts.append(f"{axis.rpartition('.')[2]} = {', '.join(said(each[axis]) for each in found)}")
    return f" at {' and '.join(parts)}" if parts else ""


def places_of(sweep: Sweep) -> list[Place]:
    """The places of all points and of all that is left out."""
    return [*(each.place for each in sweep.points), *(each.place for each in sweep.left_out)]


def _without_sizes(problem: str) -> str:
    """A problem without what differs from place to place, in brackets: `(120 detectors, 1677 mechanisms here)`."""
    start = problem.rfind(" (")
    return problem[:start] if problem.endswith("here)") and start > 0 else problem


def distinct(values: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The different ones, in the order in which they first appear."""
    found: list[dict[str, Any]] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
