"""Prints a sweep: the rates of each decoder, its Λ, where curves cross, and what is left out; or the same as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from autoqec.json_values import JsonObject
from autoqec.results.sweep_records import DISTANCE_FIELD, RATE_FIELD, Ended, Place, Sweep, SweepPoint, said
from autoqec.views.console import out, plain
from autoqec.views.fitted_table import Column, figures, print_table
from autoqec.views.sweep_words import bent_words, crossing_words, factor_text, left_out_words, per_words

#: Why counting ended before a target of failures was reached, by its mark.
_EARLY: dict[Ended, str] = {
    "max_shots": "the limit of shots was reached before the target",
    "max_seconds": "the limit of seconds was reached before the target",
    "max_errors": "the limit of failures was reached before the target",
    "unfinished": "counting was interrupted",
}
_MARKS = "*†‡§"


def print_sweep(sweep: Sweep) -> None:
    """Print a sweep in lines that fit the terminal."""
    console = out()
    early = [why for why in _EARLY if any(point.ended == why for point in sweep.counted())]
    marks = dict(zip(early, _MARKS, strict=False))
    for decoder in sweep.decoders:
        points = [each for each in sweep.counted() if each.decoder == decoder]
        if not points:
            continue
        console.print(plain(decoder), style="bold")
        _rates(console, sweep, points, marks)
        factors = [each for each in sweep.suppressions if each.decoder == decoder]
        if factors:
            places = [*_headings(sweep, DISTANCE_FIELD), "distances"]
            columns = [*(figures(head) for head in places), Column("Λ per round (95 %)")]
            rows = []
            for each in factors:
                place = next(
                    point.place
                    for point in points
                    if point.place.p == each.p
                    and sweep.others_of(point.place, DISTANCE_FIELD, RATE_FIELD) == dict(each.others)
                )
                distances = ", ".join(map(str, each.distances))
                rows.append([*_values(sweep, place, DISTANCE_FIELD), distances, factor_text(each)])
            print_table(console, columns, rows, indent=1)
        console.print()
    for why in early:
        console.print(plain(f"{marks[why]} {_EARLY[why]}"))
    rates = f"the rates per {per_words(sweep)}"
    for words in [crossing_words(each, rates) for each in sweep.crossings] + bent_words(sweep) + left_out_words(sweep):
        console.print(plain(words))


def _rates(console: Console, sweep: Sweep, points: Sequence[SweepPoint], marks: dict[Ended, str]) -> None:
    columns = [
        *(figures(head) for head in _headings(sweep)),
        figures("failures/shots", leaves=2),
        Column(f"rate per {per_words(sweep)} (95 %)"),
        figures("µs/shot", leaves=1),
    ]
    rows = []
    for each in points:
        low, high = each.interval(sweep.per)
        rows.append(
            [
                *_values(sweep, each.place),
                f"{each.errors:,}/{each.shots:,}{marks.get(each.ended, '')}",
                f"{each.rate(sweep.per):.3g} [{low:.3g}, {high:.3g}]",
                f"{each.microseconds:.3g}",
            ]
        )
    print_table(console, columns, rows, indent=1)


def _fields(sweep: Sweep, without: str = "") -> list[str]:
    """The fields with more than one value: those that follow others too, but not beside Λ, which is of several distances."""
    points = sweep.counted()
    names = [name for name in sweep.axes if name != without] if without else list(points[0].place.values)
    return [name for name in names if len({repr(point.place.values[name]) for point in points}) > 1]


def _headings(sweep: Sweep, without: str = "") -> list[str]:
    return [name.rpartition(".")[2] for name in _fields(sweep, without)]


def _values(sweep: Sweep, place: Place, without: str = "") -> list[str]:
    return [said(place.values[name]) for name in _fields(sweep, without)]


def sweep_objects(sweep: Sweep) -> list[JsonObject]:
    """A sweep as JSON objects: each point, what is left out, each Λ, each crossing."""
    return [
        *(_point_object(sweep, each) for each in sweep.points),
        *(
            {
                "schema": "autoqec.sweep_left_out/1",
                "env": sweep.env,
                "decoder": each.decoder,
                **_place_object(each.place),
                "reason": each.reason,
                "problem": each.problem,
                "hint": each.hint or None,
            }
            for each in sweep.left_out
        ),
        *(
            {
                "schema": "autoqec.sweep_suppression/1",
                "env": sweep.env,
                "decoder": each.decoder,
                "p": each.p,
                "set": dict(each.others),
                "distances": list(each.distances),
                "suppression": each.fit.value,
                "suppression_ci": list(each.fit.interval),
                "line_p": each.fit.line_p,
            }
            for each in sweep.suppressions
        ),
        *(
            {
                "schema": "autoqec.sweep_crossing/1",
                "env": sweep.env,
                "decoder": each.decoder,
                "set": dict(each.others),
                "distances": list(each.distances),
                "per": sweep.per,
                "p": each.fit.p,
                "p_ci": list(each.fit.interval),
                "points": each.fit.points,
            }
            for each in sweep.crossings
        ),
    ]


def _place_object(place: Place) -> JsonObject:
    return {
        "p": place.p,
        "distance": place.distance,
        "rounds": place.rounds,
        "set": dict(place.values),
        "circuit": place.circuit,
    }


def _point_object(sweep: Sweep, each: SweepPoint) -> JsonObject:
    counted = each.shots > 0
    return {
        "schema": "autoqec.sweep_point/1",
        "env": sweep.env,
        "decoder": each.decoder,
        **_place_object(each.place),
        "observables": each.observables,
        "shots": each.shots,
        "errors": each.errors,
        "ler": each.rate() if counted else None,
        "ler_ci": list(each.interval()) if counted else None,
        "per": sweep.per,
        "rate": each.rate(sweep.per) if counted else None,
        "rate_ci": list(each.interval(sweep.per)) if counted else None,
        "seconds": each.seconds,
        "ended": each.ended,
        "seed_keys": list(each.keys),
    }
