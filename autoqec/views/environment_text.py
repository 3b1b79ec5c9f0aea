"""Prints what a check of an environment found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from autoqec.views.figures_text import interval_text, rate_text
from autoqec.views.installed_text import print_facts

if TYPE_CHECKING:
    from autoqec.printed_rows import EnvironmentRow, GainRow, RecordedRow, RoundTimeRow

#: Facts that are printed as they are, in this order.
_PLAIN = ("name", "identity", "detectors", "observables", "mechanisms")
_ALSO_PLAIN = ("components",)


def print_environment(facts: EnvironmentRow) -> None:
    """The size of an environment's problem, the failure rates and times of its own decoders, and what is odd about it."""
    print_facts(dict(_lines(facts)))


def _lines(facts: EnvironmentRow) -> Iterator[tuple[str, object]]:
    values: dict[str, object] = dict(facts)
    for name in _PLAIN:
        yield name, values[name]
    yield "plain edges", f"{facts['graph_like_share']:.0%} of mechanisms flip one detector or two"
    yield "incidences", facts["incidences"]
    none = "none: matching cannot decode this error model"
    yield "matching edges", facts["matching_edges"] if facts["matchable"] else none
    for name in _ALSO_PLAIN:
        yield name, values[name]
    for name, degree in (
        ("mechanism degree", facts["mechanism_degree"]),
        ("detector degree", facts["detector_degree"]),
    ):
        yield name, f"{degree['least']} to {degree['largest']}, {degree['mean']} on average"
    yield "fingerprint", facts["fingerprint"]
    for name, rate in facts["decoders"].items():
        low, high = rate["ler_ci"]
        yield (
            f"LER {name}",
            f"{rate_text(rate['ler'], 5)} {interval_text((low, high), 5)} (95 %) over {rate['shots']:,} shots",
        )
    for name, rate in facts["decoders"].items():
        low, high = rate["us_per_shot_quartiles"]
        yield (
            f"time {name}",
            f"{rate['us_per_shot']:.3g} µs a shot on one core, quartiles {low:.3g} and {high:.3g}",
        )
    told = facts["sampling"]
    yield "sampling that pays", f"{told['pays']}: {told['why']}"
    if "ler_ci" in told and "ler" in told:
        low, high = told["ler_ci"]
        yield "LER by strata", f"{told['ler']:.3g} [{low:.2g}, {high:.2g}] (95 %)"
    if "recorded" in facts:
        yield from _recorded(facts["recorded"])
    else:
        yield "gain that shows", _gain(facts["gain"])
    if facts["round"] is not None:
        yield "a round takes", _round(facts["round"])
    for number, found in enumerate(facts["findings"], start=1):
        where = found["field"] if found["line"] is None else f"line {found['line']}, {found['field']}"
        yield f"finding {number}", f"{where}: {found['finding']}"
    if facts["interrupted"]:
        yield "interrupted", f"these are the shots counted so far, of {facts['requested_shots']:,}"


def _round(time: RoundTimeRow) -> str:
    """What a round would take."""
    beliefs = time["us_with_beliefs"]
    told = "" if beliefs is None else f" (with beliefs {beliefs:.3g} µs a shot)"
    trains = f"up to {time['train_at_most']:,.0f}" if time["train"] is None else f"about {time['train']:,.0f}"
    return (
        f"{trains} s to train, {time['score']:,.3g} s of one core to score and at most"
        f" {time['verdict_at_most']:,.3g} s for a verdict{told}, and what its candidate computes"
    )


def _recorded(found: RecordedRow) -> Iterator[tuple[str, str]]:
    """How a recording is shared out, and the gain that its holdout shows."""
    shared = ((found["training"], "for training"), (found["development"], "for development"))
    parts = ", ".join(f"{count:,} {what}" for count, what in shared)
    yield "recorded shots", f"{found['shots']:,}: {parts}, {found['holdout']:,} in the holdout"
    shown = "; ".join(
        f"at look {look} " + ("none" if ratio is None else f"a ratio of LERs below {ratio:.3g}")
        for look, ratio in found["least_gain"].items()
    )
    yield "gain that shows", f"in the holdout, about half of the time: {shown}"


def _gain(gain: GainRow) -> str:
    """Which ratio the shots of a verdict can show."""
    if gain["ratio"] is None:
        return f"none: in the {gain['shots']:,} shots of a verdict the baseline fails too rarely"
    return f"a ratio of LERs below {gain['ratio']:.3g}, in the {gain['shots']:,} shots of a verdict"
