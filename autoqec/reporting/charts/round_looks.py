"""How rounds look where colour tells them apart: a round has the same colour and marker in every chart of an environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoqec.reporting.charts.charted_rounds import ChartedRound
from autoqec.views.line_styles import COLOURS

#: Black is plain decoding, and grey are references; a purple makes up for them.
_COLOURS = (*(each for each in COLOURS if each not in ("#000000", "#777777")), "#6a3d9a")

#: A square is plain decoding.
_MARKERS = ("o", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class RoundLook:
    """The colour and the marker of a round, as matplotlib names them."""

    colour: str
    marker: str


def round_looks(rounds: Sequence[ChartedRound]) -> dict[str, RoundLook]:
    """How each round of an environment looks, by name.

    Args:
        rounds: All rounds of the environment, oldest first, so that the look does not depend on which of them a chart shows.
            Those without figures are in no such chart and use up no colour.
    """
    shown = [each.name for each in rounds if each.results.metrics is not None or each.results.verdict is not None]
    return {name: _look(place) for place, name in enumerate(shown)}


def _look(place: int) -> RoundLook:
    """As many rounds as there are pairs of a colour and a marker look different, and so do neighbours in colour."""
    turn, colour = divmod(place, len(_COLOURS))
    return RoundLook(_COLOURS[colour], _MARKERS[(colour + turn) % len(_MARKERS)])
