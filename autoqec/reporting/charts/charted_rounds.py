"""What charts take of an environment and its rounds: typed records, and nothing that reads git."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from autoqec.results.climb_points import ClimbPoint
from autoqec.results.gap_share import GapShare
from autoqec.results.lab_front import Front
from autoqec.results.rates_by_p import RatePoint
from autoqec.results.round_results import RoundResults
from autoqec.views.round_json import RoundRow


class ChartedRound(Protocol):
    """A round, such as a `RecordedRound`."""

    @property
    def name(self) -> str:
        """`run/number`."""

    @property
    def row(self) -> RoundRow:
        """What `autoqec log --json` prints of it, with the best round so far."""

    @property
    def results(self) -> RoundResults:
        """Metrics and verdict that count."""

    @property
    def rates(self) -> Sequence[RatePoint]:
        """Its rates by p, with intervals."""

    @property
    def share(self) -> GapShare | None:
        """The share of the gap to a stronger decoder that it closes, if its verdict says so."""


class ChartedEnvironment(Protocol):
    """An environment with its rounds, such as a `RecordedEnvironment`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def rounds(self) -> Sequence[ChartedRound]:
        """Its rounds, oldest first; open and failed ones too."""

    @property
    def front(self) -> Front:
        """The front of these rounds."""

    @property
    def climb(self) -> Sequence[ClimbPoint]:
        """The best of these rounds after each of them, against what they took."""


def short_names(names: Sequence[str]) -> dict[str, str]:
    """What to call rounds in a chart, by `run/number`: the number alone where all are of one run."""
    runs = {name.rpartition("/")[0] for name in names}
    return {name: name.rpartition("/")[2] if len(runs) == 1 else name for name in names}
